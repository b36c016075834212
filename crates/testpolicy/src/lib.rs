//! In here: the one builder that makes a checked policy of a few lines of JSON, for the tests of every crate.
//! Never in here: rules of a product, and a dependency beyond core, because core's own tests depend on this crate and
//! would otherwise have to wait for the engine. Begin with [`policy`]; the keys of the JSON are those of [`Rules`].

use avowal_core::data::ids::{EntityName, FieldName, SystemName};
use avowal_core::policy::mapping::{Empty, Nulls};
use avowal_core::policy::spec::{
    ColumnDetail, ColumnSpec, DeleteSpec, EntitySpec, FieldSpec, MappingSpec, MatchKeySpec, PolicyError,
};
use avowal_core::policy::{EntityPolicy, NoKey, Repair, SystemTraits};
use serde::Deserialize;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// An entity's rules in short form, as in
/// `{"systems": {"app": {"local": true}}, "fields": {"email": {…}}, "deletes": {…}, "match_on": […]}`.
///
/// `fields`, `deletes` and `match_on` are written as in the configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// The fields.
    pub fields: BTreeMap<FieldName, FieldSpec>,
    /// The keys by which unlinked copies are matched.
    pub match_on: Vec<MatchKeySpec>,
    /// What becomes of a record without any of them.
    pub no_key: NoKey,
    /// What a repair may do.
    pub repair: Repair,
    /// The rule of deletes.
    pub deletes: DeleteSpec,
    /// Each system's traits and mapping.
    pub systems: BTreeMap<SystemName, SystemRules>,
}

/// One system in short form: what it is, and how it maps the entity. Remote names are equal to canonical ones.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SystemRules {
    /// Whether it is the local system.
    pub local: bool,
    /// How far its clock may be off, in milliseconds, where the clock is trusted.
    pub skew: Option<u64>,
    /// Whether the system is mapped although it has not been declared: a hole that the check must find.
    pub undeclared: bool,
    /// The table, collection or path.
    pub object: String,
    /// The fields that it maps; all of them if the list is missing.
    pub fields: Option<Vec<FieldName>>,
    /// The fields that are never written.
    pub read_only: Vec<FieldName>,
    /// What `null` says.
    pub nulls: Nulls,
    /// What the empty string says.
    pub empty: Empty,
    /// Whether records that the system lacks are created there.
    pub create: bool,
    /// Whether deleted records are deleted there.
    pub delete: bool,
}

impl Default for SystemRules {
    fn default() -> Self {
        Self {
            local: false,
            skew: None,
            undeclared: false,
            object: "customers".to_owned(),
            fields: None,
            read_only: Vec::new(),
            nulls: Nulls::default(),
            empty: Empty::default(),
            create: true,
            delete: true,
        }
    }
}

impl Rules {
    /// The rules in their written form, and the traits of the systems that are declared.
    pub fn spec(self) -> (EntitySpec, BTreeMap<SystemName, SystemTraits>) {
        let is_declared = |(_, system): &(&SystemName, &SystemRules)| !system.undeclared;
        let traits = |(name, system): (&SystemName, &SystemRules)| {
            (name.clone(), SystemTraits { local: system.local, clock_skew_ms: system.skew })
        };
        let declared = self.systems.iter().filter(is_declared).map(traits).collect();
        let mapping = |(name, system)| (name, mapping_spec(&self.fields, system));
        let systems = self.systems.into_iter().map(mapping).collect();
        (
            EntitySpec {
                match_on: self.match_on,
                no_key: self.no_key,
                repair: self.repair,
                fields: self.fields,
                deletes: self.deletes,
                systems,
            },
            declared,
        )
    }
}

fn mapping_spec(fields: &BTreeMap<FieldName, FieldSpec>, system: SystemRules) -> MappingSpec {
    let names = system.fields.unwrap_or_else(|| fields.keys().cloned().collect());
    let column = |field: FieldName| {
        let read_only = system.read_only.contains(&field);
        let detail = ColumnDetail { name: field.to_string(), read_only, ..ColumnDetail::default() };
        (field, ColumnSpec::Full(detail))
    };
    MappingSpec {
        fields: names.into_iter().map(column).collect(),
        object: system.object,
        id: "id".to_owned(),
        nulls: system.nulls,
        empty: system.empty,
        create: system.create,
        delete: system.delete,
    }
}

/// Rules in short form as an entity's written rules, and the traits of the systems that are declared.
///
/// # Panics
/// If the JSON is not of the form of [`Rules`].
pub fn spec(rules: &Json) -> (EntitySpec, BTreeMap<SystemName, SystemTraits>) {
    let rules: Rules = serde_json::from_value(rules.clone())
        .unwrap_or_else(|error| panic!("the rules are not in the short form: {error}"));
    rules.spec()
}

/// Builds the policy of `entity`, whose `ref` fields may refer to any of `entities`.
///
/// # Errors
/// The holes in the rules. JSON that is not of the form of [`Rules`] is a hole as well.
pub fn try_policy_of(
    entity: &EntityName,
    rules: &Json,
    entities: &BTreeSet<EntityName>,
) -> Result<EntityPolicy, Vec<PolicyError>> {
    let rules: Rules = serde_json::from_value(rules.clone()).map_err(|error| {
        vec![PolicyError {
            path: vec!["entities".to_owned(), entity.to_string()],
            problem: error.to_string(),
            cure: "Write the rules in the short form of `Rules`.".to_owned(),
        }]
    })?;
    let (spec, declared) = rules.spec();
    spec.build(entity, &declared, entities)
}

/// Builds the policy of the entity `customer`, whose `ref` fields may refer to `company`.
///
/// # Errors
/// As in [`try_policy_of`].
pub fn try_policy(rules: &Json) -> Result<EntityPolicy, Vec<PolicyError>> {
    let entities = BTreeSet::from(["customer".into(), "company".into()]);
    try_policy_of(&"customer".into(), rules, &entities)
}

/// As [`try_policy`], where the rules have no holes.
///
/// # Panics
/// If they have.
pub fn policy(rules: &Json) -> EntityPolicy {
    try_policy(rules).unwrap_or_else(|errors| panic!("{}", list(&errors)))
}

/// Holes, one a line.
pub fn list(errors: &[PolicyError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
