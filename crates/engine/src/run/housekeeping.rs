//! What is done now and then while the daemon runs: the ids of old deliveries are forgotten, and its run shows that it lives.

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

/// How often a daemon shows that it lives, in milliseconds.
const SIGN_OF_LIFE_MS: u64 = 60_000;

/// Shows now and then that the runs of this process go on, until told to stop: a daemon may have nothing to commit for
/// hours.
pub(crate) async fn show_life(parts: &Parts, mut stop: watch::Receiver<bool>) -> Result<(), EngineError> {
    while !*stop.borrow() {
        tokio::select! {
            () = parts.clock.sleep(SIGN_OF_LIFE_MS) => {}
            _ = stop.changed() => {}
        }
        parts.runs.give_sign_of_life(parts.clock.now()).await;
    }
    Ok(())
}
