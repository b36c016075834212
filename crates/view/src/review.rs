//! The questions that wait for a person, what may be answered, and the answer.

use crate::key::value_of;
use crate::reader::Reader;
use crate::refusal::Refusal;
use avowal_core::data::ids::{RecordId, SystemName};
use avowal_core::data::value::Value;
use avowal_core::explain::{field_sentence, short_text};
use avowal_core::history::ReviewAnswer;
use avowal_core::policy::{EntityPolicy, Owner};
use avowal_core::record::reason::ReviewReason;
use avowal_core::record::{Record, Subject};
use avowal_engine::OPEN_ITEMS_MAX;
use avowal_engine::ports::store::OpenReview;
use serde::{Deserialize, Serialize};

/// One open review with everything that a person needs to answer it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ReviewView {
    /// The question and its place.
    #[serde(flatten)]
    pub open: OpenReview,
    /// The rule of the field that it is about, as one sentence.
    pub rule: Option<String>,
    /// The systems whose value may be taken.
    pub may_take: Vec<SystemName>,
    /// Whether the record counts as deleted now.
    pub is_deleted: bool,
}

/// A person's answer to a review.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Take the value that this system's copy holds now.
    Take(SystemName),
    /// Keep what is believed.
    Keep,
    /// Set a value of the person's own; a text is read as the field's type.
    Set(Value),
    /// Delete the record everywhere.
    Delete,
    /// Let the record live on, and make missing copies again.
    Restore,
}

/// A person's answer to a review, with their name.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerRequest {
    /// The answer.
    pub answer: Answer,
    /// Who decides; the history shows the name.
    pub by: String,
    /// Why, for the history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A review that was answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Resolved {
    /// Who decided.
    pub by: String,
    /// Of which record.
    pub record: RecordId,
    /// What the answer was taken to mean, where its words leave that open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    /// Which review.
    pub review: String,
}

impl Reader<'_> {
    /// The open reviews, oldest first.
    pub async fn reviews(&self) -> Result<Vec<OpenReview>, Refusal> {
        Ok(self.store.open_reviews(OPEN_ITEMS_MAX).await?)
    }

    /// One open review.
    pub async fn review(&self, id: &str) -> Result<ReviewView, Refusal> {
        let open = self.store.open_reviews(OPEN_ITEMS_MAX).await?;
        let Some(open) = open.into_iter().find(|open| open.review.id == id) else {
            let id = short_text(id);
            return Err(Refusal::unknown_name(format!(
                "no open review is called {id:?}. `avowal review list` shows them"
            )));
        };
        let policy = self.policies.get(&open.entity).map(AsRef::as_ref);
        let rule = policy.zip(open.subject.field()).and_then(|(policy, field)| field_sentence(policy, field));
        let record = self.store.load(std::slice::from_ref(&open.record)).await?.pop().flatten();
        let may_take = may_decide(&open, record.as_ref(), policy);
        let is_deleted = record.is_some_and(|record| record.deleted.is_some());
        Ok(ReviewView { open, rule, may_take, is_deleted })
    }

    /// What an answer means for a review, and in which words, where that is not said by the answer itself.
    pub(crate) fn meaning(
        &self,
        view: &ReviewView,
        answer: &Answer,
    ) -> Result<(ReviewAnswer, Option<String>), Refusal> {
        let open = &view.open;
        let plain = match answer {
            Answer::Take(system) => {
                let policy = self.policies.get(&open.entity);
                if policy.is_some_and(|policy| !policy.mappings.contains_key(system)) {
                    let known: Vec<&str> = open.review.proposed.keys().map(SystemName::as_str).collect();
                    return Err(Refusal::unknown_name(format!(
                        "no system that holds {} is called {:?}. Those that differ: {}",
                        open.entity,
                        system.as_str(),
                        known.join(", ")
                    )));
                }
                ReviewAnswer::Take { system: system.clone() }
            }
            Answer::Set(value) => {
                let Some(field) = open.subject.field() else {
                    return Err(Refusal::usage(
                        "the question is whether the record shall exist: use --delete or --restore",
                    ));
                };
                let policy = self.policy(open.entity.as_str())?;
                ReviewAnswer::Set { value: value_of(policy, field, value)? }
            }
            Answer::Keep if open.subject == Subject::Existence => return Ok(keep(view.is_deleted)),
            Answer::Keep => ReviewAnswer::Keep,
            Answer::Delete => ReviewAnswer::Delete,
            Answer::Restore => ReviewAnswer::Restore,
        };
        Ok((plain, None))
    }
}

/// What `keep` means where the record's existence is the question: as it is believed now.
fn keep(is_deleted: bool) -> (ReviewAnswer, Option<String>) {
    let (answer, words) = if is_deleted {
        (ReviewAnswer::Delete, "the record counts as deleted, so it is kept deleted (as --delete says)")
    } else {
        (ReviewAnswer::Restore, "the record counts as existing, so the record is kept (as --restore says)")
    };
    (answer, Some(format!("--keep: {words}")))
}

/// The systems whose value may be taken: their copy exists and holds one that is understood, and they may change the
/// field, or the question is whether they may.
fn may_decide(open: &OpenReview, record: Option<&Record>, policy: Option<&EntityPolicy>) -> Vec<SystemName> {
    let Some(field) = open.subject.field() else { return Vec::new() };
    let holds = |system: &SystemName| {
        let copy = record.and_then(|record| record.live_copy(system));
        copy.is_some_and(|copy| copy.fields.contains_key(field) && !copy.aside.contains_key(field))
    };
    let asks_for_it = matches!(open.review.reason, ReviewReason::Refused(_));
    let may = |system: &SystemName| {
        let rule = policy.and_then(|policy| policy.field(field));
        asks_for_it
            || rule.is_none_or(|rule| match &rule.owner {
                Owner::Shared => true,
                Owner::System(owner) => owner == system || rule.proposals.contains(system),
            })
    };
    open.review.proposed.keys().filter(|system| holds(system) && may(system)).cloned().collect()
}
