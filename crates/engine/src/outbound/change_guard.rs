//! The guard on updates: what they take the place of is counted before any of them goes out, with what went out lately.
//! Where that looks like a mistake that spreads, everything that is written to the system is stopped.

use crate::outbound::breakers::{Tripped, Window, judge};
use crate::outbound::prepare::DueRecord;
use crate::outbound::turn::Turn;
use crate::parts::approvals::{is_approved, stop_of};
use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::parts::planned::NamedCopy;
use crate::parts::progress::Step;
use crate::ports::store::{EffectCount, PlannedEffects, Stop, StopCause};
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::outgoing::effects::{Effect, effects_of};
use std::collections::BTreeMap;

/// How long an update counts beside those that follow, in milliseconds.
const COUNT_MS: i64 = 60 * 60 * 1000;

/// How many planned updates make the next look wait for a millisecond: looking reads through them all.
const PLANNED_PER_MS: u64 = 10;

/// How many records a stop names.
const EXAMPLES_MAX: usize = 3;

/// Whether updates of this system wait for a person. Sets the stop of everything that is written to it where they look like
/// a mistake.
pub(crate) async fn are_changes_held(turn: &Turn<'_>, due: &[DueRecord]) -> Result<bool, EngineError> {
    let (parts, system) = (turn.parts, turn.system);
    let effects: Vec<Vec<Effect>> = due.iter().map(|(_, record)| effects_of(record, system)).collect();
    let now = parts.clock.now();
    // Most turns take the place of nothing, and then nothing has to be counted.
    if effects.iter().all(Vec::is_empty) || parts.looks().get(system).is_some_and(|next| now < *next) {
        return Ok(false);
    }
    if is_approved(parts, system, StopCause::ApprovedChanges).await? {
        return Ok(false);
    }
    let windows = windows(parts, system).await?;
    let tripped = judged(parts, system, &windows);
    if tripped.is_empty() {
        let planned: u64 = windows.iter().filter_map(|window| window.planned.get(&Effect::Changed)).sum();
        parts.looks().insert(system.clone(), parts.in_ms(planned / PLANNED_PER_MS));
        return Ok(false);
    }
    let named: Vec<String> = due
        .iter()
        .zip(&effects)
        .filter(|(_, effects)| tripped.iter().any(|tripped| tripped.breaker.is_about(effects)))
        .filter_map(|((_, record), _)| NamedCopy::first_of(record))
        .take(EXAMPLES_MAX)
        .map(|copy| copy.to_string())
        .collect();
    let seen: Vec<String> = tripped.iter().map(ToString::to_string).collect();
    let note = format!("{}. Among them: {}", seen.join("; "), named.join(", "));
    let stop = Stop { note: Some(note), ..stop_of(parts, system, StopCause::Changes) };
    if parts.store.set_stop(&stop).await? {
        turn.progress.tell(Step::Notice { system: system.clone(), message: stop.to_string() });
    }
    Ok(true)
}

/// The limits that the planned updates of a system pass, with what went out lately.
pub(crate) async fn tripped(parts: &Parts, system: &SystemName) -> Result<Vec<Tripped>, EngineError> {
    Ok(judged(parts, system, &windows(parts, system).await?))
}

fn judged(parts: &Parts, system: &SystemName, windows: &[Window]) -> Vec<Tripped> {
    let guards = &parts.settings.guards;
    let of = |window: &Window| {
        let policy = parts.policies.get(&window.entity)?;
        Some(judge(guards, policy, system, window))
    };
    windows.iter().filter_map(of).flatten().collect()
}

/// What is planned and what went out lately, by entity.
async fn windows(parts: &Parts, system: &SystemName) -> Result<Vec<Window>, EngineError> {
    let planned = parts.store.planned_effects(system).await?;
    if planned.is_empty() {
        return Ok(Vec::new());
    }
    let since = parts.clock.now().plus_millis(-COUNT_MS);
    let mut lately: BTreeMap<EntityName, BTreeMap<Effect, u64>> = BTreeMap::new();
    for EffectCount { entity, effect, count, .. } in parts.store.counted_effects(system, since).await? {
        *lately.entry(entity).or_default().entry(effect).or_default() +=
            u64::try_from(count).unwrap_or_default();
    }
    let window = |PlannedEffects { entity, copies, effects }| Window {
        lately: lately.remove(&entity).unwrap_or_default(),
        entity,
        copies,
        planned: effects,
    };
    Ok(planned.into_iter().map(window).collect())
}
