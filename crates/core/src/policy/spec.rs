//! The written form of an entity's rules, before their check.

use crate::data::ids::{EntityName, FieldName, SystemName};
use crate::data::value::{Digest, write_canonical_json};
use crate::policy::mapping::{Empty, Nulls};
use crate::policy::{EditAgainstDelete, FieldOwnershipPolicy, OnRefused, SystemTraits};
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
    /// What happens to concurrent changes: a word of [`Strategy::ALL`](crate::policy::Strategy::ALL), or `merge`.
    pub strategy: Option<String>,
    /// How concurrent changes are merged: a word of [`Strategy::ALL`](crate::policy::Strategy::ALL).
    pub merge: Option<String>,
    /// The CEL expression of `merge = "expression"`, over `local`, `external` and `base`.
    pub expression: Option<String>,
    /// The name of a registered resolver, which decides about concurrent changes. Means `strategy = "resolver"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolver: Option<String>,
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
    /// The name of a registered validator, which every value must pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validator: Option<String>,
    /// `trim`, `lowercase`.
    pub normalize: Vec<String>,
}

impl FieldSpec {
    /// A field of this type that belongs to a system, or is `shared`.
    pub fn new(kind: &str, owner: &str) -> Self {
        Self { kind: Some(kind.to_owned()), owner: Some(OneOrMany::One(owner.to_owned())), ..Self::default() }
    }
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

impl MappingSpec {
    /// An object with its id, and pairs of a field and its remote name. Copies may be created and deleted there.
    pub fn new<'a>(object: &str, id: &str, fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let fields =
            fields.into_iter().map(|(field, name)| (field.into(), ColumnSpec::Name(name.to_owned())));
        Self {
            object: object.to_owned(),
            id: id.to_owned(),
            fields: fields.collect(),
            create: true,
            delete: true,
            ..Self::default()
        }
    }
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
    /// The digest of the rules, of what is declared of the systems involved, and of the versions of the resolvers and
    /// validators that the rules name.
    pub(super) fn digest(
        &self,
        entity: &EntityName,
        systems: &BTreeMap<SystemName, SystemTraits>,
        fields: &BTreeMap<FieldName, FieldOwnershipPolicy>,
    ) -> Digest {
        let mut json = serde_json::json!({ "entity": entity, "rules": self, "systems": systems });
        let domain: BTreeMap<String, u32> = fields.values().flat_map(versions).collect();
        // Rules that name none keep the digest that they had before there were any.
        if !domain.is_empty() {
            json["domain"] = serde_json::json!(domain);
        }
        let mut bytes = Vec::new();
        write_canonical_json(&json, &mut bytes);
        Digest::of(&bytes)
    }
}

/// The versions of the resolver and validator of a field.
fn versions(field: &FieldOwnershipPolicy) -> impl Iterator<Item = (String, u32)> {
    let resolver = field.strategy.resolver();
    let resolver = resolver.map(|resolver| (format!("resolver {}", resolver.name()), resolver.version()));
    let validator = field.validator.as_ref();
    let validator =
        validator.map(|validator| (format!("validator {}", validator.name()), validator.version()));
    resolver.into_iter().chain(validator)
}
