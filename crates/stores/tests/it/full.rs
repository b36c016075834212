//! A full disk: nothing is lost, nothing half-written, and the store goes on when there is room again.

use super::{customer, fresh};
use avowal_core::data::value::Value;
use avowal_engine::ports::store::{CommitChanges, CommitOutcome, ReadOverview, StoreError};
use avowal_testkit::store_suite::sample::Stream;
use avowal_testkit::store_suite::{contents, verify_history};

/// A customer whose contents fill some dozen pages.
fn bulky(id: &str) -> Stream {
    let mut stream = customer(id);
    let belief = stream.state.fields.get_mut("email").unwrap();
    belief.value = Value::text("x".repeat(200_000));
    stream
}

#[tokio::test]
async fn full_file_takes_nothing_and_recovers() {
    let (_folder, store) = fresh();
    assert_eq!(store.commit(customer("01").commit()).await, Ok(CommitOutcome::Committed));
    let before = contents(&*store).await;
    store.limit_pages(1).await.unwrap();
    let refused = store.commit(bulky("02").commit()).await;
    let Err(error @ StoreError::Full(_)) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().contains("avowal.db"), "{error}");
    assert_eq!(contents(&*store).await, before);
    assert!(matches!(store.commit(bulky("02").commit()).await, Err(StoreError::Full(_))));
    store.limit_pages(100_000).await.unwrap();
    assert_eq!(store.commit(bulky("02").commit()).await, Ok(CommitOutcome::Committed));
    assert_eq!(store.counts().await.unwrap().events, 2);
    verify_history(&*store).await;
}

#[tokio::test]
async fn full_file_fails_a_whole_group_cleanly() {
    let (_folder, store) = fresh();
    store.limit_pages(120).await.unwrap();
    let tasks: Vec<_> = (0..24)
        .map(|n| {
            let store = std::sync::Arc::clone(&store);
            tokio::spawn(async move {
                let mut stream = bulky(&format!("{n:02}"));
                store.commit(stream.commit()).await
            })
        })
        .collect();
    let mut stored = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(CommitOutcome::Committed) => stored += 1,
            Err(StoreError::Full(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(stored < 24);
    assert_eq!(contents(&*store).await.records.len(), stored);
    verify_history(&*store).await;
}
