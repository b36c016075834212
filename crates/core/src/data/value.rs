//! Canonical JSON values and their digest (RFC 8785, SHA-256).
//!
//! RFC 8785 prints every number as an IEEE double, so two different 64-bit integers beyond 2^53 would
//! print, and hash, the same. Here they never collapse: an integer outside ±(2^53−1) is written as a
//! string of its digits, and a number that no double carries is written with all of them.

use crate::data::marked::mark_digits;
use crate::data::number::{DIGITS_KEY, Plain};
use crate::data::spelled::{write_int, write_text};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize, de};
use sha2::{Digest as _, Sha256};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

pub use crate::data::number::{Number, SAFE_INTEGER_MAX};
pub use crate::data::spelled::write_canonical_json;

/// A JSON value with exact integers and a total order.
///
/// Numbers are equal by value, however they are spelled.
#[derive(Clone, Default)]
pub enum Value {
    /// JSON `null`. Not the same as an absent field, which has no `Value` at all.
    #[default]
    Null,
    /// JSON `true` or `false`.
    Bool(bool),
    /// An integer. Outside ±[`SAFE_INTEGER_MAX`] its canonical form is a string of digits.
    Int(i64),
    /// Any other finite number.
    Float(Number),
    /// A string.
    Text(Arc<str>),
    /// An array.
    List(Vec<Value>),
    /// An object; keys are unique.
    Object(BTreeMap<String, Value>),
}

/// Why a text or a number is not a value that can be carried exactly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The number is not finite.
    #[error("a number must be finite")]
    NotFinite,
    /// The number's exact value is lost in a double.
    #[error("{0} is beyond the range in which JSON numbers are exact; send it as a string")]
    Inexact(String),
    /// The text is not JSON, has a duplicate key, or nests too deep.
    #[error("not acceptable JSON: {0}")]
    Json(String),
}

impl Value {
    /// A string value.
    pub fn text(text: impl AsRef<str>) -> Self {
        Value::Text(Arc::from(text.as_ref()))
    }

    /// A number from a double: an integer where it is one, refused where it is not finite or not exact.
    pub fn from_f64(number: f64) -> Result<Self, ValueError> {
        if !number.is_finite() {
            return Err(ValueError::NotFinite);
        }
        if number.fract() != 0.0 {
            return Ok(Value::Float(Number::of_double(number)));
        }
        if number.abs() > SAFE_INTEGER_MAX as f64 {
            return Err(ValueError::Inexact(number.to_string()));
        }
        Ok(Value::Int(number as i64))
    }

    /// Parses JSON text; every number keeps its digits. Duplicate keys, exponents beyond 32 bits and nesting deeper than
    /// 128 are refused.
    pub fn parse(json: &[u8]) -> Result<Self, ValueError> {
        let marked = mark_digits(json);
        let value: Self =
            serde_json::from_slice(&marked.json).map_err(|error| ValueError::Json(error.to_string()))?;
        if value.count_digits() != marked.numbers {
            return Err(ValueError::Json(format!("the key {DIGITS_KEY:?} has a meaning of its own")));
        }
        Ok(value)
    }

    /// JSON text for other programs: all numbers as numbers, with their digits.
    pub fn to_json(&self) -> String {
        match self {
            Value::Int(int) => int.to_string(),
            Value::List(items) => {
                let items: Vec<_> = items.iter().map(Value::to_json).collect();
                format!("[{}]", items.join(","))
            }
            Value::Object(map) => {
                let pair = |(key, value): (&String, &Value)| {
                    let mut text = Vec::new();
                    write_text(key, &mut text);
                    format!("{}:{}", String::from_utf8_lossy(&text), value.to_json())
                };
                format!("{{{}}}", map.iter().map(pair).collect::<Vec<_>>().join(","))
            }
            Value::Null | Value::Bool(_) | Value::Float(_) | Value::Text(_) => self.to_string(),
        }
    }

    /// How many numbers in it have more digits than a double carries.
    fn count_digits(&self) -> usize {
        match self {
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Text(_) => 0,
            Value::Float(number) => usize::from(number.digits().is_some()),
            Value::List(items) => items.iter().map(Value::count_digits).sum(),
            Value::Object(map) => map.values().map(Value::count_digits).sum(),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Value::Null => 0,
            Value::Bool(_) => 1,
            Value::Int(_) | Value::Float(_) => 2,
            Value::Text(_) => 3,
            Value::List(_) => 4,
            Value::Object(_) => 5,
        }
    }

    /// Whether this is JSON `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Whether it identifies nothing: null, or a text without a sign.
    pub fn is_blank(&self) -> bool {
        self.is_null() || self.as_text().is_some_and(|text| text.trim().is_empty())
    }

    /// The text, if this is a string.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::List(_)
            | Value::Object(_) => None,
        }
    }

    /// The canonical form of RFC 8785, as bytes of UTF-8.
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        self.write_canonical(&mut out);
        out
    }

    /// Appends the canonical form to `out`.
    pub fn write_canonical(&self, out: &mut Vec<u8>) {
        self.write(Spelling::Canonical, out);
    }

    fn write(&self, spelling: Spelling, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::Int(int) => write_int(*int, out),
            Value::Float(number) => match spelling {
                Spelling::Canonical => number.write_canonical(out),
                Spelling::AsShown => out.extend_from_slice(number.to_string().as_bytes()),
            },
            Value::Text(text) => write_text(text, out),
            Value::List(items) => {
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    item.write(spelling, out);
                }
                out.push(b']');
            }
            Value::Object(map) => write_map(map.iter().map(|(k, v)| (k.as_str(), v)), spelling, out),
        }
    }

    /// The SHA-256 of the canonical form.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.canonical())
    }
}

/// How numbers are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// One spelling for each value.
    Canonical,
    /// With the digits that were shown.
    AsShown,
}

/// Appends the canonical form of an object whose pairs come in code-point order of their keys.
pub fn write_canonical_map<'a>(pairs: impl Iterator<Item = (&'a str, &'a Value)> + Clone, out: &mut Vec<u8>) {
    write_map(pairs, Spelling::Canonical, out);
}

fn write_map<'a>(
    pairs: impl Iterator<Item = (&'a str, &'a Value)> + Clone,
    spelling: Spelling,
    out: &mut Vec<u8>,
) {
    // RFC 8785 sorts by UTF-16 units, which differs from code points only beyond the basic plane.
    if pairs.clone().any(|(key, _)| key.bytes().any(|byte| byte >= 0xF0)) {
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        return write_pairs(pairs.into_iter(), spelling, out);
    }
    write_pairs(pairs, spelling, out);
}

fn write_pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a Value)>, spelling: Spelling, out: &mut Vec<u8>) {
    out.push(b'{');
    for (at, (key, value)) in pairs.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_text(key, out);
        out.push(b':');
        value.write(spelling, out);
    }
    out.push(b'}');
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Text(left), Value::Text(right)) => left == right,
            _ => self.cmp(other) == Ordering::Equal,
        }
    }
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
            (Value::Int(left), Value::Int(right)) => left.cmp(right),
            (Value::Int(left), Value::Float(right)) => Plain::Int(*left).compare(&right.plain()),
            (Value::Float(left), Value::Int(right)) => left.plain().compare(&Plain::Int(*right)),
            (Value::Float(left), Value::Float(right)) => left.plain().compare(&right.plain()),
            (Value::Text(left), Value::Text(right)) => left.cmp(right),
            (Value::List(left), Value::List(right)) => left.cmp(right),
            (Value::Object(left), Value::Object(right)) => left.cmp(right),
            (left, right) => left.rank().cmp(&right.rank()),
        }
    }
}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Value::Null => {}
            Value::Bool(bool) => bool.hash(state),
            Value::Int(int) => Plain::Int(*int).hash_into(state),
            Value::Float(number) => number.plain().hash_into(state),
            Value::Text(text) => text.hash(state),
            Value::List(items) => items.hash(state),
            Value::Object(map) => map.hash(state),
        }
    }
}

impl fmt::Display for Value {
    /// The canonical form with numbers as they were spelled, which is what a person reads in histories.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::with_capacity(64);
        self.write(Spelling::AsShown, &mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::text(text)
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Value::Int(int)
    }
}

impl From<bool> for Value {
    fn from(bool: bool) -> Self {
        Value::Bool(bool)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(bool) => serializer.serialize_bool(*bool),
            Value::Int(int) => serializer.serialize_i64(*int),
            Value::Float(number) => match number.digits() {
                None => serializer.serialize_f64(number.get()),
                // A JSON number would be read back as a double.
                Some(digits) => {
                    let mut out = serializer.serialize_map(Some(1))?;
                    out.serialize_entry(DIGITS_KEY, digits)?;
                    out.end()
                }
            },
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(items) => serializer.collect_seq(items),
            Value::Object(map) => {
                let mut out = serializer.serialize_map(Some(map.len()))?;
                for (key, value) in map {
                    out.serialize_entry(key, value)?;
                }
                out.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

/// Reads an optional value that is there: `null` is the value null, only a missing key is none.
///
/// For fields with `#[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "…")]`. Without it
/// `Some(Value::Null)` would be read back as `None`, and a stored history would not verify.
pub fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, bool: bool) -> Result<Value, E> {
        Ok(Value::Bool(bool))
    }

    fn visit_i64<E>(self, int: i64) -> Result<Value, E> {
        Ok(Value::Int(int))
    }

    fn visit_u64<E>(self, int: u64) -> Result<Value, E> {
        Ok(i64::try_from(int).map_or_else(|_| Value::text(int.to_string()), Value::Int))
    }

    fn visit_f64<E: de::Error>(self, float: f64) -> Result<Value, E> {
        Value::from_f64(float).map_err(E::custom)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::text(text))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(Arc::from(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, value)) = access.next_entry::<String, Value>()? {
            match map.entry(key) {
                Entry::Vacant(place) => place.insert(value),
                Entry::Occupied(place) => {
                    return Err(de::Error::custom(format!("duplicate key {:?}", place.key())));
                }
            };
        }
        let number = match (map.len(), map.get(DIGITS_KEY)) {
            (1, Some(Value::Text(digits))) => {
                Number::of_digits(digits).filter(|number| number.digits().is_some())
            }
            _ => None,
        };
        Ok(number.map_or(Value::Object(map), Value::Float))
    }
}

/// A SHA-256 digest, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The hash before the first event of a stream.
    pub const ZERO: Digest = Digest([0; 32]);

    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of canonical pairs, as if they were an object. Keys must come in ascending order.
    pub fn of_pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a Value)> + Clone) -> Self {
        let mut out = Vec::with_capacity(256);
        write_canonical_map(pairs, &mut out);
        Self::of(&out)
    }

    /// The digest of a row's contents: of its fields, and of what stands in those that could not be understood. A row
    /// without the latter has the digest of its fields alone.
    pub fn of_contents<'a>(
        fields: impl Iterator<Item = (&'a str, &'a Value)> + Clone,
        aside: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let understood = Self::of_pairs(fields);
        let mut aside = aside.peekable();
        if aside.peek().is_none() {
            return understood;
        }
        let mut text = understood.to_string();
        for (field, found) in aside {
            text.push('\n');
            text.push_str(field);
            text.push('=');
            text.push_str(found);
        }
        Self::of(text.as_bytes())
    }

    /// The raw 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 12 hexadecimal digits: enough to name a policy to a person.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }

    /// Appends it as it is displayed.
    pub(crate) fn append_to(&self, out: &mut String) {
        out.push_str(str::from_utf8(&self.hexadecimal()).unwrap_or_default());
    }

    fn hexadecimal(&self) -> [u8; 64] {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 64];
        for (pair, byte) in text.as_chunks_mut().0.iter_mut().zip(self.0) {
            *pair = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
        }
        text
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Hexadecimal digits are valid UTF-8.
        f.write_str(str::from_utf8(&self.hexadecimal()).unwrap_or_default())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Digest {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let wrong = || ValueError::Json(format!("{text:?} is not 64 hexadecimal digits"));
        // One digest has one spelling, or a changed byte in a stored history could go unnoticed.
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(wrong()) };
        let mut out = [0; 32];
        if pairs.len() != out.len() {
            return Err(wrong());
        }
        for (byte, [high, low]) in out.iter_mut().zip(pairs) {
            let (high, low) = digit(*high).zip(digit(*low)).ok_or_else(wrong)?;
            *byte = high << 4 | low;
        }
        Ok(Self(out))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(str::from_utf8(&self.hexadecimal()).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(crate::data::text::Parsed::default())
    }
}
