//! The canonical types of fields, and the one place where a raw value becomes a canonical one.

use crate::data::ids::EntityName;
use crate::data::value::{Number, SAFE_INTEGER_MAX, Value};
use rust_decimal::Decimal;
use std::fmt;
use std::str::FromStr;

/// What a field holds. Every canonical value of a type has exactly one form, so equality is equality of bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FieldType {
    /// Unicode text.
    String,
    /// A whole number; beyond ±(2^53−1) carried as a string of digits.
    Integer,
    /// An exact decimal of up to 28 digits, carried as a string without trailing zeros.
    Decimal,
    /// True or false.
    Boolean,
    /// A calendar day, `YYYY-MM-DD`.
    Date,
    /// A point in time, RFC 3339 in UTC with as many decimals as were given.
    Timestamp,
    /// One of the listed texts.
    Enum {
        /// The allowed texts.
        values: Vec<String>,
    },
    /// Scalars without order or repetition, kept sorted.
    Set,
    /// Values in order.
    List,
    /// A JSON object, one value as a whole.
    Object,
    /// A reference to a record of another entity, carried as our record id.
    Ref {
        /// The entity referred to.
        entity: EntityName,
    },
}

/// Why a raw value is not of its field's type.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{found} is not {expected}{hint}")]
pub struct TypeError {
    /// The offending value, shortened.
    pub found: String,
    /// What the type accepts.
    pub expected: String,
    /// What to do about it; empty, or begins with `; `.
    pub hint: String,
}

/// The most characters of a value that an error repeats.
const SHOWN_CHARS_MAX: usize = 60;

impl FieldType {
    /// The entity that a field of this type refers to; `None` if it is no reference.
    pub fn reference(&self) -> Option<&EntityName> {
        match self {
            FieldType::Ref { entity } => Some(entity),
            FieldType::String
            | FieldType::Integer
            | FieldType::Decimal
            | FieldType::Boolean
            | FieldType::Date
            | FieldType::Timestamp
            | FieldType::Enum { .. }
            | FieldType::Set
            | FieldType::List
            | FieldType::Object => None,
        }
    }

    /// The canonical form of a raw, non-null value, or why it is not of this type.
    ///
    /// Texts are read as numbers, booleans, times and JSON where the type asks for them, because tables and
    /// services spell them differently. `zone_utc` says that times without an offset are in UTC.
    pub fn accept(&self, raw: &Value, zone_utc: bool) -> Result<Value, TypeError> {
        match self {
            FieldType::String => match raw {
                Value::Text(_) => Ok(raw.clone()),
                Value::Int(int) => Ok(Value::text(int.to_string())),
                // One spelling for each number, as no text can be equal to another.
                Value::Float(_) => Ok(Value::text(String::from_utf8_lossy(&raw.canonical()))),
                Value::Null | Value::Bool(_) | Value::List(_) | Value::Object(_) => Err(self.wrong(raw)),
            },
            FieldType::Integer => self.integer(raw),
            FieldType::Decimal => self.decimal(raw),
            FieldType::Boolean => self.boolean(raw),
            FieldType::Date => self.date(raw),
            FieldType::Timestamp => self.timestamp(raw, zone_utc),
            FieldType::Enum { values } => match raw.as_text() {
                Some(text) if values.iter().any(|value| value == text) => Ok(raw.clone()),
                Some(_) | None => Err(self.wrong(raw)),
            },
            FieldType::Set => self.set(raw),
            FieldType::List => {
                let json = self.json(raw)?;
                if matches!(json, Value::List(_)) { Ok(exact(json)) } else { Err(self.wrong(raw)) }
            }
            FieldType::Object => {
                let json = self.json(raw)?;
                if matches!(json, Value::Object(_)) { Ok(exact(json)) } else { Err(self.wrong(raw)) }
            }
            FieldType::Ref { .. } => match raw {
                Value::Text(_) => Ok(raw.clone()),
                Value::Int(int) => Ok(Value::text(int.to_string())),
                Value::Float(number) => number.whole().map(Value::text).ok_or_else(|| self.wrong(raw)),
                Value::Null | Value::Bool(_) | Value::List(_) | Value::Object(_) => Err(self.wrong(raw)),
            },
        }
    }

    /// A canonical value as remote systems expect it: digits carried as text become a number again.
    pub fn export(&self, canonical: &Value) -> Value {
        match (self, canonical) {
            (FieldType::Integer, Value::Text(text)) => {
                text.parse::<i64>().map_or_else(|_| canonical.clone(), Value::Int)
            }
            (_, value) => value.clone(),
        }
    }

    /// Whether values of this type can be merged by the given kind of merge.
    pub fn is_number(&self) -> bool {
        matches!(self, FieldType::Integer | FieldType::Decimal)
    }

    fn wrong(&self, raw: &Value) -> TypeError {
        self.wrong_with(raw, "")
    }

    fn wrong_with(&self, raw: &Value, hint: &str) -> TypeError {
        TypeError { found: shorten(raw), expected: self.to_string(), hint: hint.to_owned() }
    }

    fn integer(&self, raw: &Value) -> Result<Value, TypeError> {
        match raw {
            Value::Int(int) => Ok(carry(*int)),
            Value::Float(number) => {
                number.whole().and_then(|whole| digits(&whole)).ok_or_else(|| self.wrong(raw))
            }
            Value::Text(text) => digits(text.trim()).ok_or_else(|| self.wrong(raw)),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Object(_) => Err(self.wrong(raw)),
        }
    }

    fn decimal(&self, raw: &Value) -> Result<Value, TypeError> {
        let text = match raw {
            Value::Int(int) => int.to_string(),
            Value::Float(_) => raw.to_string(),
            Value::Text(text) => text.trim().to_owned(),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Object(_) => return Err(self.wrong(raw)),
        };
        let parsed = match text.split_once(['e', 'E']) {
            // The crate rounds a mantissa that is too long; a rounded value is another value.
            Some((mantissa, _)) => {
                Decimal::from_str_exact(mantissa).and_then(|_| Decimal::from_scientific(&text))
            }
            None => Decimal::from_str_exact(&text),
        };
        parsed
            .map(|decimal| Value::text(decimal.normalize().to_string()))
            .map_err(|_| self.wrong_with(raw, "; at most 28 digits are exact"))
    }

    fn boolean(&self, raw: &Value) -> Result<Value, TypeError> {
        match raw {
            Value::Bool(_) => Ok(raw.clone()),
            number if *number == Value::Int(0) => Ok(Value::Bool(false)),
            number if *number == Value::Int(1) => Ok(Value::Bool(true)),
            Value::Text(text) => match text.as_ref() {
                "true" | "t" | "1" => Ok(Value::Bool(true)),
                "false" | "f" | "0" => Ok(Value::Bool(false)),
                _ => Err(self.wrong(raw)),
            },
            Value::Null | Value::Int(_) | Value::Float(_) | Value::List(_) | Value::Object(_) => {
                Err(self.wrong(raw))
            }
        }
    }

    fn date(&self, raw: &Value) -> Result<Value, TypeError> {
        let date = raw.as_text().and_then(|text| jiff::civil::Date::from_str(text.trim()).ok());
        // A date with a time would parse too; dropping the time would destroy it on the way back.
        match (date, raw.as_text()) {
            (Some(date), Some(text)) if text.trim().len() <= 10 => Ok(respelled(raw, &date.to_string())),
            _ => Err(self.wrong(raw)),
        }
    }

    fn timestamp(&self, raw: &Value, zone_utc: bool) -> Result<Value, TypeError> {
        let text = raw.as_text().ok_or_else(|| self.wrong(raw))?.trim();
        if let Ok(at) = jiff::Timestamp::from_str(text) {
            return Ok(respelled(raw, &at.to_string()));
        }
        let local = jiff::civil::DateTime::from_str(text).map_err(|_| self.wrong(raw))?;
        if !zone_utc {
            let hint = "; it has no offset: declare `zone = \"UTC\"` in the column's mapping";
            return Err(self.wrong_with(raw, hint));
        }
        let at = jiff::tz::TimeZone::UTC.to_timestamp(local).map_err(|_| self.wrong(raw))?;
        Ok(Value::text(at.to_string()))
    }

    fn set(&self, raw: &Value) -> Result<Value, TypeError> {
        let Value::List(mut items) = exact(self.json(raw)?) else {
            return Err(self.wrong(raw));
        };
        if items.iter().any(|item| matches!(item, Value::Null | Value::List(_) | Value::Object(_))) {
            return Err(self.wrong(raw));
        }
        items.sort();
        items.dedup();
        Ok(Value::List(items))
    }

    /// Lists and objects may arrive as JSON text from a column that has no better type.
    fn json(&self, raw: &Value) -> Result<Value, TypeError> {
        match raw {
            Value::Text(text) => {
                Value::parse(text.as_bytes()).map_err(|error| self.wrong_with(raw, &format!("; {error}")))
            }
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::List(_)
            | Value::Object(_) => Ok(raw.clone()),
        }
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldType::String => f.write_str("a string"),
            FieldType::Integer => f.write_str("an integer"),
            FieldType::Decimal => f.write_str("a decimal"),
            FieldType::Boolean => f.write_str("a boolean"),
            FieldType::Date => f.write_str("a date (YYYY-MM-DD)"),
            FieldType::Timestamp => f.write_str("a timestamp (RFC 3339)"),
            FieldType::Enum { values } => write!(f, "one of {}", values.join(", ")),
            FieldType::Set => f.write_str("a set of scalars"),
            FieldType::List => f.write_str("a list"),
            FieldType::Object => f.write_str("an object"),
            FieldType::Ref { entity } => write!(f, "a reference to {entity}"),
        }
    }
}

/// The raw value itself where it is spelled canonically already.
fn respelled(raw: &Value, canonical: &str) -> Value {
    if raw.as_text() == Some(canonical) { raw.clone() } else { Value::text(canonical) }
}

fn shorten(raw: &Value) -> String {
    let full = raw.to_string();
    match full.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &full[..at]),
        None => full,
    }
}

fn carry(int: i64) -> Value {
    if (-SAFE_INTEGER_MAX..=SAFE_INTEGER_MAX).contains(&int) {
        Value::Int(int)
    } else {
        Value::text(int.to_string())
    }
}

/// Reads a whole number of any length; leading zeros and `+` go, `-0` is 0.
fn digits(text: &str) -> Option<Value> {
    let (negative, body) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if body.is_empty() || !body.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let body = body.trim_start_matches('0');
    if body.is_empty() {
        return Some(Value::Int(0));
    }
    let text = if negative { format!("-{body}") } else { body.to_owned() };
    Some(text.parse::<i64>().map_or_else(|_| Value::text(&text), carry))
}

/// Integers beyond 2^53 inside lists and objects as numbers that keep their digits: the canonical form of a lone one is a text.
fn exact(value: Value) -> Value {
    match value {
        Value::Int(int) if !(-SAFE_INTEGER_MAX..=SAFE_INTEGER_MAX).contains(&int) => {
            Number::of_digits(&int.to_string()).map_or(value, Value::Float)
        }
        Value::List(items) => Value::List(items.into_iter().map(exact).collect()),
        Value::Object(map) => {
            Value::Object(map.into_iter().map(|(key, value)| (key, exact(value))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => value,
    }
}
