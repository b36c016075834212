//! JSON text in which each number that a double does not give back stands as an object with its digits.
//!
//! The parser reads numbers as doubles, and a switch of it that keeps digits would hold for every crate that is built with
//! it. So the digits are put where it leaves them alone.

use crate::data::number::{DIGITS_KEY, Number, SAFE_INTEGER_MAX};
use std::borrow::Cow;

/// A text whose numbers are safe to parse.
pub(crate) struct Marked<'a> {
    pub json: Cow<'a, [u8]>,
    /// How many numbers were put into objects.
    pub numbers: usize,
}

/// Marks the numbers of a JSON text. What is no JSON stays so.
pub(crate) fn mark_digits(json: &[u8]) -> Marked<'_> {
    let (mut out, mut copied, mut at, mut numbers) = (Vec::new(), 0, 0, 0);
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => at = end_of_text(json, at),
            b'-' | b'0'..=b'9' => {
                let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
                let rest = json.get(at..).unwrap_or_default();
                let end = at + rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
                let token = json.get(at..end).unwrap_or_default();
                if let Some(digits) = digits(token) {
                    out.extend_from_slice(json.get(copied..at).unwrap_or_default());
                    out.extend_from_slice(format!("{{\"{DIGITS_KEY}\":\"{digits}\"}}").as_bytes());
                    (copied, numbers) = (end, numbers + 1);
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    if numbers == 0 {
        return Marked { json: Cow::Borrowed(json), numbers };
    }
    out.extend_from_slice(json.get(copied..).unwrap_or_default());
    Marked { json: Cow::Owned(out), numbers }
}

/// The number as it must be kept, unless an integer of the safe range or a double gives it back.
fn digits(token: &[u8]) -> Option<&str> {
    let text = str::from_utf8(token).ok()?;
    if text.parse::<i64>().is_ok_and(|int| (-SAFE_INTEGER_MAX..=SAFE_INTEGER_MAX).contains(&int)) {
        return None;
    }
    Number::of_digits(text)?.digits().is_some().then_some(text)
}

/// Where the text that begins at `from` has ended.
fn end_of_text(json: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    json.len()
}
