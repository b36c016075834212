//! What to believe: the pure core of Avowal.
//!
//! No async, clock, randomness, I/O or environment in here: a decision is a pure function of the record, the
//! observation and the policy, so it can be replayed, tested exhaustively and proven.
//!
//! The rooms have an order, and know only those before them: `data` ← `record` ← `policy` ← `history` ← `outgoing` ←
//! `decide` ← `explain`. A decision ends with the plan that follows from it, so `decide` knows `outgoing`.
//!
//! To embed it, begin with [`observe`], or with `examples/two_systems.rs`. The nouns are here at the root; everything else
//! stands in its room.

#![warn(clippy::wildcard_enum_match_arm)]

pub mod data;
pub mod decide;
pub mod explain;
mod facade;
pub mod history;
pub mod outgoing;
pub mod policy;
pub mod record;

pub use data::ids::{EntityName, FieldName, RecordId, RemoteId, SystemName};
pub use data::time::Timestamp;
pub use data::value::{Digest, Value};
pub use data::version::{Causality, Dot, VersionVector};
pub use decide::Decision;
pub use decide::resolve::ConflictResolutionResult;
pub use explain::{event_line, field_sentence, policy_sentences, why};
pub use facade::{Decided, Recorded, confirmed, failed, observe, sent};
pub use history::{Body, Classification, ConfirmedBy, Doubt, Failure, IntegrationEvent};
pub use outgoing::confirm::Receipt;
pub use policy::domain::{
    ConflictSide, DomainResolution, DomainResolver, DomainRules, DomainValidator, FieldChange, FieldConflict,
};
pub use policy::spec::{EntitySpec, FieldSpec, MappingSpec, PolicyError};
pub use policy::{
    EntityPolicy, EqualChanges, FieldOwnershipPolicy, OnRefused, Owner, Strategy, StrategyDeclaration,
    StrategyKey, SystemTraits,
};
pub use record::intent::{Intent, Operation};
pub use record::observation::{Channel, CopyState, Look, Observation, OrderToken, Place};
pub use record::{Belief, Record, Review};
