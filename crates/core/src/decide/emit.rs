//! Records the events that follow from a judgement.

use crate::data::ids::FieldName;
use crate::data::value::Value;
use crate::data::version::{Dot, VersionVector};
use crate::decide::judge::Judgement;
use crate::decide::resolve::ConflictResolutionResult;
use crate::history::chronicle::Chronicle;
use crate::history::{Body, Evidence, FieldSeen, Loser, ReviewAnswer};
use crate::policy::OnRefused;
use crate::record::observation::Observation;
use crate::record::reason::{BeliefRule, ClosingReason, ReviewReason};
use crate::record::{Belief, Record, Review, Side, Subject};
use std::collections::BTreeMap;

/// The change that a judgement is about: its observation, dot and vector.
pub(crate) struct ChangeOrigin<'a> {
    /// The observation.
    pub(crate) observation: &'a Observation,
    /// The dot of the change.
    pub(crate) dot: &'a Dot,
    /// The vector of the copy, with the dot.
    pub(crate) copy_vector: &'a VersionVector,
}

/// Records the events of one field's judgement. Answers whether the system's own change will be corrected.
pub(crate) fn emit(
    chronicle: &mut Chronicle,
    origin: &ChangeOrigin<'_>,
    field: &FieldName,
    seen: &FieldSeen,
    judgement: Judgement,
    evidence: Evidence,
) -> bool {
    match judgement {
        Judgement::Agree | Judgement::Arrived { .. } | Judgement::Nothing => false,
        Judgement::Accept { rule } => {
            change(chronicle, field, seen.to.clone(), origin.dot, rule, evidence);
            false
        }
        Judgement::Refuse { reason, then } => {
            let body = Body::Refused {
                system: origin.observation.system.clone(),
                subject: Subject::Field(field.clone()),
                value: seen.to.clone(),
                dot: origin.dot.clone(),
                reason: reason.clone(),
                then,
            };
            chronicle.push_with(body, evidence);
            if then == OnRefused::Review {
                ask(chronicle, origin, field, &seen.to, ReviewReason::Refused(reason));
            }
            then == OnRefused::Revert
        }
        Judgement::Conflict { resolution } => conflict(chronicle, origin, field, seen, resolution, evidence),
        Judgement::Ask { reason } => {
            ask(chronicle, origin, field, &seen.to, reason);
            false
        }
        Judgement::ClosesReview => {
            close_agreed_review(chronicle, origin, field, &seen.to, evidence);
            false
        }
        Judgement::Contested => {
            refresh(chronicle, origin, field, &seen.to);
            false
        }
    }
}

fn change(
    chronicle: &mut Chronicle,
    field: &FieldName,
    value: Value,
    dot: &Dot,
    rule: BeliefRule,
    evidence: Evidence,
) {
    let from = chronicle.record().fields.get(field).map(|belief| belief.value.clone());
    let body = Body::FieldChanged { field: field.clone(), from, value, dot: dot.clone(), rule };
    chronicle.push_with(body, evidence);
}

fn conflict(
    chronicle: &mut Chronicle,
    origin: &ChangeOrigin<'_>,
    field: &FieldName,
    seen: &FieldSeen,
    resolution: ConflictResolutionResult,
    evidence: Evidence,
) -> bool {
    let Some(belief) = chronicle.record().fields.get(field).cloned() else { return false };
    let believed = believed_side(chronicle.record(), &belief);
    let shown = shown_side(origin, &seen.to);
    let body = Body::ConflictDetected { field: field.clone(), believed, shown };
    chronicle.push_with(body, evidence.clone());
    let system = &origin.observation.system;
    match resolution {
        ConflictResolutionResult::Local { rule } => {
            let theirs = Loser {
                value: seen.to.clone(),
                system: system.clone(),
                dot: origin.dot.clone(),
                concurrent_with: belief.dot.clone(),
            };
            resolved(chronicle, field, belief.value, belief.dot, rule, vec![theirs]);
            true
        }
        ConflictResolutionResult::External { rule } => {
            let ours = Loser {
                value: belief.value,
                system: belief.dot.system.clone(),
                dot: belief.dot,
                concurrent_with: origin.dot.clone(),
            };
            resolved(chronicle, field, seen.to.clone(), origin.dot.clone(), rule.clone(), vec![ours]);
            change(chronicle, field, seen.to.clone(), origin.dot, rule, evidence);
            false
        }
        ConflictResolutionResult::Merged { value, rule } if value == belief.value => {
            resolved(chronicle, field, value, belief.dot, rule, Vec::new());
            true
        }
        ConflictResolutionResult::Merged { value, rule } => {
            resolved(chronicle, field, value.clone(), origin.dot.clone(), rule.clone(), Vec::new());
            change(chronicle, field, value, origin.dot, rule, evidence);
            false
        }
        ConflictResolutionResult::ManualReviewRequired { reason } => {
            ask(chronicle, origin, field, &seen.to, reason);
            false
        }
    }
}

fn resolved(
    chronicle: &mut Chronicle,
    field: &FieldName,
    value: Value,
    dot: Dot,
    rule: BeliefRule,
    losers: Vec<Loser>,
) {
    chronicle.push(Body::ConflictResolved { field: field.clone(), value, dot, rule, losers });
}

/// Opens a review: the belief stays, and the field is written nowhere until a person has answered.
fn ask(
    chronicle: &mut Chronicle,
    origin: &ChangeOrigin<'_>,
    field: &FieldName,
    value: &Value,
    reason: ReviewReason,
) {
    let record = chronicle.record();
    let review = Review {
        id: format!("{}-{}", record.id, record.seq + 1),
        reason,
        believed: record.fields.get(field).map(|belief| believed_side(record, belief)),
        proposed: BTreeMap::from([(origin.observation.system.clone(), shown_side(origin, value))]),
        opened_at: chronicle.recorded_at(),
    };
    let subject = Subject::Field(field.clone());
    chronicle.push(Body::ManualReviewRequested { subject, review });
}

/// The copies came to agree while a person was asked: the review closes, and their common value becomes the belief.
fn close_agreed_review(
    chronicle: &mut Chronicle,
    origin: &ChangeOrigin<'_>,
    field: &FieldName,
    value: &Value,
    evidence: Evidence,
) {
    if let Some(review) = chronicle.record().review_of(field) {
        let review = review.id.clone();
        close(chronicle, field, review, ClosingReason::CopiesAgree { value: value.clone() });
    }
    change(chronicle, field, value.clone(), origin.dot, BeliefRule::CopiesAgree, evidence);
}

/// A contested field changed again: the review is kept up to date, or closes itself when all copies agree with the
/// belief.
fn refresh(chronicle: &mut Chronicle, origin: &ChangeOrigin<'_>, field: &FieldName, value: &Value) {
    let record = chronicle.record();
    let Some(mut review) = record.review_of(field).cloned() else { return };
    let belief = record.fields.get(field).map(|belief| &belief.value);
    let agreed = record.copies.values().filter(|copy| copy.alive).all(|copy| {
        copy.fields
            .get(field)
            .is_none_or(|shadow| belief.is_some_and(|belief| shadow.is_equivalent_to(belief)))
    });
    if agreed {
        return close(chronicle, field, review.id, ClosingReason::CopiesHoldBelief);
    }
    let system = origin.observation.system.clone();
    if belief == Some(value) {
        review.proposed.remove(&system);
    } else {
        review.proposed.insert(system, shown_side(origin, value));
    }
    let subject = Subject::Field(field.clone());
    chronicle.push(Body::ManualReviewRequested { subject, review });
}

/// Closes a review that needs no answer any more.
fn close(chronicle: &mut Chronicle, field: &FieldName, review: String, reason: ClosingReason) {
    let (subject, answer) = (Subject::Field(field.clone()), ReviewAnswer::Superseded { reason });
    chronicle.push(Body::ReviewDecided { subject, review, answer, note: None });
}

fn believed_side(record: &Record, belief: &Belief) -> Side {
    Side { value: belief.value.clone(), dot: belief.dot.clone(), vector: record.vector.clone() }
}

fn shown_side(origin: &ChangeOrigin<'_>, value: &Value) -> Side {
    Side { value: value.clone(), dot: origin.dot.clone(), vector: origin.copy_vector.clone() }
}
