//! Virtual time, and a point at which a call may be dropped.

use async_trait::async_trait;
use avowal_core::data::ids::RecordId;
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::clock::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// A clock that moves only when somebody sleeps, or when the test says so, and gives ids in order.
pub struct ManualClock {
    now_ms: watch::Sender<i64>,
    ids: AtomicU64,
    driven: bool,
}

/// 22 November 2026, 10:00 UTC.
const START_MS: i64 = 1_795_341_600_000;

impl ManualClock {
    /// A clock on which sleeping takes no time: it moves to the end of the sleep.
    pub fn new() -> Self {
        Self { now_ms: watch::channel(START_MS).0, ids: AtomicU64::new(0), driven: false }
    }

    /// A clock that stands still until [`ManualClock::advance`]; sleepers wait for it.
    pub fn driven() -> Self {
        Self { driven: true, ..Self::new() }
    }

    /// Moves on by so many milliseconds.
    pub fn advance(&self, ms: i64) {
        self.now_ms.send_modify(|now| *now = now.saturating_add(ms));
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(*self.now_ms.borrow())
    }

    fn new_record_id(&self) -> RecordId {
        RecordId::new(format!("r{:06}", self.ids.fetch_add(1, Ordering::Relaxed) + 1))
    }

    async fn sleep(&self, ms: u64) {
        let until = self.now_ms.borrow().saturating_add(i64::try_from(ms).unwrap_or(i64::MAX));
        if !self.driven {
            self.now_ms.send_modify(|now| *now = until.max(*now));
            return pause().await;
        }
        let mut seen = self.now_ms.subscribe();
        // The sender lives as long as the clock, so waiting cannot fail while we borrow it.
        let _ = seen.wait_for(|now| *now >= until).await;
    }
}

/// A worker's clock: set when the worker begins, then running with the time of the world. What is done to the clock
/// on the wall is seen by those who begin afterwards.
pub struct WorkerClock {
    world: Arc<ManualClock>,
    offset_ms: i64,
}

impl WorkerClock {
    /// A clock that is off by so much.
    pub fn new(world: Arc<ManualClock>, offset_ms: i64) -> Self {
        Self { world, offset_ms }
    }
}

#[async_trait]
impl Clock for WorkerClock {
    fn now(&self) -> Timestamp {
        self.world.now().plus_millis(self.offset_ms)
    }

    fn new_record_id(&self) -> RecordId {
        self.world.new_record_id()
    }

    async fn sleep(&self, ms: u64) {
        self.world.sleep(ms).await;
    }
}

/// Gives way once: a point at which the whole call may be dropped.
pub async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await
}
