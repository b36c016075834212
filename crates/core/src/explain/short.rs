//! Foreign texts and values, cut and escaped so that they fit into one line.

use crate::data::value::Value;

/// The most characters of a value that a sentence repeats.
pub const SHORT_CHARS_MAX: usize = 60;

/// The most characters of a reason or note that a sentence repeats.
const REASON_CHARS_MAX: usize = 300;

/// A value as a person reads it: canonical JSON, at most [`SHORT_CHARS_MAX`] characters, on one line.
pub fn short_value(value: &Value) -> String {
    cut(&value.to_string(), SHORT_CHARS_MAX)
}

/// A foreign text (an id, a name), escaped and at most [`SHORT_CHARS_MAX`] characters.
pub fn short_text(text: &str) -> String {
    cut(text, SHORT_CHARS_MAX)
}

/// A foreign sentence (a reason, a note), escaped and cut at a length that still explains.
pub(super) fn reason(text: &str) -> String {
    let one = cut(text, REASON_CHARS_MAX);
    one.trim_end_matches(['.', ' ']).to_owned()
}

/// A list as it is spoken: `a`, `a and b`, `a, b and c`.
pub(super) fn spoken<T: AsRef<str>>(items: impl IntoIterator<Item = T>, last: &str) -> String {
    let items: Vec<T> = items.into_iter().collect();
    match items.as_slice() {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [before @ .., end] => {
            let before: Vec<&str> = before.iter().map(AsRef::as_ref).collect();
            format!("{} {last} {}", before.join(", "), end.as_ref())
        }
    }
}

fn cut(text: &str, chars_max: usize) -> String {
    let mut out = String::new();
    for (at, char) in text.chars().enumerate() {
        if at >= chars_max {
            out.push('…');
            break;
        }
        if is_dangerous(char) { out.extend(char.escape_unicode()) } else { out.push(char) }
    }
    out
}

/// Control characters, and those that reorder or hide what stands around them.
fn is_dangerous(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}
