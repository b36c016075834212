//! The memory store keeps the port's contract, and fails as told.

#![allow(clippy::unwrap_used)]

use avowal_engine::ports::store::{CommitChanges, CommitOutcome, ReadRecords, StoreError};
use avowal_testkit::memory::{CommitFault, MemoryStore};
use avowal_testkit::store_suite::sample::Stream;
use std::sync::Arc;

avowal_testkit::store_suite!(((), Arc::new(MemoryStore::new())));

#[tokio::test]
async fn faults_meet_one_commit_each() {
    let store = MemoryStore::new();
    let empty = store.dump();
    let commit = || Stream::linked("01", "crm", "1").commit();
    for fault in [CommitFault::Full, CommitFault::Conflict, CommitFault::UnknownNotApplied] {
        store.fail_next(fault);
    }
    assert!(matches!(store.commit(commit()).await, Err(StoreError::Full(_))));
    assert!(matches!(store.commit(commit()).await, Ok(CommitOutcome::Conflict { .. })));
    assert!(matches!(store.commit(commit()).await, Ok(CommitOutcome::Unknown { .. })));
    assert_eq!(store.dump(), empty);
    store.fail_next(CommitFault::UnknownApplied);
    assert!(matches!(store.commit(commit()).await, Ok(CommitOutcome::Unknown { .. })));
    let there = store.load(&["01".into()]).await.unwrap();
    assert_eq!(there[0].as_ref().map(|record| record.seq), Some(1));
    assert!(matches!(store.commit(commit()).await, Ok(CommitOutcome::Conflict { .. })));
}
