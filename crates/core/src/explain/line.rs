//! One line of a timeline for each event.

use super::reasons::{
    closing_words, delete_words, evidence_words, failure_words, refusal_words, restore_words, review_words,
    rule_words, subject_words,
};
use super::short::{reason as clean, short_text, short_value, spoken};
use crate::data::ids::{FieldName, RemoteId, RunId, SystemName};
use crate::data::value::Value;
use crate::data::version::{Dot, VersionVector};
use crate::history::{
    Body, Classification, ConfirmedBy, Evidence, Failure, FieldRelation, FieldSeen, FieldStored,
    IntegrationEvent, LinkReason, Loser, RecommendedAction, ReviewAnswer, Strength,
};
use crate::policy::OnRefused;
use crate::record::intent::{Operation, OutgoingField};
use crate::record::observation::Channel;
use crate::record::reason::{BeliefRule, FailureReason};
use crate::record::{Review, Side, Subject};
use std::collections::BTreeMap;

/// The event on one line with its time of recording: `10:08:03 - crm correction scheduled: email = "…"`.
pub fn event_line(event: &IntegrationEvent) -> String {
    format!("{} - {}", event.recorded_at.clock(), event_words(event))
}

/// What an event came from, to stand behind its line: ` [run 42, policy 797169e970f6, caused by 3]`; empty if nothing is known.
pub fn event_origin(event: &IntegrationEvent) -> String {
    let known = [
        event.run.map(|run| format!("run {run}")),
        event.policy.as_ref().map(|policy| format!("policy {}", short_text(policy))),
        event.cause.map(|cause| format!("caused by {cause}")),
    ];
    let known: Vec<String> = known.into_iter().flatten().collect();
    if known.is_empty() { String::new() } else { format!(" [{}]", known.join(", ")) }
}

/// The event in words, without its time. Never contains a line break or a control character.
pub fn event_words(event: &IntegrationEvent) -> String {
    match &event.body {
        Body::Linked { system, remote_id, how } => linked(system, remote_id, how),
        Body::Unlinked { system, remote_id } => {
            format!("{system} has given the id {} to another row", short_text(remote_id.as_str()))
        }
        Body::Observed { system, channel, class, copy_vector, dot, fields, gone, .. } => {
            let seen =
                Seen { system, channel: *channel, class: *class, vector: copy_vector, dot: dot.as_ref() };
            observed(event, &seen, fields, *gone)
        }
        Body::FieldChanged { field, from, value, dot, rule } => {
            changed(field, from.as_ref(), value, dot, rule)
        }
        Body::ConflictDetected { field, believed, shown } => conflict(field, believed, shown),
        Body::ConflictResolved { field, value, dot, rule, losers } => {
            resolved(field, value, dot, rule, losers)
        }
        Body::ManualReviewRequested { subject, review } => manual_review_requested(subject, review),
        Body::ReviewDecided { subject, review, answer, note } => {
            review_decided(event, subject, review, answer, note.as_deref())
        }
        Body::Refused { system, subject, value, dot, reason, then } => {
            let (what, consequence) = match subject {
                Subject::Existence => {
                    ("change of the record's existence".to_owned(), consequence_of_delete(*then))
                }
                Subject::Field(field) => (format!("{field} = {}", short_value(value)), consequence(*then)),
            };
            let reason = clean(&refusal_words(reason, subject));
            format!("{system}'s {what} ({dot}) refused: {reason}; {consequence}")
        }
        Body::FieldSetAside { system, field, misread } => {
            let why = clean(&misread.to_string());
            format!(
                "{system}'s {field} set aside, because it cannot be understood: {why}; the other fields go on"
            )
        }
        Body::FieldUnderstood { system, field } => format!("{system}'s {field} can be understood again"),
        Body::Quarantined { system, remote_id, reason } => {
            let copy =
                remote_id.as_ref().map(|id| format!(" {}", short_text(id.as_str()))).unwrap_or_default();
            let reason = clean(&failure_words(reason, system));
            format!("write to {system} copy{copy} set aside in quarantine: {reason}")
        }
        Body::Deleted { dot, rule } => format!("record deleted ({dot}): {}", clean(&delete_words(rule))),
        Body::Restored { dot, rule } => format!("record restored ({dot}): {}", clean(&restore_words(rule))),
        Body::IntentPlanned { system, operation, fields, correction, .. } => {
            planned(system, *operation, fields, *correction)
        }
        Body::IntentWithdrawn { system, put_off: true, .. } => {
            format!("{system} change put off before it was sent: a person has to decide first")
        }
        Body::IntentWithdrawn { system, put_off: false, .. } => {
            format!("{system} change withdrawn before it was sent: it is not wanted any more")
        }
        Body::IntentSent { system, attempt, .. } => {
            let again = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
            format!("change sent to {system}{again}")
        }
        Body::IntentConfirmed { system, by, fields, .. } => confirmed(system, *by, fields),
        Body::IntentFailed { system, failure, reason, .. } => failed(system, *failure, reason),
        Body::EchoRecognised { system, channel, .. } => {
            let proof = proof(event.evidence.as_ref());
            format!("{} recognised as the echo of our own write{proof}", road(system, *channel))
        }
        Body::DuplicateDropped { system, channel } => {
            format!("{} brought the same fact again: duplicate, dropped", road(system, *channel))
        }
        Body::StaleDropped { system, channel, fields, .. } => {
            let proof = proof(event.evidence.as_ref());
            format!("{} brought an older state{}: stale, dropped{proof}", road(system, *channel), old(fields))
        }
        Body::StaleSuspected { system, channel, fields, why } => {
            let what = format!("{} looks like an older state{}", road(system, *channel), old(fields));
            format!("{what}, because {why}: the copy is read before it is believed")
        }
        Body::ReconciliationApplied { system, found_by, actions } => reconciled(system, *found_by, actions),
        Body::DriftDetected { system, fields } if fields.is_empty() => {
            format!("{system} listing shows that the copy is gone: no change feed had reported it")
        }
        Body::DriftDetected { system, fields } => {
            format!("{system} listing differs in {}: no change feed had reported it", list(fields))
        }
        Body::PolicyChanged { from, to } => match from {
            Some(from) => format!("policy {} replaced by {}", short_text(from), short_text(to)),
            None => format!("policy {} decides from here on", short_text(to)),
        },
        Body::Released { system } if event.actor.is_none() => {
            format!("a change that {system} refused before is not held back any more")
        }
        Body::Released { system } => {
            format!("refused write to {system} released{}, to be tried again", by_actor(event))
        }
    }
}

/// The part of an observation event that concerns the copy as a whole.
struct Seen<'a> {
    system: &'a SystemName,
    channel: Channel,
    class: Classification,
    vector: &'a VersionVector,
    dot: Option<&'a Dot>,
}

fn linked(system: &SystemName, remote_id: &RemoteId, how: &LinkReason) -> String {
    let id = short_text(remote_id.as_str());
    match how {
        LinkReason::FirstSeen => format!("record begins with {system} copy {id}"),
        LinkReason::Matched { key } => format!("{system} copy {id} linked: equal {}", clean(key)),
        LinkReason::Created => format!("{system} copy {id} created and linked"),
        LinkReason::Decided => format!("{system} copy {id} linked, as the program said"),
    }
}

fn observed(
    event: &IntegrationEvent,
    seen: &Seen<'_>,
    fields: &BTreeMap<FieldName, FieldSeen>,
    gone: bool,
) -> String {
    let what = if gone {
        "the copy is gone".to_owned()
    } else if fields.is_empty() {
        "no field differs".to_owned()
    } else {
        let each = fields.iter().map(|(field, seen)| field_seen(field, seen));
        each.collect::<Vec<_>>().join(", ")
    };
    let class = seen.class;
    let version = match seen.dot {
        Some(_) => format!("version {} detected as {class}", seen.vector),
        // The system changed nothing, so there is no version of its own to compare.
        None => class.to_string(),
    };
    let proof = if tells_something(class, event.evidence.as_ref()) {
        proof(event.evidence.as_ref())
    } else {
        String::new()
    };
    format!("{}{}: {what}; {version}{proof}", road(seen.system, seen.channel), of_actor(event))
}

fn field_seen(field: &FieldName, seen: &FieldSeen) -> String {
    let was = seen.from.as_ref().map(|from| format!("was {}", short_value(from)));
    let stands = match seen.relation {
        FieldRelation::First | FieldRelation::Sequential => None,
        FieldRelation::Concurrent => Some("concurrent".to_owned()),
        FieldRelation::Indeterminate => Some("indeterminate".to_owned()),
        FieldRelation::Agreement => Some("agreed".to_owned()),
    };
    let particulars: Vec<String> = was.into_iter().chain(stands).collect();
    let tail = if particulars.is_empty() { String::new() } else { format!(" ({})", particulars.join(", ")) };
    format!("{field} = {}{tail}", short_value(&seen.to))
}

/// A plain new change with inferred order is the everyday case; anything else deserves its evidence.
fn tells_something(class: Classification, evidence: Option<&Evidence>) -> bool {
    let unknown = evidence.is_some_and(|evidence| evidence.strength == Strength::Unknown);
    match class {
        Classification::New | Classification::Duplicate => unknown,
        Classification::Confirmation
        | Classification::Stale
        | Classification::Concurrent
        | Classification::Indeterminate => true,
    }
}

fn changed(field: &FieldName, from: Option<&Value>, value: &Value, dot: &Dot, rule: &BeliefRule) -> String {
    // A person may confirm the value that was believed anyway.
    let other = from.filter(|from| *from != value);
    let was = other.map(|from| format!(" (was {})", short_value(from))).unwrap_or_default();
    format!(
        "{field} believed to be {}{was}, by {dot}: {}",
        short_value(value),
        clean(&rule_words(rule, field))
    )
}

fn conflict(field: &FieldName, believed: &Side, shown: &Side) -> String {
    let sides = format!(
        "believed {} at {}, {} shows {} at {}",
        short_value(&believed.value),
        believed.vector,
        shown.dot.system,
        short_value(&shown.value),
        shown.vector
    );
    format!("conflict over {field}: {sides}")
}

fn resolved(field: &FieldName, value: &Value, dot: &Dot, rule: &BeliefRule, losers: &[Loser]) -> String {
    let rule = clean(&rule_words(rule, field));
    let mut out = format!("conflict over {field} resolved: {} stands ({dot}), by {rule}", short_value(value));
    for loser in losers {
        let lost = format!("{}'s {} ({})", loser.system, short_value(&loser.value), loser.dot);
        out += &format!("; {lost} did not prevail: concurrent with {}", loser.concurrent_with);
    }
    out
}

fn manual_review_requested(subject: &Subject, review: &Review) -> String {
    let believed = review.believed.iter().map(|side| format!("believed {}", short_value(&side.value)));
    let shown = review.proposed.iter().map(|(system, side)| match subject {
        Subject::Existence if side.value.is_null() => format!("{system}'s copy is deleted"),
        Subject::Existence | Subject::Field(_) => format!("{system} shows {}", short_value(&side.value)),
    });
    let sides: Vec<String> = believed.chain(shown).collect();
    let tail = if sides.is_empty() { String::new() } else { format!(" ({})", sides.join(", ")) };
    let reason = clean(&review_words(&review.reason, subject));
    format!("{} waits for a person, review {}: {reason}{tail}", subject_words(subject), review.id)
}

fn review_decided(
    event: &IntegrationEvent,
    subject: &Subject,
    review: &str,
    answer: &ReviewAnswer,
    note: Option<&str>,
) -> String {
    let what = format!("review {review} of {}", subject_words(subject));
    let answer = match answer {
        ReviewAnswer::Keep => "the believed value stays".to_owned(),
        ReviewAnswer::Take { system } => format!("{system}'s value is taken"),
        ReviewAnswer::Set { value } => format!("the value is {}", short_value(value)),
        ReviewAnswer::Delete => "the record is deleted everywhere".to_owned(),
        ReviewAnswer::Restore => "the record lives on".to_owned(),
        ReviewAnswer::Superseded { reason } => {
            return format!("{what} closed: {}", clean(&closing_words(reason)));
        }
    };
    let note = note.map(|note| format!(" (\"{}\")", clean(note))).unwrap_or_default();
    format!("{what} decided{}: {answer}{note}", by_actor(event))
}

fn consequence(then: OnRefused) -> &'static str {
    match then {
        OnRefused::Revert => "the believed value is written back",
        OnRefused::Ignore => "the difference is tolerated until that copy changes again",
        OnRefused::Review => "a person decides",
    }
}

fn consequence_of_delete(then: OnRefused) -> &'static str {
    match then {
        OnRefused::Revert => "the missing copy is made again",
        OnRefused::Ignore => "that copy is left as it is",
        OnRefused::Review => "a person decides",
    }
}

fn planned(
    system: &SystemName,
    operation: Operation,
    fields: &BTreeMap<FieldName, OutgoingField>,
    correction: bool,
) -> String {
    let what = if correction { "correction".to_owned() } else { operation.to_string() };
    if fields.is_empty() {
        return format!("{system} {what} scheduled");
    }
    let fields: Vec<String> = fields
        .iter()
        .map(|(field, outgoing)| format!("{field} = {}", short_value(&outgoing.value)))
        .collect();
    format!("{system} {what} scheduled: {}", fields.join(", "))
}

fn confirmed(system: &SystemName, by: ConfirmedBy, fields: &BTreeMap<FieldName, FieldStored>) -> String {
    let mut out = format!("{system} confirmed by {by}");
    for (at, (field, stored)) in fields.iter().enumerate() {
        out += if at == 0 { ": " } else { ", " };
        out += &format!("{field} = {}", short_value(&stored.content));
        if let Some(sent) = &stored.sent_as {
            out += &format!(" (stored for our {})", short_value(sent));
        }
    }
    out
}

fn failed(system: &SystemName, failure: Failure, reason: &FailureReason) -> String {
    let reason = clean(&failure_words(reason, system));
    match failure {
        Failure::Retry => format!("write to {system} had no effect and will be tried again: {reason}"),
        Failure::Conflict => format!("write to {system} not made, something came between: {reason}"),
        Failure::Rejected => format!("write to {system} set aside for good: {reason}"),
        Failure::Unknown => {
            format!("write to {system} has an unknown outcome and will be checked by reading: {reason}")
        }
        Failure::Missing => format!("write to {system} found no copy: {reason}"),
        Failure::Waits => format!("write to {system} is not possible yet and is tried again: {reason}"),
    }
}

fn road(system: &SystemName, channel: Channel) -> String {
    match channel {
        Channel::Manual => format!("{system} by a person"),
        Channel::Webhook
        | Channel::Signal
        | Channel::Feed
        | Channel::Listing
        | Channel::Read
        | Channel::Receipt => format!("{system} {channel}"),
    }
}

fn old(fields: &BTreeMap<FieldName, Value>) -> String {
    let each: Vec<String> =
        fields.iter().map(|(field, value)| format!("{field} = {}", short_value(value))).collect();
    if each.is_empty() { String::new() } else { format!(" ({})", each.join(", ")) }
}

fn proof(evidence: Option<&Evidence>) -> String {
    evidence.map(|evidence| format!(" ({})", clean(&evidence_words(evidence)))).unwrap_or_default()
}

fn by_actor(event: &IntegrationEvent) -> String {
    event.actor.as_deref().map(|actor| format!(" by {}", short_text(actor))).unwrap_or_default()
}

fn of_actor(event: &IntegrationEvent) -> String {
    event.actor.as_deref().map(|actor| format!(" ({})", short_text(actor))).unwrap_or_default()
}

fn list(fields: &[FieldName]) -> String {
    spoken(fields.iter().map(FieldName::as_str), "and")
}

/// What a repair did about what a reconciliation had found.
fn reconciled(
    system: &SystemName,
    found_by: RunId,
    actions: &BTreeMap<Subject, RecommendedAction>,
) -> String {
    let done = actions.iter().map(|(subject, action)| {
        let about = subject_words(subject);
        match action {
            RecommendedAction::Ignore => format!("{about} left as it is"),
            RecommendedAction::UpdateExternal => format!("{about} is written back to {system}"),
            RecommendedAction::UpdateLocal => format!("{about} is believed as {system} shows it"),
            RecommendedAction::ManualReview => format!("{about} waits for a person"),
        }
    });
    let done: Vec<String> = done.collect();
    let done = if done.is_empty() { "nothing had to change any more".to_owned() } else { done.join(", ") };
    format!("reconciliation applied: run {found_by} found {system} to differ; {done}")
}
