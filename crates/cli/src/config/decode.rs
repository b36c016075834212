//! From the tree to typed values through serde, with every unknown key, wrong type and missing key at its place.

use super::node::{Entry, Kind, Node, Table};
use super::problem::{Report, nearest};
use serde::de::value::{StrDeserializer, StringDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use std::cell::Cell;
use std::fmt;

/// Reads a table as a `T`; all its unknown keys and the first wrong value are reported. `at` is where the table
/// is named: a missing key is reported there.
pub fn table<T: DeserializeOwned>(table: &Table, at: usize, report: &Report<'_>) -> Option<T> {
    finish(T::deserialize(TableDecoder { table, at, report }), at, report)
}

/// Reads a value as a `T`.
pub fn value<T: DeserializeOwned>(node: &Node, at: usize, report: &Report<'_>) -> Option<T> {
    finish(T::deserialize(Decoder { node, at, report }), at, report)
}

/// The keys of a struct, as serde knows them.
pub fn keys_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let keys = Cell::new(&[] as &'static [&'static str]);
    // The probe only listens; it always answers with an error.
    let _ = T::deserialize(Probe(&keys));
    keys.get()
}

/// Reports the keys of a table that are not known there.
pub fn refuse_unknown(table: &Table, known: &[&str], report: &Report<'_>) {
    for (key, entry) in table.iter().filter(|(key, _)| !known.contains(&key.as_str())) {
        unknown(key, entry, known, report);
    }
}

/// The part of a table whose keys are known to one reader.
pub fn part(table: &Table, keys: &[&str]) -> Table {
    table
        .iter()
        .filter(|(key, _)| keys.contains(&key.as_str()))
        .map(|(key, entry)| (key.clone(), entry.clone()))
        .collect()
}

fn unknown(key: &str, entry: &Entry, known: &[&str], report: &Report<'_>) {
    let cure = match nearest(key, known.iter().copied()) {
        Some(meant) => format!("Did you mean `{meant}`?"),
        None if known.is_empty() => "Remove it".to_owned(),
        None => format!("Known here: {}", known.join(", ")),
    };
    report.add(entry.at, format!("the key `{key}` is not known here"), cure);
}

fn finish<T>(decoded: Result<T, Failure>, at: usize, report: &Report<'_>) -> Option<T> {
    match decoded {
        Ok(value) => Some(value),
        Err(failure) => {
            report.add(failure.at.unwrap_or(at), failure.problem, failure.cure);
            None
        }
    }
}

/// Why a value could not be read. Never repeats the value.
#[derive(Debug)]
struct Failure {
    at: Option<usize>,
    problem: String,
    cure: String,
}

impl Failure {
    fn new(problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { at: None, problem: problem.into(), cure: cure.into() }
    }

    /// The innermost place wins.
    fn or_at(self, at: usize) -> Self {
        Self { at: self.at.or(Some(at)), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        if message.starts_with("data did not match any variant") {
            return Self::new("the value has the wrong type", "Write a text, or a list of texts");
        }
        Self::new(message, "")
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            Unexpected::Bool(_) => "true or false",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a whole number",
            Unexpected::Float(_) => "a number",
            Unexpected::Str(_) | Unexpected::Char(_) | Unexpected::Bytes(_) => "a text",
            Unexpected::Seq => "a list",
            Unexpected::Map => "a table",
            _ => "something else",
        };
        let expected = expected_words(&expected.to_string());
        Self::new(format!("this is {found}"), format!("Write {expected}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new("the value is out of range", format!("Write {}", expected_words(&expected.to_string())))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let cure = match nearest(variant, expected.iter().copied()) {
            Some(meant) => format!("Did you mean `{meant}`? Known here: {}", expected.join(", ")),
            None => format!("Use one of {}", expected.join(", ")),
        };
        Self::new("this word is not known here", cure)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let cure = match nearest(field, expected.iter().copied()) {
            Some(meant) => format!("Did you mean `{meant}`?"),
            None => format!("Known here: {}", expected.join(", ")),
        };
        Self::new(format!("the key `{field}` is not known here"), cure)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("the key `{field}` is missing"), format!("Write `{field} = …`"))
    }
}

/// The words for what serde's types call by their Rust names.
fn expected_words(rust: &str) -> String {
    match rust {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not below 0".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a string" | "a borrowed string" | "string" => "a text in quotes".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list in brackets".to_owned(),
        "a map" => "a table in braces".to_owned(),
        other if other.starts_with("struct ") => "a table in braces".to_owned(),
        other if other.starts_with("enum ") => "one of the known words".to_owned(),
        other => other.to_owned(),
    }
}

#[derive(Clone, Copy)]
struct Decoder<'a> {
    node: &'a Node,
    at: usize,
    report: &'a Report<'a>,
}

impl<'de> Deserializer<'de> for Decoder<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let at = self.node.at;
        match &self.node.kind {
            Kind::Text(text) => visitor.visit_str(text),
            Kind::Integer(number) => visitor.visit_i64(*number),
            Kind::Float(number) => visitor.visit_f64(*number),
            Kind::Boolean(truth) => visitor.visit_bool(*truth),
            Kind::Time(text) => visitor.visit_str(text),
            Kind::List(items) => visitor.visit_seq(Items { items: items.iter(), report: self.report }),
            Kind::Table(table) => {
                let decoder = TableDecoder { table, at: self.at, report: self.report };
                return decoder.deserialize_any(visitor);
            }
        }
        .map_err(|failure| failure.or_at(at))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match self.node.table() {
            Some(table) => TableDecoder { table, at: self.at, report: self.report }
                .deserialize_struct(name, fields, visitor),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let at = self.node.at;
        let word = |text: &str| -> StringDeserializer<Failure> { text.to_owned().into_deserializer() };
        match (&self.node.kind, self.node.table()) {
            (Kind::Text(text), _) => visitor.visit_enum(word(text)),
            (_, Some(table)) => match table.iter().next() {
                Some((key, entry)) if table.len() == 1 => {
                    visitor.visit_enum(Choice { key, entry, report: self.report })
                }
                Some(_) | None => {
                    Err(Failure::new("exactly one key is expected here", "Keep the one that applies"))
                }
            },
            (_, None) => {
                let problem = format!("this is {}", self.node.describe());
                Err(Failure::new(problem, "Write one of the known words"))
            }
        }
        .map_err(|failure| failure.or_at(at))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map identifier ignored_any
    }
}

#[derive(Clone, Copy)]
struct TableDecoder<'a> {
    table: &'a Table,
    at: usize,
    report: &'a Report<'a>,
}

impl<'de> Deserializer<'de> for TableDecoder<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let entries = Entries { entries: self.table.iter(), value: None, known: None, report: self.report };
        visitor.visit_map(entries).map_err(|failure| failure.or_at(self.at))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        refuse_unknown(self.table, fields, self.report);
        let entries =
            Entries { entries: self.table.iter(), value: None, known: Some(fields), report: self.report };
        visitor.visit_map(entries).map_err(|failure| failure.or_at(self.at))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Entries<'a> {
    entries: std::collections::btree_map::Iter<'a, String, Entry>,
    value: Option<&'a Entry>,
    /// The keys to show; the others have been reported.
    known: Option<&'static [&'static str]>,
    report: &'a Report<'a>,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        let known = self.known;
        let is_known = |key: &str| known.is_none_or(|known| known.contains(&key));
        let Some((key, entry)) = self.entries.by_ref().find(|(key, _)| is_known(key)) else {
            return Ok(None);
        };
        self.value = Some(entry);
        let key: StrDeserializer<'_, Failure> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|failure| failure.or_at(entry.at))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Failure> {
        let Some(entry) = self.value.take() else { return Err(Failure::new("a value without a key", "")) };
        let decoder = Decoder { node: &entry.node, at: entry.at, report: self.report };
        seed.deserialize(decoder).map_err(|failure| failure.or_at(entry.node.at))
    }
}

struct Items<'a> {
    items: std::slice::Iter<'a, Node>,
    report: &'a Report<'a>,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Failure;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        let Some(node) = self.items.next() else { return Ok(None) };
        let decoder = Decoder { node, at: node.at, report: self.report };
        seed.deserialize(decoder).map(Some).map_err(|failure| failure.or_at(node.at))
    }
}

/// An enum written as a table with one key.
struct Choice<'a> {
    key: &'a str,
    entry: &'a Entry,
    report: &'a Report<'a>,
}

impl<'a> Choice<'a> {
    fn content(&self) -> Decoder<'a> {
        Decoder { node: &self.entry.node, at: self.entry.at, report: self.report }
    }
}

impl<'de> de::EnumAccess<'de> for Choice<'_> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Failure> {
        let key: StrDeserializer<'_, Failure> = self.key.into_deserializer();
        let variant = seed.deserialize(key).map_err(|failure| failure.or_at(self.entry.at))?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for Choice<'_> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        Err(Failure::new("this word takes no value", "Write it as a text").or_at(self.entry.at))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Failure> {
        seed.deserialize(self.content())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        self.content().deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.content().deserialize_struct("", fields, visitor)
    }
}

/// Listens for the keys that a struct asks for.
struct Probe<'a>(&'a Cell<&'static [&'static str]>);

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Failure> {
        Err(Failure::new("only structs have keys", ""))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Failure> {
        self.0.set(fields);
        Err(Failure::new("the keys are known", ""))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
