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
        if let Some(spelled) = self.spelled() {
            // Digits and separators are valid UTF-8.
            return f.write_str(str::from_utf8(&spelled).unwrap_or_default());
        }
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
        if let Some(at) = Self::read(text) {
            return Ok(at);
        }
        let at: jiff::Timestamp = text.parse().map_err(|error: jiff::Error| error.to_string())?;
        Ok(Self::from_millis(at.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.spelled() {
            Some(spelled) => serializer.serialize_str(str::from_utf8(&spelled).unwrap_or_default()),
            None => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Spelled)
    }
}

/// Reads the one written form.
struct Spelled;

impl de::Visitor<'_> for Spelled {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time, as in 2026-11-22T10:08:03.250Z")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
        if let Some(at) = Timestamp::read(text) {
            return Ok(at);
        }
        let at: Timestamp = text.parse().map_err(E::custom)?;
        // One point in time has one written form, or a changed byte in a stored history could go unnoticed.
        if at.to_string() != text {
            return Err(E::custom(format!("{text:?} is not written as {at}")));
        }
        Ok(at)
    }
}

const DAY_MS: i64 = 86_400_000;

/// The written form of the years 0 to 9999, which is what every time but a made-up one has. A history holds two
/// of them an event, and a state one a field, so they are worth a straight way beside the calendar's.
impl Timestamp {
    const FIRST_MS: i64 = -62_167_219_200_000;
    const LAST_MS: i64 = 253_402_300_799_999;

    fn spelled(self) -> Option<[u8; 24]> {
        if !(Self::FIRST_MS..=Self::LAST_MS).contains(&self.0) {
            return None;
        }
        let (year, month, day) = civil(self.0.div_euclid(DAY_MS));
        let ms = self.0.rem_euclid(DAY_MS);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        write_digits(&mut text[0..4], year);
        write_digits(&mut text[5..7], month);
        write_digits(&mut text[8..10], day);
        write_digits(&mut text[11..13], ms / 3_600_000);
        write_digits(&mut text[14..16], ms / 60_000 % 60);
        write_digits(&mut text[17..19], ms / 1_000 % 60);
        write_digits(&mut text[20..23], ms % 1_000);
        Some(text)
    }

    /// The time that is written exactly like this; `None` for every other spelling.
    fn read(text: &str) -> Option<Self> {
        let text: &[u8; 24] = text.as_bytes().try_into().ok()?;
        let days = days(digits(&text[0..4])?, digits(&text[5..7])?, digits(&text[8..10])?);
        let clock = digits(&text[11..13])? * 3_600_000
            + digits(&text[14..16])? * 60_000
            + digits(&text[17..19])? * 1_000
            + digits(&text[20..23])?;
        let at = Self::from_millis(days * DAY_MS + clock);
        // A date that does not exist, or another separator, is spelled differently.
        (at.spelled()? == *text).then_some(at)
    }
}

fn write_digits(place: &mut [u8], mut number: i64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter()
        .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar. The year is taken to begin in
/// March, so that the leap day is its last one; 400 years have 146 097 days.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let march_month = (month + 9) % 12;
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}
