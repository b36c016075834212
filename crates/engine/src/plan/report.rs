//! What a plan says: one form for people, for scripts and for the file that a later sync is held to.

use crate::parts::planned::PlannedWrite;
use crate::plan::read_only::Calls;
use avowal_core::data::ids::{EntityName, FieldName, RemoteId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::Value;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a sync would do now.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The number of this form.
    pub format: u32,
    /// When the systems were read.
    pub made_at: Timestamp,
    /// How long reading and deciding took, in milliseconds.
    pub took_ms: u64,
    /// The digest of the rules under which it was made.
    pub configuration: String,
    /// The one entity that it is about; `None` for all.
    pub entity: Option<EntityName>,
    /// The one system whose writes it is about; `None` for all.
    pub system: Option<SystemName>,
    /// Which copies belong together, by entity.
    pub entities: BTreeMap<EntityName, MatchReport>,
    /// What would be written, by system.
    pub systems: BTreeMap<SystemName, SystemPlan>,
    /// How many questions would wait for a person.
    pub questions_open: u64,
    /// Some of them.
    pub questions: Vec<OpenQuestion>,
    /// What is set aside, by system and cause.
    pub set_aside: Vec<SetAside>,
    /// What nobody can know before the sync.
    pub not_predicted: Vec<String>,
    /// Each planned write, as a sync is held to it; empty unless they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<PlannedWrite>,
}

/// Which copies of an entity belong together.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct MatchReport {
    /// Records that are not deleted.
    pub records: u64,
    /// The copies in each system.
    pub systems: BTreeMap<SystemName, SystemMatches>,
    /// The records that have copies in several systems, by key and systems.
    pub linked: Vec<LinkedBy>,
    /// How many keys stand in several rows of one system.
    pub duplicate_keys: u64,
    /// Those keys with the ids of the rows, as many as are kept.
    pub duplicates: Vec<Duplicates>,
}

/// The copies of an entity in one system.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SystemMatches {
    /// Copies that belong to a record.
    pub copies: u64,
    /// Those of them that belong to a record which no other system has.
    pub unmatched: u64,
    /// Those of them in which no declared key is filled in.
    pub without_key: u64,
}

/// Records that were recognised in several systems by one key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LinkedBy {
    /// The fields of the key; `None` where the copies have no key in common now, because they were linked earlier.
    pub key: Option<String>,
    /// The systems that have a copy.
    pub systems: Vec<SystemName>,
    /// How many records.
    pub records: u64,
}

/// Rows of one system that carry the same key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Duplicates {
    /// In which system.
    pub system: SystemName,
    /// The key with its value.
    pub key: String,
    /// The ids of the rows; the first is the one that is linked.
    pub ids: Vec<RemoteId>,
}

/// What would be written to one system.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct SystemPlan {
    /// Why the system could not be read, with the cure. What follows is then what is known without it.
    pub problem: Option<String>,
    /// Whether that is because it refuses our credentials.
    pub refuses_credentials: bool,
    /// Whether a sync would ask before it writes, because the system holds something and was never written to.
    pub asks_first: bool,
    /// The stops that hold it, with the way to lift each.
    pub stops: Vec<String>,
    /// What a guard would hold, with the reason.
    pub held: Vec<String>,
    /// Writes of an earlier run whose outcome is not known yet.
    pub under_way: u64,
    /// By entity.
    pub entities: BTreeMap<EntityName, EntityWrites>,
    /// The calls that were made, and those that the writes need.
    pub calls: SystemCalls,
}

/// What would be written to one system of one entity.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct EntityWrites {
    /// Copies that would be made.
    pub creates: u64,
    /// Copies that would be changed.
    pub updates: u64,
    /// Copies that would be removed.
    pub deletes: u64,
    /// Records whose copy here takes part in a question for a person.
    pub reviews: u64,
    /// Writes that the system has refused before and that are not tried again.
    pub refused_before: u64,
    /// By field.
    pub fields: BTreeMap<FieldName, FieldWrites>,
    /// Some of the copies that would be made.
    pub create_examples: Vec<String>,
    /// Some of the copies that would be removed.
    pub delete_examples: Vec<String>,
}

/// What would be written into one field.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct FieldWrites {
    /// Copies that are made with a value in it.
    pub in_creates: u64,
    /// Copies in which it is empty and would be filled in.
    pub filled: u64,
    /// Copies in which it would be replaced.
    pub replaced: u64,
    /// Those of the replaced that say the same in another spelling.
    pub spelling_only: u64,
    /// Copies in which it would be emptied.
    pub emptied: u64,
    /// Copies in which it waits for a person.
    pub reviews: u64,
    /// Copies in which it cannot be understood, so that nothing is written over it.
    pub not_understood: u64,
    /// Some of the changes.
    pub examples: Vec<Example>,
}

/// One change of one field.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Example {
    /// The record, by its copies: `app:3, crm:7`.
    pub record: String,
    /// What the copy holds.
    pub before: Value,
    /// What it would hold.
    pub after: Value,
}

/// The calls of one system.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct SystemCalls {
    /// Those that the plan made.
    pub made: Calls,
    /// Calls that carry the writes, at least.
    pub to_write: u64,
    /// The declared limit, in writes a second.
    pub writes_per_second: Option<u32>,
    /// How long the writes take under that limit, in seconds, at least.
    pub seconds_at_least: Option<u64>,
}

/// A question that would wait for a person.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct OpenQuestion {
    /// Of which entity.
    pub entity: EntityName,
    /// The record, by its copies.
    pub record: String,
    /// The field, or that it is about the record's existence.
    pub about: String,
    /// Why, in words.
    pub why: String,
    /// What is believed.
    pub believed: Value,
    /// What the systems show instead.
    pub shown: BTreeMap<SystemName, Value>,
}

/// Items that are set aside for one cause.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SetAside {
    /// Which system.
    pub system: SystemName,
    /// Of which entity.
    pub entity: EntityName,
    /// Whether it came from the system, or was to go there and was refused.
    pub came_in: bool,
    /// Why, in words. What differs from one item to the next is left out where there are several.
    pub cause: String,
    /// How many.
    pub count: u64,
    /// Some of the copies or records.
    pub examples: Vec<String>,
}

impl Plan {
    /// The number of the form that this program writes and reads.
    pub const FORMAT: u32 = 1;

    /// Whether something would wait for a person.
    pub fn needs_person(&self) -> bool {
        self.questions_open > 0
            || !self.set_aside.is_empty()
            || self.systems.values().any(|system| !system.held.is_empty() || !system.stops.is_empty())
    }

    /// Whether every system could be read.
    pub fn is_complete(&self) -> bool {
        self.systems.values().all(|system| system.problem.is_none())
    }

    /// Whether some system refuses our credentials.
    pub fn refuses_credentials(&self) -> bool {
        self.systems.values().any(|system| system.refuses_credentials)
    }

    /// Creates, updates and deletes in all systems.
    pub fn writes_planned(&self) -> u64 {
        let entities = self.systems.values().flat_map(|system| system.entities.values());
        entities.map(EntityWrites::count).sum()
    }
}

impl EntityWrites {
    /// Creates, updates and deletes.
    pub fn count(&self) -> u64 {
        self.creates + self.updates + self.deletes
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl FieldWrites {
    /// Copies that exist in which the field would be changed.
    pub fn changed(&self) -> u64 {
        self.filled + self.replaced + self.emptied
    }
}
