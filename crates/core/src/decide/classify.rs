//! How a change relates to the belief: by shadows and dots, never by a clock.

use crate::data::ids::FieldName;
use crate::data::spelling::is_spelling_of;
use crate::data::value::Value;
use crate::data::version::Dot;
use crate::decide::diff::Difference;
use crate::history::{Basis, Evidence, FieldRelation};
use crate::policy::{EntityPolicy, EqualChanges};
use crate::record::Record;
use crate::record::intent::Operation;
use crate::record::observation::{Channel, Observation, Place};

/// How a change of one field by the observed system relates to the belief, with the evidence. `base` is that of
/// the field's shadow.
pub fn relate(
    policy: &EntityPolicy,
    record: &Record,
    base: Option<&Dot>,
    observation: &Observation,
    found: &Difference<'_>,
) -> (FieldRelation, Evidence) {
    let field = found.field;
    let Some(belief) = record.fields.get(field) else {
        return (FieldRelation::First, Evidence::inferred(Basis::NothingBelieved));
    };
    let has_seen = base == Some(&belief.dot);
    if belief.value == *found.to && (has_seen || !counts_beside(policy, record, observation, found)) {
        return (FieldRelation::Agreement, Evidence::inferred(Basis::EqualsBelief));
    }
    if has_seen {
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
        let evidence = match is_create(record, observation) {
            // A row that we made may have come by unnoticed, when its id was another record's by then.
            true => Evidence::inferred(by),
            false => Evidence::proven(by),
        };
        return (FieldRelation::Concurrent, evidence);
    }
    let by = Basis::WriteInFlight { belief: belief.dot.clone() };
    (FieldRelation::Indeterminate, Evidence::unknown(by))
}

/// Whether a value that equals the belief is a change beside the one that made the belief: under a sum both count. It is
/// none where it may be our own echo, nor where no number stood there before, as at the first link.
fn counts_beside(
    policy: &EntityPolicy,
    record: &Record,
    observation: &Observation,
    found: &Difference<'_>,
) -> bool {
    let is_known_copy = record.copies.get(&observation.system).is_some_and(|copy| copy.alive);
    let had_number = found.from.is_some_and(|from| !from.is_null());
    equal_changes(policy, found.field) == EqualChanges::AddUp
        && is_known_copy
        && had_number
        && !may_be_echo(policy, record, observation, found.field, found.to)
}

/// What equal changes of a field are.
fn equal_changes(policy: &EntityPolicy, field: &FieldName) -> EqualChanges {
    let strategy = policy.field(field).map(|rules| rules.strategy.declaration().equal_changes);
    strategy.unwrap_or(EqualChanges::Agree)
}

/// Whether a value in a field may be what our write put there: it was sent, and nothing proves that somebody else
/// put it there. An attempt that is thought to have failed may have had its effect all the same.
pub(crate) fn may_be_echo(
    policy: &EntityPolicy,
    record: &Record,
    observation: &Observation,
    field: &FieldName,
    to: &Value,
) -> bool {
    let Some(intent) = record.intents.get(&observation.system) else { return false };
    let was_sent = intent.is_open() || intent.attempt > 0;
    let is_same = intent.fields.get(field).is_some_and(|outgoing| is_spelling_of(to, &outgoing.value));
    was_sent
        && is_same
        && !(is_proven_foreign(observation) && equal_changes(policy, field) == EqualChanges::AddUp)
}

/// Whether the change is proven not to be ours: a log names our own writes, and this one bears no name.
fn is_proven_foreign(observation: &Observation) -> bool {
    observation.place == Place::InLog
        && observation.channel == Channel::Feed
        && observation.correlation.is_none()
}

fn is_create(record: &Record, observation: &Observation) -> bool {
    let intent = record.intents.get(&observation.system);
    intent.is_some_and(|intent| intent.operation == Operation::Create)
}

/// Whether the belief of this field has been sent to the system without a known outcome.
fn on_its_way(record: &Record, observation: &Observation, field: &FieldName) -> bool {
    let Some(intent) = record.intents.get(&observation.system) else { return false };
    let belief = record.fields.get(field).map(|belief| &belief.dot);
    intent.is_open() && intent.fields.get(field).is_some_and(|outgoing| Some(&outgoing.dot) == belief)
}
