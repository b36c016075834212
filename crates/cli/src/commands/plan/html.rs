//! A plan as one page for a browser: a matrix of fields and systems, bars for each field, and what waits. The page needs
//! nothing from anywhere else.

use avowal_core::data::ids::{EntityName, FieldName, SystemName};
use avowal_core::explain::short_value;
use avowal_engine::{EntityWrites, FieldWrites, MatchReport, Plan};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The look of the page.
const STYLE: &str = include_str!("page.css");

/// The most groups of duplicates on the page.
const DUPLICATES_SHOWN: usize = 100;

/// The page of a plan.
pub(super) fn page(plan: &Plan) -> String {
    let mut out = String::with_capacity(64 * 1024);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Avowal plan</title><style>{STYLE}</style><main><h1>What a sync would do</h1>\
         <p>Made at {}. Nothing was written. {} in all.</p>",
        plan.made_at,
        counted(plan.writes_planned(), "write", "writes")
    );
    for (entity, matches) in &plan.entities {
        let _ = write!(out, "<h2>{}</h2>", text(entity.as_str()));
        matching(matches, &mut out);
        matrix(plan, entity, &mut out);
        for (name, system) in &plan.systems {
            if let Some(writes) = system.entities.get(entity).filter(|writes| !writes.is_empty()) {
                bars(name, writes, &mut out);
            }
        }
    }
    waiting(plan, &mut out);
    systems(plan, &mut out);
    out.push_str("<h2>What this plan cannot know</h2><ul>");
    plan.not_predicted.iter().for_each(|said| item(said, &mut out));
    out.push_str("</ul></main></html>\n");
    out
}

fn matching(matches: &MatchReport, out: &mut String) {
    out.push_str("<ul>");
    for linked in &matches.linked {
        let systems = linked.systems.iter().map(SystemName::as_str).collect::<Vec<_>>().join(" and ");
        let how = match &linked.key {
            Some(key) => format!("recognised by {key}"),
            None => "linked earlier".to_owned(),
        };
        item(&format!("{} in {systems}, {how}", counted(linked.records, "record", "records")), out);
    }
    for (system, counts) in &matches.systems {
        item(
            &format!(
                "{system}: {}, {} that no other system has, {} without a key",
                counted(counts.copies, "copy", "copies"),
                counts.unmatched,
                counts.without_key
            ),
            out,
        );
    }
    out.push_str("</ul>");
    if matches.duplicates.is_empty() {
        return;
    }
    let _ = write!(out, "<h3>Keys in several rows of one system: {}</h3><ul>", matches.duplicate_keys);
    for found in matches.duplicates.iter().take(DUPLICATES_SHOWN) {
        let ids = found.ids.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(", ");
        item(&format!("{}: {} in rows {ids}", found.system, found.key), out);
    }
    out.push_str("</ul>");
}

/// Which share of the copies in each system would keep each field as it is.
fn matrix(plan: &Plan, entity: &EntityName, out: &mut String) {
    let of = |name: &SystemName| plan.systems.get(name).and_then(|system| system.entities.get(entity));
    let fields: BTreeSet<&FieldName> = plan
        .systems
        .keys()
        .filter_map(of)
        .flat_map(|writes| writes.fields.iter().filter(|(_, of)| of.changed() + of.reviews > 0))
        .map(|(field, _)| field)
        .collect();
    if fields.is_empty() {
        return;
    }
    out.push_str("<h3>Copies that agree already</h3><table><tr><th>field</th>");
    plan.systems.keys().for_each(|name| {
        let _ = write!(out, "<th>{}</th>", text(name.as_str()));
    });
    out.push_str("</tr>");
    for field in fields {
        let _ = write!(out, "<tr><th>{}</th>", text(field.as_str()));
        for name in plan.systems.keys() {
            let copies =
                plan.entities.get(entity).and_then(|of| of.systems.get(name)).map_or(0, |of| of.copies);
            let differ = of(name)
                .and_then(|writes| writes.fields.get(field))
                .map_or(0, |of| of.changed() + of.reviews);
            cell(copies, differ, out);
        }
        out.push_str("</tr>");
    }
    out.push_str("</table>");
}

fn cell(copies: u64, differ: u64, out: &mut String) {
    if copies == 0 {
        out.push_str("<td class=\"none\">no copies</td>");
        return;
    }
    let agree = copies.saturating_sub(differ);
    let percent = agree.saturating_mul(100) / copies;
    let _ =
        write!(out, "<td style=\"--share:{percent}%\">{percent} % <small>{agree} of {copies}</small></td>");
}

fn bars(name: &SystemName, writes: &EntityWrites, out: &mut String) {
    let _ = write!(
        out,
        "<h3>{}: {}, {}, {}</h3>",
        text(name.as_str()),
        counted(writes.creates, "create", "creates"),
        counted(writes.updates, "update", "updates"),
        counted(writes.deletes, "delete", "deletes")
    );
    let most = writes.fields.values().map(FieldWrites::changed).max().unwrap_or_default().max(1);
    for (field, of) in writes.fields.iter().filter(|(_, of)| of.changed() > 0) {
        let _ = write!(out, "<div class=\"field\"><b>{}</b><span class=\"bar\">", text(field.as_str()));
        let kinds = [
            ("spelled", of.spelling_only, "only spelled otherwise"),
            ("replaced", of.replaced - of.spelling_only.min(of.replaced), "replaced"),
            ("filled", of.filled, "filled in"),
            ("emptied", of.emptied, "emptied"),
        ];
        for (class, count, words) in kinds.iter().filter(|(_, count, _)| *count > 0) {
            let width = (count * 100).div_ceil(most).min(100);
            let _ =
                write!(out, "<i class=\"{class}\" style=\"width:{width}%\" title=\"{count} {words}\"></i>");
        }
        out.push_str("</span><small>");
        let told = kinds
            .iter()
            .filter(|(_, count, _)| *count > 0)
            .map(|(_, count, words)| format!("{count} {words}"));
        out.push_str(&told.collect::<Vec<_>>().join(", "));
        out.push_str("</small></div><table class=\"examples\">");
        for example in &of.examples {
            let _ = write!(
                out,
                "<tr><td>{}</td><td><del>{}</del></td><td><ins>{}</ins></td></tr>",
                text(&example.record),
                text(&short_value(&example.before)),
                text(&short_value(&example.after))
            );
        }
        out.push_str("</table>");
    }
}

fn waiting(plan: &Plan, out: &mut String) {
    if plan.questions_open == 0 && plan.set_aside.is_empty() {
        return;
    }
    out.push_str("<h2>What would wait for a person</h2><ul>");
    if plan.questions_open > 0 {
        item(&counted(plan.questions_open, "question", "questions"), out);
    }
    for question in &plan.questions {
        item(&format!("{} {}, {}: {}", question.entity, question.record, question.about, question.why), out);
    }
    for aside in &plan.set_aside {
        let what = if aside.came_in { "set aside from" } else { "refused by" };
        let named = aside.examples.join(", ");
        item(
            &format!("{} {} {what} {}: {} ({named})", aside.count, aside.entity, aside.system, aside.cause),
            out,
        );
    }
    out.push_str("</ul>");
}

fn systems(plan: &Plan, out: &mut String) {
    out.push_str("<h2>Systems</h2><ul>");
    for (name, system) in &plan.systems {
        let made = &system.calls.made;
        let mut words = format!(
            "{name}: {}, {}, {} read by id; {} or more to write",
            counted(made.list_pages, "page listed", "pages listed"),
            counted(made.feed_pages, "page of changes", "pages of changes"),
            counted(made.copies_read, "copy", "copies"),
            counted(system.calls.to_write, "call", "calls")
        );
        if let Some(seconds) = system.calls.seconds_at_least {
            let _ = write!(words, ", {} or more at the declared rate", counted(seconds, "second", "seconds"));
        }
        item(&words, out);
        let held = system.problem.iter().chain(&system.held).chain(&system.stops);
        held.for_each(|said| item(&format!("{name}: {said}"), out));
    }
    out.push_str("</ul>");
}

fn item(words: &str, out: &mut String) {
    let _ = write!(out, "<li>{}</li>", text(words));
}

fn counted(count: u64, one: &str, many: &str) -> String {
    crate::output::counted(count, one, many)
}

/// A text as it may stand in a page: nothing in it is taken for markup.
fn text(foreign: &str) -> String {
    let mut out = String::with_capacity(foreign.len());
    for letter in foreign.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // It would reorder or hide what stands around it.
            '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}' => {
                out.push('\u{FFFD}')
            }
            letter if letter.is_control() => out.push('\u{FFFD}'),
            letter => out.push(letter),
        }
    }
    out
}
