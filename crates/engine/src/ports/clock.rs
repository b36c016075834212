//! The port through which time, waiting and fresh ids enter. Nothing else in the engine may ask for them.

use async_trait::async_trait;
use avowal_core::data::ids::RecordId;
use avowal_core::data::time::Timestamp;

/// Time and identity from outside.
///
/// Guarantees to the engine: `new_record_id` never repeats, also not across restarts. The engine guarantees
/// that no decision between two systems depends on `now`: it only stamps and schedules.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;

    /// A record id that was never given before.
    fn new_record_id(&self) -> RecordId;

    /// Returns after about `ms` milliseconds.
    async fn sleep(&self, ms: u64);
}
