//! How long a service asks us to wait, in the spellings of many services.

use super::reply::Reply;
use avowal_core::data::time::Timestamp;
use reqwest::StatusCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// Headers that say it, the plainest first.
const WAITS: [&str; 9] = [
    "retry-after",
    "x-retry-after",
    "x-ratelimit-retry-after",
    "x-ratelimit-reset-after",
    "x-ratelimit-reset",
    "x-rate-limit-reset",
    "ratelimit-reset",
    "x-ratelimit-reset-requests",
    "ratelimit",
];
/// Headers that say how many requests are left.
const LEFT: [&str; 3] = ["x-ratelimit-remaining", "x-rate-limit-remaining", "ratelimit-remaining"];
/// Larger numbers of seconds are no duration but a time since 1970.
const DURATION_S_MAX: f64 = 100_000_000.0;
/// Larger numbers are milliseconds since 1970.
const EPOCH_S_MAX: f64 = 100_000_000_000.0;

impl Reply {
    /// Whether the service has refused the request only because it comes too early.
    pub(crate) fn asks_to_wait(&self) -> bool {
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => true,
            StatusCode::SERVICE_UNAVAILABLE => self.retry_after_ms().is_some(),
            StatusCode::FORBIDDEN => {
                let is_none_left = |name: &str| self.header(name).is_some_and(|left| left.trim() == "0");
                self.header("retry-after").is_some() || LEFT.iter().any(|name| is_none_left(name))
            }
            _ => false,
        }
    }

    /// How long the service asks us to wait: a duration, a date or a time since 1970, by its own clock if it shows one.
    pub(crate) fn retry_after_ms(&self) -> Option<u64> {
        if let Some(ms) = self.header("retry-after-ms").and_then(|text| text.trim().parse::<f64>().ok()) {
            return whole(ms);
        }
        let now = self.date().or_else(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
            Some(Timestamp::from_millis(i64::try_from(since.as_millis()).ok()?))
        })?;
        WAITS.iter().find_map(|name| wait_ms(self.header(name)?.trim(), now))
    }
}

/// The wait in one header's text.
fn wait_ms(text: &str, now: Timestamp) -> Option<u64> {
    if let Ok(number) = text.parse::<f64>() {
        return match number {
            number if number.is_nan() || number < 0.0 => None,
            number if number > EPOCH_S_MAX => whole(number - now.millis() as f64),
            number if number > DURATION_S_MAX => whole(number * 1000.0 - now.millis() as f64),
            number => whole(number * 1000.0),
        };
    }
    if let Some(seconds) = text.strip_suffix("ms").and_then(|text| text.parse::<f64>().ok()) {
        return whole(seconds);
    }
    if let Some(seconds) = text.strip_suffix('s').and_then(|text| text.parse::<f64>().ok()) {
        return whole(seconds * 1000.0);
    }
    if let Ok(until) = httpdate::parse_http_date(text) {
        let until = until.duration_since(UNIX_EPOCH).ok()?;
        return whole(until.as_millis() as f64 - now.millis() as f64);
    }
    if let Ok(until) = text.parse::<Timestamp>() {
        return whole((until.millis() - now.millis()) as f64);
    }
    // The draft of the IETF: `"default";r=0;t=30`.
    let seconds = text.split([';', ',']).find_map(|part| part.trim().strip_prefix("t="))?;
    whole(seconds.trim().parse::<f64>().ok()? * 1000.0)
}

fn whole(ms: f64) -> Option<u64> {
    // Rounded up, so that a wait never ends too early; a cast of a float saturates.
    ms.is_finite().then(|| ms.ceil().max(0.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_wait_is_understood() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        for (text, expected) in [
            ("3", Some(3_000)),
            ("1.5", Some(1_500)),
            ("0", Some(0)),
            ("1700000004", Some(4_000)),
            ("1700000004.5", Some(4_500)),
            ("1700000004000", Some(4_000)),
            ("1699999999", Some(0)),
            ("Tue, 14 Nov 2023 22:13:25 GMT", Some(5_000)),
            ("2023-11-14T22:13:25Z", Some(5_000)),
            ("1s", Some(1_000)),
            ("250ms", Some(250)),
            ("\"default\";r=0;t=30", Some(30_000)),
            ("-1", None),
            ("soon", None),
            ("NaN", None),
        ] {
            assert_eq!(wait_ms(text, now), expected, "{text}");
        }
    }
}
