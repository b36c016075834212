//! Who may change a field, and what happens when changes cross: written before the conflict.

use crate::data::ids::{EntityName, FieldName, SystemName};
use crate::data::value::{Digest, Value};
use crate::policy::cel::Rule;
use crate::policy::domain::RegisteredValidator;
use crate::policy::mapping::Mapping;
use crate::policy::schema::FieldType;
use crate::policy::strategy::Strategy;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The complete, checked rules of one entity. Built by [`crate::policy::spec::EntitySpec::build`] only.
#[derive(Clone, PartialEq, Debug)]
pub struct EntityPolicy {
    /// The kind of record.
    pub entity: EntityName,
    /// The participants and what is declared of them.
    pub systems: BTreeMap<SystemName, SystemTraits>,
    /// The rule of each field.
    pub fields: BTreeMap<FieldName, FieldOwnershipPolicy>,
    /// How each system spells the fields.
    pub mappings: BTreeMap<SystemName, Mapping>,
    /// Alternative keys by which unlinked copies are matched; the fields of one key all have to be equal.
    pub match_on: Vec<Vec<FieldName>>,
    /// What becomes of a record without any of these keys.
    pub no_key: NoKey,
    /// The rule of deletes.
    pub deletes: DeletePolicy,
    /// What a repair may do about copies that are missing, where a field does not say otherwise about its own.
    pub repair: Repair,
    /// The digest of everything above, stored with every decision.
    pub digest: Digest,
}

/// What becomes of a record of which no declared key is complete: a copy of it could not be found again, and one that
/// exists already would not be recognised.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum NoKey {
    /// It is made nowhere until it has a key. It is listed in quarantine meanwhile.
    #[default]
    Wait,
    /// It is made in the other systems like any other.
    Create,
    /// Its row is set aside for a person, and begins no record before it has a key.
    Review,
}

impl NoKey {
    /// Whether it is the default.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What is declared of a system.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SystemTraits {
    /// Whether it is the local system, to which `local_wins` refers.
    pub local: bool,
    /// Set if the operator trusts its clock, with the most it may be off, in milliseconds.
    pub clock_skew_ms: Option<u64>,
}

/// The rule of one field.
#[derive(Clone, PartialEq, Debug)]
pub struct FieldOwnershipPolicy {
    /// What it holds.
    pub field_type: FieldType,
    /// Who may change it.
    pub owner: Owner,
    /// Other systems whose sequential changes are accepted.
    pub proposals: BTreeSet<SystemName>,
    /// What happens to concurrent changes.
    pub strategy: Strategy,
    /// The precedence of systems, highest first, used when nothing else decides.
    pub precedence: Vec<SystemName>,
    /// What happens to a refused value.
    pub on_refused: OnRefused,
    /// What every value must satisfy.
    pub valid: Option<Rule>,
    /// For an enum: which value may follow which.
    pub transitions: Option<BTreeMap<String, BTreeSet<String>>>,
    /// What every value must pass that TOML and CEL cannot say.
    pub validator: Option<RegisteredValidator>,
    /// Spelling differences that are ignored.
    pub normalize: Normalize,
    /// What a repair may do about a difference.
    pub repair: Repair,
}

/// Who may change a field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Owner {
    /// One system.
    System(SystemName),
    /// Every system that can write it.
    Shared,
}

/// Spelling differences that are removed before anything is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Normalize {
    /// Surrounding white space goes.
    pub trim: bool,
    /// Letters become lower case.
    pub lowercase: bool,
}

/// The rule of deletes of an entity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeletePolicy {
    /// Who may delete; `None` asks a person each time.
    pub owner: Option<Owner>,
    /// What happens to the delete of someone who may not: written back, left alone, or a person decides.
    pub on_refused: OnRefused,
    /// What happens if the deleted copy had not seen a newer edit.
    pub edit_against_delete: EditAgainstDelete,
}

/// What prevails between a concurrent edit and delete.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EditAgainstDelete {
    /// A person decides.
    #[default]
    Review,
    /// The record is deleted.
    DeleteWins,
    /// The record lives on and the missing copy is made again.
    EditWins,
}

impl EntityPolicy {
    /// The rule of a field, if the entity has it.
    pub fn field(&self, field: &FieldName) -> Option<&FieldOwnershipPolicy> {
        self.fields.get(field)
    }

    /// Whether one of the declared keys is complete in these values. Where none is declared, none is wanted.
    pub fn has_key<'a>(&self, value: impl Fn(&FieldName) -> Option<&'a Value>) -> bool {
        let is_filled = |field: &FieldName| value(field).is_some_and(|value| !value.is_blank());
        self.match_on.is_empty() || self.match_on.iter().any(|key| key.iter().all(is_filled))
    }

    /// The short digest that is stored with decisions.
    pub fn short_digest(&self) -> String {
        self.digest.short()
    }

    /// The declared accuracy of a system's clock, if it is trusted.
    pub fn trusted_skew_ms(&self, system: &SystemName) -> Option<u64> {
        self.systems.get(system).and_then(|traits| traits.clock_skew_ms)
    }
}

impl Owner {
    /// Whether this is the system that owns.
    pub fn is(&self, system: &SystemName) -> bool {
        match self {
            Owner::System(owner) => owner == system,
            Owner::Shared => false,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::System(system) => write!(f, "{system}"),
            Owner::Shared => f.write_str("shared"),
        }
    }
}

impl Normalize {
    /// The text without the declared spelling differences; `None` if nothing changes.
    pub fn apply(self, text: &str) -> Option<String> {
        let trimmed = if self.trim { text.trim() } else { text };
        if self.lowercase {
            let lower = trimmed.to_lowercase();
            return (lower != text).then_some(lower);
        }
        (trimmed.len() != text.len()).then(|| trimmed.to_owned())
    }
}

/// What a repair may do about a difference that a reconciliation has found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Repair {
    /// What the rules say, as for any other change.
    #[default]
    Auto,
    /// A person decides, whatever the rules say.
    Review,
    /// Nothing: the difference is reported and stays.
    Never,
}

impl Repair {
    /// Whether it is the default.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What is done with a refused value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnRefused {
    /// The believed value is written back.
    #[default]
    Revert,
    /// The difference is tolerated until that copy changes again.
    Ignore,
    /// A person decides.
    Review,
}
