//! What TOML and CEL cannot say: resolvers and validators that a program writes in Rust and registers by name.
//!
//! Both are pure: the answer depends on nothing but the arguments, so that a decision can be replayed and explained. No
//! clock, no randomness, no environment, no I/O, no state. Name and version are part of the policy's digest, and with it of every
//! event that was decided under it: raise the version whenever an answer changes.

use crate::data::ids::{FieldName, SystemName};
use crate::data::time::Timestamp;
use crate::data::value::Value;
use crate::data::version::{Dot, VersionVector};
use crate::policy::schema::FieldType;
use crate::record::Record;
use std::fmt;
use std::sync::Arc;

/// Decides between two changes of one field that did not see each other.
///
/// A field uses it by `resolver = "NAME"`. It is asked only where the policy has found both changes valid and the system entitled to
/// the change. A merged value is checked like any other: by the field's type, `valid`, `transitions` and validator.
///
/// ```
/// use avowal_core::{DomainResolution, DomainResolver, FieldConflict};
///
/// /// The longer text says more.
/// struct Longer;
///
/// impl DomainResolver for Longer {
///     fn name(&self) -> &str {
///         "longer"
///     }
///     fn version(&self) -> u32 {
///         1
///     }
///     fn resolve(&self, conflict: &FieldConflict<'_>) -> DomainResolution {
///         match (conflict.local.value.as_text(), conflict.external.value.as_text()) {
///             (Some(local), Some(external)) if external.len() > local.len() => DomainResolution::External,
///             (Some(local), Some(external)) if local.len() > external.len() => DomainResolution::Local,
///             _ => DomainResolution::ManualReviewRequired { reason: "neither text is longer".to_owned() },
///         }
///     }
/// }
/// ```
pub trait DomainResolver: Send + Sync {
    /// The name by which fields ask for it.
    fn name(&self) -> &str;
    /// Grows with every change of its answers.
    fn version(&self) -> u32;
    /// Which value stands. Must be pure, and must not panic.
    fn resolve(&self, conflict: &FieldConflict<'_>) -> DomainResolution;
}

/// Says whether a value is allowed: by itself, after the one before it, and beside the record's other fields.
///
/// A field uses it by `validator = "NAME"`, beside `valid` and `transitions`, which are asked first. A refused value goes the way
/// that the field's `on_refused` says.
///
/// ```
/// use avowal_core::{DomainValidator, FieldChange, Value};
///
/// /// A closed deal keeps its amount.
/// struct ClosedStays;
///
/// impl DomainValidator for ClosedStays {
///     fn name(&self) -> &str {
///         "closed_stays"
///     }
///     fn version(&self) -> u32 {
///         1
///     }
///     fn check(&self, change: &FieldChange<'_>) -> Result<(), String> {
///         let is_closed = change.believed("stage").and_then(Value::as_text) == Some("closed");
///         if is_closed && change.from.is_some() { Err("the deal is closed".to_owned()) } else { Ok(()) }
///     }
/// }
/// ```
pub trait DomainValidator: Send + Sync {
    /// The name by which fields ask for it.
    fn name(&self) -> &str;
    /// Grows with every change of its answers.
    fn version(&self) -> u32;
    /// Nothing if the value is allowed, else the reason, for people. Must be pure, and must not panic.
    fn check(&self, change: &FieldChange<'_>) -> Result<(), String>;
}

/// Two changes of one field that did not see each other, and differ.
#[derive(Clone, Copy, Debug)]
pub struct FieldConflict<'a> {
    /// The field.
    pub field: &'a FieldName,
    /// What it holds.
    pub field_type: &'a FieldType,
    /// What we believe.
    pub local: ConflictSide<'a>,
    /// What the other system shows.
    pub external: ConflictSide<'a>,
    /// What stood in the other system's copy before it changed; `None` if it was never shown.
    pub base: Option<&'a Value>,
    /// Whether nothing tells if the other system had seen our value.
    pub indeterminate: bool,
    /// The whole record as it was believed before this observation.
    pub record: &'a Record,
}

/// One of two changes.
#[derive(Clone, Copy, Debug)]
pub struct ConflictSide<'a> {
    /// The value; `null` if it was cleared.
    pub value: &'a Value,
    /// Who changed it: a system, or `operator` for a person.
    pub system: &'a SystemName,
    /// The change.
    pub dot: &'a Dot,
    /// All changes that its side had seen.
    pub vector: &'a VersionVector,
    /// When it happened, in the source's words. Clocks of two systems need not agree.
    pub occurred_at: Option<Timestamp>,
}

/// A resolver's answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DomainResolution {
    /// The belief stays.
    Local,
    /// The other system's value becomes the belief.
    External,
    /// Both changes are kept in this value.
    Merged(Value),
    /// Only a person may say.
    ManualReviewRequired {
        /// Why, for that person.
        reason: String,
    },
}

/// A value that is about to be believed.
#[derive(Clone, Copy, Debug)]
pub struct FieldChange<'a> {
    /// The field.
    pub field: &'a FieldName,
    /// What it holds.
    pub field_type: &'a FieldType,
    /// What is believed so far; `None` where nothing has moved from anywhere: when a copy shows the field for the first time,
    /// and when a person decides.
    pub from: Option<&'a Value>,
    /// The value; `null` if it is cleared.
    pub to: &'a Value,
    /// The whole record as it was believed before this observation. Fields that one observation changes together are judged one
    /// by one against it.
    pub record: &'a Record,
}

impl<'a> FieldConflict<'a> {
    /// What is believed of another field of the record.
    pub fn believed(&self, field: &str) -> Option<&'a Value> {
        self.record.fields.get(field).map(|belief| &belief.value)
    }
}

impl<'a> FieldChange<'a> {
    /// What is believed of another field of the record.
    pub fn believed(&self, field: &str) -> Option<&'a Value> {
        self.record.fields.get(field).map(|belief| &belief.value)
    }
}

/// The resolvers and validators of a program, by name.
///
/// Handed to [`EntitySpec::build_with`](crate::policy::spec::EntitySpec::build_with), which refuses a rule that names what is not in
/// here.
#[derive(Clone, Debug, Default)]
pub struct DomainRules {
    resolvers: Vec<RegisteredResolver>,
    validators: Vec<RegisteredValidator>,
}

/// A resolver that a rule names. Two are equal if name and version are.
#[derive(Clone)]
pub struct RegisteredResolver(Arc<dyn DomainResolver>);

/// A validator that a rule names. Two are equal if name and version are.
#[derive(Clone)]
pub struct RegisteredValidator(Arc<dyn DomainValidator>);

/// Why a name stands for nothing.
pub(super) enum Unregistered {
    /// Nothing has this name; these are the names that there are.
    Unknown(Vec<String>),
    /// Several have it.
    Ambiguous,
}

impl DomainRules {
    /// Nothing is registered.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a resolver under its name.
    #[must_use]
    pub fn resolver(mut self, resolver: impl DomainResolver + 'static) -> Self {
        self.resolvers.push(RegisteredResolver(Arc::new(resolver)));
        self
    }

    /// Registers a validator under its name.
    #[must_use]
    pub fn validator(mut self, validator: impl DomainValidator + 'static) -> Self {
        self.validators.push(RegisteredValidator(Arc::new(validator)));
        self
    }

    pub(super) fn find_resolver(&self, name: &str) -> Result<RegisteredResolver, Unregistered> {
        find(&self.resolvers, RegisteredResolver::name, name)
    }

    pub(super) fn find_validator(&self, name: &str) -> Result<RegisteredValidator, Unregistered> {
        find(&self.validators, RegisteredValidator::name, name)
    }
}

fn find<T: Clone>(all: &[T], name_of: fn(&T) -> &str, name: &str) -> Result<T, Unregistered> {
    let mut named = all.iter().filter(|one| name_of(one) == name);
    match (named.next(), named.next()) {
        (Some(one), None) => Ok(one.clone()),
        (Some(_), Some(_)) => Err(Unregistered::Ambiguous),
        (None, _) => Err(Unregistered::Unknown(all.iter().map(|one| name_of(one).to_owned()).collect())),
    }
}

impl RegisteredResolver {
    /// The name by which fields ask for it.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Grows with every change of its answers.
    pub fn version(&self) -> u32 {
        self.0.version()
    }

    /// Which value stands.
    pub(crate) fn resolve(&self, conflict: &FieldConflict<'_>) -> DomainResolution {
        self.0.resolve(conflict)
    }
}

impl RegisteredValidator {
    /// The name by which fields ask for it.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Grows with every change of its answers.
    pub fn version(&self) -> u32 {
        self.0.version()
    }

    /// Nothing if the value is allowed, else the reason.
    pub(crate) fn check(&self, change: &FieldChange<'_>) -> Result<(), String> {
        self.0.check(change)
    }
}

impl fmt::Display for RegisteredResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the resolver {} (version {})", self.name(), self.version())
    }
}

impl fmt::Display for RegisteredValidator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the validator {} (version {})", self.name(), self.version())
    }
}

impl fmt::Debug for RegisteredResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegisteredResolver({:?}, {})", self.name(), self.version())
    }
}

impl fmt::Debug for RegisteredValidator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegisteredValidator({:?}, {})", self.name(), self.version())
    }
}

impl PartialEq for RegisteredResolver {
    fn eq(&self, other: &Self) -> bool {
        (self.name(), self.version()) == (other.name(), other.version())
    }
}

impl PartialEq for RegisteredValidator {
    fn eq(&self, other: &Self) -> bool {
        (self.name(), self.version()) == (other.name(), other.version())
    }
}
