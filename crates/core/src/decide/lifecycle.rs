//! Records that come and go: links, deletes, and edits that meet a delete.

use crate::data::ids::{FieldName, RemoteId, SystemName};
use crate::data::value::Value;
use crate::data::version::Dot;
use crate::decide::judge::Judgement;
use crate::decide::sight::Sight;
use crate::history::chronicle::Chronicle;
use crate::history::{Basis, Body, Classification, Evidence, FieldRelation, LinkReason, ReviewAnswer};
use crate::policy::OnRefused;
use crate::policy::{EditAgainstDelete, EntityPolicy, Owner, Repair};
use crate::record::observation::Observation;
use crate::record::reason::{ClosingReason, DeleteRule, Refusal, RestoreRule, ReviewReason};
use crate::record::{Copy, Record, Review, Side, Subject};
use std::collections::{BTreeMap, BTreeSet};

/// Links a copy to the record. The copy's contents are decided by the observation that follows.
pub fn link(chronicle: &mut Chronicle, system: &SystemName, remote_id: &RemoteId, how: LinkReason) {
    chronicle.push(Body::Linked { system: system.clone(), remote_id: remote_id.clone(), how });
    // A person was asked whether the record shall exist, because its copy there was gone.
    let is_asked = |review: &Review| review.proposed.contains_key(system);
    if chronicle.record().reviews.get(&Subject::Existence).is_some_and(is_asked) {
        answer_one(chronicle, system, ClosingReason::CopyExistsAgain { system: system.clone() });
    }
}

/// Lets go of the id of a copy that is gone, because its system has given it to another row.
pub fn unlink(chronicle: &mut Chronicle, system: &SystemName) {
    let gone = chronicle.record().copies.get(system).filter(|copy| !copy.alive && !copy.is_replaced);
    if let Some(remote_id) = gone.map(|copy| copy.remote_id.clone()) {
        chronicle.push(Body::Unlinked { system: system.clone(), remote_id });
    }
}

/// Whether a system may delete records for all.
pub fn may_delete(policy: &EntityPolicy, system: &SystemName) -> bool {
    match &policy.deletes.owner {
        None => false,
        Some(Owner::Shared) => true,
        Some(Owner::System(owner)) => owner == system,
    }
}

/// A copy that its system has deleted.
pub(crate) struct Departure {
    dot: Dot,
    observed: Body,
    class: Classification,
    relation: FieldRelation,
    unseen: Vec<FieldName>,
    /// Whether it was taken in to repair what a reconciliation has found.
    is_repair: bool,
}

impl Departure {
    /// How the delete stands to what is believed.
    pub(crate) fn of(sight: &Sight<'_>) -> Self {
        let Sight { policy, record, copy, observation, .. } = sight;
        let system = &observation.system;
        let dot = record.vector.next(system);
        let copy_vector = copy.seen.with(&dot);
        let unseen = unseen_edits(policy, record, system, copy);
        let (class, relation) = if unseen.is_empty() {
            (Classification::New, FieldRelation::Sequential)
        } else {
            (Classification::Concurrent, FieldRelation::Concurrent)
        };
        let observed = Body::Observed {
            system: system.clone(),
            channel: observation.channel,
            class,
            causality: copy_vector.compare(&record.vector),
            copy_vector,
            dot: Some(dot.clone()),
            fields: BTreeMap::new(),
            gone: true,
            empty: BTreeSet::new(),
            order: observation.order.clone(),
            version: None,
        };
        Self { dot, observed, class, relation, unseen, is_repair: observation.is_repair }
    }

    /// Records it, and what the rule of deletes says to it.
    pub(crate) fn record(
        self,
        policy: &EntityPolicy,
        chronicle: &mut Chronicle,
        system: &SystemName,
    ) -> Classification {
        let evidence = Evidence::proven(Basis::CopyMissing);
        let seq = chronicle.push_with(self.observed, evidence);
        chronicle.set_cause(Some(seq));
        drop_intent(chronicle, system);
        if chronicle.record().deleted.is_none() {
            if self.is_repair && policy.repair != Repair::Auto {
                ask(chronicle, system, &self.dot, ReviewReason::RepairAsks { system: system.clone() });
            } else {
                judge_delete(policy, chronicle, system, &self.dot, self.relation, &self.unseen);
            }
        }
        self.class
    }
}

/// An intent to a copy that no longer exists has nothing to change any more.
fn drop_intent(chronicle: &mut Chronicle, system: &SystemName) {
    if let Some(intent) = chronicle.record().intents.get(system) {
        let key = intent.key.clone();
        chronicle.push(Body::IntentWithdrawn { system: system.clone(), key, put_off: false });
    }
}

fn judge_delete(
    policy: &EntityPolicy,
    chronicle: &mut Chronicle,
    system: &SystemName,
    dot: &Dot,
    relation: FieldRelation,
    unseen: &[FieldName],
) {
    let rules = &policy.deletes;
    let allowed = match &rules.owner {
        None => {
            let reason = ReviewReason::NoOwnerOfDeletes { system: system.clone() };
            return ask(chronicle, system, dot, reason);
        }
        Some(Owner::Shared) => true,
        Some(Owner::System(owner)) => owner == system,
    };
    if !allowed {
        let owner = rules.owner.as_ref().map(ToString::to_string).unwrap_or_default();
        let reason = Refusal::MayNotDelete { owner: owner.into(), system: system.clone() };
        return refuse(chronicle, system, dot, reason, rules.on_refused);
    }
    if relation == FieldRelation::Sequential {
        let rule = DeleteRule::MayDelete { system: system.clone() };
        chronicle.push(Body::Deleted { dot: dot.clone(), rule });
        return;
    }
    let (system, unseen) = (system.clone(), unseen.to_vec());
    match rules.edit_against_delete {
        EditAgainstDelete::Review => {
            ask(chronicle, &system.clone(), dot, ReviewReason::DeleteAgainstEdit { system, unseen });
        }
        EditAgainstDelete::DeleteWins => {
            let rule = DeleteRule::DeleteWins { system, unseen };
            chronicle.push(Body::Deleted { dot: dot.clone(), rule });
        }
        EditAgainstDelete::EditWins => {
            let reason = Refusal::EditWins { system: system.clone(), unseen };
            refuse(chronicle, &system, dot, reason, OnRefused::Revert);
        }
    }
}

/// The mapped fields whose belief this copy has not seen; also those that it has never shown.
fn unseen_edits(policy: &EntityPolicy, record: &Record, system: &SystemName, copy: &Copy) -> Vec<FieldName> {
    let Some(mapping) = policy.mappings.get(system) else { return Vec::new() };
    mapping
        .columns
        .keys()
        .filter(|field| {
            let Some(belief) = record.fields.get(*field) else { return false };
            match copy.fields.get(*field) {
                Some(shadow) => {
                    shadow.base.as_ref() != Some(&belief.dot) && !shadow.is_equivalent_to(&belief.value)
                }
                None => !belief.value.is_null(),
            }
        })
        .cloned()
        .collect()
}

fn refuse(chronicle: &mut Chronicle, system: &SystemName, dot: &Dot, reason: Refusal, then: OnRefused) {
    let body = Body::Refused {
        system: system.clone(),
        subject: Subject::Existence,
        value: Value::Null,
        dot: dot.clone(),
        reason: reason.clone(),
        then,
    };
    chronicle.push(body);
    if then == OnRefused::Review {
        ask(chronicle, system, dot, ReviewReason::Refused(reason));
    }
}

fn ask(chronicle: &mut Chronicle, system: &SystemName, dot: &Dot, reason: ReviewReason) {
    let record = chronicle.record();
    let vector = record.vector.clone();
    let side = Side { value: Value::Null, dot: dot.clone(), vector };
    let subject = Subject::Existence;
    let review = match record.reviews.get(&subject) {
        Some(open) => {
            let mut open = open.clone();
            open.proposed.insert(system.clone(), side);
            open
        }
        None => Review {
            id: format!("{}-{}", record.id, record.seq + 1),
            reason,
            believed: None,
            proposed: BTreeMap::from([(system.clone(), side)]),
            opened_at: chronicle.recorded_at(),
        },
    };
    chronicle.push(Body::ManualReviewRequested { subject, review });
}

/// What a changed copy says about the existence of its record.
pub(crate) enum Existence {
    /// The record exists, and nobody doubts it.
    Lives,
    /// A person was asked whether the record shall exist; the copy that was missed is there again.
    Answered {
        /// Why nobody has to decide any more.
        reason: ClosingReason,
    },
    /// It was deleted and exists again.
    Restored {
        /// Why.
        rule: RestoreRule,
    },
    /// It stays deleted, and the edit with it.
    StaysDeleted {
        /// Why.
        reason: Refusal,
    },
    /// It was deleted; a person says whether the edit brings it back.
    Asked {
        /// Why.
        reason: ReviewReason,
    },
}

/// Judges, by the rule of deletes, what a changed copy says about its record's existence.
pub(crate) fn existence(
    policy: &EntityPolicy,
    record: &Record,
    observation: &Observation,
    revived: bool,
) -> Existence {
    let system = &observation.system;
    if record.deleted.is_none() {
        let answers = revived && record.existence_contested();
        return if answers {
            Existence::Answered { reason: ClosingReason::CopyExistsAgain { system: system.clone() } }
        } else {
            Existence::Lives
        };
    }
    if observation.is_repair {
        // What was deleted on purpose is not brought back by a repair: a person may do that.
        return match policy.deletes.edit_against_delete {
            EditAgainstDelete::DeleteWins => {
                Existence::StaysDeleted { reason: Refusal::DeleteWins { system: system.clone() } }
            }
            EditAgainstDelete::Review | EditAgainstDelete::EditWins => {
                Existence::Asked { reason: ReviewReason::EditAgainstDelete { system: system.clone() } }
            }
        };
    }
    if revived && may_delete(policy, system) {
        return Existence::Restored { rule: RestoreRule::MadeAgain { system: system.clone() } };
    }
    match policy.deletes.edit_against_delete {
        EditAgainstDelete::EditWins => {
            Existence::Restored { rule: RestoreRule::EditWins { system: system.clone() } }
        }
        EditAgainstDelete::DeleteWins => {
            Existence::StaysDeleted { reason: Refusal::DeleteWins { system: system.clone() } }
        }
        EditAgainstDelete::Review => {
            Existence::Asked { reason: ReviewReason::EditAgainstDelete { system: system.clone() } }
        }
    }
}

impl Existence {
    /// Whether a judgement of a field counts. While a person is asked, all of them do: if the answer is to restore the
    /// record, the edit must not be lost. While the record stays deleted, beliefs still follow the edit, because the
    /// delete may turn out to be none; but nobody is asked about a field of a deleted record, and nothing in it is refused
    /// for a second reason.
    pub(crate) fn lets_count(&self, judgement: &Judgement) -> bool {
        match self {
            Existence::Lives
            | Existence::Answered { .. }
            | Existence::Restored { .. }
            | Existence::Asked { .. } => true,
            Existence::StaysDeleted { .. } => match judgement {
                Judgement::Agree
                | Judgement::Arrived { .. }
                | Judgement::Nothing
                | Judgement::Accept { .. }
                | Judgement::Contested
                | Judgement::ClosesReview => true,
                Judgement::Conflict { resolution } => !resolution.is_for_a_person(),
                Judgement::Refuse { .. } | Judgement::Ask { .. } => false,
            },
        }
    }

    /// Whether the edit is refused as a whole, and what it changed in the copy is corrected: the copy is deleted.
    pub(crate) fn is_corrected(&self) -> bool {
        match self {
            Existence::Lives
            | Existence::Answered { .. }
            | Existence::Restored { .. }
            | Existence::Asked { .. } => false,
            Existence::StaysDeleted { .. } => true,
        }
    }

    /// Records the events of the judgement.
    pub(crate) fn record(self, chronicle: &mut Chronicle, system: &SystemName, dot: &Dot) {
        match self {
            Existence::Lives => {}
            Existence::Answered { reason } => answer_one(chronicle, system, reason),
            Existence::Restored { rule } => {
                chronicle.push(Body::Restored { dot: dot.clone(), rule });
            }
            Existence::StaysDeleted { reason } => refuse(chronicle, system, dot, reason, OnRefused::Ignore),
            Existence::Asked { reason } => ask(chronicle, system, dot, reason),
        }
    }
}

/// The copy in one system is there again. While other copies are missed, the question stays open.
fn answer_one(chronicle: &mut Chronicle, system: &SystemName, reason: ClosingReason) {
    let subject = Subject::Existence;
    let record = chronicle.record();
    if let Some(review) = record.reviews.get(&subject) {
        let is_missed = |other: &SystemName| record.copies.get(other).is_some_and(|copy| !copy.alive);
        let mut open = review.clone();
        open.proposed.retain(|other, _| other != system && is_missed(other));
        if !open.proposed.is_empty() {
            chronicle.push(Body::ManualReviewRequested { subject, review: open });
            return;
        }
        let review = open.id;
        let answer = ReviewAnswer::Superseded { reason };
        let body = Body::ReviewDecided { subject, review, answer, note: None };
        chronicle.push(body);
    }
}
