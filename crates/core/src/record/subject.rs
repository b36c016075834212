//! What a question, its answer or a refusal is about.

use crate::data::ids::FieldName;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One field of a record, or whether the record exists at all.
///
/// The wire form is a text: the field's name, or [`Subject::EXISTENCE_TEXT`] for the existence. A policy with a
/// field of that name is refused, so the two cannot be confused.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Subject {
    /// Whether the record exists.
    Existence,
    /// The value of this field.
    Field(FieldName),
}

impl Subject {
    /// The wire form of [`Subject::Existence`]. No field may have this name.
    pub const EXISTENCE_TEXT: &'static str = "(existence)";

    /// The wire form.
    pub fn as_str(&self) -> &str {
        match self {
            Subject::Existence => Self::EXISTENCE_TEXT,
            Subject::Field(field) => field.as_str(),
        }
    }

    /// The field, unless the subject is the record's existence.
    pub fn field(&self) -> Option<&FieldName> {
        match self {
            Subject::Existence => None,
            Subject::Field(field) => Some(field),
        }
    }

    /// Whether the subject is this field.
    pub fn is_field(&self, field: &FieldName) -> bool {
        self.field() == Some(field)
    }
}

impl From<&str> for Subject {
    fn from(text: &str) -> Self {
        if text == Self::EXISTENCE_TEXT { Subject::Existence } else { Subject::Field(text.into()) }
    }
}

impl From<String> for Subject {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<FieldName> for Subject {
    fn from(field: FieldName) -> Self {
        Self::from(field.as_str())
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.as_str().to_owned()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
