//! Many callers at once.

use super::sample::Stream;
use super::{committed, verify_history};
use avowal_core::data::ids::RecordId;
use avowal_core::history::Body;
use avowal_engine::ports::store::{Commit, CommitOutcome, Store};
use std::sync::Arc;

/// Commits of many tasks are all durable, and every stream is dense.
pub async fn many_writers_all_durable(store: Arc<dyn Store>) {
    const WRITERS: usize = 16;
    const STEPS: u64 = 20;
    let tasks: Vec<_> = (0..WRITERS)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let id = format!("{n:02}");
                let mut stream = Stream::linked(&id, "crm", &id);
                committed(&*store, stream.commit()).await;
                for _ in 1..STEPS {
                    stream.push(Body::Released { system: "crm".into() });
                    committed(&*store, stream.commit()).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    verify_history(&*store).await;
    assert_eq!(store.counts().await.unwrap().events, WRITERS as u64 * STEPS);
}

/// Of several commits that continue one record from the same place, exactly one goes through.
pub async fn one_of_many_competing_commits_wins(store: Arc<dyn Store>) {
    let mut first = Stream::linked("01", "crm", "1");
    committed(&*store, first.commit()).await;
    let tasks: Vec<_> = (0..12)
        .map(|n| {
            let (store, mut competing) = (Arc::clone(&store), first.clone());
            competing.plan("crm", &format!("k{n}"));
            tokio::spawn(async move { store.commit(competing.commit()).await.unwrap() })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        match task.await.unwrap() {
            CommitOutcome::Committed => won += 1,
            CommitOutcome::Conflict { .. } => {}
            other @ (CommitOutcome::Duplicate { .. } | CommitOutcome::Unknown { .. }) => panic!("{other:?}"),
        }
    }
    assert_eq!(won, 1);
    verify_history(&*store).await;
}

/// A reader never sees half of a commit, nor a state without its rows.
pub async fn readers_see_whole_commits(store: Arc<dyn Store>) {
    let ids: Vec<RecordId> = (0..8).map(|n| RecordId::from(format!("{n:02}"))).collect();
    let mut streams: Vec<Stream> =
        ids.iter().map(|id| Stream::linked(id.as_str(), "crm", id.as_str())).collect();
    let mut step = move || {
        let records = streams.iter_mut().map(|stream| {
            stream.push(Body::Released { system: "crm".into() });
            stream.step()
        });
        Commit { records: records.collect(), ..Commit::default() }
    };
    committed(&*store, step()).await;
    let writing = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for _ in 0..30 {
                committed(&*store, step()).await;
            }
        })
    };
    while !writing.is_finished() {
        let loaded = store.load(&ids).await.unwrap();
        let seqs: Vec<_> = loaded.iter().map(|record| record.as_ref().unwrap().seq).collect();
        assert!(seqs.windows(2).all(|pair| pair[0] == pair[1]), "torn read: {seqs:?}");
        tokio::task::yield_now().await;
    }
    writing.await.unwrap();
}
