//! Times as services spell them: read in any usual form, written back in the same form.

use avowal_core::data::time::Timestamp;
use avowal_core::data::value::Value;
use serde::{Deserialize, Serialize};

/// Numbers above this are milliseconds, below it seconds.
const SECONDS_MAX: i64 = 100_000_000_000;

/// How a service writes a time. Filters often compare texts, so a query must use the very same form.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Style {
    /// Whole seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// A day alone.
    Day,
    /// RFC 3339, or something close to it.
    Text {
        /// A blank instead of the `T`.
        blank: bool,
        /// Whether an offset is written; without one it is UTC.
        zoned: bool,
        /// Digits behind the second.
        decimals: u8,
        /// Whether the seconds are left out.
        #[serde(default)]
        minutes: bool,
        /// The offset in minutes, if it is written as a number instead of `Z`.
        #[serde(default)]
        offset: Option<i16>,
        /// Whether the offset is written without a colon.
        #[serde(default)]
        plain: bool,
    },
}

impl Style {
    /// The time in this form, rounded down.
    pub(crate) fn write(self, at: Timestamp) -> String {
        match self {
            Style::Seconds => at.millis().div_euclid(1000).to_string(),
            Style::Millis => at.millis().to_string(),
            Style::Day => at.day(),
            Style::Text { blank, zoned, decimals, minutes, offset, plain } => {
                let full = at.plus_millis(self.shift_ms()).to_string();
                let whole = full.get(..if minutes { 16 } else { 19 }).unwrap_or(&full);
                let mut text = whole.replace('T', if blank { " " } else { "T" });
                if decimals > 0 {
                    let fraction = format!("{:03}000000", at.millis().rem_euclid(1000));
                    text.push('.');
                    text.push_str(&fraction[..usize::from(decimals).min(fraction.len())]);
                }
                match offset {
                    _ if !zoned => {}
                    None => text.push('Z'),
                    Some(offset) => {
                        let (sign, of) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
                        let colon = if plain { "" } else { ":" };
                        text.push_str(&format!("{sign}{:02}{colon}{:02}", of / 60, of % 60));
                    }
                }
                text
            }
        }
    }

    /// Whether the time says in which zone it is. Numbers count from a fixed moment.
    pub(crate) fn is_zoned(self) -> bool {
        match self {
            Style::Seconds | Style::Millis => true,
            Style::Day => false,
            Style::Text { zoned, .. } => zoned,
        }
    }

    /// How far the written clock is ahead of UTC, in milliseconds.
    pub(crate) fn shift_ms(self) -> i64 {
        match self {
            Style::Text { offset: Some(offset), .. } => i64::from(offset) * 60_000,
            Style::Seconds | Style::Millis | Style::Day | Style::Text { offset: None, .. } => 0,
        }
    }

    /// The smallest step of this form, at least a millisecond.
    pub(crate) fn step_ms(self) -> i64 {
        match self {
            Style::Day => 86_400_000,
            Style::Text { minutes: true, .. } => 60_000,
            Style::Seconds | Style::Text { decimals: 0, .. } => 1000,
            Style::Text { decimals: 1, .. } => 100,
            Style::Text { decimals: 2, .. } => 10,
            Style::Millis | Style::Text { .. } => 1,
        }
    }
}

/// Reads a time and its form.
pub(crate) fn read(value: &Value) -> Option<(Timestamp, Style)> {
    match value {
        Value::Int(int) if int.abs() < SECONDS_MAX => {
            Some((Timestamp::from_millis(int * 1000), Style::Seconds))
        }
        Value::Int(int) => Some((Timestamp::from_millis(*int), Style::Millis)),
        Value::Float(number) if number.get().abs() < SECONDS_MAX as f64 => {
            Some((Timestamp::from_millis((number.get() * 1000.0) as i64), Style::Seconds))
        }
        Value::Float(number) => {
            let ms = number.whole()?.parse().ok()?;
            Some((Timestamp::from_millis(ms), Style::Millis))
        }
        Value::Text(text) => read_text(text.trim()),
        Value::Null | Value::Bool(_) | Value::List(_) | Value::Object(_) => None,
    }
}

fn read_text(text: &str) -> Option<(Timestamp, Style)> {
    let day = text.get(..10)?;
    if text.len() == 10 {
        return Some((format!("{day}T00:00:00Z").parse().ok()?, Style::Day));
    }
    let blank = text.as_bytes().get(10) == Some(&b' ');
    let rest = text.get(11..)?;
    let end = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = (rest[..end].trim_end(), &rest[end..]);
    let minutes = clock.len() == 5;
    let decimals =
        clock.split_once('.').map_or(0, |(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
    let offset = match zone {
        "" | "Z" | "z" => None,
        zone => Some(offset_of(zone)?),
    };
    let normal = format!("{day}T{clock}{}Z", if minutes { ":00" } else { "" });
    let local: Timestamp = normal.parse().ok()?;
    let at = local.plus_millis(-i64::from(offset.unwrap_or(0)) * 60_000);
    let decimals = u8::try_from(decimals.min(9)).unwrap_or(9);
    let plain = !zone.contains(':');
    Some((at, Style::Text { blank, zoned: !zone.is_empty(), decimals, minutes, offset, plain }))
}

/// The minutes of an offset such as `+02:00`, `-0530` or `+02`.
fn offset_of(zone: &str) -> Option<i16> {
    let digits: String = zone.chars().skip(1).filter(|char| *char != ':').collect();
    let (hours, minutes) = (digits.get(..2)?, digits.get(2..)?);
    let minutes: i16 = if minutes.is_empty() { 0 } else { minutes.parse().ok()? };
    let of = hours.parse::<i16>().ok()?.checked_mul(60)?.checked_add(minutes)?;
    Some(if zone.starts_with('-') { -of } else { of })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_time_is_written_as_it_was_read() {
        let spellings = [
            Value::text("2024-05-06 07:08:09.123Z"),
            Value::text("2024-05-06T07:08:09.123Z"),
            Value::text("2024-05-06T07:08:09Z"),
            Value::text("2024-05-06T07:08:09.123000"),
            Value::text("2024-05-06 07:08:09"),
            Value::text("2024-05-06T09:08:09+02:00"),
            Value::text("2024-05-06T01:38:09-0530"),
            Value::Int(1_714_979_289),
            Value::Int(1_714_979_289_123),
        ];
        for spelling in spellings {
            let (at, style) = read(&spelling).unwrap();
            assert_eq!(at.millis() / 1000, 1_714_979_289, "{spelling}");
            assert_eq!(style.write(at), scalar(&spelling), "{spelling}");
        }
    }

    #[test]
    fn an_offset_is_understood() {
        let (at, style) = read(&Value::text("2024-05-06T09:08:09+02:00")).unwrap();
        assert_eq!(at.to_string(), "2024-05-06T07:08:09.000Z");
        assert_eq!(style.write(at), "2024-05-06T09:08:09+02:00");
        let (at, style) = read(&Value::text("2024-05-06T09:08Z")).unwrap();
        assert_eq!((at.to_string().as_str(), style.step_ms()), ("2024-05-06T09:08:00.000Z", 60_000));
        assert_eq!(style.write(at), "2024-05-06T09:08Z");
        let (at, style) = read(&Value::text("2024-05-06")).unwrap();
        assert_eq!((style.write(at).as_str(), style.step_ms()), ("2024-05-06", 86_400_000));
    }

    fn scalar(value: &Value) -> String {
        crate::http::answer::look::scalar_text(value).unwrap()
    }
}
