//! A token bucket per system limits how many writes go out.

use avowal_core::data::time::Timestamp;

/// A limit on writes to one system.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct WriteRate {
    /// Writes a second, on average; at least 1.
    pub per_second: u32,
    /// Writes at once; at least 1.
    pub burst: u32,
}

/// A token bucket that is told the time.
#[derive(Clone, Debug)]
pub(crate) struct Limiter {
    rate: WriteRate,
    /// Thousandths of a token, so that slow rates need no fractions.
    milli_tokens: u64,
    filled_at: Option<Timestamp>,
}

impl Limiter {
    /// A full bucket. Rates below one are taken as one.
    pub(crate) fn new(rate: WriteRate) -> Self {
        let rate = WriteRate { per_second: rate.per_second.max(1), burst: rate.burst.max(1) };
        Self { rate, milli_tokens: u64::from(rate.burst) * 1000, filled_at: None }
    }

    /// Takes up to `wanted` tokens. Answers how many, and if none, after how many milliseconds to ask again.
    pub(crate) fn take(&mut self, wanted: usize, now: Timestamp) -> (usize, u64) {
        let since =
            self.filled_at.map_or(0, |at| now.millis().saturating_sub(at.millis()).max(0).unsigned_abs());
        let gained = since.saturating_mul(u64::from(self.rate.per_second));
        self.milli_tokens = self.milli_tokens.saturating_add(gained).min(u64::from(self.rate.burst) * 1000);
        self.filled_at = Some(now);
        let whole = usize::try_from(self.milli_tokens / 1000).unwrap_or(usize::MAX).min(wanted);
        self.milli_tokens -= whole as u64 * 1000;
        let missing = 1000_u64.saturating_sub(self.milli_tokens);
        let wait_ms = if whole == 0 { missing.div_ceil(u64::from(self.rate.per_second)).max(1) } else { 0 };
        (whole, wait_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_then_its_rate() {
        let mut limiter = Limiter::new(WriteRate { per_second: 10, burst: 3 });
        let at = Timestamp::from_millis;
        assert_eq!(limiter.take(5, at(0)), (3, 0));
        assert_eq!(limiter.take(5, at(0)), (0, 100));
        assert_eq!(limiter.take(5, at(100)), (1, 0));
        assert_eq!(limiter.take(5, at(10_000)), (3, 0), "it never holds more than its burst");
        assert_eq!(limiter.take(1, at(9_000)), (0, 100), "a clock that goes back gives nothing");
    }
}
