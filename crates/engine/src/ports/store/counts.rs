//! Figures about what is stored.

use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::record::intent::IntentStatus;
use serde::{Serialize, Serializer};

/// What is not done yet: the same figures as in [`Counts`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OpenCounts {
    /// Intents not yet confirmed, by system and status.
    pub intents: Vec<(SystemName, IntentStatus, u64)>,
    /// Deletes not yet confirmed, by system.
    pub deletes: Vec<(SystemName, u64)>,
    /// Open reviews.
    pub reviews: u64,
    /// Open quarantine items.
    pub quarantine: u64,
    /// Copies waiting to be read.
    pub signals: u64,
}

/// The deletes of one entity that are planned in a system.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlannedDeletes {
    /// Of which entity.
    pub entity: EntityName,
    /// How many are not confirmed yet.
    pub planned: u64,
    /// How many living copies the system holds, those included.
    pub copies: u64,
}

/// The creates of one entity that are planned in a system.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlannedCreates {
    /// Of which entity.
    pub entity: EntityName,
    /// How many are not confirmed yet.
    pub planned: u64,
    /// How many of them would make a copy again that was linked, and is taken for gone.
    pub again: u64,
    /// How many living copies the system holds.
    pub copies: u64,
    /// How many copies it held that are taken for gone.
    pub gone: u64,
}

/// Figures for `status`. Our own streams ([`crate::OWN_ENTITY`]) are no records; their events are part of the history.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Counts {
    /// Records that are not deleted, by entity.
    pub records: Vec<(EntityName, u64)>,
    /// Linked, living copies, by system.
    pub copies: Vec<(SystemName, u64)>,
    /// Events in the history.
    pub events: u64,
    /// Intents not yet confirmed, by system and status.
    #[serde(serialize_with = "in_words")]
    pub intents: Vec<(SystemName, IntentStatus, u64)>,
    /// Deletes not yet confirmed, by system.
    pub deletes: Vec<(SystemName, u64)>,
    /// Open reviews.
    pub reviews: u64,
    /// Open quarantine items.
    pub quarantine: u64,
    /// Copies waiting to be read.
    pub signals: u64,
}

/// People read the same word for a status everywhere; the record's state spells it as code does.
fn in_words<S: Serializer>(
    intents: &[(SystemName, IntentStatus, u64)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(intents.iter().map(|(system, status, count)| (system, status.as_str(), count)))
}
