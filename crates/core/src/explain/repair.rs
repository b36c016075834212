//! Why a reconciliation recommends what it recommends, as a sentence.

use super::reasons::{delete_words, refusal_words, restore_words, review_words, rule_words, subject_words};
use super::short::reason as clean;
use crate::data::ids::SystemName;
use crate::history::{Body, IntegrationEvent, RecommendedAction};
use crate::record::Subject;

/// The reason of the action that the events of a decision take about a subject: the words of the event that decided it.
pub fn action_words(
    events: &[IntegrationEvent],
    system: &SystemName,
    subject: &Subject,
    action: RecommendedAction,
) -> String {
    let about = subject_words(subject);
    let why = events.iter().rev().find_map(|event| decided(&event.body, subject)).map(|words| clean(&words));
    match (action, why) {
        (RecommendedAction::UpdateLocal, Some(why)) => format!("what {system} shows is believed: {why}"),
        (RecommendedAction::UpdateLocal, None) => format!("what {system} shows is believed"),
        (RecommendedAction::UpdateExternal, Some(why)) => {
            format!("{system} gets back what is believed: {why}")
        }
        (RecommendedAction::UpdateExternal, None) => format!("{system} gets what is believed of {about}"),
        (RecommendedAction::ManualReview, Some(why)) => format!("a person decides: {why}"),
        (RecommendedAction::ManualReview, None) => format!("a person decides about {about}"),
        (RecommendedAction::Ignore, Some(why)) => format!("the difference is left as it is: {why}"),
        (RecommendedAction::Ignore, None) => {
            format!("the rules leave the difference as it is: it changes nothing that is believed of {about}")
        }
    }
}

/// Why an event decided about a subject; `None` if it did not.
fn decided(body: &Body, subject: &Subject) -> Option<String> {
    let is_existence = *subject == Subject::Existence;
    if let Body::ManualReviewRequested { subject: about, review } = body {
        return (about == subject).then(|| review_words(&review.reason, subject));
    }
    if let Body::Refused { subject: about, reason, .. } = body {
        return (about == subject).then(|| refusal_words(reason, subject));
    }
    if let Body::FieldChanged { field, rule, .. } | Body::ConflictResolved { field, rule, .. } = body {
        return subject.is_field(field).then(|| rule_words(rule, field));
    }
    if let Body::Deleted { rule, .. } = body {
        return is_existence.then(|| delete_words(rule));
    }
    if let Body::Restored { rule, .. } = body {
        return is_existence.then(|| restore_words(rule));
    }
    None
}
