//! Forgetting the ids of old deliveries, now and then while the daemon runs.

use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use tokio::sync::watch;

/// How often old deliveries are forgotten.
const HOUSEKEEPING_MS: u64 = 600_000;

/// How many old deliveries are forgotten in one step, and in how many steps at once.
const FORGET_MAX: usize = 1_000;
const FORGET_STEPS_MAX: u32 = 100;

/// Forgets old deliveries now and then, until told to stop.
pub(crate) async fn keep_house(parts: &Parts, mut stop: watch::Receiver<bool>) -> Result<(), EngineError> {
    while !*stop.borrow() {
        if let Err(error) = forget_deliveries(parts).await {
            // It is tried again at the next housekeeping.
            tracing::warn!(%error, "old deliveries could not be forgotten");
        }
        tokio::select! {
            () = parts.clock.sleep(HOUSEKEEPING_MS) => {}
            _ = stop.changed() => {}
        }
    }
    Ok(())
}

/// Forgets the deliveries that no sender repeats any more, in small steps.
async fn forget_deliveries(parts: &Parts) -> Result<(), EngineError> {
    let kept_ms = i64::from(parts.settings.deliveries_kept_days).saturating_mul(24 * 60 * 60 * 1000);
    let before = parts.clock.now().plus_millis(kept_ms.saturating_neg());
    for _ in 0..FORGET_STEPS_MAX {
        if parts.store.prune(before, FORGET_MAX).await? < FORGET_MAX as u64 {
            break;
        }
    }
    Ok(())
}
