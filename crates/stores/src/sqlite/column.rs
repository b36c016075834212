//! Columns are text that a person can read: JSON for structures, RFC 3339 for times, hexadecimal for digests.

use super::error::Fault;
use crate::codec;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::str::FromStr;

/// The JSON text of a structure.
pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String, Fault> {
    Ok(codec::to_json(value)?)
}

/// The structure of a JSON text that this store wrote. `place` names table, row and column.
pub(super) fn from_json<T: DeserializeOwned>(text: &str, place: impl Fn() -> String) -> Result<T, Fault> {
    Ok(codec::from_json(text, place)?)
}

/// The value of a text with a form of its own: a time, a digest.
pub(super) fn parsed<T: FromStr<Err: Display>>(text: &str, place: impl Fn() -> String) -> Result<T, Fault> {
    text.parse().map_err(|error| Fault::damaged(place(), error))
}

/// A counter as SQLite keeps it.
pub(super) fn to_column(number: u64) -> Result<i64, Fault> {
    i64::try_from(number).map_err(|error| Fault::damaged("a number to be written", error))
}

/// A counter as SQLite kept it.
pub(super) fn from_column(number: i64, place: impl Fn() -> String) -> Result<u64, Fault> {
    u64::try_from(number).map_err(|error| Fault::damaged(place(), error))
}

/// A small counter as SQLite kept it.
pub(super) fn small_from_column(number: i64, place: impl Fn() -> String) -> Result<u32, Fault> {
    u32::try_from(number).map_err(|error| Fault::damaged(place(), error))
}

/// A limit as SQLite takes it.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
