//! The pace of requests to one service: a token bucket that learns from "too many requests".

use crate::http::declare::options::Rate;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A wait longer than this is not slept through; the caller is told to come back.
const SLEEP_MS_MAX: u64 = 5_000;
/// The first limit for a service without a declared rate that refuses a request as too many.
const FIRST_GUESS_PER_SECOND: f64 = 8.0;
/// The slowest pace that such refusals lead to.
const SLOWEST_PER_SECOND: f64 = 0.5;
/// A learned pace beyond this is no limit any more.
const FREE_PER_SECOND: f64 = 500.0;
/// How much faster each accepted request makes it.
const RECOVERY: f64 = 1.02;

/// A token bucket shared by all callers of one service.
pub(crate) struct Pace {
    declared: Option<Rate>,
    state: Mutex<State>,
}

struct State {
    /// `None`: no limit is known.
    per_second: Option<f64>,
    tokens: f64,
    filled_at: Instant,
    paused_until: Option<Instant>,
}

impl Pace {
    /// A full bucket.
    pub(crate) fn new(declared: Option<Rate>) -> Self {
        let state = State {
            per_second: declared.map(|rate| rate.per_second.max(0.01)),
            tokens: declared.map_or(1.0, |rate| f64::from(rate.burst.max(1))),
            filled_at: Instant::now(),
            paused_until: None,
        };
        Self { declared, state: Mutex::new(state) }
    }

    /// Returns when a request may go out, or says in how many milliseconds to come back.
    pub(crate) async fn turn(&self) -> Result<(), u64> {
        let wait = self.take();
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        if wait_ms > SLEEP_MS_MAX {
            self.lock().tokens += 1.0;
            return Err(wait_ms);
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// The service refused a request as too many: all requests wait as long as it says, and go slower afterwards.
    pub(crate) fn slow_down(&self, after_ms: Option<u64>) {
        let mut state = self.lock();
        let slower = state.per_second.map_or(FIRST_GUESS_PER_SECOND, |rate| rate / 2.0);
        state.per_second = Some(slower.max(SLOWEST_PER_SECOND));
        let until = Instant::now() + Duration::from_millis(after_ms.unwrap_or(0).min(86_400_000));
        state.paused_until = state.paused_until.max(Some(until));
    }

    /// A request was accepted: recovers towards the declared pace.
    pub(crate) fn accepted(&self) {
        let mut state = self.lock();
        state.per_second = match (state.per_second, self.declared) {
            (Some(rate), Some(declared)) => Some((rate * RECOVERY).min(declared.per_second.max(0.01))),
            (Some(rate), None) if rate * RECOVERY > FREE_PER_SECOND => None,
            (Some(rate), None) => Some(rate * RECOVERY),
            (None, Some(_) | None) => None,
        };
    }

    /// Takes a token, possibly one that does not exist yet, and says how long until it does.
    fn take(&self) -> Duration {
        let mut state = self.lock();
        let now = Instant::now();
        let paused = state.paused_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let burst = self.declared.map_or(1.0, |rate| f64::from(rate.burst.max(1)));
        let elapsed = now.saturating_duration_since(state.filled_at).as_secs_f64();
        state.filled_at = now;
        let Some(rate) = state.per_second else {
            state.tokens = 0.0;
            return paused;
        };
        state.tokens = (state.tokens + elapsed * rate).min(burst) - 1.0;
        let owed = (-state.tokens / rate).clamp(0.0, 86_400.0);
        paused.max(Duration::from_secs_f64(owed))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is plain numbers, valid at every moment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_declared_rate_spaces_requests() {
        let pace = Pace::new(Some(Rate { per_second: 10.0, burst: 2 }));
        assert_eq!(pace.take(), Duration::ZERO);
        assert_eq!(pace.take(), Duration::ZERO);
        let third = pace.take();
        assert!(third > Duration::from_millis(80) && third <= Duration::from_millis(100), "{third:?}");
    }

    #[tokio::test]
    async fn a_long_wish_sends_callers_away() {
        let pace = Pace::new(None);
        assert!(pace.turn().await.is_ok());
        pace.slow_down(Some(60_000));
        assert!(pace.turn().await.unwrap_err() > 50_000);
    }
}
