//! A person's answer. It is judged against the state of the moment, not against the state in which the question
//! was asked.

use crate::data::ids::{FieldName, SystemName};
use crate::data::value::Value;
use crate::decide::judge::{breaks_rule, fails_validator, normalised};
use crate::history::chronicle::Chronicle;
use crate::history::{Body, ReviewAnswer};
use crate::outgoing::plan::plan;
use crate::policy::EntityPolicy;
use crate::record::Record;

/// Why an answer cannot be carried out.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReviewError {
    /// The question is not open any more.
    #[error("the review {0} is not open: it was decided or has closed itself")]
    NotOpen(String),
    /// The answer does not fit the question.
    #[error("{answer} does not answer a question about {about}. Use {cure}")]
    DoesNotFit {
        /// The answer.
        answer: &'static str,
        /// What was asked.
        about: String,
        /// What would fit.
        cure: &'static str,
    },
    /// The named system holds no value of the field.
    #[error("{0} holds no value of {1}")]
    NoValue(SystemName, FieldName),
    /// The value is not allowed.
    #[error("{field} cannot become {value}: {reason}")]
    Invalid {
        /// Which field.
        field: FieldName,
        /// The value.
        value: Value,
        /// Why.
        reason: String,
    },
}

/// Carries out a person's answer to the open review of a field. The context of the chronicle names the person.
pub fn answer_review(
    policy: &EntityPolicy,
    chronicle: &mut Chronicle,
    field: &FieldName,
    review: &str,
    answer: ReviewAnswer,
    note: Option<String>,
) -> Result<(), ReviewError> {
    let open = chronicle.record().reviews.get(field).filter(|open| open.id == review);
    if open.is_none() {
        return Err(ReviewError::NotOpen(review.to_owned()));
    }
    let existence = field.as_str() == Record::EXISTENCE;
    let value = match (&answer, existence) {
        (ReviewAnswer::Keep | ReviewAnswer::Superseded, _)
        | (ReviewAnswer::Delete | ReviewAnswer::Restore, true) => None,
        (ReviewAnswer::Take { system }, false) => Some(current_value(chronicle.record(), system, field)?),
        (ReviewAnswer::Set { value }, false) => Some(value.clone()),
        (ReviewAnswer::Take { .. } | ReviewAnswer::Set { .. }, true) => {
            return Err(does_not_fit("a value", field, "--keep, --delete or --restore"));
        }
        (ReviewAnswer::Delete | ReviewAnswer::Restore, false) => {
            return Err(does_not_fit("deleting or restoring", field, "--keep, --take SYSTEM or --set VALUE"));
        }
    };
    let value = value.map(|value| accepted(policy, chronicle.record(), field, value)).transpose()?;
    // What a person keeps is the person's word from now on, also against an owner who meanwhile said otherwise.
    let kept = (answer == ReviewAnswer::Keep).then(|| chronicle.record().fields.get(field)).flatten();
    let value = value.or_else(|| kept.map(|belief| belief.value.clone()));
    let dot = chronicle.record().vector.next(&SystemName::operator());
    let seq = chronicle.push(Body::ReviewDecided {
        field: field.clone(),
        review: review.to_owned(),
        answer: answer.clone(),
        note,
    });
    chronicle.set_cause(Some(seq));
    let who = chronicle.context().actor.clone().unwrap_or_else(|| "a person".to_owned());
    let rule = format!("{who} decided it in review {review}");
    if let Some(value) = value {
        let from = chronicle.record().fields.get(field).map(|belief| belief.value.clone());
        chronicle.push(Body::FieldChanged { field: field.clone(), from, value, dot, rule });
    } else {
        match answer {
            ReviewAnswer::Delete => {
                chronicle.push(Body::Deleted { dot, rule });
            }
            ReviewAnswer::Restore => {
                chronicle.push(Body::Restored { dot, rule });
            }
            ReviewAnswer::Keep
            | ReviewAnswer::Superseded
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
    let invalid = |value: Value, reason: String| ReviewError::Invalid { field: field.clone(), value, reason };
    let canonical = if value.is_null() {
        value
    } else {
        match rules.field_type.accept(&value, false) {
            Ok(canonical) => normalised(rules, canonical),
            Err(error) => return Err(invalid(value, error.to_string())),
        }
    };
    // A person may take a step that `transitions` forbid, so the validator is not told from where.
    let reason =
        breaks_rule(rules, &canonical).or_else(|| fails_validator(rules, record, field, None, &canonical));
    match reason {
        Some(reason) => Err(invalid(canonical, reason)),
        None => Ok(canonical),
    }
}

fn does_not_fit(answer: &'static str, field: &FieldName, cure: &'static str) -> ReviewError {
    let about = if field.as_str() == Record::EXISTENCE {
        "whether the record shall exist".to_owned()
    } else {
        format!("the value of {field}")
    };
    ReviewError::DoesNotFit { answer, about, cure }
}
