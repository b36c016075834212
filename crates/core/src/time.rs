//! Points in time, as data. The core never asks for the current one.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// Milliseconds since 1970-01-01T00:00:00Z, written as RFC 3339 in UTC with three decimals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970; clamped to the years −9999 to 9999.
    pub fn from_millis(ms: i64) -> Self {
        Self(ms.clamp(-377_705_023_201_000, 253_402_207_199_999))
    }

    /// Milliseconds since 1970.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// The point `ms` milliseconds later.
    pub fn plus_millis(self, ms: i64) -> Self {
        Self::from_millis(self.0.saturating_add(ms))
    }

    /// The hour, minute and second in UTC, as in `10:08:03`.
    pub fn clock(self) -> String {
        self.to_string().get(11..19).unwrap_or("").to_owned()
    }

    /// The day in UTC, as in `2026-11-22`.
    pub fn day(self) -> String {
        self.to_string().get(..10).unwrap_or("").to_owned()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at: jiff::Timestamp = text.parse().map_err(|error: jiff::Error| error.to_string())?;
        Ok(Self::from_millis(at.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at: Self = text.parse().map_err(de::Error::custom)?;
        // One point in time has one written form, or a changed byte in a stored history could go unnoticed.
        if at.to_string() != text {
            return Err(de::Error::custom(format!("{text:?} is not written as {at}")));
        }
        Ok(at)
    }
}
