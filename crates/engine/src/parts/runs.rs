//! The runs of this process: what each has made so far, and the signs of life that it gives.

use crate::ports::store::{RecordCommit, RunCounts, Store};
use avowal_core::data::ids::RunId;
use avowal_core::data::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How long a run that makes something gives no sign of life, in milliseconds.
const NOTE_EVERY_MS: i64 = 15_000;

/// The runs that go on in this process, with what their events add up to. Without runs it asks the store for nothing.
pub(crate) struct Runs {
    store: Arc<dyn Store>,
    tallies: Mutex<Tallies>,
}

/// What each run has made, and when that was kept last.
struct Tallies {
    counts: BTreeMap<RunId, RunCounts>,
    noted_at: Timestamp,
}

impl Runs {
    /// The runs of an engine that works in `run`.
    pub(crate) fn new(store: Arc<dyn Store>, run: Option<RunId>, now: Timestamp) -> Self {
        let counts = run.map(|run| (run, RunCounts::default())).into_iter().collect();
        Self { store, tallies: Mutex::new(Tallies { counts, noted_at: now }) }
    }

    /// A run begins in this process.
    pub(crate) fn enter(&self, run: RunId) {
        self.tallies().counts.entry(run).or_default();
    }

    /// What a run has made so far.
    pub(crate) fn counts(&self, run: RunId) -> RunCounts {
        self.tallies().counts.get(&run).copied().unwrap_or_default()
    }

    /// A run ends. Answers what it made.
    pub(crate) fn leave(&self, run: RunId) -> RunCounts {
        self.tallies().counts.remove(&run).unwrap_or_default()
    }

    /// What the events of a commit add to each run.
    pub(crate) fn made_by(records: &[RecordCommit]) -> BTreeMap<RunId, RunCounts> {
        let mut made: BTreeMap<RunId, RunCounts> = BTreeMap::new();
        for event in records.iter().flat_map(|record| &record.events) {
            if let Some(run) = event.run {
                made.entry(run).or_default().count(event);
            }
        }
        made
    }

    /// Counts what has become durable.
    pub(crate) fn count(&self, made: BTreeMap<RunId, RunCounts>) {
        if made.is_empty() {
            return;
        }
        let mut tallies = self.tallies();
        for (run, counts) in made {
            tallies.counts.entry(run).or_default().add(&counts);
        }
    }

    /// Keeps how far the runs have come, unless that was done a moment ago. It is a courtesy to those who look: if it
    /// fails, the next one tells more.
    pub(crate) async fn give_sign_of_life(&self, now: Timestamp) {
        let due: Vec<(RunId, RunCounts)> = {
            let mut tallies = self.tallies();
            let since_ms = now.millis().saturating_sub(tallies.noted_at.millis());
            if tallies.counts.is_empty() || since_ms < NOTE_EVERY_MS {
                return;
            }
            tallies.noted_at = now;
            tallies.counts.iter().map(|(run, counts)| (*run, *counts)).collect()
        };
        for (run, counts) in due {
            if let Err(error) = self.store.note_run(run, &counts, now).await {
                tracing::warn!(%run, %error, "how far the run has come could not be kept");
            }
        }
    }

    fn tallies(&self) -> MutexGuard<'_, Tallies> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
