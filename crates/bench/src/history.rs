//! Growth with the length of one record's history: a change is loaded, decided and committed at the same cost.

use crate::report::{Report, count};
use crate::{Outcome, plot};
use avowal_core::data::ids::RecordId;
use avowal_core::data::time::Timestamp;
use avowal_core::decide::lifecycle::link;
use avowal_core::history::chronicle::Chronicle;
use avowal_core::history::{Body, Context, LinkReason};
use avowal_core::record::Record;
use avowal_engine::ports::store::{Commit, CommitChanges, CommitOutcome, ReadRecords, RecordCommit};
use avowal_stores::sqlite::SqliteStore;
use std::time::Instant;

/// How many changes are measured at each length.
const CHANGES: u32 = 200;

/// Measures at growing lengths.
pub fn measure(report: &mut Report, rows: u64) -> Outcome<()> {
    let longest = rows.clamp(1_000, 100_000);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    let points = runtime.block_on(async {
        let store = SqliteStore::open(folder.path().join("avowal.db"))?;
        let id = RecordId::from("01");
        let mut points = Vec::new();
        let mut length = 10;
        while length <= longest {
            lengthen(&store, &id, length).await?;
            points.push((length as f64, change(&store, &id).await?));
            length *= 10;
        }
        Ok::<_, Box<dyn std::error::Error>>(points)
    })?;
    let lines: Vec<Vec<String>> =
        points.iter().map(|(length, ms)| vec![count(*length), format!("{ms:.3}")]).collect();
    let heads = ["events before", "ms for one change: load, record, durable commit"];
    report.table("history", "Growth with the length of a record's history", &heads, &lines);
    let svg = plot::line("one change of a record with a long history", "events before", "ms", &points, true);
    report.plot("history", "growth-history.svg", "growth with history length", &svg)
}

/// Appends events until the record has so many.
async fn lengthen(store: &SqliteStore, id: &RecordId, length: u64) -> Outcome<()> {
    loop {
        let mut chronicle = open(store, id).await?;
        let missing = length.saturating_sub(chronicle.record().seq);
        if missing == 0 {
            return Ok(());
        }
        if chronicle.record().seq == 0 {
            link(&mut chronicle, &"app".into(), &"1".into(), LinkReason::FirstSeen);
        }
        for _ in 0..missing.min(1_000) {
            chronicle.push(Body::Released { system: "app".into() });
        }
        commit(store, chronicle).await?;
    }
}

/// How long one change takes on average, in milliseconds.
async fn change(store: &SqliteStore, id: &RecordId) -> Outcome<f64> {
    let began = Instant::now();
    for _ in 0..CHANGES {
        let mut chronicle = open(store, id).await?;
        chronicle.push(Body::Released { system: "app".into() });
        commit(store, chronicle).await?;
    }
    Ok(began.elapsed().as_secs_f64() * 1000.0 / f64::from(CHANGES))
}

async fn open(store: &SqliteStore, id: &RecordId) -> Outcome<Chronicle> {
    let stored = store.load(std::slice::from_ref(id)).await?.pop().flatten();
    let record = stored.unwrap_or_else(|| Record::new(id.clone(), "customer".into()));
    Ok(Chronicle::new(record, Context::default(), Timestamp::from_millis(0)))
}

async fn commit(store: &SqliteStore, chronicle: Chronicle) -> Outcome<()> {
    let (expected_seq, state, events) = chronicle.finish();
    let record = RecordCommit { expected_seq, state, events, match_keys: Vec::new() };
    match store.commit(Commit { records: vec![record], ..Commit::default() }).await? {
        CommitOutcome::Committed => Ok(()),
        other => Err(format!("not committed: {other:?}").into()),
    }
}
