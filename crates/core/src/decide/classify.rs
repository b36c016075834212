//! How a change relates to the belief: by shadows and dots, never by a clock.

use crate::data::ids::FieldName;
use crate::data::value::Value;
use crate::data::version::Dot;
use crate::decide::diff::Difference;
use crate::history::{Basis, Evidence, FieldRelation};
use crate::planted::{Mistake, planted};
use crate::record::observation::Observation;
use crate::record::{Copy, Record, Shadow};

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
    if observation.in_log {
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
    if planted(Mistake::IgnoreSent) {
        return false;
    }
    let belief = record.fields.get(field).map(|belief| &belief.dot);
    intent.is_open() && intent.fields.get(field).is_some_and(|outgoing| Some(&outgoing.dot) == belief)
}

/// Whether the observed state may be an older one of the same copy, without proof: it has a value that the copy
/// held before, or a source time that went back.
pub fn looks_stale(copy: &Copy, observation: &Observation, changed: &[Difference<'_>]) -> bool {
    // A second look may still be too early for what has changed since it was asked for.
    if (observation.confirmed && observation.quiescent) || planted(Mistake::BelieveOldValue) {
        return false;
    }
    let returned = |field: &FieldName, value: &Value, shadow_counts: fn(&Shadow) -> bool| {
        let shadow = copy.fields.get(field).filter(|shadow| shadow_counts(shadow));
        shadow.is_some_and(|shadow| !shadow.older.is_empty() && shadow.older.contains(&value.digest()))
    };
    let any_returned = |shadow_counts: fn(&Shadow) -> bool| {
        changed.iter().any(|found| returned(found.field, found.to, shadow_counts))
    };
    match (&observation.order, &copy.order) {
        // It is newer than all that the system has shown. It need not be newer than what we have written since,
        // because a receipt may come without an order; a change log shows our own writes in their place.
        (Some(shown), Some(known)) if shown.proven_newer_than(known) => {
            !observation.in_log && any_returned(Shadow::is_our_write)
        }
        // That state was folded in before, so it differs from the shadow only by what we have written since.
        (Some(shown), Some(known)) if shown.proven_same_as(known) => {
            changed.iter().any(|found| copy.fields.contains_key(found.field))
        }
        (Some(shown), Some(known)) => shown.suspected_older_than(known) || any_returned(|_| true),
        (Some(_), None) | (None, Some(_)) | (None, None) => !observation.in_log && any_returned(|_| true),
    }
}
