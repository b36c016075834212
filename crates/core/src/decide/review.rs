//! Carries out a person's answer. It is judged against the present state, not against the state in which the question
//! was asked.

use crate::data::ids::{FieldName, SystemName};
use crate::data::value::Value;
use crate::decide::judge::{breaks_rule, fails_validator, normalised};
use crate::history::chronicle::Chronicle;
use crate::history::{Body, ReviewAnswer};
use crate::outgoing::plan::plan;
use crate::policy::EntityPolicy;
use crate::policy::schema::TypeError;
use crate::record::reason::{BeliefRule, DeleteRule, Refusal, RestoreRule};
use crate::record::{Record, Subject};

/// Why an answer cannot be carried out. `explain` makes its message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReviewError {
    /// The question is not open any more.
    NotOpen(String),
    /// The question is about the record's existence, and the answer is a value.
    ValueForExistence,
    /// The question is about a field, and the answer is to delete or restore the record.
    ExistenceForField(FieldName),
    /// The named system holds no value of the field.
    NoValue(SystemName, FieldName),
    /// The field cannot hold the value.
    WrongType {
        /// Which field.
        field: FieldName,
        /// The value.
        value: Value,
        /// Why.
        error: Box<TypeError>,
    },
    /// The value is not allowed.
    NotAllowed {
        /// Which field.
        field: FieldName,
        /// The value.
        value: Value,
        /// Why.
        reason: Box<Refusal>,
    },
}

impl std::error::Error for ReviewError {}

/// Carries out a person's answer to the open review of a subject. The context of the chronicle names the person.
pub fn answer_review(
    policy: &EntityPolicy,
    chronicle: &mut Chronicle,
    subject: &Subject,
    review: &str,
    answer: ReviewAnswer,
    note: Option<String>,
) -> Result<(), ReviewError> {
    let open = chronicle.record().reviews.get(subject).filter(|open| open.id == review);
    if open.is_none() {
        return Err(ReviewError::NotOpen(review.to_owned()));
    }
    let value = match (&answer, subject) {
        (ReviewAnswer::Keep, Subject::Field(field)) => {
            // The kept value counts as set by the person from now on, also against an owner who changed it meanwhile.
            chronicle.record().fields.get(field).map(|belief| (field, belief.value.clone()))
        }
        (ReviewAnswer::Take { system }, Subject::Field(field)) => {
            let value = current_value(chronicle.record(), system, field)?;
            Some((field, accepted(policy, chronicle.record(), field, value)?))
        }
        (ReviewAnswer::Set { value }, Subject::Field(field)) => {
            Some((field, accepted(policy, chronicle.record(), field, value.clone())?))
        }
        (ReviewAnswer::Superseded { .. }, _)
        | (ReviewAnswer::Keep | ReviewAnswer::Delete | ReviewAnswer::Restore, Subject::Existence) => None,
        (ReviewAnswer::Take { .. } | ReviewAnswer::Set { .. }, Subject::Existence) => {
            return Err(ReviewError::ValueForExistence);
        }
        (ReviewAnswer::Delete | ReviewAnswer::Restore, Subject::Field(field)) => {
            return Err(ReviewError::ExistenceForField(field.clone()));
        }
    };
    let dot = chronicle.record().vector.next(&SystemName::operator());
    let seq = chronicle.push(Body::ReviewDecided {
        subject: subject.clone(),
        review: review.to_owned(),
        answer: answer.clone(),
        note,
    });
    chronicle.set_cause(Some(seq));
    let (by, review) = (chronicle.context().actor.clone(), review.to_owned());
    if let Some((field, value)) = value {
        let rule = BeliefRule::Answered { by, review };
        let from = chronicle.record().fields.get(field).map(|belief| belief.value.clone());
        chronicle.push(Body::FieldChanged { field: field.clone(), from, value, dot, rule });
    } else {
        match answer {
            ReviewAnswer::Delete => {
                chronicle.push(Body::Deleted { dot, rule: DeleteRule::Answered { by, review } });
            }
            ReviewAnswer::Restore => {
                chronicle.push(Body::Restored { dot, rule: RestoreRule::Answered { by, review } });
            }
            ReviewAnswer::Keep
            | ReviewAnswer::Superseded { .. }
            | ReviewAnswer::Take { .. }
            | ReviewAnswer::Set { .. } => {}
        }
    }
    plan(policy, chronicle, None);
    Ok(())
}

fn current_value(record: &Record, system: &SystemName, field: &FieldName) -> Result<Value, ReviewError> {
    record
        .live_copy(system)
        .and_then(|copy| copy.fields.get(field))
        .map(|shadow| shadow.content.clone())
        .ok_or_else(|| ReviewError::NoValue(system.clone(), field.clone()))
}

fn accepted(
    policy: &EntityPolicy,
    record: &Record,
    field: &FieldName,
    value: Value,
) -> Result<Value, ReviewError> {
    let Some(rules) = policy.field(field) else { return Ok(value) };
    let canonical = match value.is_null() {
        true => value,
        false => match rules.field_type.accept(&value, false) {
            Ok(canonical) => normalised(rules, canonical),
            Err(error) => {
                return Err(ReviewError::WrongType { field: field.clone(), value, error: Box::new(error) });
            }
        },
    };
    // A person may take a step that `transitions` forbid, so the validator is not told the value before.
    let reason =
        breaks_rule(rules, &canonical).or_else(|| fails_validator(rules, record, field, None, &canonical));
    match reason {
        Some(reason) => {
            let field = field.clone();
            Err(ReviewError::NotAllowed { field, value: canonical, reason: Box::new(reason) })
        }
        None => Ok(canonical),
    }
}
