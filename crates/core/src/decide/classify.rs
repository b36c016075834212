//! How a change relates to the belief: by shadows and dots, never by a clock.

use crate::data::ids::FieldName;
use crate::data::value::Value;
use crate::data::version::Dot;
use crate::history::{Basis, Evidence, FieldRelation};
use crate::record::Record;
use crate::record::observation::{Observation, Place};

/// How a change of one field by the observed system relates to the belief, with the evidence. `base` is that of
/// the field's shadow.
pub fn relate(
    record: &Record,
    base: Option<&Dot>,
    observation: &Observation,
    field: &FieldName,
    to: &Value,
) -> (FieldRelation, Evidence) {
    let Some(belief) = record.fields.get(field) else {
        return (FieldRelation::First, Evidence::inferred(Basis::NothingBelieved));
    };
    if belief.value == *to {
        return (FieldRelation::Agreement, Evidence::inferred(Basis::EqualsBelief));
    }
    if base == Some(&belief.dot) {
        // The copy provably carried the belief when it was changed, so order is proven by the shadow.
        let by = Basis::BeliefSeen { belief: belief.dot.clone() };
        return (FieldRelation::Sequential, Evidence::inferred(by));
    }
    if !on_its_way(record, observation, field) {
        let by = match base {
            Some(base) => Basis::OtherBeliefSeen { base: base.clone(), belief: belief.dot.clone() },
            None => Basis::BeliefNotSeen { belief: belief.dot.clone() },
        };
        return (FieldRelation::Concurrent, Evidence::inferred(by));
    }
    if observation.place == Place::InLog {
        // The change log holds our own writes too, in order. Ours has not come by, so this change is before it.
        let by = Basis::LogBeforeWrite { belief: belief.dot.clone() };
        return (FieldRelation::Concurrent, Evidence::proven(by));
    }
    let by = Basis::WriteInFlight { belief: belief.dot.clone() };
    (FieldRelation::Indeterminate, Evidence::unknown(by))
}

/// Whether the belief of this field has been sent to the system without a known outcome.
fn on_its_way(record: &Record, observation: &Observation, field: &FieldName) -> bool {
    let Some(intent) = record.intents.get(&observation.system) else { return false };
    let belief = record.fields.get(field).map(|belief| &belief.dot);
    intent.is_open() && intent.fields.get(field).is_some_and(|outgoing| Some(&outgoing.dot) == belief)
}
