//! Canonical JSON values and their digest (RFC 8785, SHA-256).
//!
//! RFC 8785 prints every number as an IEEE double, so two different 64-bit integers beyond 2^53 would
//! print, and hash, the same. Here they never collapse: an integer outside ±(2^53−1) is written as a
//! string of its digits, and a number whose exact value cannot be known is refused by the parser.

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize, de};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;

/// The largest integer magnitude that a double, and so RFC 8785, carries exactly: 2^53 − 1.
pub const SAFE_INTEGER_MAX: i64 = (1 << 53) - 1;

/// A JSON value with exact integers and a total order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Value {
    /// JSON `null`. Not the same as an absent field, which has no `Value` at all.
    #[default]
    Null,
    /// JSON `true` or `false`.
    Bool(bool),
    /// An integer. Outside ±[`SAFE_INTEGER_MAX`] its canonical form is a string of digits.
    Int(i64),
    /// A finite number that is not an exact integer.
    Float(Finite),
    /// A string.
    Text(Arc<str>),
    /// An array.
    List(Vec<Value>),
    /// An object; keys are unique.
    Object(BTreeMap<String, Value>),
}

/// A finite double that is not an integer of the safe range, so that equal numbers have one form.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Finite(f64);

impl Eq for Finite {}

impl PartialOrd for Finite {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Finite {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl std::hash::Hash for Finite {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl Finite {
    /// The double itself.
    pub fn get(self) -> f64 {
        self.0
    }
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
            return Ok(Value::Float(Finite(number)));
        }
        if number.abs() > SAFE_INTEGER_MAX as f64 {
            return Err(ValueError::Inexact(number.to_string()));
        }
        Ok(Value::Int(number as i64))
    }

    /// Parses JSON text. Duplicate keys, inexact numbers and nesting deeper than 128 are refused.
    pub fn parse(json: &[u8]) -> Result<Self, ValueError> {
        serde_json::from_slice(json).map_err(|error| ValueError::Json(error.to_string()))
    }

    /// Whether this is JSON `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
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
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::Int(int) => write_int(*int, out),
            Value::Float(float) => {
                out.extend_from_slice(ryu_js::Buffer::new().format_finite(float.0).as_bytes());
            }
            Value::Text(text) => write_text(text, out),
            Value::List(items) => {
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    item.write_canonical(out);
                }
                out.push(b']');
            }
            Value::Object(map) => write_canonical_map(map.iter().map(|(k, v)| (k.as_str(), v)), out),
        }
    }

    /// The SHA-256 of the canonical form.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.canonical())
    }
}

/// Appends the canonical form of an object whose pairs come in code-point order of their keys.
pub fn write_canonical_map<'a>(pairs: impl Iterator<Item = (&'a str, &'a Value)> + Clone, out: &mut Vec<u8>) {
    // RFC 8785 sorts by UTF-16 units, which differs from code points only beyond the basic plane.
    if pairs.clone().any(|(key, _)| key.bytes().any(|byte| byte >= 0xF0)) {
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        return write_pairs(pairs.into_iter(), out);
    }
    write_pairs(pairs, out);
}

fn write_pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a Value)>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (at, (key, value)) in pairs.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_text(key, out);
        out.push(b':');
        value.write_canonical(out);
    }
    out.push(b'}');
}

pub(crate) fn write_int(int: i64, out: &mut Vec<u8>) {
    if (-SAFE_INTEGER_MAX..=SAFE_INTEGER_MAX).contains(&int) {
        write_decimal(int, out);
    } else {
        out.push(b'"');
        write_decimal(int, out);
        out.push(b'"');
    }
}

fn write_decimal(int: i64, out: &mut Vec<u8>) {
    if int < 0 {
        out.push(b'-');
    }
    let (text, from) = decimal(int.unsigned_abs());
    out.extend_from_slice(&text[from..]);
}

/// Appends the digits of a number.
pub(crate) fn push_number(number: u64, out: &mut String) {
    let (text, from) = decimal(number);
    text[from..].iter().for_each(|digit| out.push(char::from(*digit)));
}

/// The digits of a number, and where they begin. Twenty are the most there can be.
fn decimal(mut rest: u64) -> ([u8; 20], usize) {
    let mut text = [0; 20];
    let mut from = text.len();
    loop {
        from -= 1;
        text[from] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return (text, from);
        }
    }
}

#[inline]
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    // Without an early exit the test runs over many bytes at once, and nearly every text passes it.
    let escapes = bytes.iter().fold(false, |found, byte| found | is_escaped(*byte));
    if escapes {
        write_escaped(bytes, out)
    } else {
        out.extend_from_slice(bytes)
    }
    out.push(b'"');
}

#[inline]
fn is_escaped(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

#[cold]
fn write_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0C => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x00..=0x1F => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            0x20..=0xFF => out.push(*byte),
        }
    }
}

impl fmt::Display for Value {
    /// The canonical form, which is what a person reads in histories.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.canonical()))
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
            Value::Float(float) => serializer.serialize_f64(float.0),
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
pub(crate) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
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
        Ok(Value::Object(map))
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

/// Appends the canonical form of a tree of `serde_json`, by the same rules as [`Value::write_canonical`].
pub fn write_canonical_json(json: &serde_json::Value, out: &mut Vec<u8>) {
    match json {
        serde_json::Value::Null => out.extend_from_slice(b"null"),
        serde_json::Value::Bool(bool) => out.extend_from_slice(if *bool { b"true" } else { b"false" }),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(int), _, _) => write_int(int, out),
            // Beyond i64, so far beyond 2^53: as a double it would collapse with its neighbours.
            (None, Some(int), _) => write_text(&int.to_string(), out),
            (None, None, Some(float)) => {
                out.extend_from_slice(ryu_js::Buffer::new().format(float).as_bytes());
            }
            (None, None, None) => out.extend_from_slice(number.to_string().as_bytes()),
        },
        serde_json::Value::String(text) => write_text(text, out),
        serde_json::Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_canonical_json(item, out);
            }
            out.push(b']');
        }
        serde_json::Value::Object(map) => {
            let mut pairs: Vec<_> = map.iter().collect();
            pairs.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push(b'{');
            for (at, (key, value)) in pairs.into_iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_text(key, out);
                out.push(b':');
                write_canonical_json(value, out);
            }
            out.push(b'}');
        }
    }
}
