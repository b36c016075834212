//! Delayed writes become due at once: when another write may have helped them, and when a person asks for a run.

use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::parts::waiting::Waiting;
use crate::ports::store::{BATCH_RECORDS_MAX, Commit, IntentDelay};
use avowal_core::data::ids::{RecordId, SystemName};
use avowal_core::record::intent::IntentStatus;

/// The most delayed writes that a run makes due when it begins.
const HASTENED_MAX: usize = 100_000;

/// Makes those writes due that something confirmed since may have helped.
pub(crate) async fn hasten_helped(parts: &Parts, system: &SystemName) -> Result<(), EngineError> {
    let helped = parts.waiting().take_helped(system);
    for some in helped.chunks(BATCH_RECORDS_MAX) {
        let delays = still_waiting(parts, system, some).await?;
        hasten(parts, delays).await?;
    }
    Ok(())
}

/// Makes every delayed write due whose last try provably had no effect.
pub(crate) async fn hasten_all(parts: &Parts) -> Result<(), EngineError> {
    let waiting = parts.store.waiting_intents(HASTENED_MAX).await?;
    let delays: Vec<IntentDelay> = waiting
        .into_iter()
        .filter(|waiting| match waiting.status {
            IntentStatus::Planned | IntentStatus::Waiting => true,
            // They wait until a look can tell what became of them.
            IntentStatus::Sent | IntentStatus::Unknown => false,
        })
        .map(|waiting| IntentDelay {
            record: waiting.record,
            system: waiting.system,
            not_before: waiting.not_before,
            failures: waiting.failures,
            reason: Some(waiting.reason),
        })
        .collect();
    for some in delays.chunks(BATCH_RECORDS_MAX) {
        hasten(parts, some.to_vec()).await?;
    }
    Ok(())
}

/// The delays of those writes that are still what waits for their records.
async fn still_waiting(
    parts: &Parts,
    system: &SystemName,
    waiting: &[Waiting],
) -> Result<Vec<IntentDelay>, EngineError> {
    let ids: Vec<RecordId> = waiting.iter().map(|waiting| waiting.delay.record.clone()).collect();
    let mut delays = Vec::new();
    for (waiting, state) in waiting.iter().zip(parts.store.load(&ids).await?) {
        let intent = state.as_ref().and_then(|state| state.intents.get(system));
        match intent.is_some_and(|intent| intent.key == waiting.key) {
            true => delays.push(waiting.delay.clone()),
            false => parts.waiting().forget(system, &waiting.delay.record),
        }
    }
    Ok(delays)
}

async fn hasten(parts: &Parts, mut delays: Vec<IntentDelay>) -> Result<(), EngineError> {
    if delays.is_empty() {
        return Ok(());
    }
    let now = parts.clock.now();
    delays.iter_mut().for_each(|delay| delay.not_before = delay.not_before.min(now));
    // If the commit fails, they are only tried later.
    parts.store.commit(Commit { delays, ..Commit::default() }).await?;
    Ok(())
}
