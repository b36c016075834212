//! The substance of a run: values, links, classes, decisions and writes in their order, spelled by words of this file alone.
//!
//! Names in the code, words in messages and the wire form of the history may change; the sum over this must not. It is
//! how a change of the house proves that it changed no behaviour. Times, hashes, reasons and evidence texts stay out.

use avowal_core::data::value::Value;
use avowal_core::data::version::{Causality, Dot};
use avowal_core::history::{
    Body, Classification, ConfirmedBy, Failure, FieldRelation, IntegrationEvent, LinkReason, ReviewAnswer,
    Strength,
};
use avowal_core::policy::OnRefused;
use avowal_core::record::intent::Operation;
use avowal_core::record::observation::Channel;
use avowal_core::record::{Record, Side, Subject};
use avowal_fakes::dice::{hash, mix};
use std::fmt::Write as _;

/// The sum over the substance of these events, and of the states and rows that were left.
pub fn sum<'a>(
    seed: u64,
    events: &[IntegrationEvent],
    records: &[Record],
    rows: impl Iterator<Item = (&'a str, &'a str, Value)>,
) -> u64 {
    let mut sum = seed;
    for event in events {
        sum = mix(sum ^ hash(event.seq, &told(event)));
    }
    for record in records {
        sum = mix(sum ^ hash(record.seq, &stands(record)));
    }
    for (system, id, row) in rows {
        sum = mix(sum ^ hash(1, &format!("{system} {id} {row}")));
    }
    sum
}

/// What stands at the end: beliefs, links, open writes and questions.
fn stands(record: &Record) -> String {
    let mut out = format!("{} {} {}", record.id, record.entity, record.vector);
    for (field, belief) in &record.fields {
        let _ = write!(out, " {field}={} by {}", belief.value, belief.dot);
    }
    for (system, copy) in &record.copies {
        let _ = write!(out, " [{system} {} {} {} {}", copy.remote_id, copy.alive, copy.seen, copy.sent);
        for (field, shadow) in &copy.fields {
            let _ = write!(out, " {field}={} base {}", shadow.content, dot(shadow.base.as_ref()));
        }
        out.push(']');
    }
    for (system, intent) in &record.intents {
        let _ = write!(out, " intent {system} {} {}", operation(intent.operation), intent.key);
    }
    for subject in record.reviews.keys() {
        let _ = write!(out, " review {}", about(subject));
    }
    let _ = write!(out, " deleted {}", dot(record.deleted.as_ref().map(|grave| &grave.dot)));
    out
}

/// What one event says.
fn told(event: &IntegrationEvent) -> String {
    let mut out = format!("{} {} {} ", event.record, event.seq, event.vector);
    if let Some(evidence) = &event.evidence {
        let _ = write!(out, "{} ", strength(evidence.strength));
    }
    out + &body(&event.body)
}

fn body(body: &Body) -> String {
    match body {
        Body::Linked { system, remote_id, how } => format!("linked {system} {remote_id} {}", link(how)),
        Body::Unlinked { system, remote_id } => format!("unlinked {system} {remote_id}"),
        Body::Observed { .. } => observed(body),
        Body::FieldChanged { field, from, value, dot, rule: _ } => {
            format!("changed {field} {} {value} {dot}", option(from.as_ref()))
        }
        Body::ConflictDetected { field, believed, shown } => {
            format!("conflict {field} {} {}", side(believed), side(shown))
        }
        Body::ConflictResolved { field, value, dot, rule: _, losers } => {
            let losers: Vec<String> = losers
                .iter()
                .map(|loser| format!("{} {} {}", loser.system, loser.value, loser.dot))
                .collect();
            format!("resolved {field} {value} {dot} {losers:?}")
        }
        Body::ManualReviewRequested { subject, review } => {
            let believed = review.believed.as_ref().map(side).unwrap_or_default();
            let proposed: Vec<String> =
                review.proposed.iter().map(|(system, shown)| format!("{system} {}", side(shown))).collect();
            format!("review {} {} {believed} {proposed:?}", about(subject), review.id)
        }
        Body::ReviewDecided { subject, review, answer, note: _ } => {
            format!("decided {} {review} {}", about(subject), answer_word(answer))
        }
        Body::Refused { system, subject, value, dot, reason: _, then } => {
            format!("refused {system} {} {value} {dot} {}", about(subject), refused(*then))
        }
        Body::FieldSetAside { system, field, misread } => {
            format!("field aside {system} {field} {}", misread.found)
        }
        Body::FieldUnderstood { system, field } => format!("field understood {system} {field}"),
        Body::Quarantined { system, remote_id, reason: _ } => {
            format!("aside {system} {}", remote_id.as_ref().map(ToString::to_string).unwrap_or_default())
        }
        Body::Deleted { dot, rule: _ } => format!("deleted {dot}"),
        Body::Restored { dot, rule: _ } => format!("restored {dot}"),
        Body::IntentPlanned { .. }
        | Body::IntentWithdrawn { .. }
        | Body::IntentSent { .. }
        | Body::IntentConfirmed { .. }
        | Body::IntentFailed { .. } => written(body),
        Body::EchoRecognised { system, channel, key, order, version } => {
            format!("echo {system} {} {key:?} {} {version:?}", road(*channel), text(order.as_ref()))
        }
        Body::DuplicateDropped { system, channel } => format!("duplicate {system} {}", road(*channel)),
        Body::StaleDropped { system, channel, fields, order } => {
            format!("stale {system} {} {} {}", road(*channel), values(fields), text(order.as_ref()))
        }
        Body::StaleSuspected { system, channel, fields, why: _ } => {
            format!("suspected {system} {} {}", road(*channel), values(fields))
        }
        Body::ReconciliationApplied { system, actions, .. } => {
            let each = actions.iter().map(|(subject, action)| format!("{subject} {}", action.as_str()));
            format!("reconciled {system} {}", each.collect::<Vec<_>>().join(" "))
        }
        Body::DriftDetected { system, fields } => format!("drift {system} {}", names(fields)),
        Body::PolicyChanged { from, to } => format!("policy {from:?} {to}"),
        Body::Released { system } => format!("released {system}"),
    }
}

fn observed(body: &Body) -> String {
    let Body::Observed {
        system,
        channel,
        class,
        causality,
        copy_vector,
        dot: by,
        fields,
        gone,
        empty,
        order,
        version,
    } = body
    else {
        return String::new();
    };
    let mut out = format!(
        "observed {system} {} {} {} {copy_vector} {} {gone} {} {version:?}",
        road(*channel),
        word(*class),
        stand(*causality),
        dot(by.as_ref()),
        text(order.as_ref())
    );
    for (field, seen) in fields {
        let base = dot(seen.base.as_ref());
        let from = option(seen.from.as_ref());
        let _ = write!(out, " {field} {from} {} {base} {}", seen.to, relation(seen.relation));
    }
    empty.iter().for_each(|field| {
        let _ = write!(out, " {field} empty");
    });
    out
}

fn written(body: &Body) -> String {
    match body {
        Body::IntentPlanned { system, key, operation: what, fields, correction } => {
            let mut out = format!("planned {system} {key} {} {correction}", operation(*what));
            for (field, outgoing) in fields {
                let _ = write!(out, " {field} {} {}", outgoing.value, outgoing.dot);
            }
            out
        }
        Body::IntentWithdrawn { system, key, put_off: _ } => format!("withdrawn {system} {key}"),
        Body::IntentSent { system, key, attempt } => format!("sent {system} {key} {attempt}"),
        Body::IntentConfirmed { system, key, by, fields, order, version } => {
            let order = text(order.as_ref());
            let mut out = format!("confirmed {system} {key} {} {order} {version:?}", confirmed(*by));
            for (field, stored) in fields {
                let sent_as = option(stored.sent_as.as_ref());
                let _ = write!(out, " {field} {} {sent_as} {} {}", stored.content, stored.wrote, stored.base);
            }
            out
        }
        Body::IntentFailed { system, key, failure: how, reason: _ } => {
            format!("failed {system} {key} {}", failure(*how))
        }
        _ => String::new(),
    }
}

fn values<'a, N: std::fmt::Display + 'a>(fields: impl IntoIterator<Item = (&'a N, &'a Value)>) -> String {
    fields.into_iter().map(|(name, value)| format!("{name} {value} ")).collect()
}

fn names<N: std::fmt::Display>(fields: &[N]) -> String {
    fields.iter().map(|name| format!("{name} ")).collect()
}

fn side(side: &Side) -> String {
    format!("{} {} {}", side.value, side.dot, side.vector)
}

fn option(value: Option<&Value>) -> String {
    text(value)
}

fn dot(dot: Option<&Dot>) -> String {
    text(dot)
}

fn text(thing: Option<&impl std::fmt::Display>) -> String {
    thing.map_or_else(|| "-".to_owned(), ToString::to_string)
}

/// The spelling is that of the first sum, so that later ones can be compared with it.
fn about(subject: &Subject) -> &str {
    match subject {
        Subject::Existence => "(existence)",
        Subject::Field(field) => field.as_str(),
    }
}

fn link(how: &LinkReason) -> String {
    match how {
        LinkReason::FirstSeen => "first".to_owned(),
        LinkReason::Matched { key } => format!("matched {key}"),
        LinkReason::Created => "created".to_owned(),
        LinkReason::Decided => "decided".to_owned(),
    }
}

fn answer_word(answer: &ReviewAnswer) -> String {
    match answer {
        ReviewAnswer::Keep => "keep".to_owned(),
        ReviewAnswer::Take { system } => format!("take {system}"),
        ReviewAnswer::Set { value } => format!("set {value}"),
        ReviewAnswer::Delete => "delete".to_owned(),
        ReviewAnswer::Restore => "restore".to_owned(),
        ReviewAnswer::Superseded { reason: _ } => "superseded".to_owned(),
    }
}

fn word(class: Classification) -> &'static str {
    match class {
        Classification::Confirmation => "confirmation",
        Classification::Duplicate => "duplicate",
        Classification::Stale => "stale",
        Classification::New => "new",
        Classification::Concurrent => "concurrent",
        Classification::Indeterminate => "indeterminate",
    }
}

fn relation(relation: FieldRelation) -> &'static str {
    match relation {
        FieldRelation::First => "first",
        FieldRelation::Sequential => "sequential",
        FieldRelation::Concurrent => "concurrent",
        FieldRelation::Indeterminate => "indeterminate",
        FieldRelation::Agreement => "agreement",
    }
}

fn strength(strength: Strength) -> &'static str {
    match strength {
        Strength::Unknown => "unknown",
        Strength::Inferred => "inferred",
        Strength::Proven => "proven",
    }
}

fn stand(causality: Causality) -> &'static str {
    match causality {
        Causality::Same => "same",
        Causality::LeftAfterRight => "after",
        Causality::RightAfterLeft => "before",
        Causality::Concurrent => "concurrent",
    }
}

fn road(channel: Channel) -> &'static str {
    match channel {
        Channel::Webhook => "webhook",
        Channel::Signal => "signal",
        Channel::Feed => "feed",
        Channel::Listing => "listing",
        Channel::Read => "read",
        Channel::Receipt => "receipt",
        Channel::Manual => "manual",
    }
}

fn operation(operation: Operation) -> &'static str {
    match operation {
        Operation::Create => "create",
        Operation::Update => "update",
        Operation::Delete => "delete",
    }
}

fn confirmed(by: ConfirmedBy) -> &'static str {
    match by {
        ConfirmedBy::Receipt => "receipt",
        ConfirmedBy::ReadBack => "read",
        ConfirmedBy::LookUp => "found",
        ConfirmedBy::Echo => "echo",
    }
}

fn failure(failure: Failure) -> &'static str {
    match failure {
        Failure::Retry => "retry",
        Failure::Conflict => "conflict",
        Failure::Rejected => "rejected",
        Failure::Unknown => "unknown",
        Failure::Missing => "missing",
        Failure::Waits => "waits",
    }
}

fn refused(then: OnRefused) -> &'static str {
    match then {
        OnRefused::Revert => "revert",
        OnRefused::Ignore => "ignore",
        OnRefused::Review => "review",
    }
}
