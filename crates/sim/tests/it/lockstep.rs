//! The same traces on the memory store and on a real one: after each commit both hold the same.

use avowal_core::data::ids::{RecordId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::bucket::Shares;
use avowal_engine::ports::store::{Commit, CommitOutcome, NewSignal, Signal, Store};
use avowal_fakes::memory::MemoryStore;
use avowal_sim::play::play_followed;
use avowal_sim::scenario::Scenario;
use avowal_stores::postgres::PostgresStore;
use avowal_stores::sqlite::SqliteStore;
use avowal_testkit::postgres::PrivatePostgres;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use tokio::runtime::{Builder, Runtime};

/// The traces that are played; `AVOWAL_LOCKSTEP_SEEDS=2000`, or `500..1000`, plays others.
fn seeds(usual: u64) -> Range<u64> {
    #[allow(clippy::disallowed_methods, reason = "a test stands where the program would")]
    let asked = std::env::var("AVOWAL_LOCKSTEP_SEEDS").ok();
    let Some(asked) = asked else { return 0..usual };
    let (from, to) = asked.split_once("..").unwrap_or(("0", &asked));
    from.parse().unwrap()..to.parse().unwrap()
}

/// A number that no store gives.
const GONE: i64 = -1;

struct Twin {
    runtime: Runtime,
    real: Arc<dyn Store>,
    /// The numbers that the stores gave to signals and quarantined items, memory's first.
    signals: BTreeMap<i64, i64>,
    items: BTreeMap<i64, i64>,
    systems: Vec<SystemName>,
    commits: u64,
}

impl Twin {
    fn follow(&mut self, commit: &Commit, memory: &MemoryStore) {
        self.commits += 1;
        let mut commit = commit.clone();
        // What is not there any more, because another worker has followed it, is closed once more in both.
        commit.signals_done.iter_mut().for_each(|id| *id = self.signals.get(id).copied().unwrap_or(GONE));
        commit
            .quarantine_ids_closed
            .iter_mut()
            .for_each(|id| *id = self.items.get(id).copied().unwrap_or(GONE));
        let touched: Vec<RecordId> = commit.records.iter().map(|record| record.state.id.clone()).collect();
        let outcome = self.runtime.block_on(self.real.commit(commit.clone())).unwrap();
        assert_eq!(outcome, CommitOutcome::Committed, "commit {}: {commit:?}", self.commits);
        self.compare(memory, &touched);
    }

    fn compare(&mut self, memory: &MemoryStore, touched: &[RecordId]) {
        let at = format!("after commit {}", self.commits);
        let run = &self.runtime;
        let both = |what: &str, left: String, right: String| assert_eq!(left, right, "{what} {at}");
        let loaded = |store: &dyn Store| format!("{:?}", run.block_on(store.load(touched)).unwrap());
        both("records", loaded(memory), loaded(&*self.real));
        let counts = |store: &dyn Store| format!("{:?}", run.block_on(store.counts()).unwrap());
        both("counts", counts(memory), counts(&*self.real));
        let never = Timestamp::from_millis(i64::MAX);
        for system in &self.systems {
            let due = |store: &dyn Store| {
                format!("{:?}", run.block_on(store.due_intents(system, Shares::ALL, never, 10_000)).unwrap())
            };
            both("due intents", due(memory), due(&*self.real));
        }
        let signals = |store: &dyn Store| {
            let of = |system| run.block_on(store.due_signals(system, Shares::ALL, never, 10_000)).unwrap();
            let mut all: Vec<Signal> = self.systems.iter().flat_map(of).collect();
            all.sort_by_key(|signal| signal.id);
            all
        };
        let (left, right) = (signals(memory), signals(&*self.real));
        self.signals =
            left.iter().map(|signal| signal.id).zip(right.iter().map(|signal| signal.id)).collect();
        let nameless = |all: Vec<Signal>| {
            all.into_iter().map(|signal| format!("{:?}", NewSignal::from(signal))).collect::<Vec<_>>()
        };
        assert_eq!(nameless(left), nameless(right), "signals {at}");
        let items = |store: &dyn Store| run.block_on(store.quarantined(10_000)).unwrap();
        let (left, right) = (items(memory), items(&*self.real));
        self.items = left.iter().map(|item| item.id).zip(right.iter().map(|item| item.id)).collect();
        assert_eq!(left.len(), right.len(), "quarantine {at}");
    }
}

/// Plays one trace on the memory store, while an empty real one follows.
fn play_in_lockstep(seed: u64, runtime: Runtime, real: Arc<dyn Store>) {
    let scenario = Scenario::of_seed(seed);
    let twin = Twin {
        runtime,
        real,
        signals: BTreeMap::new(),
        items: BTreeMap::new(),
        systems: scenario.systems.iter().map(|system| SystemName::new(&system.name)).collect(),
        commits: 0,
    };
    let twin = Arc::new(Mutex::new(twin));
    let follower = twin.clone();
    let follow = move |commit: &Commit, memory: &MemoryStore| {
        follower.lock().unwrap().follow(commit, memory);
    };
    let (outcome, world) = play_followed(&scenario, Some(Arc::new(follow)));
    assert_eq!(outcome.violations, [], "seed {seed}");
    let ending = world.unwrap().ending();
    let twin = twin.lock().unwrap();
    let records = twin.runtime.block_on(twin.real.scan_records(None, 10_000)).unwrap();
    let events = twin.runtime.block_on(twin.real.scan_events(None, 1_000_000)).unwrap();
    assert!(twin.commits > 5, "seed {seed} has commits to compare");
    assert_eq!(records, ending.records, "seed {seed}");
    assert_eq!(events, ending.events, "seed {seed}");
}

#[test]
fn sqlite_holds_what_memory_holds_after_each_commit() {
    for seed in seeds(12) {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Builder::new_current_thread().build().unwrap();
        let store = SqliteStore::open(folder.path().join("avowal.db")).unwrap();
        play_in_lockstep(seed, runtime, Arc::new(store));
    }
}

#[test]
fn postgres_holds_what_memory_holds_after_each_commit() {
    let server = PrivatePostgres::start().unwrap();
    for seed in seeds(4) {
        let name = format!("seed_{seed}");
        let url = server.create_database(&name).unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let store = runtime.block_on(PostgresStore::open(&url)).unwrap();
        play_in_lockstep(seed, runtime, Arc::new(store));
        server.psql("postgres", &format!("DROP DATABASE {name} WITH (FORCE)")).unwrap();
    }
}
