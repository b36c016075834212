//! A field's content that could not be understood: set aside by itself, while the rest of its copy goes through.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What stood in one field of a copy and is not of the field's type.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Misread {
    /// The raw content as JSON, shortened.
    pub found: String,
    /// What the field's type accepts.
    pub expected: String,
    /// What to do about it; empty, or begins with `; `.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

impl fmt::Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not {}{}", self.found, self.expected, self.hint)
    }
}
