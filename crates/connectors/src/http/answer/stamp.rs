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
    /// RFC 3339 in UTC, or something close to it.
    Text {
        /// A blank instead of the `T`.
        blank: bool,
        /// Whether an offset is written; without one it is UTC.
        zoned: bool,
        /// Digits behind the second.
        decimals: u8,
    },
}

impl Style {
    /// The time in this form, rounded down.
    pub(crate) fn write(self, at: Timestamp) -> String {
        match self {
            Style::Seconds => at.millis().div_euclid(1000).to_string(),
            Style::Millis => at.millis().to_string(),
            Style::Text { blank, zoned, decimals } => {
                let full = at.to_string();
                let whole = full.get(..19).unwrap_or(&full);
                let mut text = whole.replace('T', if blank { " " } else { "T" });
                if decimals > 0 {
                    let fraction = format!("{:03}000000", at.millis().rem_euclid(1000));
                    text.push('.');
                    text.push_str(&fraction[..usize::from(decimals).min(fraction.len())]);
                }
                if zoned {
                    text.push('Z');
                }
                text
            }
        }
    }

    /// The smallest step of this form, at least a millisecond.
    pub(crate) fn step_ms(self) -> i64 {
        match self {
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
    let blank = text.as_bytes().get(10) == Some(&b' ');
    let time = text.get(11..)?;
    let zoned = time.ends_with(['Z', 'z']) || time.contains(['+', '-']);
    let decimals =
        time.split_once('.').map_or(0, |(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
    let normal = format!("{}T{time}{}", text.get(..10)?, if zoned { "" } else { "Z" });
    let at = normal.parse().ok()?;
    Some((at, Style::Text { blank, zoned, decimals: u8::try_from(decimals.min(9)).unwrap_or(9) }))
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
        assert_eq!(style.write(at), "2024-05-06T07:08:09Z");
    }

    fn scalar(value: &Value) -> String {
        crate::http::answer::look::scalar_text(value).unwrap()
    }
}
