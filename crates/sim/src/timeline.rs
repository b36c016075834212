//! What happened to one thing, in three columns: what stood in the systems, what the engine recorded, and what the
//! oracle knows.

use crate::scenario::KEY;
use crate::world::World;
use avowal_core::data::value::Value;
use avowal_core::history::IntegrationEvent;
use std::fmt::Write as _;

/// The story of a thing, one line an entry: time, then system, engine or oracle.
pub fn timeline(world: &World, thing: Option<&str>) -> String {
    let ending = world.ending();
    let mut lines: Vec<(i64, u8, String)> = Vec::new();
    for version in world.oracle.versions() {
        if thing.is_some_and(|thing| version.thing != thing) {
            continue;
        }
        let by = version.key.as_deref().unwrap_or("a person");
        let row = version.fields.clone().map_or_else(|| "gone".to_owned(), |row| shown(&row));
        let text = format!("{:8} | {} #{} {row}  by {by}", version.system, version.row, version.seq);
        lines.push((version.at_ms, 0, text));
    }
    for edit in world.oracle.edits() {
        if thing.is_some_and(|thing| edit.thing != thing) {
            continue;
        }
        let vector: Vec<String> =
            edit.vector.iter().map(|(system, count)| format!("{system}:{count}")).collect();
        let fate = if edit.shown {
            "shown"
        } else if edit.covered {
            "covered unseen"
        } else {
            "never shown"
        };
        let text = format!(
            "oracle   | edit {} {}={} includes {{{}}}, {fate}",
            edit.no,
            edit.field,
            edit.value,
            vector.join(" ")
        );
        let at = world
            .oracle
            .versions()
            .iter()
            .find(|version| {
                version.system == edit.system
                    && version.row == edit.row
                    && version.fields.as_ref().is_some_and(|row| row.get(&edit.field) == Some(&edit.value))
            })
            .map_or(0, |version| version.at_ms);
        lines.push((at, 1, text));
    }
    for event in &ending.events {
        let about = thing.is_none_or(|thing| is_about(&ending.events, event, thing));
        if about && !event.record.as_str().starts_with('@') {
            let mut json = serde_json::to_value(&event.body).unwrap_or_default();
            let payload = json["payload"].take();
            let text = format!("engine   | {} {} {payload}", event.id(), event.body.kind());
            lines.push((event.recorded_at.millis(), 2, text));
        }
    }
    lines.sort_by_key(|(at, kind, _)| (*at, *kind));
    let began = lines.iter().map(|(at, ..)| *at).filter(|at| *at > 0).min().unwrap_or(0);
    let mut out = String::new();
    for (at, _, text) in lines {
        let _ = writeln!(out, "{:>9} ms | {text}", at.saturating_sub(began));
    }
    out
}

fn shown(row: &avowal_engine::ports::connector::Fields) -> String {
    let parts: Vec<String> = row
        .iter()
        .filter(|(field, _)| *field != KEY)
        .map(|(field, value)| format!("{field}={value}"))
        .collect();
    parts.join(" ")
}

/// Whether an event's record was ever about a thing.
fn is_about(events: &[IntegrationEvent], event: &IntegrationEvent, thing: &str) -> bool {
    let spelled = Value::text(thing).to_string();
    events
        .iter()
        .filter(|other| other.record == event.record)
        .any(|other| serde_json::to_string(&other.body).is_ok_and(|body| body.contains(&spelled)))
}
