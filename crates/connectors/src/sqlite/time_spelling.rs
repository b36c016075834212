//! How a column spells points in time: ISO with a space or a `T`, with an offset or without, seconds or milliseconds
//! since 1970, Julian days. What is written is spelled as what stands there.
//!
//! Numbers follow SQLite's own convention: a double in the range of Julian days is one, every other number counts since
//! 1970, in the unit in which it is a year between 1970 and 5138. Decimals that a unit does not carry are cut off.

use super::catalogue::{Affinity, TableColumn};
use avowal_core::data::value::Value;
use jiff::Timestamp;
use jiff::tz::Offset;
use rusqlite::types::{Value as Sql, ValueRef};

/// The Julian days of the years 0 to 9999.
const JULIAN_DAYS: std::ops::Range<f64> = 1_721_059.5..5_373_484.5;

/// The Julian day at which 1970 begins.
const JULIAN_1970: f64 = 2_440_587.5;

const DAY_MS: f64 = 86_400_000.0;

/// A spelling of points in time.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum TimeSpelling {
    /// A text.
    Text(TextSpelling),
    /// A whole number since 1970.
    Count(Unit, Holder),
    /// A double of seconds since 1970.
    RealSeconds,
    /// A double of Julian days.
    Julian,
}

/// What a number counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unit {
    Seconds,
    Millis,
    Micros,
    Nanos,
}

/// What holds a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Holder {
    Integer,
    Text,
}

/// A text such as `2026-01-05 10:00:00.250+02:00`, by its parts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct TextSpelling {
    separator: String,
    has_seconds: bool,
    decimals: usize,
    zone: Zone,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Zone {
    /// Nothing: the time is in UTC.
    Unsaid,
    /// This sign for UTC.
    Letter(String),
    /// An offset after this text, with as many digits and a colon or not.
    Offset { before: String, offset: Offset, colon: bool, digits: usize },
}

impl Unit {
    /// The unit of a number since 1970, by its size.
    fn of(number: f64) -> Self {
        match number.abs() {
            size if size < 1e11 => Unit::Seconds,
            size if size < 1e14 => Unit::Millis,
            size if size < 1e17 => Unit::Micros,
            _ => Unit::Nanos,
        }
    }

    fn per_second(self) -> i128 {
        match self {
            Unit::Seconds => 1,
            Unit::Millis => 1_000,
            Unit::Micros => 1_000_000,
            Unit::Nanos => 1_000_000_000,
        }
    }

    fn at(self, count: i64) -> Option<Timestamp> {
        let nanos = i128::from(count).checked_mul(1_000_000_000 / self.per_second())?;
        Timestamp::from_nanosecond(nanos).ok()
    }
}

impl TimeSpelling {
    /// A stored number as a time in the one canonical spelling.
    pub fn read_number(stored: ValueRef<'_>) -> Option<Value> {
        let at = match stored {
            ValueRef::Integer(count) => Unit::of(count as f64).at(count)?,
            ValueRef::Real(days) if JULIAN_DAYS.contains(&days) => {
                Timestamp::from_millisecond(((days - JULIAN_1970) * DAY_MS).round() as i64).ok()?
            }
            // Microseconds are what a double of seconds carries exactly.
            ValueRef::Real(count) => match Unit::of(count) {
                Unit::Seconds => Timestamp::from_microsecond((count * 1e6).round() as i64).ok()?,
                unit @ (Unit::Millis | Unit::Micros | Unit::Nanos) => unit.at(count as i64)?,
            },
            ValueRef::Text(text) => {
                let count = count(str::from_utf8(text).ok()?)?;
                Unit::of(count as f64).at(count)?
            }
            ValueRef::Null | ValueRef::Blob(_) => return None,
        };
        Some(Value::text(at.to_string()))
    }

    /// The spelling of a stored value; where there is none, that of the column's type. `None` leaves the canonical one.
    pub fn of(column: &TableColumn, example: Option<&Sql>) -> Option<Self> {
        match example {
            Some(Sql::Integer(count)) => Some(Self::Count(Unit::of(*count as f64), Holder::Integer)),
            Some(Sql::Real(days)) if JULIAN_DAYS.contains(days) => Some(Self::Julian),
            Some(Sql::Real(count)) => Some(match Unit::of(*count) {
                Unit::Seconds => Self::RealSeconds,
                unit @ (Unit::Millis | Unit::Micros | Unit::Nanos) => Self::Count(unit, Holder::Integer),
            }),
            Some(Sql::Text(text)) => match count(text) {
                Some(count) => Some(Self::Count(Unit::of(count as f64), Holder::Text)),
                None => TextSpelling::of(text).map(Self::Text),
            },
            Some(Sql::Null | Sql::Blob(_)) | None => match column.affinity {
                Affinity::Integer => Some(Self::Count(Unit::Seconds, Holder::Integer)),
                Affinity::Text | Affinity::Blob | Affinity::Real | Affinity::Numeric => None,
            },
        }
    }

    /// A canonical time in this spelling; `None` if it is none, or has no place in it.
    pub fn write(&self, canonical: &str) -> Option<Sql> {
        let at: Timestamp = canonical.parse().ok()?;
        Some(match self {
            Self::Text(spelling) => Sql::Text(spelling.write(at)),
            Self::Count(unit, holder) => {
                let count = at.as_nanosecond().div_euclid(1_000_000_000 / unit.per_second());
                let count = i64::try_from(count).ok()?;
                match holder {
                    Holder::Integer => Sql::Integer(count),
                    Holder::Text => Sql::Text(count.to_string()),
                }
            }
            Self::RealSeconds => Sql::Real(at.as_microsecond() as f64 / 1e6),
            Self::Julian => Sql::Real(at.as_microsecond() as f64 / 1e3 / DAY_MS + JULIAN_1970),
        })
    }
}

/// A count since 1970 that is held as text. Eight digits may be a date.
fn count(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_count = digits.len() > 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_count)
}

impl TextSpelling {
    fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let date = text.get(..10)?;
        date.parse::<jiff::civil::Date>().ok()?;
        let rest = text.get(10..)?;
        let time_at = rest.find(|sign: char| sign.is_ascii_digit())?;
        let (separator, rest) = rest.split_at(time_at);
        let zone_at =
            rest.find(|sign: char| !sign.is_ascii_digit() && sign != ':' && sign != '.' && sign != ',');
        let (time, zone) = rest.split_at(zone_at.unwrap_or(rest.len()));
        let (clock, decimals) = time.split_once(['.', ',']).unwrap_or((time, ""));
        let has_seconds = match clock.len() {
            8 => true,
            5 => false,
            _ => return None,
        };
        let zone = Zone::of(zone)?;
        Some(Self { separator: separator.to_owned(), has_seconds, decimals: decimals.len(), zone })
    }

    fn write(&self, at: Timestamp) -> String {
        let local = self.zone.offset().to_datetime(at);
        let (second, nanos) = (local.second(), local.subsec_nanosecond());
        let date = local.date();
        let mut text = format!("{date}{}{:02}:{:02}", self.separator, local.hour(), local.minute());
        if self.has_seconds || second != 0 || nanos != 0 {
            text.push_str(&format!(":{second:02}"));
        }
        let digits = format!("{nanos:09}");
        let needed = digits.trim_end_matches('0').len();
        // No digit of the time is lost; what is compared as text has the same length.
        let decimals = needed.max(self.decimals.min(9));
        if decimals > 0 && (self.has_seconds || nanos != 0) {
            text.push('.');
            text.push_str(&digits[..decimals]);
        }
        self.zone.write(&mut text);
        text
    }
}

impl Zone {
    fn of(text: &str) -> Option<Self> {
        let before = &text[..text.len() - text.trim_start().len()];
        let zone = text.trim_start();
        if zone.is_empty() {
            return Some(Zone::Unsaid);
        }
        if zone.eq_ignore_ascii_case("z") || zone.eq_ignore_ascii_case("utc") {
            return Some(Zone::Letter(text.to_owned()));
        }
        let (sign, rest) = match (zone.strip_prefix('+'), zone.strip_prefix('-')) {
            (Some(rest), _) => (1, rest),
            (_, Some(rest)) => (-1, rest),
            (None, None) => return None,
        };
        let digits: String = rest.chars().filter(char::is_ascii_digit).collect();
        let hours: i32 = digits.get(..2)?.parse().ok()?;
        let minutes: i32 = digits.get(2..4).map_or(Some(0), |minutes| minutes.parse().ok())?;
        let offset = Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok()?;
        let colon = rest.contains(':');
        Some(Zone::Offset { before: before.to_owned(), offset, colon, digits: digits.len() })
    }

    fn offset(&self) -> Offset {
        match self {
            Zone::Unsaid | Zone::Letter(_) => Offset::UTC,
            Zone::Offset { offset, .. } => *offset,
        }
    }

    fn write(&self, text: &mut String) {
        match self {
            Zone::Unsaid => {}
            Zone::Letter(letter) => text.push_str(letter),
            Zone::Offset { before, offset, colon, digits } => {
                let minutes = offset.seconds() / 60;
                let sign = if minutes < 0 { '-' } else { '+' };
                let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
                text.push_str(&format!("{before}{sign}{hours:02}"));
                if *digits > 2 || rest != 0 {
                    let colon = if *colon { ":" } else { "" };
                    text.push_str(&format!("{colon}{rest:02}"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TimeSpelling;
    use crate::sqlite::catalogue::{Affinity, TableColumn};
    use avowal_core::data::value::Value;
    use rusqlite::types::{Value as Sql, ValueRef};

    fn column(affinity: Affinity) -> TableColumn {
        TableColumn::plain("seen", affinity)
    }

    /// An example, a time, and how it is spelled as in the example.
    #[track_caller]
    fn check(example: Sql, at: &str, spelled: Sql) {
        let spelling = TimeSpelling::of(&column(Affinity::Numeric), Some(&example));
        let written = spelling.as_ref().and_then(|spelling| spelling.write(at));
        assert_eq!(written, Some(spelled), "as {example:?}");
    }

    fn text(text: &str) -> Sql {
        Sql::Text(text.to_owned())
    }

    #[test]
    fn texts_are_spelled_as_the_example() {
        let at = "2026-01-05T11:00:00Z";
        for example in [
            "2026-01-05 10:00:00",
            "2026-01-05T10:00:00",
            "2026-01-05T10:00:00Z",
            "2026-01-05 10:00",
            "2026-01-05 10:00:00.000",
            "2026-01-05 10:00:00+00:00",
            "2026-01-05 10:00:00 +0000",
            "2026-01-05 10:00:00+00",
            "2026-01-05 10:00:00 UTC",
        ] {
            check(text(example), at, text(&example.replace("10:00", "11:00")));
        }
        check(text("2026-01-05 10:00:00+02:00"), at, text("2026-01-05 13:00:00+02:00"));
        check(text("2026-01-05 10:00:00-0330"), at, text("2026-01-05 07:30:00-0330"));
        // Digits that the example lacks are not lost.
        check(text("2026-01-05 10:00:00"), "2026-01-05T11:00:00.25Z", text("2026-01-05 11:00:00.25"));
        check(text("2026-01-05 10:00"), "2026-01-05T11:00:07Z", text("2026-01-05 11:00:07"));
    }

    #[test]
    fn numbers_are_spelled_as_the_example() {
        let at = "2026-01-05T11:00:00.25Z";
        check(Sql::Integer(1_700_000_000), at, Sql::Integer(1_767_610_800));
        check(Sql::Integer(0), at, Sql::Integer(1_767_610_800));
        check(Sql::Integer(1_700_000_000_000), at, Sql::Integer(1_767_610_800_250));
        check(Sql::Integer(1_700_000_000_000_000), at, Sql::Integer(1_767_610_800_250_000));
        check(text("1700000000"), at, text("1767610800"));
        check(Sql::Real(1_700_000_000.5), at, Sql::Real(1_767_610_800.25));
        let Some(Sql::Real(days)) = TimeSpelling::Julian.write(at) else { panic!("a double") };
        assert_eq!(TimeSpelling::read_number(ValueRef::Real(days)), Some(Value::text(at)));
        for (number, at) in
            [(0, "1970-01-01T00:00:00Z"), (1_767_610_800_250, at), (-1, "1969-12-31T23:59:59Z")]
        {
            assert_eq!(TimeSpelling::read_number(ValueRef::Integer(number)), Some(Value::text(at)));
        }
    }

    #[test]
    fn without_an_example_only_a_column_of_integers_is_given_numbers() {
        let of = |affinity| {
            TimeSpelling::of(&column(affinity), None)
                .and_then(|spelling| spelling.write("1970-01-01T00:00:07Z"))
        };
        assert_eq!(of(Affinity::Integer), Some(Sql::Integer(7)));
        assert_eq!(of(Affinity::Text), None);
        assert_eq!(of(Affinity::Numeric), None);
    }
}
