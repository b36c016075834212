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

/// A plan that a run is held to: only what it holds goes out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlanToKeep {
    /// The one entity that it is about; `None` for all.
    entity: Option<EntityName>,
    /// The one system whose writes it is about; `None` for all.
    system: Option<SystemName>,
    writes: BTreeMap<(EntityName, NamedCopy), BTreeMap<SystemName, KeptWrite>>,
    counts: BTreeMap<SystemName, u64>,
}

/// What is kept of one write.
#[derive(Clone, PartialEq, Eq, Debug)]
struct KeptWrite {
    operation: Operation,
    fields: BTreeMap<FieldName, String>,
}

/// What a plan says of a write that is about to go out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It holds nothing that the plan does not hold.
    AsPlanned,
    /// The plan was not about it.
    OutOfScope,
    /// The record has moved on since.
    MovedOn,
}

impl PlanToKeep {
    /// The plan of these writes, about one entity and one system, or all.
    pub fn new(entity: Option<EntityName>, system: Option<SystemName>, planned: Vec<PlannedWrite>) -> Self {
        let mut writes: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        let mut counts: BTreeMap<SystemName, u64> = BTreeMap::new();
        for PlannedWrite { entity, copy, to, operation, fields } in planned {
            *counts.entry(to.clone()).or_default() += 1;
            writes.entry((entity, copy)).or_default().insert(to, KeptWrite { operation, fields });
        }
        Self { entity, system, writes, counts }
    }

    /// Whether the plan is about writes to this system.
    pub(crate) fn is_about(&self, system: &SystemName) -> bool {
        self.system.as_ref().is_none_or(|only| only == system)
    }

    /// Whether the plan is about everything.
    pub(crate) fn is_whole(&self) -> bool {
        self.entity.is_none()
    }

    /// How many writes to a system it holds.
    pub(crate) fn count(&self, system: &SystemName) -> u64 {
        self.counts.get(system).copied().unwrap_or_default()
    }

    /// What the plan says of a write. `digests` are those that each value may have: several for a reference, one for each
    /// copy of the record that it leads to.
    ///
    /// A write may carry less than was planned: something has come to agree meanwhile, or a create is made before what it
    /// refers to, and the rest follows as an update.
    pub(crate) fn verdict(
        &self,
        record: &Record,
        system: &SystemName,
        operation: Operation,
        digests: &BTreeMap<FieldName, Vec<String>>,
    ) -> Verdict {
        if !self.is_about(system) || self.entity.as_ref().is_some_and(|only| *only != record.entity) {
            return Verdict::OutOfScope;
        }
        let planned = NamedCopy::all_of(record)
            .into_iter()
            .find_map(|copy| self.writes.get(&(record.entity.clone(), copy))?.get(system));
        let Some(planned) = planned else { return Verdict::MovedOn };
        let is_planned = match (planned.operation, operation) {
            (Operation::Create, Operation::Create | Operation::Update)
            | (Operation::Update, Operation::Update)
            | (Operation::Delete, Operation::Delete) => true,
            (Operation::Create | Operation::Update, Operation::Delete)
            | (Operation::Update | Operation::Delete, Operation::Create)
            | (Operation::Delete, Operation::Update) => false,
        };
        let holds = |(field, digests): (&FieldName, &Vec<String>)| {
            planned.fields.get(field).is_some_and(|planned| digests.contains(planned))
        };
        if is_planned && digests.iter().all(holds) { Verdict::AsPlanned } else { Verdict::MovedOn }
    }
}
