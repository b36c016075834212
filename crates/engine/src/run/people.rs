//! What named persons do: answer reviews, replay quarantined items.

use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::ports::store::{
    Commit, CommitOutcome, IntentDelay, NewSignal, QuarantineItem, SignalReason, WaitingIntent,
};
use avowal_core::data::ids::{RecordId, RunId, SystemName};
use avowal_core::decide::review::answer_review;
use avowal_core::history::chronicle::Chronicle;
use avowal_core::history::{Body, Context, Failure, ReviewAnswer};
use avowal_core::outgoing::confirm::fail;
use avowal_core::outgoing::plan::plan;
use avowal_core::record::CopyKey;
use avowal_core::record::Record;
use avowal_core::record::intent::IntentStatus;
use avowal_core::record::reason::FailureReason;

/// The most open items that a command looks through.
pub const OPEN_ITEMS_MAX: usize = 10_000;

/// How often an act is tried anew when its record changes under it.
const TRIES_MAX: u32 = 20;

/// A named person who acts.
pub(crate) struct Person<'a> {
    pub(crate) parts: &'a Parts,
    /// The name that the history shows.
    pub(crate) by: &'a str,
    /// The run in which they act.
    pub(crate) run: Option<RunId>,
}

/// Whether a commit has taken effect.
enum Stored {
    Yes,
    No,
    Unknown,
}

impl Person<'_> {
    /// Carries out the answer to an open review, judged against the state of this moment.
    pub(crate) async fn decide_review(
        &self,
        review: &str,
        answer: ReviewAnswer,
        note: Option<String>,
    ) -> Result<RecordId, EngineError> {
        let parts = self.parts;
        let mut possibly_done = None;
        for _ in 0..TRIES_MAX {
            let open = parts.store.open_reviews(OPEN_ITEMS_MAX).await?;
            let Some(found) = open.into_iter().find(|open| open.review.id == review) else {
                if let Some(record) = possibly_done {
                    // The outcome of the commit was unknown. The review is not open any more, so it was stored.
                    return Ok(record);
                }
                let text = format!("no open review is called {review:?}; `avowal review list` shows them");
                return Err(EngineError::Usage(text));
            };
            let Some(policy) = parts.policies.get(&found.entity) else {
                let text = format!("the configuration has no entity {:?} any more", found.entity);
                return Err(EngineError::Usage(text));
            };
            let Some(state) = self.load(&found.record).await? else { continue };
            let mut chronicle = Chronicle::new(state, self.context(policy.short_digest()), parts.clock.now());
            answer_review(policy, &mut chronicle, &found.subject, review, answer.clone(), note.clone())
                .map_err(|error| EngineError::Usage(error.to_string()))?;
            match self.commit(chronicle, Commit::default()).await? {
                Stored::Yes => return Ok(found.record),
                Stored::Unknown => possibly_done = Some(found.record),
                Stored::No => {}
            }
        }
        Err(EngineError::Contended { system: SystemName::operator() })
    }

    /// Tries a quarantined item again: an incoming copy is read anew, a refused write may be planned anew.
    pub(crate) async fn replay(&self, item: &QuarantineItem) -> Result<(), EngineError> {
        match (&item.record, &item.remote_id) {
            (Some(record), _) => self.release(record, item).await,
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

    /// Closes the items of a copy and asks for a read of it.
    async fn read_again(&self, copy: CopyKey) -> Result<(), EngineError> {
        let now = self.parts.clock.now();
        let signal = NewSignal {
            copy: copy.clone(),
            not_before: now,
            reason: SignalReason::Replay,
            received_at: now,
            attempts: 0,
        };
        let commit =
            Commit { quarantine_closed: vec![copy.clone()], signals: vec![signal], ..Commit::default() };
        match self.parts.commit(commit).await? {
            CommitOutcome::Committed | CommitOutcome::Unknown { .. } => {}
            CommitOutcome::Conflict { .. } | CommitOutcome::Duplicate { .. } => {}
        }
        self.parts.systems.wake(&copy.system);
        self.parts.quarantined.note(Vec::new(), &[copy]);
        Ok(())
    }

    /// Closes the item of a refused write, and plans anew what the copy lacks.
    async fn release(&self, record: &RecordId, item: &QuarantineItem) -> Result<(), EngineError> {
        let parts = self.parts;
        for _ in 0..TRIES_MAX {
            let (Some(state), Some(policy)) = (self.load(record).await?, parts.policies.get(&item.entity))
            else {
                return Err(EngineError::Usage(format!("record {record} is not there any more")));
            };
            let mut chronicle = Chronicle::new(state, self.context(policy.short_digest()), parts.clock.now());
            chronicle.push(Body::Released { system: item.system.clone() });
            parts.flapping().forget(record);
            self.declare_not_done(&mut chronicle, &item.system);
            plan(policy, &mut chronicle, None);
            let delays = self.due_again(record, &item.system).await?.into_iter().collect();
            let extra = Commit { quarantine_ids_closed: vec![item.id], delays, ..Commit::default() };
            match self.commit(chronicle, extra).await? {
                Stored::Yes => return Ok(()),
                // Releasing twice changes nothing.
                Stored::Unknown | Stored::No => {}
            }
        }
        Err(EngineError::Contended { system: item.system.clone() })
    }

    /// The schedule of a write that waits for another try, as due now and with its tries forgotten.
    async fn due_again(
        &self,
        record: &RecordId,
        system: &SystemName,
    ) -> Result<Option<IntentDelay>, EngineError> {
        let waiting = self.parts.store.waiting_intents(OPEN_ITEMS_MAX).await?;
        let is_meant = |waiting: &WaitingIntent| {
            let WaitingIntent { record: of, system: to, status, .. } = waiting;
            of == record && to == system && *status == IntentStatus::Waiting
        };
        Ok(waiting.into_iter().find(is_meant).map(|waiting| IntentDelay {
            record: waiting.record,
            system: waiting.system,
            not_before: self.parts.clock.now(),
            failures: 0,
            reason: Some(waiting.reason),
        }))
    }

    /// Lets a write of unknown outcome be sent again, after the person states that it had no effect.
    fn declare_not_done(&self, chronicle: &mut Chronicle, system: &SystemName) {
        let unknown = chronicle.record().intents.get(system).filter(|intent| match intent.status {
            IntentStatus::Unknown => true,
            IntentStatus::Planned | IntentStatus::Sent | IntentStatus::Waiting => false,
        });
        if let Some(key) = unknown.map(|intent| intent.key.clone()) {
            let reason = FailureReason::NoEffectSaid { by: self.by.to_string() };
            fail(chronicle, system, &key, Failure::Retry, reason);
        }
    }

    async fn load(&self, record: &RecordId) -> Result<Option<Record>, EngineError> {
        Ok(self.parts.store.load(std::slice::from_ref(record)).await?.pop().flatten())
    }

    async fn commit(&self, chronicle: Chronicle, extra: Commit) -> Result<Stored, EngineError> {
        let with_intents: Vec<SystemName> = chronicle.record().intents.keys().cloned().collect();
        let commit = Commit { records: vec![self.parts.record_commit(chronicle)], ..extra };
        match self.parts.commit_plainly(commit).await? {
            CommitOutcome::Committed => {
                with_intents.iter().for_each(|system| self.parts.systems.wake(system));
                Ok(Stored::Yes)
            }
            CommitOutcome::Conflict { .. } | CommitOutcome::Duplicate { .. } => Ok(Stored::No),
            CommitOutcome::Unknown { .. } => Ok(Stored::Unknown),
        }
    }

    /// The metadata of the events that the person makes.
    fn context(&self, policy: String) -> Context {
        let now = self.parts.clock.now();
        Context {
            source: Some(SystemName::operator()),
            actor: Some(self.by.to_owned()),
            policy: Some(policy),
            run: self.run,
            correlation: None,
            occurred_at: Some(now),
            received_at: now,
        }
    }
}
