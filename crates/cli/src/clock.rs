//! The machine's clock, and record ids that never repeat.

use async_trait::async_trait;
use avowal_core::data::ids::RecordId;
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::clock::Clock;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The clock port over the machine's clock and random numbers. The machine's clock is read once; from then on the
/// time that passes is counted, so that a clock which is set while we run moves no deadline.
pub struct SystemClock {
    began_at: Timestamp,
    began: Instant,
    /// Gives each id after the one before, also within a millisecond: records are created in the order in which their
    /// source showed them.
    ids: Mutex<ulid::Generator>,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { began_at: now(), began: Instant::now(), ids: Mutex::new(ulid::Generator::new()) }
    }
}

/// The current time.
pub fn now() -> Timestamp {
    let ms = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        // A clock set before 1970 is wrong, but times only stamp and schedule.
        Err(error) => i64::try_from(error.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    };
    Timestamp::from_millis(ms)
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.began_at.plus_millis(passed)
    }

    fn new_record_id(&self) -> RecordId {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let id = match ids.generate() {
            Ok(id) => id,
            // The millisecond has no more numbers after the last one; the next millisecond has.
            Err(full) => full.commit_overflow_increment(),
        };
        RecordId::new(id.to_string().to_lowercase())
    }

    async fn sleep(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_comes_after_the_one_before() {
        let clock = SystemClock::default();
        let ids: Vec<RecordId> = (0..10_000).map(|_| clock.new_record_id()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
