//! What named persons do: answer reviews, replay quarantined items.

use crate::ports::store::{Commit, CommitOutcome, NewSignal, QuarantineItem, SignalReason};
use crate::run::engine::{Engine, EngineError};
use avowal_core::data::ids::{RecordId, SystemName};
use avowal_core::decide::review::answer_review;
use avowal_core::history::chronicle::Chronicle;
use avowal_core::history::{Body, Context, Failure, ReviewAnswer};
use avowal_core::outgoing::confirm::fail;
use avowal_core::outgoing::plan::plan;
use avowal_core::record::CopyKey;
use avowal_core::record::intent::IntentStatus;

/// Whether a commit has taken effect.
enum Stored {
    Yes,
    No,
    Unknown,
}

/// A write whose outcome nothing can tell is sent again once a person has looked and says that it had no effect.
fn declare_not_done(chronicle: &mut Chronicle, system: &SystemName) {
    let unknown = chronicle.record().intents.get(system).filter(|intent| match intent.status {
        IntentStatus::Unknown => true,
        IntentStatus::Planned | IntentStatus::Sent => false,
    });
    if let Some(key) = unknown.map(|intent| intent.key.clone()) {
        let by = chronicle.context().actor.clone().unwrap_or_else(|| "a person".to_owned());
        fail(chronicle, system, &key, Failure::Retry, &format!("{by} says that it had no effect"));
    }
}

/// The most open items that a command looks through.
pub const OPEN_ITEMS_MAX: usize = 10_000;

impl Engine {
    /// Carries out a person's answer to an open review, judged against the state of this moment.
    pub async fn decide_review(
        &self,
        review: &str,
        answer: ReviewAnswer,
        by: &str,
        note: Option<String>,
    ) -> Result<RecordId, EngineError> {
        let mut possibly_done = None;
        for _ in 0..20 {
            let open = self.store.open_reviews(OPEN_ITEMS_MAX).await?;
            let Some(found) = open.into_iter().find(|open| open.review.id == review) else {
                if let Some(record) = possibly_done {
                    // Nobody could tell whether the answer was stored; now the question is gone, so it was.
                    return Ok(record);
                }
                let text = format!("no open review is called {review:?}; `avowal review list` shows them");
                return Err(EngineError::Usage(text));
            };
            let Some(policy) = self.policies.get(&found.entity) else {
                let text = format!("the configuration has no entity {:?} any more", found.entity);
                return Err(EngineError::Usage(text));
            };
            let state = self.store.load(std::slice::from_ref(&found.record)).await?.pop().flatten();
            let Some(state) = state else { continue };
            let mut chronicle =
                Chronicle::new(state, self.person(by, policy.short_digest()), self.clock.now());
            answer_review(policy, &mut chronicle, &found.field, review, answer.clone(), note.clone())
                .map_err(|error| EngineError::Usage(error.to_string()))?;
            match self.commit_one(chronicle, Commit::default()).await? {
                Stored::Yes => return Ok(found.record),
                Stored::Unknown => possibly_done = Some(found.record),
                Stored::No => {}
            }
        }
        Err(EngineError::Contended { system: SystemName::operator() })
    }

    /// Tries a quarantined item again: an incoming copy is read anew, a refused write may be planned anew.
    pub async fn replay(&self, item: &QuarantineItem, by: &str) -> Result<(), EngineError> {
        match (&item.record, &item.remote_id) {
            (Some(record), _) => self.release(record, item, by).await,
            (None, Some(remote_id)) => {
                let copy = CopyKey {
                    system: item.system.clone(),
                    entity: item.entity.clone(),
                    remote_id: remote_id.clone(),
                };
                self.read_again(copy).await
            }
            (None, None) => Err(EngineError::Usage(format!(
                "item {} names no copy, so it cannot be read again; correct it in {} and run `avowal sync --full`",
                item.id, item.system
            ))),
        }
    }

    async fn read_again(&self, copy: CopyKey) -> Result<(), EngineError> {
        let now = self.clock.now();
        let signal = NewSignal {
            copy: copy.clone(),
            not_before: now,
            reason: SignalReason::Replay,
            received_at: now,
            attempts: 0,
        };
        let commit =
            Commit { quarantine_closed: vec![copy.clone()], signals: vec![signal], ..Commit::default() };
        match self.commit(commit).await? {
            CommitOutcome::Committed | CommitOutcome::Unknown { .. } => {}
            CommitOutcome::Conflict { .. } | CommitOutcome::Duplicate { .. } => {}
        }
        self.note_quarantined(Vec::new(), &[copy]);
        Ok(())
    }

    async fn release(&self, record: &RecordId, item: &QuarantineItem, by: &str) -> Result<(), EngineError> {
        for _ in 0..20 {
            let state = self.store.load(std::slice::from_ref(record)).await?.pop().flatten();
            let (Some(state), Some(policy)) = (state, self.policies.get(&item.entity)) else {
                return Err(EngineError::Usage(format!("record {record} is not there any more")));
            };
            let mut chronicle =
                Chronicle::new(state, self.person(by, policy.short_digest()), self.clock.now());
            chronicle.push(Body::Released { system: item.system.clone() });
            self.flapping().forget(record);
            declare_not_done(&mut chronicle, &item.system);
            plan(policy, &mut chronicle, None);
            let extra = Commit { quarantine_ids_closed: vec![item.id], ..Commit::default() };
            match self.commit_one(chronicle, extra).await? {
                Stored::Yes => return Ok(()),
                // Releasing twice changes nothing.
                Stored::Unknown | Stored::No => {}
            }
        }
        Err(EngineError::Contended { system: item.system.clone() })
    }

    async fn commit_one(&self, chronicle: Chronicle, extra: Commit) -> Result<Stored, EngineError> {
        let woken: Vec<SystemName> = chronicle.record().intents.keys().cloned().collect();
        let commit = Commit { records: vec![self.record_commit(chronicle)], ..extra };
        match self.store.commit(commit).await? {
            CommitOutcome::Committed => {
                woken.iter().for_each(|system| self.wake(system));
                Ok(Stored::Yes)
            }
            CommitOutcome::Conflict { .. } | CommitOutcome::Duplicate { .. } => Ok(Stored::No),
            CommitOutcome::Unknown { .. } => Ok(Stored::Unknown),
        }
    }

    fn person(&self, by: &str, policy: String) -> Context {
        let now = self.clock.now();
        Context {
            source: Some(SystemName::operator()),
            actor: Some(by.to_owned()),
            policy: Some(policy),
            correlation: None,
            occurred_at: Some(now),
            received_at: now,
        }
    }
}
