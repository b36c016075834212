//! The canary: the first writes of a run go alone, and the rest waits until they are confirmed.

use crate::outbound::prepare::DueRecord;
use crate::outbound::turn::{Dispatched, Turn};
use crate::parts::approvals::stop_of;
use crate::parts::error::EngineError;
use crate::parts::progress::Step;
use crate::ports::store::{Stop, StopCause};
use avowal_core::data::ids::SystemName;
use avowal_core::record::intent::{Intent, IntentStatus};

/// What is due, cut down to the first writes of the run where these are not confirmed yet. Writes that were sent before are
/// always among them. Answers whether something was left out or may be.
pub(crate) async fn first_ones(
    turn: &Turn<'_>,
    due: Vec<DueRecord>,
) -> Result<(Vec<DueRecord>, bool), EngineError> {
    let (parts, system) = (turn.parts, turn.system);
    let canary = u64::from(parts.settings.guards.canary);
    let confirmed = parts.confirmed_in_run(system);
    if confirmed >= canary {
        return Ok((due, false));
    }
    let open = parts.store.open_counts().await?.intents.into_iter();
    let is_sent = |(of, status, _): &(SystemName, IntentStatus, u64)| {
        let is_open = match status {
            IntentStatus::Sent | IntentStatus::Unknown => true,
            IntentStatus::Planned | IntentStatus::Waiting => false,
        };
        of == system && is_open
    };
    let open: u64 = open.filter(is_sent).map(|(.., count)| count).sum();
    let mut left = canary.saturating_sub(confirmed.saturating_add(open));
    let is_among = |(_, record): &DueRecord| {
        let is_fresh = record.intents.get(system).is_none_or(|intent: &Intent| !intent.is_open_attempt());
        if is_fresh && left == 0 {
            return false;
        }
        left -= u64::from(is_fresh);
        true
    };
    Ok((due.into_iter().filter(is_among).collect(), true))
}

/// Counts what became of the first writes. Where one was refused, everything that is written to the system is stopped.
pub(crate) async fn note_first_ones(turn: &Turn<'_>, done: &Dispatched) -> Result<(), EngineError> {
    let (parts, system) = (turn.parts, turn.system);
    let canary = u64::from(parts.settings.guards.canary);
    if parts.confirmed_in_run(system) >= canary {
        return Ok(());
    }
    parts.count_in_run(system, done.written);
    if done.quarantined == 0 {
        return Ok(());
    }
    let note = format!("{} of the first {canary} writes of the run could not be written", done.quarantined);
    let stop = Stop { note: Some(note), ..stop_of(parts, system, StopCause::Canary) };
    if parts.store.set_stop(&stop).await? {
        turn.progress.tell(Step::Notice { system: system.clone(), message: stop.to_string() });
    }
    Ok(())
}
