//! A store on a bumpy road: every call may be dropped half-way, and the n-th commit fails as told.

use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RecordId};
use avowal_core::record::{CopyKey, Record};
use avowal_engine::ports::store::{Commit, CommitOutcome, Located, Store, StoreError};
use avowal_testkit::fake::pause;
use avowal_testkit::layer::{Layered, StoreLayer};
use avowal_testkit::memory::{CommitFault, MemoryStore};
use std::sync::Mutex;

/// See [`Bumps`].
pub type BumpyStore = Layered<Bumps>;

/// A memory store whose calls give way before and after their effect.
#[derive(Default)]
pub struct Bumps {
    pub inner: MemoryStore,
    plan: Mutex<Plan>,
}

#[derive(Default)]
struct Plan {
    commits: usize,
    fault: Option<(usize, CommitFault)>,
}

impl Bumps {
    /// The n-th commit from now on, counted from 1, fails like this.
    pub fn fail_commit(&self, n: usize, fault: CommitFault) {
        *self.plan.lock().unwrap() = Plan { commits: 0, fault: Some((n, fault)) };
    }

    /// Nothing fails any more.
    pub fn heal(&self) {
        self.plan.lock().unwrap().fault = None;
    }

    /// Whether the planned fault has not been met yet.
    pub fn is_unmet(&self) -> bool {
        self.plan.lock().unwrap().fault.is_some()
    }
}

#[async_trait]
impl StoreLayer for Bumps {
    fn below(&self) -> &dyn Store {
        &self.inner
    }

    async fn locate(&self, keys: &[CopyKey]) -> Result<Vec<Option<Located>>, StoreError> {
        pause().await;
        self.below().locate(keys).await
    }

    async fn match_records(
        &self,
        entity: &EntityName,
        keys: &[String],
    ) -> Result<Vec<Vec<RecordId>>, StoreError> {
        pause().await;
        self.below().match_records(entity, keys).await
    }

    async fn load(&self, ids: &[RecordId]) -> Result<Vec<Option<Record>>, StoreError> {
        pause().await;
        self.below().load(ids).await
    }

    async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        pause().await;
        {
            let mut plan = self.plan.lock().unwrap();
            plan.commits += 1;
            if let Some((n, fault)) = plan.fault
                && plan.commits == n
            {
                plan.fault = None;
                self.inner.fail_next(fault);
            }
        }
        let outcome = self.below().commit(commit).await;
        pause().await;
        outcome
    }
}
