//! What may happen to a record: the bodies of the events. They hold codes and values; `explain` makes the words.

use crate::data::ids::{FieldName, RemoteId, RunId, SystemName};
use crate::data::value::{Digest, Value};
use crate::data::version::{Causality, Dot, VersionVector};
use crate::history::Doubt;
use crate::policy::OnRefused;
use crate::record::intent::{Operation, OutgoingField};
use crate::record::observation::{Channel, OrderToken};
use crate::record::reason::{BeliefRule, ClosingReason, DeleteRule, FailureReason, Refusal, RestoreRule};
use crate::record::{Misread, Review, Side, Subject};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The classification of an observation. It is stored with every observation and shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Classification {
    /// The echo of a write of ours.
    Confirmation,
    /// The same fact again.
    Duplicate,
    /// An older state, proven by the source's own order.
    Stale,
    /// A change made after seeing what we believe, or of fields that nobody else changed.
    New,
    /// A change made without seeing what we believe.
    Concurrent,
    /// A change that may or may not have seen what we believe.
    Indeterminate,
}

impl fmt::Display for Classification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Classification::Confirmation => "confirmation",
            Classification::Duplicate => "duplicate",
            Classification::Stale => "stale",
            Classification::New => "new",
            Classification::Concurrent => "concurrent",
            Classification::Indeterminate => "indeterminate",
        })
    }
}

/// How a change of one field relates to the belief.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldRelation {
    /// There was no belief before.
    First,
    /// The system's copy carried the belief when it was changed.
    Sequential,
    /// The system's copy did not carry the belief when it was changed.
    Concurrent,
    /// Our write of the belief was in flight, so it is unknown whether the copy carried it.
    Indeterminate,
    /// The content equals the belief: nothing to decide.
    Agreement,
}

/// How a copy came to be linked to a record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkReason {
    /// It matched nothing: the record begins with it.
    FirstSeen,
    /// Its key fields equal those of the record.
    Matched {
        /// The key that was equal.
        key: String,
    },
    /// We created it.
    Created,
    /// The program that embeds the core said so.
    Decided,
}

/// One field of an observed copy that differs from its shadow.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FieldSeen {
    /// The shadow's content before; absent for a field never shown before.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::data::value::present"
    )]
    pub from: Option<Value>,
    /// The copy's current content.
    pub to: Value,
    /// The base of the shadow from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Dot>,
    /// How the change relates to the belief.
    pub relation: FieldRelation,
}

/// A value that did not prevail in a conflict.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Loser {
    /// The value.
    pub value: Value,
    /// Who held it.
    pub system: SystemName,
    /// The change that carried it.
    pub dot: Dot,
    /// The change against which it did not prevail; the two had not seen each other.
    pub concurrent_with: Dot,
}

/// What one field of a copy holds after a confirmed write.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FieldStored {
    /// What the system stored.
    pub content: Value,
    /// What we sent, where the system stored something else for it; equal to `content` where it did not show what.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::data::value::present"
    )]
    pub sent_as: Option<Value>,
    /// The digest of what we sent: the ledger's entry.
    pub wrote: Digest,
    /// The belief that the copy carries from now on.
    pub base: Dot,
}

/// How the outcome of a write was learned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfirmedBy {
    /// The system answered with what it stored.
    Receipt,
    /// The copy was read afterwards.
    ReadBack,
    /// The copy was found by its key after an unknown outcome.
    LookUp,
    /// The change feed or a webhook carried our key.
    Echo,
}

impl fmt::Display for ConfirmedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConfirmedBy::Receipt => "its receipt",
            ConfirmedBy::ReadBack => "reading it back",
            ConfirmedBy::LookUp => "looking it up",
            ConfirmedBy::Echo => "its echo",
        })
    }
}

/// How an attempt to write ended without a confirmation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// It had no effect, which is proven, and will be tried again.
    Retry,
    /// The precondition did not hold, because the copy had changed. The copy is read and the rest is planned anew.
    Conflict,
    /// The system refuses this content for good.
    Rejected,
    /// It is unknown whether it had an effect.
    Unknown,
    /// The copy no longer exists.
    Missing,
    /// It had no effect, which is proven, for a reason that may pass. The same write is tried again, and further tries
    /// leave no event until one of them ends otherwise.
    Waits,
}

/// What a person decided in a review.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewAnswer {
    /// The believed value stays.
    Keep,
    /// The value that the system's copy holds at the moment of the decision.
    Take {
        /// Whose value.
        system: SystemName,
    },
    /// A value of the person's own.
    Set {
        /// The value.
        value: Value,
    },
    /// The record is deleted everywhere.
    Delete,
    /// The record lives on, and missing copies are made again.
    Restore,
    /// The review closed itself, because the copies agree or its subject no longer exists.
    Superseded {
        /// Why nobody had to decide.
        reason: ClosingReason,
    },
}

/// What is to be done about one difference between what is believed and what a system shows; the later one prevails where
/// several apply.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecommendedAction {
    /// It stays as it is.
    Ignore,
    /// The system gets what is believed.
    UpdateExternal,
    /// What the system shows is believed from now on.
    UpdateLocal,
    /// A person decides.
    ManualReview,
}

impl RecommendedAction {
    /// Every action.
    pub const ALL: [Self; 4] = [Self::Ignore, Self::UpdateExternal, Self::UpdateLocal, Self::ManualReview];

    /// The name in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            RecommendedAction::Ignore => "ignore",
            RecommendedAction::UpdateExternal => "update_external",
            RecommendedAction::UpdateLocal => "update_local",
            RecommendedAction::ManualReview => "manual_review",
        }
    }
}

/// What happened. The tag is the event type of the wire form.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "payload", rename_all = "snake_case")]
pub enum Body {
    /// A copy was linked to the record.
    Linked {
        /// In which system.
        system: SystemName,
        /// Its id there.
        remote_id: RemoteId,
        /// Why.
        how: LinkReason,
    },
    /// A system has given the id of the record's copy, which is gone, to another row.
    Unlinked {
        /// Which system.
        system: SystemName,
        /// The id.
        remote_id: RemoteId,
    },
    /// A system showed a copy that differs from its shadow.
    Observed {
        /// Who.
        system: SystemName,
        /// The channel through which it arrived.
        channel: Channel,
        /// Its classification.
        class: Classification,
        /// How the copy's vector (left) compares with the record's (right).
        causality: Causality,
        /// The copy's vector, with the new change.
        copy_vector: VersionVector,
        /// The change; absent where the system changed nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dot: Option<Dot>,
        /// The fields that differ.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        fields: BTreeMap<FieldName, FieldSeen>,
        /// Set when the copy is gone.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        gone: bool,
        /// What a copy that was made again does not show, though it stood in the one that is gone.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        empty: BTreeSet<FieldName>,
        /// The copy's order token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<OrderToken>,
        /// The copy's opaque version.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
    },
    /// A belief changed.
    FieldChanged {
        /// Which field.
        field: FieldName,
        /// The value before.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "crate::data::value::present"
        )]
        from: Option<Value>,
        /// The value now.
        value: Value,
        /// The change that made it so.
        dot: Dot,
        /// Why this was allowed.
        rule: BeliefRule,
    },
    /// Two changes of one field did not see each other and differ.
    ConflictDetected {
        /// Which field.
        field: FieldName,
        /// What we believed.
        believed: Side,
        /// What the system showed.
        shown: Side,
    },
    /// A conflict was decided by the policy.
    ConflictResolved {
        /// Which field.
        field: FieldName,
        /// The value that prevails.
        value: Value,
        /// The change that carries it.
        dot: Dot,
        /// The rule.
        rule: BeliefRule,
        /// The values that do not.
        losers: Vec<Loser>,
    },
    /// A field, or the record's existence, waits for a person.
    ManualReviewRequested {
        /// About what.
        subject: Subject,
        /// The question.
        review: Review,
    },
    /// A person decided, or the review closed itself.
    ReviewDecided {
        /// About what.
        subject: Subject,
        /// Which question.
        review: String,
        /// The answer.
        answer: ReviewAnswer,
        /// The person's note.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// A value was not allowed.
    Refused {
        /// Whose.
        system: SystemName,
        /// About what.
        subject: Subject,
        /// The value.
        value: Value,
        /// The change that carried it.
        dot: Dot,
        /// Why.
        reason: Refusal,
        /// What is done with it.
        then: OnRefused,
    },
    /// A field of a copy shows what could not be understood; the copy's other fields go through.
    FieldSetAside {
        /// In which system.
        system: SystemName,
        /// Which field.
        field: FieldName,
        /// What stands there, and why it was not understood.
        misread: Misread,
    },
    /// A field that had been set aside can be understood again.
    FieldUnderstood {
        /// In which system.
        system: SystemName,
        /// Which field.
        field: FieldName,
    },
    /// A write was refused for good and set aside with its reason.
    Quarantined {
        /// To which system.
        system: SystemName,
        /// Which copy.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remote_id: Option<RemoteId>,
        /// Why.
        reason: FailureReason,
    },
    /// The record is deleted.
    Deleted {
        /// The change that deleted it.
        dot: Dot,
        /// Why this was allowed.
        rule: DeleteRule,
    },
    /// The record exists again.
    Restored {
        /// The change that restored it.
        dot: Dot,
        /// Why this was allowed.
        rule: RestoreRule,
    },
    /// A difference between belief and shadow became an outgoing change, or replaced an unsent one.
    IntentPlanned {
        /// To which system.
        system: SystemName,
        /// Its idempotency key.
        key: String,
        /// What it does.
        operation: Operation,
        /// What it writes.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        fields: BTreeMap<FieldName, OutgoingField>,
        /// Whether this write reverts a change that the target made.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        correction: bool,
    },
    /// A write is not wanted any more, before it was sent.
    IntentWithdrawn {
        /// To which system.
        system: SystemName,
        /// Its idempotency key.
        key: String,
        /// Whether it is only put off, because a person has to decide first.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        put_off: bool,
    },
    /// An attempt goes out. Recorded before the call.
    IntentSent {
        /// To which system.
        system: SystemName,
        /// Its idempotency key.
        key: String,
        /// The attempt, from 1.
        attempt: u32,
    },
    /// The system provably holds what we sent.
    IntentConfirmed {
        /// Which system.
        system: SystemName,
        /// Its idempotency key.
        key: String,
        /// How it was learned.
        by: ConfirmedBy,
        /// What each written field holds now.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        fields: BTreeMap<FieldName, FieldStored>,
        /// The copy's order token after the write.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<OrderToken>,
        /// The copy's opaque version after the write.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
    },
    /// An attempt was not confirmed.
    IntentFailed {
        /// Which system.
        system: SystemName,
        /// Its idempotency key.
        key: String,
        /// How.
        failure: Failure,
        /// Why.
        reason: FailureReason,
    },
    /// What a system showed is our own write coming back.
    EchoRecognised {
        /// Which system.
        system: SystemName,
        /// The channel through which it arrived.
        channel: Channel,
        /// The key of the write, where the echo carries it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// The copy's order token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<OrderToken>,
        /// The copy's opaque version.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
    },
    /// The same fact came again under another delivery id.
    DuplicateDropped {
        /// From which system.
        system: SystemName,
        /// The channel through which it arrived.
        channel: Channel,
    },
    /// An older state came late and changed nothing.
    StaleDropped {
        /// From which system.
        system: SystemName,
        /// The channel through which it arrived.
        channel: Channel,
        /// The old values that it carried.
        fields: BTreeMap<FieldName, Value>,
        /// Its order token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<OrderToken>,
    },
    /// A value looks like an older state of the copy; the copy is read before it is believed.
    StaleSuspected {
        /// From which system.
        system: SystemName,
        /// The channel through which it arrived.
        channel: Channel,
        /// The values in question.
        fields: BTreeMap<FieldName, Value>,
        /// Why it looks so.
        why: Doubt,
    },
    /// A listing showed a difference that no change feed had reported.
    DriftDetected {
        /// In which system.
        system: SystemName,
        /// Which fields.
        fields: Vec<FieldName>,
    },
    /// A difference that a reconciliation had found was repaired, by what the events before this one decided.
    ReconciliationApplied {
        /// In which system it was found.
        system: SystemName,
        /// The run that found it.
        found_by: RunId,
        /// What was done, by what it is about.
        actions: BTreeMap<Subject, RecommendedAction>,
    },
    /// Another policy decides from here on.
    PolicyChanged {
        /// The digest before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// The digest now.
        to: String,
    },
    /// A refused write may be tried again.
    Released {
        /// To which system.
        system: SystemName,
    },
}

impl Body {
    /// The event type of the wire form, as in `field_changed`.
    pub fn kind(&self) -> &'static str {
        match self {
            Body::Linked { .. } => "linked",
            Body::Unlinked { .. } => "unlinked",
            Body::Observed { .. } => "observed",
            Body::FieldChanged { .. } => "field_changed",
            Body::ConflictDetected { .. } => "conflict_detected",
            Body::ConflictResolved { .. } => "conflict_resolved",
            Body::ManualReviewRequested { .. } => "manual_review_requested",
            Body::ReviewDecided { .. } => "review_decided",
            Body::Refused { .. } => "refused",
            Body::FieldSetAside { .. } => "field_set_aside",
            Body::FieldUnderstood { .. } => "field_understood",
            Body::Quarantined { .. } => "quarantined",
            Body::Deleted { .. } => "deleted",
            Body::Restored { .. } => "restored",
            Body::IntentPlanned { .. } => "intent_planned",
            Body::IntentWithdrawn { .. } => "intent_withdrawn",
            Body::IntentSent { .. } => "intent_sent",
            Body::IntentConfirmed { .. } => "intent_confirmed",
            Body::IntentFailed { .. } => "intent_failed",
            Body::EchoRecognised { .. } => "echo_recognised",
            Body::DuplicateDropped { .. } => "duplicate_dropped",
            Body::StaleDropped { .. } => "stale_dropped",
            Body::StaleSuspected { .. } => "stale_suspected",
            Body::ReconciliationApplied { .. } => "reconciliation_applied",
            Body::DriftDetected { .. } => "drift_detected",
            Body::PolicyChanged { .. } => "policy_changed",
            Body::Released { .. } => "released",
        }
    }
}
