//! Writes that would go round in a loop: the same content was written again and again, and each time the system changed it
//! back. What this process has seen is counted in memory, and what any process has done by the record's history.

use crate::outbound::outgoing::OutgoingWrite;
use crate::outbound::turn::Target;
use crate::parts::error::EngineError;
use avowal_core::outgoing::fights::corrections;

/// How many of a record's last events are looked through.
const EVENTS_MAX: usize = 300;

/// The writes that are part of such a loop, and the others.
pub(crate) async fn flapping_apart(
    target: Target<'_>,
    items: Vec<OutgoingWrite>,
) -> Result<(Vec<OutgoingWrite>, Vec<OutgoingWrite>), EngineError> {
    let (mut flapping, mut others) = (Vec::new(), Vec::with_capacity(items.len()));
    for item in items {
        match is_flapping(target, &item).await? {
            true => flapping.push(item),
            false => others.push(item),
        }
    }
    Ok((flapping, others))
}

async fn is_flapping(target: Target<'_>, item: &OutgoingWrite) -> Result<bool, EngineError> {
    let parts = target.parts;
    let now = parts.clock.now();
    if parts.flapping().is_flapping(&item.written_content, now) {
        return Ok(true);
    }
    // Most writes carry what never stood there, and then no history has to be read.
    if !item.is_return {
        return Ok(false);
    }
    let flap = parts.settings.guards.flap;
    let from = item.seq.saturating_sub(EVENTS_MAX as u64).saturating_add(1);
    let events = parts.store.events(&item.record, from, EVENTS_MAX).await?;
    let since = now.plus_millis(-i64::try_from(flap.within_ms).unwrap_or(i64::MAX));
    Ok(corrections(&events, target.system, &item.written_content.content, since) >= flap.times)
}
