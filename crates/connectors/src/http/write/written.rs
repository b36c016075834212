//! Whether the copy in an answer is the one that was written.

use crate::http::declare::prepared::Object;
use avowal_core::data::spelling::is_spelling_of;
use avowal_core::data::value::Value;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{Change, Fields, RemoteState, Write};

/// Whether an answer shows another copy than the one that was sent. Two creates at once may be answered with each other's
/// copies; whoever believed that would link people crosswise.
pub(crate) fn is_another(object: &Object, write: &Write, copy: &Change) -> bool {
    if object.spec.correlation.is_some()
        && let Some(key) = &copy.correlation
    {
        return *key != write.key;
    }
    let RemoteState::Present(shown) = &copy.shown else { return false };
    if write.operation != Operation::Create {
        return false;
    }
    let differs =
        |(name, sent): (&String, &Value)| shown.get(name).is_some_and(|shown| !may_be_spelling(sent, shown));
    if write.lookup.iter().any(|keys| !keys.is_empty()) {
        return write.lookup.iter().flat_map(Fields::iter).any(differs);
    }
    // Without a key, a copy that shows nothing of what was sent is another.
    let mut seen = write.fields.iter().filter(|(name, _)| shown.contains_key(*name)).peekable();
    seen.peek().is_some() && seen.all(differs)
}

/// Whether a service may have stored `sent` as `shown`: a spelling of it, the same number, or a telephone number with its
/// country.
fn may_be_spelling(sent: &Value, shown: &Value) -> bool {
    if is_spelling_of(shown, sent) {
        return true;
    }
    let text = |value: &Value| match value {
        Value::Text(text) => text.to_string(),
        other => other.to_json(),
    };
    let (sent, shown) = (text(sent), text(shown));
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    let has_letters = |text: &str| text.chars().any(char::is_alphabetic);
    let ends = |part: &str, whole: &str| {
        let (part, whole) = (digits(part), digits(whole));
        let part = part.trim_start_matches('0');
        part.len() >= 5 && whole.ends_with(part)
    };
    number(&sent).is_some_and(|sent| number(&shown) == Some(sent))
        || !has_letters(&sent) && !has_letters(&shown) && (ends(&sent, &shown) || ends(&shown, &sent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spelling_is_told_from_another_value() {
        for (sent, shown, expected) in [
            ("Ann@X.org ", "ann@x.org", true),
            ("030 1234", "+49 30 1234", true),
            ("030 1234", "+49 30 1235", false),
            ("Ann", "Anna", false),
            ("u0@example.test", "u1@example.test", false),
            ("", "x", false),
        ] {
            assert_eq!(may_be_spelling(&sent.into(), &shown.into()), expected, "{sent} {shown}");
        }
        assert!(may_be_spelling(&Value::Int(123), &"123.00".into()));
        assert!(may_be_spelling(&Value::Int(7), &"7".into()));
    }
}
