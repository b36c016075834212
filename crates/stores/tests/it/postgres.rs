//! The Postgres store against the port's suite, on a private server.

use avowal_engine::store::Store;
use avowal_stores::postgres::PostgresStore;
use avowal_testkit::postgres::PrivatePostgres;
use std::sync::Arc;

/// The conformance suite: a server of its own for each case, so that the cases may run in processes of their own.
mod suite {
    use super::fresh;
    avowal_testkit::store_suite!({
        let (server, store) = fresh().await;
        (server, store as std::sync::Arc<dyn avowal_engine::store::Store>)
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
