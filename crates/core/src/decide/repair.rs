//! What a decision does about each difference that it was made for: read from its events, so that a reconciliation
//! recommends what the decision would do, and nothing else.

use crate::data::ids::SystemName;
use crate::history::{Body, IntegrationEvent, RecommendedAction};
use crate::policy::OnRefused;
use crate::record::Subject;
use crate::record::intent::Operation;
use std::collections::BTreeMap;

/// What the events of one decision about `system`'s copy do about each subject that they name. A subject that they do
/// not name is left as it is.
pub fn actions_of(events: &[IntegrationEvent], system: &SystemName) -> BTreeMap<Subject, RecommendedAction> {
    let mut actions = BTreeMap::new();
    for event in events {
        note(&event.body, system, &mut actions);
    }
    actions
}

/// Notes what one event does. A person's question prevails, then a change of what is believed.
fn note(body: &Body, system: &SystemName, actions: &mut BTreeMap<Subject, RecommendedAction>) {
    let mut set = |subject: Subject, action: RecommendedAction| {
        let noted = actions.entry(subject).or_insert(action);
        *noted = (*noted).max(action);
    };
    match body {
        Body::FieldChanged { field, .. } => {
            set(Subject::Field(field.clone()), RecommendedAction::UpdateLocal);
        }
        Body::ConflictResolved { field, .. } => {
            // Where the system's value prevails a change of the belief follows.
            set(Subject::Field(field.clone()), RecommendedAction::UpdateExternal);
        }
        Body::ManualReviewRequested { subject, .. } => set(subject.clone(), RecommendedAction::ManualReview),
        Body::Refused { subject, then, .. } => set(
            subject.clone(),
            match then {
                OnRefused::Revert => RecommendedAction::UpdateExternal,
                OnRefused::Ignore => RecommendedAction::Ignore,
                OnRefused::Review => RecommendedAction::ManualReview,
            },
        ),
        Body::Deleted { .. } | Body::Restored { .. } => {
            set(Subject::Existence, RecommendedAction::UpdateLocal);
        }
        Body::IntentPlanned { system: to, operation, fields, .. } if to == system => match operation {
            Operation::Create | Operation::Delete => {
                set(Subject::Existence, RecommendedAction::UpdateExternal);
            }
            Operation::Update => {
                for field in fields.keys() {
                    set(Subject::Field(field.clone()), RecommendedAction::UpdateExternal);
                }
            }
        },
        Body::Linked { .. }
        | Body::Unlinked { .. }
        | Body::Observed { .. }
        | Body::ConflictDetected { .. }
        | Body::ReviewDecided { .. }
        | Body::FieldSetAside { .. }
        | Body::FieldUnderstood { .. }
        | Body::Quarantined { .. }
        | Body::IntentPlanned { .. }
        | Body::IntentWithdrawn { .. }
        | Body::IntentSent { .. }
        | Body::IntentConfirmed { .. }
        | Body::IntentFailed { .. }
        | Body::EchoRecognised { .. }
        | Body::DuplicateDropped { .. }
        | Body::StaleDropped { .. }
        | Body::StaleSuspected { .. }
        | Body::DriftDetected { .. }
        | Body::ReconciliationApplied { .. }
        | Body::PolicyChanged { .. }
        | Body::Released { .. } => {}
    }
}
