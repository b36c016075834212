//! How a column spells true and false: `1`, `t`, `TRUE`, `yes`. What is written is spelled as what stands there.

use avowal_core::data::value::Value;
use rusqlite::types::{Value as Sql, ValueRef};

/// The pairs of words that are understood, in any case.
const WORDS: [(&str, &str); 6] =
    [("true", "false"), ("t", "f"), ("yes", "no"), ("y", "n"), ("on", "off"), ("1", "0")];

/// A spelling of true and false.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum TruthSpelling {
    /// 1 and 0.
    Numbers,
    /// These words.
    Words(String, String),
}

/// What a stored text or double says, where it is a spelling of true or false.
pub(super) fn read(stored: ValueRef<'_>) -> Option<Value> {
    match stored {
        ValueRef::Real(real) if real == 0.0 || real == 1.0 => Some(Value::Bool(real == 1.0)),
        ValueRef::Text(text) => {
            let text = str::from_utf8(text).ok()?.trim();
            let is_word = |word: &str| word.eq_ignore_ascii_case(text);
            let (yes, _) = WORDS.iter().find(|(yes, no)| is_word(yes) || is_word(no))?;
            Some(Value::Bool(is_word(yes)))
        }
        ValueRef::Real(_) | ValueRef::Null | ValueRef::Integer(_) | ValueRef::Blob(_) => None,
    }
}

impl TruthSpelling {
    /// The spelling of a stored value.
    pub fn of(example: Option<&Sql>) -> Self {
        let Some(Sql::Text(example)) = example else { return Self::Numbers };
        let is_word = |word: &str| word.eq_ignore_ascii_case(example.trim());
        match WORDS.iter().find(|(yes, no)| is_word(yes) || is_word(no)) {
            None => Self::Numbers,
            Some((yes, no)) => Self::Words(in_case_of(yes, example.trim()), in_case_of(no, example.trim())),
        }
    }

    /// A truth as it is stored.
    pub fn write(&self, truth: bool) -> Sql {
        match (self, truth) {
            (Self::Numbers, truth) => Sql::Integer(i64::from(truth)),
            (Self::Words(yes, _), true) => Sql::Text(yes.clone()),
            (Self::Words(_, no), false) => Sql::Text(no.clone()),
        }
    }
}

/// A word in upper case, lower case or with a capital, as the example is.
fn in_case_of(word: &str, example: &str) -> String {
    let is_upper = |text: &str| text.chars().all(|letter| !letter.is_lowercase());
    let capital = |text: &str| text.get(..1).is_some_and(|first| first.chars().all(char::is_uppercase));
    if capital(example) && (is_upper(example)) {
        return word.to_uppercase();
    }
    match (capital(example), word.get(..1), word.get(1..)) {
        (true, Some(first), Some(rest)) => format!("{}{rest}", first.to_uppercase()),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{TruthSpelling, read};
    use avowal_core::data::value::Value;
    use rusqlite::types::{Value as Sql, ValueRef};

    #[test]
    fn what_is_written_is_spelled_as_what_stands_there() {
        for (example, yes, no) in [
            ("TRUE", "TRUE", "FALSE"),
            ("False", "True", "False"),
            ("t", "t", "f"),
            ("F", "T", "F"),
            ("No", "Yes", "No"),
            ("n", "y", "n"),
            ("off", "on", "off"),
            ("0", "1", "0"),
        ] {
            let spelling = TruthSpelling::of(Some(&Sql::Text(example.to_owned())));
            assert_eq!(spelling.write(true), Sql::Text(yes.to_owned()), "{example}");
            assert_eq!(spelling.write(false), Sql::Text(no.to_owned()), "{example}");
            assert_eq!(read(ValueRef::Text(yes.as_bytes())), Some(Value::Bool(true)), "{example}");
            assert_eq!(read(ValueRef::Text(no.as_bytes())), Some(Value::Bool(false)), "{example}");
        }
        assert_eq!(TruthSpelling::of(Some(&Sql::Integer(0))).write(true), Sql::Integer(1));
        assert_eq!(TruthSpelling::of(None).write(false), Sql::Integer(0));
        assert_eq!(read(ValueRef::Text(b"maybe")), None);
        assert_eq!(read(ValueRef::Real(1.0)), Some(Value::Bool(true)));
    }
}
