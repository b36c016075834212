//! The writes of a plan in a form that a later sync is compared with: who they are about, and digests of what they carry.
//!
//! A record that a plan begins has no id of ours yet that lasts, so a record is named by one of its copies.

use avowal_core::data::ids::{EntityName, FieldName, RemoteId, SystemName};
use avowal_core::data::value::{Digest, Value};
use avowal_core::record::intent::Operation;
use avowal_core::record::{Copy, Record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// How many hexadecimal digits of a value's digest are kept: a slip is found, and a million writes fit into memory.
const DIGITS: usize = 16;

/// One planned write.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlannedWrite {
    /// Of which entity.
    pub entity: EntityName,
    /// The record, by the first of its copies when the plan was made.
    pub copy: NamedCopy,
    /// To which system.
    pub to: SystemName,
    /// What it does.
    pub operation: Operation,
    /// The digest of each value that it carries.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<FieldName, String>,
}

/// A copy, by its system and id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct NamedCopy {
    /// Its system.
    pub system: SystemName,
    /// Its id there.
    pub id: RemoteId,
}

impl NamedCopy {
    /// The copies of a record: those that exist first, then in order of their systems. One that is made again has another
    /// id then.
    pub(crate) fn all_of(record: &Record) -> Vec<Self> {
        let (alive, gone): (Vec<_>, Vec<_>) = record.links().partition(|(_, copy)| copy.alive);
        let name = |(system, copy): (&SystemName, &Copy)| Self {
            system: system.clone(),
            id: copy.remote_id.clone(),
        };
        alive.into_iter().chain(gone).map(name).collect()
    }

    /// The copy by which a record is named.
    pub(crate) fn first_of(record: &Record) -> Option<Self> {
        Self::all_of(record).into_iter().next()
    }

    /// The digest of a reference to the record that this copy belongs to.
    pub(crate) fn digest(&self) -> String {
        first_digits(Digest::of(format!("reference {} {}", self.system, self.id).as_bytes()))
    }
}

impl fmt::Display for NamedCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.system, self.id)
    }
}

/// The digest of a value that is no reference.
pub(crate) fn value_digest(value: &Value) -> String {
    first_digits(value.digest())
}

fn first_digits(digest: Digest) -> String {
    digest.to_string().chars().take(DIGITS).collect()
}
