//! Why a field holds its value, as data and as a story.

use super::reasons::{evidence_words, failure_words, refusal_words, review_words, rule_words};
use super::rules::field_sentence;
use super::short::{reason as clean, short_value};
use crate::data::ids::{EntityName, FieldName, RecordId, RunId, SystemName};
use crate::data::time::Timestamp;
use crate::data::value::Value;
use crate::data::version::{Dot, VersionVector};
use crate::history::{Body, Evidence, Failure, IntegrationEvent, ReviewAnswer};
use crate::policy::EntityPolicy;
use crate::record::intent::{Intent, IntentStatus, Operation};
use crate::record::reason::{BeliefRule, ResolverChoice};
use crate::record::{Belief, Copy, Record, Review, Subject};
use serde::Serialize;
use std::collections::BTreeMap;

/// Everything that is known about one believed value.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Why {
    /// The kind of record.
    pub entity: EntityName,
    /// Our id of the record.
    pub record: RecordId,
    /// Which field.
    pub field: FieldName,
    /// What is believed.
    pub value: Value,
    /// The change that made it so.
    pub dot: Dot,
    /// All changes of the record seen so far.
    pub version: VersionVector,
    /// The present rule of the field, as one sentence.
    pub rule: String,
    /// Why the decision went as it did, in words; absent if that event was not given.
    pub decided: Option<String>,
    /// The short digest of the policy that decided; the present one if the event does not say.
    pub policy_digest: String,
    /// Whether another policy decided than the one that `rule` states.
    pub policy_changed: bool,
    /// How the order of the change was known.
    pub evidence: Option<Evidence>,
    /// When the value began to be believed.
    pub since: Timestamp,
    /// When it happened, as the source reports.
    pub occurred_at: Option<Timestamp>,
    /// The event that recorded it.
    pub believed_by: String,
    /// The run that made that event, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The reconciliation that found the difference from which the value came, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconciliation: Option<Reconciled>,
    /// Who did it, where a name is known. Nobody alone, where it was merged.
    pub actor: Option<String>,
    /// Whether the value was merged from several changes, so that no single system or person said it.
    pub is_merged: bool,
    /// The values that did not prevail against it.
    pub losers: Vec<SetAside>,
    /// How far the value has reached each system of the entity.
    pub propagation: BTreeMap<SystemName, Propagation>,
    /// The open question, if a person has to decide.
    pub review: Option<Review>,
    /// What stands in the copies that cannot be understood, and why; it does not count until it can be.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub not_understood: BTreeMap<SystemName, String>,
    /// Whether the record is deleted.
    pub deleted: bool,
}

/// A reconciliation by which a value changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Reconciled {
    /// The run that found the difference.
    pub found_by: RunId,
    /// The system that differed.
    pub system: SystemName,
    /// The event that names the repair.
    pub event: String,
}

/// A value that did not prevail against the belief.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SetAside {
    /// The value.
    pub value: Value,
    /// Who held it.
    pub system: SystemName,
    /// The change that carried it.
    pub dot: Dot,
    /// Why it did not prevail, in words.
    pub reason: String,
}

/// How far the value has reached one system.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Propagation {
    /// The status.
    pub status: PropagationStatus,
    /// Since when it has this status; absent if no given event shows it.
    pub at: Option<Timestamp>,
    /// The copy's content, where it is known and differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Value>,
    /// Why, in words, where the system refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How a belief compares with one system's copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PropagationStatus {
    /// The copy provably holds it.
    Confirmed,
    /// It is planned, not sent yet.
    Pending,
    /// It is sent, and the outcome is awaited.
    Sent,
    /// It was sent and the outcome is unknown.
    Unknown,
    /// It was sent without effect, for a reason that may pass, and is tried again.
    Waiting,
    /// The system refused it for good.
    Held,
    /// The copy differs and a person has to decide first.
    Contested,
    /// The system does not hold this field.
    NotMapped,
    /// The copy differs and the policy leaves it so.
    Tolerated,
    /// The copy differs and is never written.
    ReadOnly,
    /// There is no copy.
    Missing,
}

impl PropagationStatus {
    /// The word in plain output and, with underscores, in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            PropagationStatus::Confirmed => "confirmed",
            PropagationStatus::Pending => "pending",
            PropagationStatus::Sent => "sent",
            PropagationStatus::Unknown => "unknown",
            PropagationStatus::Waiting => "waiting",
            PropagationStatus::Held => "held",
            PropagationStatus::Contested => "contested",
            PropagationStatus::NotMapped => "not mapped",
            PropagationStatus::Tolerated => "tolerated",
            PropagationStatus::ReadOnly => "read only",
            PropagationStatus::Missing => "missing",
        }
    }
}

/// Why `field` holds its value; `None` if there is no belief or the entity has no such field.
///
/// `events` is the record's history, in order. With a part of the history the answer lacks what the other part shows.
pub fn why(
    policy: &EntityPolicy,
    record: &Record,
    events: &[IntegrationEvent],
    field: &FieldName,
) -> Option<Why> {
    let belief = record.fields.get(field)?;
    let rule = field_sentence(policy, field)?;
    let event = events.iter().find(|event| event.seq == belief.seq);
    let cause = event.and_then(|event| events.iter().find(|other| Some(other.seq) == event.cause));
    let now = policy.short_digest();
    let policy_digest = event.and_then(|event| event.policy.clone()).unwrap_or_else(|| now.clone());
    let evidence = event.and_then(|event| event.evidence.clone());
    let propagation = policy.systems.keys().map(|system| {
        let place = FieldInCopy { policy, record, events, system, field, belief };
        (system.clone(), place.propagation())
    });
    Some(Why {
        entity: record.entity.clone(),
        record: record.id.clone(),
        field: field.clone(),
        value: belief.value.clone(),
        dot: belief.dot.clone(),
        version: record.vector.clone(),
        rule,
        decided: decided(events, event, field, belief),
        policy_changed: policy_digest != now,
        policy_digest,
        evidence: evidence.or_else(|| cause.and_then(|cause| cause.evidence.clone())),
        since: belief.since,
        occurred_at: belief.occurred_at,
        believed_by: format!("{}-{}", record.id, belief.seq),
        run: event.and_then(|event| event.run),
        reconciliation: event.and_then(|event| reconciled(events, event, field)),
        actor: event.filter(|event| !is_merge(event)).and_then(|event| event.actor.clone()),
        is_merged: event.is_some_and(is_merge),
        losers: losers(events, field, belief),
        propagation: propagation.collect(),
        review: record.review_of(field).cloned(),
        not_understood: not_understood(record, field),
        deleted: record.deleted.is_some(),
    })
}

/// The repair by which an event came about: it has the same cause and names the field.
fn reconciled(
    events: &[IntegrationEvent],
    event: &IntegrationEvent,
    field: &FieldName,
) -> Option<Reconciled> {
    let cause = event.cause?;
    events.iter().filter(|other| other.cause == Some(cause)).find_map(|other| {
        let Body::ReconciliationApplied { system, found_by, actions } = &other.body else { return None };
        let names = actions.contains_key(&Subject::Field(field.clone()));
        names.then(|| Reconciled { found_by: *found_by, system: system.clone(), event: other.id() })
    })
}

/// Whether the event made a belief out of several changes.
fn is_merge(event: &IntegrationEvent) -> bool {
    let Body::FieldChanged { rule, .. } = &event.body else { return false };
    match rule {
        BeliefRule::MergeUnion
        | BeliefRule::MergeDelta
        | BeliefRule::MergeText
        | BeliefRule::MergeExpression { .. }
        | BeliefRule::Resolver { choice: ResolverChoice::Both, .. } => true,
        BeliefRule::OwnerSet { .. }
        | BeliefRule::Shared
        | BeliefRule::Proposal { .. }
        | BeliefRule::Provisional { .. }
        | BeliefRule::OwnerWins { .. }
        | BeliefRule::LatestByClock { .. }
        | BeliefRule::Precedence { .. }
        | BeliefRule::SetByPerson
        | BeliefRule::MergeMax
        | BeliefRule::MergeMin
        | BeliefRule::Resolver { choice: ResolverChoice::Believed | ResolverChoice::Other, .. }
        | BeliefRule::CopiesAgree
        | BeliefRule::Answered { .. } => false,
    }
}

/// What the copies show of a field that cannot be understood, and why, by system.
pub fn not_understood(record: &Record, field: &FieldName) -> BTreeMap<SystemName, String> {
    let of_copy =
        |(system, copy): (&SystemName, &Copy)| Some((system.clone(), copy.aside.get(field)?.to_string()));
    record.copies.iter().filter_map(of_copy).collect()
}

/// What one system shows that cannot be understood, as a sentence.
pub fn not_understood_line(system: &SystemName, why: &str) -> String {
    format!("{system} shows what cannot be understood, so it is set aside: {}.", clean(why))
}

impl Why {
    /// The answer in several lines for a person.
    pub fn story(&self) -> String {
        let value = short_value(&self.value);
        let mut lines = vec![format!("{} of {} {} is {value}.", self.field, self.entity, self.record)];
        if self.deleted {
            lines.push("The record is deleted; this is its last value.".to_owned());
        }
        lines.push(self.origin());
        lines.extend(self.reconciliation.as_ref().map(|Reconciled { found_by, system, event }| {
            format!("Changed by reconciliation: run {found_by} found {system} to differ, and event {event} repaired it.")
        }));
        lines.extend(self.decided.as_ref().map(|words| format!("Decided: {}.", clean(words))));
        lines.push(format!("Rule: {}", self.rule));
        lines.push(self.policy_line());
        lines.extend(
            self.evidence.as_ref().map(|evidence| format!("Evidence: {}.", clean(&evidence_words(evidence)))),
        );
        lines.push(format!("Version: {}.", self.version));
        for loser in &self.losers {
            let lost = format!("{} of {} ({})", short_value(&loser.value), loser.system, loser.dot);
            lines.push(format!("Did not prevail: {lost}: {}.", clean(&loser.reason)));
        }
        lines.extend(self.propagation.iter().map(|(system, propagation)| propagation.line(system)));
        lines.extend(self.not_understood.iter().map(|(system, why)| not_understood_line(system, why)));
        if let Some(review) = &self.review {
            let reason = review_words(&review.reason, &Subject::Field(self.field.clone()));
            lines.push(format!("A person has to decide: review {}: {}.", review.id, clean(&reason)));
        }
        lines.join("\n")
    }

    fn origin(&self) -> String {
        // What a system's row says of who changed it is about the row, which may hold the work of several people.
        let actor = match self.actor.as_deref().map(clean) {
            None => String::new(),
            Some(actor) if self.dot.system == SystemName::operator() => format!(" ({actor})"),
            Some(actor) => format!(" (its row named {actor})"),
        };
        let occurred = match self.occurred_at {
            Some(at) => format!("; {} says it happened at {at}", self.dot.system),
            None => String::new(),
        };
        let run = self.run.map(|run| format!(", in run {run}")).unwrap_or_default();
        if self.is_merged {
            return format!(
                "Believed since {}, merged from several changes, the last of them change {} of {}, event {}{run}{occurred}.",
                self.since, self.dot.n, self.dot.system, self.believed_by
            );
        }
        format!(
            "Believed since {}, by change {} of {}{actor}, event {}{run}{occurred}.",
            self.since, self.dot.n, self.dot.system, self.believed_by
        )
    }

    fn policy_line(&self) -> String {
        let changed = if self.policy_changed { "; the rule above has been changed since" } else { "" };
        format!("Policy: {}{changed}.", self.policy_digest)
    }
}

impl Propagation {
    fn line(&self, system: &SystemName) -> String {
        let at = self.at.map(|at| format!(" since {at}")).unwrap_or_default();
        let content = self.content.as_ref().map(|content| format!("; it holds {}", short_value(content)));
        let reason = self.reason.as_ref().map(|reason| format!(" ({})", clean(reason)));
        let tail = content.unwrap_or_default() + &reason.unwrap_or_default();
        format!("In {system}: {}{at}{tail}.", self.status.as_str())
    }
}

/// Why the decision went as it did. A conflict that was resolved later without changing the value explains the present
/// belief better than the change that first made it.
fn decided(
    events: &[IntegrationEvent],
    event: Option<&IntegrationEvent>,
    field: &FieldName,
    belief: &Belief,
) -> Option<String> {
    let resolved = events.iter().rev().find_map(|event| {
        let Body::ConflictResolved { field: of, dot, rule, .. } = &event.body else { return None };
        (of == field && *dot == belief.dot).then_some(rule)
    });
    let changed = event.and_then(|event| {
        let Body::FieldChanged { rule, .. } = &event.body else { return None };
        Some(rule)
    });
    resolved.or(changed).map(|rule| rule_words(rule, field))
}

/// The values that did not prevail against the present belief, in order of time.
fn losers(events: &[IntegrationEvent], field: &FieldName, belief: &Belief) -> Vec<SetAside> {
    let begin = decision_begins(events, belief.seq);
    let mut out: Vec<SetAside> = Vec::new();
    for event in events {
        out.extend(lost_conflict(event, field, belief));
        if event.seq >= begin {
            out.extend(refused(event, field));
            out.extend(overruled(events, event, field, belief));
        }
    }
    let mut unique: Vec<SetAside> = Vec::with_capacity(out.len());
    for loser in out.into_iter().filter(|loser| loser.value != belief.value) {
        if !unique.iter().any(|other| other.dot == loser.dot && other.value == loser.value) {
            unique.push(loser);
        }
    }
    unique
}

/// What a conflict set aside whose winner is the present belief.
fn lost_conflict(event: &IntegrationEvent, field: &FieldName, belief: &Belief) -> Vec<SetAside> {
    let Body::ConflictResolved { field: of, dot, losers, rule, .. } = &event.body else { return Vec::new() };
    if of != field || *dot != belief.dot {
        return Vec::new();
    }
    let rule = rule_words(rule, field);
    let lost = losers.iter().map(|loser| SetAside {
        value: loser.value.clone(),
        system: loser.system.clone(),
        dot: loser.dot.clone(),
        reason: format!("concurrent with {}; {rule}", loser.concurrent_with),
    });
    lost.collect()
}

/// The value of this field that the event refuses.
fn refused(event: &IntegrationEvent, field: &FieldName) -> Option<SetAside> {
    let Body::Refused { system, subject, value, dot, reason, .. } = &event.body else { return None };
    subject.is_field(field).then(|| SetAside {
        value: value.clone(),
        system: system.clone(),
        dot: dot.clone(),
        reason: refusal_words(reason, subject),
    })
}

/// What a person's answer about this field set aside.
fn overruled(
    events: &[IntegrationEvent],
    event: &IntegrationEvent,
    field: &FieldName,
    belief: &Belief,
) -> Vec<SetAside> {
    let Body::ReviewDecided { subject, review, answer, .. } = &event.body else { return Vec::new() };
    if !subject.is_field(field) || matches!(answer, ReviewAnswer::Superseded { .. }) {
        return Vec::new();
    }
    let question = events.iter().rev().find_map(|event| {
        let Body::ManualReviewRequested { review: asked, .. } = &event.body else { return None };
        (asked.id == *review).then_some(asked)
    });
    let Some(question) = question else { return Vec::new() };
    let reason =
        format!("{} decided otherwise in review {review}", event.actor.as_deref().unwrap_or("a person"));
    let believed = question.believed.iter().map(|side| (&side.dot.system, side));
    believed
        .chain(question.proposed.iter())
        .filter(|(_, side)| side.dot != belief.dot)
        .map(|(system, side)| SetAside {
            value: side.value.clone(),
            system: system.clone(),
            dot: side.dot.clone(),
            reason: reason.clone(),
        })
        .collect()
}

/// The first event of the decision that `seq` belongs to: those recorded together for one cause.
fn decision_begins(events: &[IntegrationEvent], seq: u64) -> u64 {
    let Some(at) = events.iter().position(|event| event.seq == seq) else { return seq };
    let same = |other: &&IntegrationEvent| {
        other.recorded_at == events[at].recorded_at
            && other.received_at == events[at].received_at
            && other.source == events[at].source
    };
    events[..=at].iter().rev().take_while(same).last().map_or(seq, |event| event.seq)
}

/// One field in one system, with everything known about it.
struct FieldInCopy<'a> {
    policy: &'a EntityPolicy,
    record: &'a Record,
    events: &'a [IntegrationEvent],
    system: &'a SystemName,
    field: &'a FieldName,
    belief: &'a Belief,
}

impl FieldInCopy<'_> {
    fn propagation(&self) -> Propagation {
        let Some(mapping) = self.policy.mappings.get(self.system) else {
            return plain(PropagationStatus::NotMapped, None);
        };
        if !mapping.columns.contains_key(self.field) {
            return plain(PropagationStatus::NotMapped, None);
        }
        match self.record.live_copy(self.system) {
            Some(copy) => self.in_copy(copy, mapping.is_writable(self.field)),
            None => self.without_copy(),
        }
    }

    fn in_copy(&self, copy: &Copy, writable: bool) -> Propagation {
        let shadow = copy.fields.get(self.field);
        if shadow.is_some_and(|shadow| shadow.is_equivalent_to(&self.belief.value)) {
            return plain(PropagationStatus::Confirmed, self.stands_since());
        }
        let content = shadow.map(|shadow| shadow.content.clone());
        let (status, at, reason) = if let Some(review) = self.record.review_of(self.field) {
            (PropagationStatus::Contested, Some(review.opened_at), None)
        } else if shadow.is_some_and(|shadow| shadow.tolerated) {
            (PropagationStatus::Tolerated, self.stands_since(), None)
        } else if !writable {
            (PropagationStatus::ReadOnly, self.stands_since(), None)
        } else {
            self.on_its_way()
        };
        Propagation { status, at, content, reason }
    }

    fn without_copy(&self) -> Propagation {
        let planned = self.record.intents.get(self.system).map(|intent| intent.operation);
        let is_create = planned == Some(Operation::Create);
        let (status, at, reason) = if is_create || self.record.held.contains_key(self.system) {
            self.on_its_way()
        } else {
            (PropagationStatus::Missing, None, None)
        };
        Propagation { status, at, content: None, reason }
    }

    fn on_its_way(&self) -> (PropagationStatus, Option<Timestamp>, Option<String>) {
        let intent = self.record.intents.get(self.system);
        if let Some(intent) = intent.filter(|intent| intent.fields.contains_key(self.field)) {
            let status = match intent.status {
                IntentStatus::Planned => PropagationStatus::Pending,
                IntentStatus::Sent => PropagationStatus::Sent,
                IntentStatus::Unknown => PropagationStatus::Unknown,
                IntentStatus::Waiting => PropagationStatus::Waiting,
            };
            return (status, self.intent_since(&intent.key), self.waits_for(intent));
        }
        match self.record.held.get(self.system) {
            Some(held) => {
                let reason = failure_words(&held.reason, self.system);
                (PropagationStatus::Held, self.held_since(), Some(reason))
            }
            // The difference waits for the intent in flight, or for the next step.
            None => (PropagationStatus::Pending, None, None),
        }
    }

    /// When the copy's content of this field was last shown or written.
    fn stands_since(&self) -> Option<Timestamp> {
        self.last(|body| {
            let shown = matches!(body, Body::Observed { system, fields, .. }
                if system == self.system && fields.contains_key(self.field));
            let written = matches!(body, Body::IntentConfirmed { system, fields, .. }
                if system == self.system && fields.contains_key(self.field));
            shown || written
        })
    }

    fn intent_since(&self, of: &str) -> Option<Timestamp> {
        self.last(|body| {
            matches!(body, Body::IntentPlanned { system, key, .. }
                | Body::IntentSent { system, key, .. }
                | Body::IntentFailed { system, key, .. } if system == self.system && key == of)
        })
    }

    /// Why the write waits: what stood in its way at its first try.
    fn waits_for(&self, intent: &Intent) -> Option<String> {
        let reason = |event: &IntegrationEvent| {
            let Body::IntentFailed { system, key, failure: Failure::Waits, reason } = &event.body else {
                return None;
            };
            let is_this = system == self.system && *key == intent.key;
            is_this.then(|| failure_words(reason, self.system))
        };
        self.events.iter().rev().find_map(reason).filter(|_| intent.status == IntentStatus::Waiting)
    }

    fn held_since(&self) -> Option<Timestamp> {
        self.last(|body| {
            matches!(body, Body::IntentFailed { system, failure: Failure::Rejected, .. } if system == self.system)
        })
    }

    fn last(&self, is_meant: impl Fn(&Body) -> bool) -> Option<Timestamp> {
        self.events.iter().rev().find(|event| is_meant(&event.body)).map(|event| event.recorded_at)
    }
}

fn plain(status: PropagationStatus, at: Option<Timestamp>) -> Propagation {
    Propagation { status, at, content: None, reason: None }
}
