//! The names of what we make in the file: `avowal_`, the installation, and what it is.

use avowal_engine::ports::connector::{Binding, Installation};
use std::sync::Arc;

/// How the tables and triggers of one installation are called. All names are plain letters, digits and `_`, so none needs
/// quotes. Another installation's begin otherwise.
#[derive(Clone, Debug)]
pub(super) struct Names(Arc<str>);

impl Names {
    /// The names of an installation.
    pub fn of(installation: &Installation) -> Self {
        Self(format!("avowal_{installation}_").into())
    }

    /// What all of them begin with.
    pub fn prefix(&self) -> &str {
        &self.0
    }

    /// The table with one row: which file this is, and the key of the write that is being made.
    pub fn file(&self) -> String {
        self.name("file")
    }

    /// The table of what is followed: one row for an entity and its table.
    pub fn feeds(&self) -> String {
        self.name("feeds")
    }

    /// The table of the times at which the triggers were made.
    pub fn epochs(&self) -> String {
        self.name("epochs")
    }

    /// The table of the writes that were carried out.
    pub fn ops(&self) -> String {
        self.name("ops")
    }

    /// The change log of a feed.
    pub fn log(&self, feed: i64) -> String {
        self.name(&format!("log_{feed}"))
    }

    /// What the triggers of a feed begin with.
    pub fn triggers(&self, feed: i64) -> String {
        self.name(&format!("on_{feed}_"))
    }

    fn name(&self, what: &str) -> String {
        format!("{}{what}", self.0)
    }
}

/// An entity's table, and what our own tables in the same file are called.
#[derive(Debug)]
pub(super) struct Mapped {
    /// The mapping.
    pub binding: Binding,
    /// The names.
    pub names: Names,
}

/// A name, quoted for SQL.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Whether a table or trigger is Avowal's, of whichever installation.
pub(super) fn is_ours(name: &str) -> bool {
    name.get(..7).is_some_and(|head| head.eq_ignore_ascii_case("avowal_"))
}
