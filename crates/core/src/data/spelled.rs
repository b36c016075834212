//! How integers, texts and trees of `serde_json` are spelled in canonical JSON.

use crate::data::number::SAFE_INTEGER_MAX;

/// Appends the canonical form of a tree of `serde_json`, by the same rules as `Value::write_canonical`.
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

/// Appends an integer; as a text of digits where a double would not carry it.
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

/// Appends a text with its quotes.
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
