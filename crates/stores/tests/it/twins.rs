//! The same random commits, good and bad, on two stores: whatever the port shows must be the same.

use super::fresh;
use avowal_core::data::ids::RecordId;
use avowal_core::history::Body;
use avowal_core::record::CopyKey;
use avowal_engine::ports::bucket::Shares;
use avowal_engine::ports::store::{Commit, CommitChanges, CommitOutcome, IntentDelay, SignalReason, Store};
use avowal_stores::postgres::PostgresStore;
use avowal_testkit::memory::MemoryStore;
use avowal_testkit::postgres::PrivatePostgres;
use avowal_testkit::store_suite::generate::Random;
use avowal_testkit::store_suite::sample::{Stream, at, copy, delivery, feed, moved, signal, unreadable};
use avowal_testkit::store_suite::{Contents, contents};

const SYSTEMS: [&str; 3] = ["app", "billing", "crm"];

#[tokio::test]
async fn memory_and_file_agree() {
    for seed in 1..=4 {
        let (_folder, file) = fresh();
        agree(&*file, seed).await;
    }
}

#[tokio::test]
async fn memory_and_postgres_agree() {
    let server = PrivatePostgres::start().unwrap();
    for seed in 1..=4 {
        let url = server.create_database(&format!("twin{seed}")).unwrap();
        agree(&PostgresStore::open(&url).await.unwrap(), seed).await;
    }
}

async fn agree(other: &dyn Store, seed: u64) {
    let memory = MemoryStore::new();
    let mut random = Random::new(seed);
    let mut streams: Vec<Stream> = (0..6).map(|n| Stream::new(&format!("{n:02}"))).collect();
    for step in 0..60 {
        let place = format!("seed {seed}, step {step}");
        let (commit, touched) = arbitrary(&mut random, &streams);
        let outcome = memory.commit(commit.clone()).await.unwrap();
        assert_eq!(kind(&other.commit(commit).await.unwrap()), kind(&outcome), "{place}");
        if outcome == CommitOutcome::Committed {
            touched.into_iter().for_each(|(n, stream)| streams[n] = stream);
        }
        assert_eq!(schedule(other).await, schedule(&memory).await, "{place}");
    }
    assert_eq!(shown(other).await, shown(&memory).await, "seed {seed}");
}

/// A commit of random parts; some of it stale, taken or repeated.
fn arbitrary(random: &mut Random, streams: &[Stream]) -> (Commit, Vec<(usize, Stream)>) {
    let mut touched = Vec::new();
    let mut commit = Commit::default();
    for (n, stream) in streams.iter().enumerate() {
        if random.one_in(3) {
            let mut stream = stream.clone();
            random.fill(&mut stream.state);
            if random.one_in(8) {
                // Somebody else's copy, perhaps.
                for copy in stream.state.copies.values_mut() {
                    copy.remote_id = "shared".into();
                }
            }
            stream.push(Body::Released { system: "crm".into() });
            let keys = (0..random.below(3)).map(|_| format!("k{}", random.below(4))).collect();
            let mut part = stream.step_with_keys(keys);
            if random.one_in(20) {
                part.expected_seq += 1;
            }
            commit.records.push(part);
            touched.push((n, stream));
        }
    }
    let system = |random: &mut Random| SYSTEMS[random.below(3) as usize];
    if random.one_in(3) {
        let system = system(random);
        commit.dedupe.push(delivery(system, &format!("d{}", random.below(20))));
    }
    if random.one_in(3) {
        let remote_id = format!("{}", random.below(2));
        commit.quarantine.push(unreadable("crm", &remote_id, "bad"));
        commit.signals.push(signal(
            "crm",
            &remote_id,
            at(random.below(9) as i64),
            SignalReason::UnknownOutcome,
        ));
    }
    if random.one_in(4) {
        commit.quarantine_closed.push(copy("crm", "1"));
        commit.cursors.push(moved("crm", None, "1"));
    }
    let delay = IntentDelay {
        record: RecordId::from(format!("{:02}", random.below(6))),
        system: system(random).into(),
        not_before: at(random.below(9) as i64),
        failures: random.below(5) as u32,
        reason: Some("503".to_owned()),
    };
    commit.delays.push(delay);
    (commit, touched)
}

fn kind(outcome: &CommitOutcome) -> &'static str {
    match outcome {
        CommitOutcome::Committed => "committed",
        CommitOutcome::Conflict { .. } => "conflict",
        CommitOutcome::Duplicate { .. } => "duplicate",
        CommitOutcome::Unknown { .. } => "unknown",
    }
}

/// What is due, without the numbers that each store gives in its own way.
async fn schedule(store: &dyn Store) -> String {
    let mut out = format!("{:?}", store.next_due().await.unwrap());
    for system in SYSTEMS {
        for now in [at(0), at(4), at(9)] {
            let due = store.due_intents(&system.into(), Shares::ALL, now, 4).await.unwrap();
            out.push_str(&format!("\n{system} {now} {due:?}"));
        }
    }
    let signals = store.due_signals(&"crm".into(), Shares::ALL, at(5), 50).await.unwrap();
    signals.iter().for_each(|signal| out.push_str(&format!("\n{:?} {}", signal.copy, signal.not_before)));
    out
}

async fn shown(store: &dyn Store) -> String {
    let Contents { records, events, reviews, mut quarantine, counts } = contents(store).await;
    quarantine.iter_mut().for_each(|item| item.id = 0);
    let keys: Vec<CopyKey> = records
        .iter()
        .flat_map(|record| record.copies.iter())
        .map(|(system, copy)| CopyKey {
            system: system.clone(),
            entity: "customer".into(),
            remote_id: copy.remote_id.clone(),
        })
        .collect();
    let located = store.locate(&keys).await.unwrap();
    let names: Vec<String> = (0..4).map(|n| format!("k{n}")).collect();
    let matched = store.match_records(&"customer".into(), &names).await.unwrap();
    let cursor = store.cursor(&feed("crm")).await.unwrap();
    format!(
        "{records:#?}{events:#?}{reviews:#?}{quarantine:#?}{counts:#?}{located:#?}{matched:#?}{cursor:#?}"
    )
}
