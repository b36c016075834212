//! The Postgres store against the port's suite, on a private server.

use avowal_core::data::time::Timestamp;
use avowal_core::record::CopyKey;
use avowal_engine::ports::store::{Commit, CommitChanges, NewSignal, ReadOverview, ShareStore, SignalReason};
use avowal_stores::postgres::PostgresStore;
use avowal_testkit::postgres::PrivatePostgres;
use std::sync::Arc;
use std::time::Duration;

/// The conformance suite: a server of its own for each case, so that the cases may run in processes of their own.
mod suite {
    use super::fresh;
    avowal_testkit::store_suite!({
        let (server, store) = fresh().await;
        (server, store as std::sync::Arc<dyn avowal_engine::ports::store::Store>)
    });
}

/// An empty store on a server of its own.
pub async fn fresh() -> (PrivatePostgres, Arc<PostgresStore>) {
    let server = PrivatePostgres::start().unwrap();
    let store = PostgresStore::open(&server.url("postgres")).await.unwrap();
    (server, Arc::new(store))
}

#[tokio::test]
async fn any_number_may_open_it_at_once() {
    let server = PrivatePostgres::start().unwrap();
    let url = server.url("postgres");
    let opening: Vec<_> = (0..4)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { PostgresStore::open(&url).await.map(|_| ()) })
        })
        .collect();
    for opened in opening {
        opened.await.unwrap().unwrap();
    }
    let store = PostgresStore::open_read_only(&url).await.unwrap();
    assert_eq!(store.counts().await.unwrap(), Default::default());
}

/// A commit that leaves a hint for a system.
fn hint_for(system: &str) -> Commit {
    let copy = CopyKey { system: system.into(), entity: "customer".into(), remote_id: "7".into() };
    let at = Timestamp::from_millis(1);
    let signal =
        NewSignal { copy, not_before: at, reason: SignalReason::Webhook, received_at: at, attempts: 0 };
    Commit { signals: vec![signal], ..Commit::default() }
}

async fn is_work_available(store: &PostgresStore, system: &str, within_ms: u64) -> bool {
    let system = system.into();
    let work_available = store.shared().unwrap().work_available(&system);
    tokio::time::timeout(Duration::from_millis(within_ms), work_available).await.is_ok()
}

#[tokio::test]
async fn work_that_one_process_leaves_wakes_the_others() {
    let mut server = PrivatePostgres::start().unwrap();
    let url = server.url("postgres");
    let (here, there) = (PostgresStore::open(&url).await.unwrap(), PostgresStore::open(&url).await.unwrap());
    for system in ["crm", "app"] {
        // What was left before anybody listened was not heard: everybody looks once.
        let _ = is_work_available(&here, system, 2_000).await;
    }
    there.commit(hint_for("crm")).await.unwrap();
    assert!(is_work_available(&here, "crm", 5_000).await, "the other process is woken");
    assert!(!is_work_available(&here, "app", 300).await, "for that system only");
    here.commit(hint_for("crm")).await.unwrap();
    assert!(!is_work_available(&here, "crm", 300).await, "one's own work is no news");
    // A channel that was lost is opened again.
    server.restart().unwrap();
    assert!(is_work_available(&here, "app", 20_000).await, "nobody knows what was missed");
    let _ = is_work_available(&here, "crm", 1_000).await;
    there.commit(hint_for("crm")).await.unwrap();
    assert!(is_work_available(&here, "crm", 5_000).await, "and it is heard again");
}
