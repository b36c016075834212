//! The fold: how each event changes a record's state. State is always the fold of history, so nothing in here
//! may look at anything but the state and the event.

use crate::data::ids::{EntityName, FieldName, RecordId, RemoteId, SystemName};
use crate::data::value::{Digest, Value};
use crate::data::version::Dot;
use crate::history::{Body, Failure, FieldSeen, FieldStored, IntegrationEvent, LinkReason};
use crate::policy::OnRefused;
use crate::record::intent::content_digest;
use crate::record::intent::{Intent, IntentStatus, Operation};
use crate::record::observation::OrderToken;
use crate::record::reason::FailureReason;
use crate::record::{Belief, Copy, Held, Record, Shadow, Subject, Tombstone};
use std::collections::BTreeMap;

/// Folds a whole stream into a state, beginning with nothing.
pub fn fold<'a>(
    id: RecordId,
    entity: EntityName,
    events: impl IntoIterator<Item = &'a IntegrationEvent>,
) -> Record {
    let mut record = Record::new(id, entity);
    events.into_iter().for_each(|event| apply(&mut record, event));
    record
}

/// Applies one event, and moves the record to its sequence and hash.
pub fn apply(record: &mut Record, event: &IntegrationEvent) {
    apply_body(record, event);
    record.seq = event.seq;
    record.head = event.hash;
}

/// Applies the event's body without moving the record to its sequence and hash.
pub(crate) fn apply_body(record: &mut Record, event: &IntegrationEvent) {
    match &event.body {
        Body::Linked { system, remote_id, how } => link(record, event, system, remote_id, how),
        Body::Unlinked { system, remote_id } => {
            if let Some(copy) = record.copies.get_mut(system).filter(|copy| copy.remote_id == *remote_id) {
                copy.is_replaced = true;
            }
        }
        Body::Observed { system, dot, fields, gone, empty, order, version, .. } => {
            if let Some(dot) = dot {
                record.vector.add(dot);
            }
            if let Some(copy) = record.copies.get_mut(system) {
                observe(copy, dot.as_ref(), fields, *gone);
                empty.iter().for_each(|field| empty_out(copy, field));
                if dot.is_some() {
                    copy.changed_at = event.recorded_at;
                    // A changed copy no longer has the version that we knew. Not knowing one is better than a wrong one.
                    copy.version = None;
                }
                remember_version(copy, order.as_ref(), version.as_ref());
            }
        }
        Body::FieldChanged { field, value, dot, .. } => believe(record, event, field, value, dot),
        Body::ManualReviewRequested { subject, review } => {
            record.reviews.insert(subject.clone(), review.clone());
        }
        Body::ReviewDecided { subject, .. } => {
            record.reviews.remove(subject);
        }
        Body::Refused { system, subject, then, .. } => refuse(record, system, subject, *then),
        Body::Deleted { dot, .. } => {
            record.vector.add(dot);
            record.deleted = Some(Tombstone { dot: dot.clone(), since: event.recorded_at });
        }
        Body::Restored { dot, .. } => {
            record.vector.add(dot);
            record.deleted = None;
            record.copies.values_mut().filter(|copy| !copy.alive).for_each(|copy| copy.wanted = true);
        }
        Body::IntentPlanned { system, key, operation, fields, .. } => {
            let intent = Intent {
                key: key.clone(),
                operation: *operation,
                fields: fields.clone(),
                vector: record.vector.clone(),
                status: IntentStatus::Planned,
                attempt: 0,
            };
            record.intents.insert(system.clone(), intent);
        }
        Body::IntentWithdrawn { system, .. } => {
            record.intents.remove(system);
        }
        Body::IntentSent { system, attempt, .. } => send(record, system, *attempt),
        Body::IntentConfirmed { system, fields, order, version, .. } => {
            confirm(record, system, fields);
            if let Some(copy) = record.copies.get_mut(system) {
                copy.changed_at = event.recorded_at;
                remember_version(copy, order.as_ref(), version.as_ref());
            }
        }
        Body::IntentFailed { system, failure, reason, .. } => fail(record, system, *failure, reason),
        Body::EchoRecognised { system, order, version, .. } => {
            if let Some(copy) = record.copies.get_mut(system) {
                show_presumed(copy);
                remember_version(copy, order.as_ref(), version.as_ref());
            }
        }
        Body::FieldSetAside { system, field, misread } => {
            if let Some(copy) = record.copies.get_mut(system) {
                copy.aside.insert(field.clone(), misread.clone());
            }
        }
        Body::StaleSuspected { system, fields, .. } => {
            if let Some(copy) = record.copies.get_mut(system) {
                copy.suspected = Some(suspicion(fields));
            }
        }
        Body::FieldUnderstood { system, field } => {
            if let Some(copy) = record.copies.get_mut(system) {
                copy.aside.remove(field);
            }
        }
        Body::Released { system } => {
            record.held.remove(system);
        }
        Body::ConflictDetected { .. }
        | Body::ConflictResolved { .. }
        | Body::Quarantined { .. }
        | Body::DuplicateDropped { .. }
        | Body::StaleDropped { .. }
        | Body::ReconciliationApplied { .. }
        | Body::DriftDetected { .. }
        | Body::PolicyChanged { .. } => {}
    }
}

fn link(
    record: &mut Record,
    event: &IntegrationEvent,
    system: &SystemName,
    remote_id: &RemoteId,
    how: &LinkReason,
) {
    // Until then the system may not have had it: a read that lags may still lack it.
    let mut copy = Copy { changed_at: event.recorded_at, ..Copy::new(remote_id.clone()) };
    let before = record.copies.remove(system).filter(|before| !before.alive);
    if let (LinkReason::Matched { .. }, Some(before)) = (how, before) {
        // The system has made the same thing again: what differs, it has changed after all that the copy which is gone
        // had seen. Nothing is proven to stand in the new copy before it is shown.
        (copy.seen, copy.sent) = (before.seen, before.sent);
        let seen = before.fields.into_iter();
        copy.fields = seen.map(|(field, shadow)| (field, Shadow::of(Value::Null, shadow.base))).collect();
    }
    record.copies.insert(system.clone(), copy);
}

/// By what a state that looks older is recognised when it is shown again.
pub(crate) fn suspicion(fields: &BTreeMap<FieldName, Value>) -> Digest {
    Digest::of_pairs(fields.iter().map(|(field, value)| (field.as_str(), value)))
}

fn observe(copy: &mut Copy, dot: Option<&Dot>, fields: &BTreeMap<FieldName, FieldSeen>, gone: bool) {
    if let Some(dot) = dot {
        copy.seen.add(dot);
        copy.sent.add(dot);
        copy.alive = !gone;
        copy.wanted &= gone;
        copy.suspected = None;
        if gone {
            copy.aside.clear();
        }
    }
    for (field, seen) in fields {
        let sent = copy.fields.get(field).filter(|shadow| spells_ours(shadow, seen));
        let sent_as = sent.map(|shadow| shadow.content.clone());
        let shadow = shadow_holding(copy, field, &seen.to);
        shadow.base = seen.base.clone();
        shadow.sent_as = sent_as;
        shadow.tolerated = false;
    }
    show_presumed(copy);
}

/// Nothing stands in a field of a copy that was made again. The copy has seen what stood there all the same.
fn empty_out(copy: &mut Copy, field: &FieldName) {
    if let Some(shadow) = copy.fields.get_mut(field) {
        *shadow = Shadow::of(Value::Null, shadow.base.take());
    }
}

/// Whether the system shows only now how it spells the value that we wrote.
fn spells_ours(shadow: &Shadow, seen: &FieldSeen) -> bool {
    shadow.base == seen.base && shadow.is_first_spelled(&seen.to)
}

/// The copy has been shown since our write: the presumed content is replaced by the observed one.
fn show_presumed(copy: &mut Copy) {
    for shadow in copy.fields.values_mut().filter(|shadow| shadow.is_presumed()) {
        shadow.sent_as = None;
    }
}

fn believe(record: &mut Record, event: &IntegrationEvent, field: &FieldName, value: &Value, dot: &Dot) {
    record.vector.add(dot);
    let belief = Belief {
        value: value.clone(),
        dot: dot.clone(),
        seq: event.seq,
        since: event.recorded_at,
        occurred_at: event.occurred_at,
    };
    record.fields.insert(field.clone(), belief);
    for copy in record.copies.values_mut().filter(|copy| copy.alive) {
        if let Some(shadow) = copy.fields.get_mut(field)
            && shadow.is_equivalent_to(value)
        {
            // Equal values are agreement: the copy carries the new belief already.
            shadow.base = Some(dot.clone());
        }
    }
}

fn refuse(record: &mut Record, system: &SystemName, subject: &Subject, then: OnRefused) {
    let Some(copy) = record.copies.get_mut(system) else { return };
    match subject {
        Subject::Existence => copy.wanted = then == OnRefused::Revert && !copy.alive,
        Subject::Field(field) => {
            if then == OnRefused::Ignore
                && let Some(shadow) = copy.fields.get_mut(field)
            {
                shadow.tolerated = true;
            }
        }
    }
}

fn send(record: &mut Record, system: &SystemName, attempt: u32) {
    let Some(intent) = record.intents.get_mut(system) else { return };
    intent.status = IntentStatus::Sent;
    intent.attempt = attempt;
    if let Some(copy) = record.copies.get_mut(system) {
        copy.sent.join(&intent.vector);
    }
}

fn confirm(record: &mut Record, system: &SystemName, fields: &BTreeMap<FieldName, FieldStored>) {
    let Some(intent) = record.intents.remove(system) else { return };
    let Some(copy) = record.copies.get_mut(system) else { return };
    copy.sent.join(&intent.vector);
    copy.seen.join(&intent.vector);
    if intent.operation == Operation::Delete {
        copy.alive = false;
        copy.aside.clear();
        // It was restored while its delete was under way.
        copy.wanted = record.deleted.is_none();
    }
    for (field, stored) in fields {
        let shadow = shadow_holding(copy, field, &stored.content);
        shadow.base = Some(stored.base.clone());
        shadow.sent_as = stored.sent_as.clone();
        shadow.wrote = Some(stored.wrote);
        shadow.tolerated = false;
    }
}

fn fail(record: &mut Record, system: &SystemName, failure: Failure, reason: &FailureReason) {
    match failure {
        Failure::Retry => {
            if let Some(intent) = record.intents.get_mut(system) {
                intent.status = IntentStatus::Planned;
            }
        }
        Failure::Unknown => {
            if let Some(intent) = record.intents.get_mut(system) {
                intent.status = IntentStatus::Unknown;
            }
        }
        Failure::Waits => {
            if let Some(intent) = record.intents.get_mut(system) {
                intent.status = IntentStatus::Waiting;
            }
        }
        Failure::Conflict | Failure::Missing => {
            record.intents.remove(system);
        }
        Failure::Rejected => {
            if let Some(intent) = record.intents.remove(system) {
                let content = content_digest(intent.operation, &intent.fields);
                record.held.insert(system.clone(), Held { content, reason: reason.clone() });
            }
        }
    }
}

/// Sets the shadow's content. The digest of the old content is remembered, null like any other, so that it can be
/// recognised if it comes late.
fn shadow_holding<'a>(copy: &'a mut Copy, field: &FieldName, content: &Value) -> &'a mut Shadow {
    let shadow = copy.fields.entry(field.clone()).or_insert_with(|| Shadow::of(content.clone(), None));
    if shadow.content != *content {
        let old = shadow.content.digest();
        shadow.older.retain(|digest| *digest != old);
        shadow.older.push(old);
        if shadow.older.len() > Shadow::OLDER_MAX {
            shadow.older.remove(0);
        }
        shadow.content = content.clone();
    }
    shadow
}

/// A token never moves backwards; a version is whatever was seen last.
fn remember_version(copy: &mut Copy, order: Option<&OrderToken>, version: Option<&String>) {
    if let Some(order) = order
        && !copy
            .order
            .as_ref()
            .is_some_and(|known| order.proven_older_than(known) || order.suspected_older_than(known))
    {
        copy.order = Some(order.clone());
    }
    if let Some(version) = version {
        copy.version = Some(version.clone());
    }
}
