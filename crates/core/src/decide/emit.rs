//! A judgement becomes events.

use crate::data::ids::FieldName;
use crate::data::value::Value;
use crate::data::version::{Dot, VersionVector};
use crate::decide::judge::Judgement;
use crate::decide::resolve::ConflictResolutionResult;
use crate::history::chronicle::Chronicle;
use crate::history::{Body, Evidence, FieldSeen, Loser, ReviewAnswer};
use crate::policy::OnRefused;
use crate::record::observation::Observation;
use crate::record::{Belief, Record, Review, Side};
use std::collections::BTreeMap;

/// Who changed what, from which state.
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
                field: field.clone(),
                value: seen.to.clone(),
                dot: origin.dot.clone(),
                reason: reason.clone(),
                then,
            };
            chronicle.push_with(body, evidence);
            if then == OnRefused::Review {
                ask(chronicle, origin, field, &seen.to, reason);
            }
            then == OnRefused::Revert
        }
        Judgement::Conflict { resolution } => conflict(chronicle, origin, field, seen, resolution, evidence),
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
    rule: String,
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
    let theirs = |reason: String| Loser {
        value: seen.to.clone(),
        system: system.clone(),
        dot: origin.dot.clone(),
        reason,
    };
    match resolution {
        ConflictResolutionResult::Local { rule } => {
            let losers = vec![theirs(format!("concurrent with {}; {rule}", belief.dot))];
            resolved(chronicle, field, belief.value, belief.dot, rule, losers);
            true
        }
        ConflictResolutionResult::External { rule } => {
            let ours = Loser {
                value: belief.value,
                system: belief.dot.system.clone(),
                dot: belief.dot,
                reason: format!("concurrent with {}; {rule}", origin.dot),
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
    rule: String,
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
    reason: String,
) {
    let record = chronicle.record();
    let review = Review {
        id: format!("{}-{}", record.id, record.seq + 1),
        reason,
        believed: record.fields.get(field).map(|belief| believed_side(record, belief)),
        proposed: BTreeMap::from([(origin.observation.system.clone(), shown_side(origin, value))]),
        opened_at: chronicle.recorded_at(),
    };
    chronicle.push(Body::ManualReviewRequested { field: field.clone(), review });
}

/// The copies came to agree while a person was asked: the question closes itself, and what they hold is believed.
fn close_agreed_review(
    chronicle: &mut Chronicle,
    origin: &ChangeOrigin<'_>,
    field: &FieldName,
    value: &Value,
    evidence: Evidence,
) {
    if let Some(review) = chronicle.record().reviews.get(field) {
        let review = review.id.clone();
        let note = Some(format!("all copies hold {value}"));
        chronicle.push(Body::ReviewDecided {
            field: field.clone(),
            review,
            answer: ReviewAnswer::Superseded,
            note,
        });
    }
    let rule = "all copies came to hold this value while a person was asked".to_owned();
    change(chronicle, field, value.clone(), origin.dot, rule, evidence);
}

/// A contested field changed again: the question is kept up to date, or closes itself when all copies agree
/// with what is believed.
fn refresh(chronicle: &mut Chronicle, origin: &ChangeOrigin<'_>, field: &FieldName, value: &Value) {
    let record = chronicle.record();
    let Some(mut review) = record.reviews.get(field).cloned() else { return };
    let belief = record.fields.get(field).map(|belief| &belief.value);
    let agreed = record.copies.values().filter(|copy| copy.alive).all(|copy| {
        copy.fields
            .get(field)
            .is_none_or(|shadow| belief.is_some_and(|belief| shadow.is_equivalent_to(belief)))
    });
    if agreed {
        let body = Body::ReviewDecided {
            field: field.clone(),
            review: review.id,
            answer: ReviewAnswer::Superseded,
            note: Some("all copies hold what is believed".to_owned()),
        };
        chronicle.push(body);
        return;
    }
    let system = origin.observation.system.clone();
    if belief == Some(value) {
        review.proposed.remove(&system);
    } else {
        review.proposed.insert(system, shown_side(origin, value));
    }
    chronicle.push(Body::ManualReviewRequested { field: field.clone(), review });
}

fn believed_side(record: &Record, belief: &Belief) -> Side {
    Side { value: belief.value.clone(), dot: belief.dot.clone(), vector: record.vector.clone() }
}

fn shown_side(origin: &ChangeOrigin<'_>, value: &Value) -> Side {
    Side { value: value.clone(), dot: origin.dot.clone(), vector: origin.copy_vector.clone() }
}
