//! The written form of an entity's rules, before their check.

use crate::data::ids::{EntityName, FieldName, SystemName};
use crate::data::value::{Digest, write_canonical_json};
use crate::policy::mapping::{Empty, Nulls};
use crate::policy::{EditAgainstDelete, OnRefused, SystemTraits};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One entity as it is written in the configuration, without the connectors' own keys.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct EntitySpec {
    /// The keys by which unlinked copies are matched.
    pub match_on: Vec<MatchKeySpec>,
    /// The fields.
    pub fields: BTreeMap<FieldName, FieldSpec>,
    /// The rule of deletes.
    pub deletes: DeleteSpec,
    /// Each system's spelling.
    pub systems: BTreeMap<SystemName, MappingSpec>,
}

/// A key of one field, or of several that all have to be equal.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MatchKeySpec {
    /// One field.
    Field(FieldName),
    /// Several fields together.
    Fields(Vec<FieldName>),
}

/// One or several texts, so that a list where one is wanted gets a helpful answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One text.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// One field as it is written.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FieldSpec {
    /// `string`, `integer`, `decimal`, `boolean`, `date`, `timestamp`, `enum`, `set`, `list`, `object` or `ref`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The allowed texts of an `enum`.
    pub values: Option<Vec<String>>,
    /// The entity that a `ref` refers to.
    pub to: Option<EntityName>,
    /// A system, or `shared`.
    pub owner: Option<OneOrMany>,
    /// `local_wins`, `external_wins`, `owner_wins`, `latest_valid_change`, `merge` or `manual_review`.
    pub strategy: Option<String>,
    /// `union`, `delta`, `max`, `min`, `text` or `expression`.
    pub merge: Option<String>,
    /// The CEL expression of `merge = "expression"`, over `local`, `external` and `base`.
    pub expression: Option<String>,
    /// Other systems whose sequential changes are accepted.
    pub proposals: Vec<SystemName>,
    /// The precedence of systems, highest first, used when nothing else decides.
    pub precedence: Vec<SystemName>,
    /// `revert`, `ignore` or `review`.
    pub on_refused: Option<OnRefused>,
    /// A CEL expression over `value`.
    pub valid: Option<String>,
    /// Which value of an enum may follow which.
    pub transitions: Option<BTreeMap<String, Vec<String>>>,
    /// `trim`, `lowercase`.
    pub normalize: Vec<String>,
}

/// The rule of deletes as it is written.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeleteSpec {
    /// A system, or `shared`; without it a person is asked each time.
    pub owner: Option<String>,
    /// `revert` (make the copy again), `ignore` (leave it deleted there), `review`.
    pub on_refused: Option<OnRefused>,
    /// `review`, `delete_wins` or `edit_wins`.
    pub edit_against_delete: EditAgainstDelete,
}

/// One system's spelling as it is written.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct MappingSpec {
    /// The table, collection or path.
    pub object: String,
    /// The remote name of the id.
    pub id: String,
    /// Canonical name to remote name.
    pub fields: BTreeMap<FieldName, ColumnSpec>,
    /// What `null` means, unless a column declares otherwise.
    pub nulls: Nulls,
    /// What the empty string means, unless a column declares otherwise.
    pub empty: Empty,
    /// Whether records that the system lacks are created there.
    pub create: bool,
    /// Whether deleted records are deleted there.
    pub delete: bool,
}

/// A remote name, alone or with its particulars.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ColumnSpec {
    /// The remote name.
    Name(String),
    /// The remote name with its particulars.
    Full(ColumnDetail),
}

/// The particulars of a column as they are written.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ColumnDetail {
    /// The remote name.
    pub name: String,
    /// What `null` means.
    pub nulls: Option<Nulls>,
    /// What the empty string means.
    pub empty: Option<Empty>,
    /// Whether it is never written.
    pub read_only: bool,
    /// `UTC` if times without an offset are in UTC.
    pub zone: Option<String>,
}

/// A hole in the written rules: where, what, and what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyError {
    /// The path of keys, as in `entities`, `customer`, `fields`, `email`, `owner`.
    pub path: Vec<String>,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub cure: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}. {}", self.path.join("."), self.problem, self.cure)
    }
}

impl std::error::Error for PolicyError {}

impl EntitySpec {
    /// The digest of the rules and of what is declared of the systems involved.
    pub(super) fn digest(&self, entity: &EntityName, systems: &BTreeMap<SystemName, SystemTraits>) -> Digest {
        let mut bytes = Vec::new();
        let json = serde_json::json!({ "entity": entity, "rules": self, "systems": systems });
        write_canonical_json(&json, &mut bytes);
        Digest::of(&bytes)
    }
}
