//! The written form of an entity's rules, before their check.

use crate::data::ids::{EntityName, FieldName, SystemName};
use crate::data::value::{Digest, write_canonical_json};
use crate::policy::mapping::{Empty, Nulls};
use crate::policy::{EditAgainstDelete, FieldOwnershipPolicy, NoKey, OnRefused, Repair, SystemTraits};
#[cfg(feature = "schema")]
use crate::policy::{Strategy, StrategyKey};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One entity as it is written in the configuration, without the connectors' own keys.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct EntitySpec {
    /// The keys by which unlinked copies are matched.
    pub match_on: Vec<MatchKeySpec>,
    /// What becomes of a record without any of these keys.
    #[serde(skip_serializing_if = "NoKey::is_default")]
    pub no_key: NoKey,
    /// What a repair may do about differences that a reconciliation has found, where a field does not say otherwise.
    #[serde(skip_serializing_if = "Repair::is_default")]
    pub repair: Repair,
    /// The fields.
    pub fields: BTreeMap<FieldName, FieldSpec>,
    /// The rule of deletes.
    pub deletes: DeleteSpec,
    /// Each system's spelling.
    pub systems: BTreeMap<SystemName, MappingSpec>,
}

/// A key of one field, or of several that all have to be equal.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum MatchKeySpec {
    /// One field.
    Field(#[cfg_attr(feature = "schema", schemars(with = "String"))] FieldName),
    /// Several fields together.
    Fields(#[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))] Vec<FieldName>),
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

/// The words after `type`, for the schema.
#[cfg(feature = "schema")]
const TYPES: [&str; 11] =
    ["string", "integer", "decimal", "boolean", "date", "timestamp", "enum", "set", "list", "object", "ref"];
/// The words that may stand under a key, for the schema.
#[cfg(feature = "schema")]
fn words(key: StrategyKey) -> Vec<&'static str> {
    let mut words = Vec::new();
    for declared in Strategy::ALL.iter().filter(|declared| declared.key == key) {
        words.push(declared.word);
        words.extend(declared.spellings);
    }
    if key == StrategyKey::Strategy {
        words.push("merge");
    }
    words
}

/// A canonical field and its rule, as they are written.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(extend("required" = ["type", "owner"])))]
#[serde(deny_unknown_fields, default)]
pub struct FieldSpec {
    /// What the field holds: `string`, `integer`, `decimal`, `boolean`, `date`, `timestamp`, `enum` (with `values`), `set`,
    /// `list`, `object` or `ref` (with `to`).
    #[cfg_attr(feature = "schema", schemars(example = &"string", extend("enum" = TYPES)))]
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The allowed texts of an `enum`.
    #[cfg_attr(feature = "schema", schemars(extend("examples" = [["lead", "customer"]])))]
    pub values: Option<Vec<String>>,
    /// The entity that a `ref` refers to.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>", example = &"company"))]
    pub to: Option<EntityName>,
    /// The system that decides what the field holds, or `shared`.
    #[cfg_attr(feature = "schema", schemars(with = "String", example = &"app"))]
    pub owner: Option<OneOrMany>,
    /// What happens to concurrent changes. The default is `owner_wins` where there is an owner.
    #[cfg_attr(feature = "schema", schemars(example = &"latest_valid_change", extend("enum" = words(StrategyKey::Strategy))))]
    pub strategy: Option<String>,
    /// How `strategy = "merge"` joins two changes.
    #[cfg_attr(feature = "schema", schemars(example = &"union", extend("enum" = words(StrategyKey::Merge))))]
    pub merge: Option<String>,
    /// The CEL expression of `merge = "expression"`, over `local`, `external` and `base`.
    #[cfg_attr(feature = "schema", schemars(example = &"local > external ? local : external"))]
    pub expression: Option<String>,
    /// The name of a resolver that this binary has registered, which decides about concurrent changes. Means
    /// `strategy = "resolver"`.
    #[cfg_attr(feature = "schema", schemars(example = &"phone_numbers"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolver: Option<String>,
    /// Other systems whose changes are accepted too, if they had seen the latest value.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>", extend("examples" = [["crm"]])))]
    pub proposals: Vec<SystemName>,
    /// The precedence of systems, highest first, used when nothing else decides.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>", extend("examples" = [["app", "crm"]])))]
    pub precedence: Vec<SystemName>,
    /// What happens to a refused value: `revert` (the believed value is written back), `ignore` (it is tolerated until
    /// that copy changes again) or `review` (a person decides).
    #[cfg_attr(feature = "schema", schemars(extend("default" = "revert"), example = &"review"))]
    pub on_refused: Option<OnRefused>,
    /// A CEL expression over `value` that every value must satisfy. Decimals are texts there: write
    /// `double(value) >= 0.0`.
    #[cfg_attr(feature = "schema", schemars(example = &"value.matches('^[^@ ]+@[^@ ]+$')"))]
    pub valid: Option<String>,
    /// Which value of an enum may follow which.
    #[cfg_attr(feature = "schema", schemars(extend("examples" = [{ "trial": ["active"], "active": [] }])))]
    pub transitions: Option<BTreeMap<String, Vec<String>>>,
    /// The name of a validator that this binary has registered, which every value must pass.
    #[cfg_attr(feature = "schema", schemars(example = &"billed_name"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validator: Option<String>,
    /// What a repair may do about a difference in this field that a reconciliation has found: `auto` (what the rules say),
    /// `review` (a person decides) or `never` (it is reported and stays). The default is that of the entity.
    #[cfg_attr(feature = "schema", schemars(example = &"review"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repair: Option<Repair>,
    /// Spelling that is no difference: `trim` (space around the text), `lowercase` (upper and lower case).
    #[cfg_attr(feature = "schema", schemars(extend("examples" = [["trim", "lowercase"]]), extend("items" = { "type": "string", "enum": ["trim", "lowercase"] })))]
    pub normalize: Vec<String>,
}

impl FieldSpec {
    /// A field of this type that belongs to a system, or is `shared`.
    pub fn new(kind: &str, owner: &str) -> Self {
        Self { kind: Some(kind.to_owned()), owner: Some(OneOrMany::One(owner.to_owned())), ..Self::default() }
    }
}

/// Who may delete a record, as it is written.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct DeleteSpec {
    /// The system that may delete, or `shared`. Without it a person is asked each time.
    #[cfg_attr(feature = "schema", schemars(example = &"app"))]
    pub owner: Option<String>,
    /// What happens to a delete by a system that may not: `revert` (the copy is made again), `ignore` (it stays deleted
    /// there) or `review` (a person decides).
    #[cfg_attr(feature = "schema", schemars(extend("default" = "revert"), example = &"review"))]
    pub on_refused: Option<OnRefused>,
    /// What prevails between a delete and an edit that did not see each other: `review` (a person decides),
    /// `delete_wins` or `edit_wins`.
    #[cfg_attr(feature = "schema", schemars(example = &"delete_wins"))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum ColumnSpec {
    /// The remote name.
    Name(String),
    /// The remote name with its particulars.
    Full(ColumnDetail),
}

/// A system's name of a field, with more about it, as it is written.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(extend("required" = ["name"])))]
#[serde(deny_unknown_fields, default)]
pub struct ColumnDetail {
    /// The remote name.
    #[cfg_attr(feature = "schema", schemars(example = &"phone_number"))]
    pub name: String,
    /// What `null` means. The default is that of the mapping.
    #[cfg_attr(feature = "schema", schemars(example = &"clear"))]
    pub nulls: Option<Nulls>,
    /// What the empty string means. The default is that of the mapping.
    #[cfg_attr(feature = "schema", schemars(example = &"null"))]
    pub empty: Option<Empty>,
    /// Whether Avowal never writes it.
    #[cfg_attr(feature = "schema", schemars(example = true))]
    pub read_only: bool,
    /// Write `UTC` if times without an offset are in UTC.
    #[cfg_attr(feature = "schema", schemars(example = &"UTC", extend("enum" = ["UTC"])))]
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
