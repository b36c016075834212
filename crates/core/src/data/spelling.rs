//! What a system may make of a value that it is sent.

use crate::data::value::Value;

/// The fewest letters that a text cut off by its system must have kept, to be known as ours.
const CUT_LETTERS_MIN: usize = 16;

/// Whether a system may have made `shown` of `sent`: the same letters and digits in another case or with other
/// signs between them, cut off at the end, or the same members in another order.
pub fn is_spelling_of(shown: &Value, sent: &Value) -> bool {
    match (shown, sent) {
        (Value::Text(_), Value::Text(_)) if shown != sent => {
            let (shown, sent) = (letters(shown), letters(sent));
            shown == sent || (shown.chars().count() >= CUT_LETTERS_MIN && sent.starts_with(&shown))
        }
        (Value::List(shown), Value::List(sent)) => {
            shown.len() == sent.len()
                && shown.iter().all(|item| sent.iter().any(|other| is_spelling_of(item, other)))
        }
        _ => shown == sent,
    }
}

fn letters(text: &Value) -> String {
    let text = text.as_text().unwrap_or_default();
    text.chars().filter(|sign| sign.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
