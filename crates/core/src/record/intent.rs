//! Outgoing changes: the difference between belief and shadow, never a reaction to an event.

use crate::data::ids::FieldName;
use crate::data::value::{Digest, Value, write_canonical_map};
use crate::data::version::{Dot, VersionVector};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What an intent does to the target's copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Makes the copy.
    Create,
    /// Changes the listed fields of it.
    Update,
    /// Removes it.
    Delete,
}

impl Operation {
    /// Its name in sentences and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Create => "create",
            Operation::Update => "update",
            Operation::Delete => "delete",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The status of an intent. Persists across restarts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentStatus {
    /// Set when the difference was recorded, and again after an attempt that provably had no effect.
    Planned,
    /// Set, durably, before the call goes out. After a crash it means the same as `Unknown`.
    Sent,
    /// Set when the call's outcome could not be learned. Settled by read-back or look-up, never assumed.
    Unknown,
    /// Set after an attempt that provably had no effect, for a reason that may pass. The same write is tried again; those
    /// tries leave no event, so one may be under way.
    Waiting,
}

impl IntentStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Planned, Self::Sent, Self::Unknown, Self::Waiting];

    /// The word for it in tables and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            IntentStatus::Planned => "pending",
            IntentStatus::Sent => "sent",
            IntentStatus::Unknown => "unknown",
            IntentStatus::Waiting => "waiting",
        }
    }

    /// The status of a word in tables.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether it has been sent and may be under way: it must not be replaced before its outcome is known.
    pub fn is_open(self) -> bool {
        match self {
            IntentStatus::Planned => false,
            IntentStatus::Sent | IntentStatus::Unknown | IntentStatus::Waiting => true,
        }
    }
}

impl fmt::Display for IntentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One value on its way to a copy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OutgoingField {
    /// The believed value.
    pub value: Value,
    /// The change that made us believe it.
    pub dot: Dot,
}

/// An outgoing change to one copy, with only the fields that differ.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Intent {
    /// Business identity and direction; the same difference always gets the same key.
    pub key: String,
    /// What it does.
    pub operation: Operation,
    /// The fields it writes; empty for a delete.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<FieldName, OutgoingField>,
    /// The record's vector when it was planned.
    pub vector: VersionVector,
    /// How far it has come.
    pub status: IntentStatus,
    /// How often it has been sent.
    #[serde(default)]
    pub attempt: u32,
}

impl Intent {
    /// Whether it has been sent and its outcome is not known yet.
    pub fn is_open(&self) -> bool {
        self.status.is_open()
    }

    /// Whether an attempt at it may have had an effect that is not known yet.
    pub fn is_open_attempt(&self) -> bool {
        match self.status {
            IntentStatus::Sent | IntentStatus::Unknown => true,
            IntentStatus::Planned | IntentStatus::Waiting => false,
        }
    }

    /// Whether it would make a copy, and no attempt at it may have made one.
    pub fn is_fresh_create(&self) -> bool {
        self.operation == Operation::Create && !self.is_open_attempt()
    }

    /// Whether it is a create that may have made a copy which is not linked yet.
    pub fn is_open_create(&self) -> bool {
        self.is_open() && self.operation == Operation::Create
    }
}

/// The digest by which a refused write is recognised: the same operation with the same values.
pub fn content_digest(operation: Operation, fields: &BTreeMap<FieldName, OutgoingField>) -> Digest {
    let mut bytes = Vec::with_capacity(128);
    bytes.extend_from_slice(operation.as_str().as_bytes());
    let pairs = fields.iter().map(|(field, outgoing)| (field.as_str(), &outgoing.value));
    write_canonical_map(pairs, &mut bytes);
    Digest::of(&bytes)
}
