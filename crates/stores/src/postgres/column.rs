//! Columns are what a person can read: text, JSON, numbers; digests as bytes, times as milliseconds since 1970.

use super::error::Fault;
use avowal_core::data::value::Digest;

/// Stands before what Postgres texts cannot hold. A text that contains it is spelled with it, too.
const ESCAPE: char = '\u{1a}';

/// The longest text that enters an index as it is, in bytes; an index entry is bounded by the server.
const KEY_BYTES_MAX: usize = 600;

/// How much of a longer one stays readable before its digest, in bytes.
const KEY_BYTES_KEPT: usize = 200;

/// A text as a column holds it. Postgres has no NUL in texts; systems may have.
pub(super) fn text(text: &str) -> String {
    if !text.contains(['\0', ESCAPE]) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        match char {
            '\0' => out.extend([ESCAPE, '0']),
            ESCAPE => out.extend([ESCAPE, '1']),
            other => out.push(other),
        }
    }
    out
}

/// The text of a column.
pub(super) fn from_text(column: String) -> String {
    if !column.contains(ESCAPE) {
        return column;
    }
    let mut out = String::with_capacity(column.len());
    let mut chars = column.chars();
    while let Some(char) = chars.next() {
        match (char, if char == ESCAPE { chars.next() } else { None }) {
            (ESCAPE, Some('0')) => out.push('\0'),
            (ESCAPE, Some('1')) => out.push(ESCAPE),
            (ESCAPE, Some(other)) => out.extend([ESCAPE, other]),
            (other, _) => out.push(other),
        }
    }
    out
}

/// A text by which rows are found: a long one is cut, and its digest keeps it distinct.
pub(super) fn key(full: &str) -> String {
    let mut out = text(full);
    if out.len() > KEY_BYTES_MAX {
        let kept = (0..=KEY_BYTES_KEPT).rev().find(|at| out.is_char_boundary(*at)).unwrap_or(0);
        out.truncate(kept);
        out.extend([ESCAPE, '2']);
        out.push_str(&Digest::of(full.as_bytes()).to_string());
    }
    out
}

/// A digest as a column holds it.
pub(super) fn digest(digest: &Digest) -> Vec<u8> {
    digest.bytes().to_vec()
}

/// The digest of a column.
pub(super) fn from_digest(bytes: &[u8], place: impl Fn() -> String) -> Result<Digest, Fault> {
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.parse().map_err(|error| Fault::damaged(place(), error))
}

/// A counter as a column holds it.
pub(super) fn number(number: u64) -> Result<i64, Fault> {
    i64::try_from(number).map_err(|error| Fault::damaged("a number to be written", error))
}

/// The counter of a column.
pub(super) fn from_number(number: i64, place: impl Fn() -> String) -> Result<u64, Fault> {
    u64::try_from(number).map_err(|error| Fault::damaged(place(), error))
}

/// The small counter of a column.
pub(super) fn small(number: i64, place: impl Fn() -> String) -> Result<u32, Fault> {
    u32::try_from(number).map_err(|error| Fault::damaged(place(), error))
}

/// A limit as statements take it.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back() {
        for plain in ["", "a", "ü😀", "\0", "\u{1a}", "a\0\u{1a}0b\u{1a}", "\u{1a}\u{1a}1"] {
            let column = text(plain);
            assert!(!column.contains('\0'));
            assert_eq!(from_text(column), plain);
        }
    }

    #[test]
    fn long_keys_stay_apart_and_short() {
        let long = "ü".repeat(5_000);
        let (one, two) = (key(&format!("{long}1")), key(&format!("{long}2")));
        assert!(one != two && one.len() < 300, "{one}");
        assert_eq!(key("short"), "short");
    }
}
