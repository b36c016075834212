//! What many rows cost.

use super::{Database, SCHEMA, confirmed, connect, entity, person, set};
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{Connector, ConnectorErrorKind, Expected, Fields, Write};
use avowal_testkit::connector_suite::{REFUSED_NAME, binding};
use avowal_testkit::postgres::PrivatePostgres;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_rows_take_seconds() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    let begun = Instant::now();
    for batch in 0..20 {
        let writes: Vec<_> = (0..500)
            .map(|n| {
                // One row in each batch is refused; the others go through.
                let name = if n == 250 { REFUSED_NAME.to_owned() } else { format!("Person {batch} {n}") };
                let lookup =
                    vec![Fields::from([("email".to_owned(), format!("{batch}.{n}@x").as_str().into())])];
                Write {
                    operation: Operation::Create,
                    id: None,
                    lookup,
                    ..set(&format!("c{batch}.{n}"), "", "name", name.as_str())
                }
            })
            .collect();
        assert_eq!(confirmed(&db.write(&writes).await), 499);
    }
    println!("10 000 creates: {:?}", begun.elapsed());
    let begun = Instant::now();
    let (mut cursor, mut updated) = (None, 0);
    loop {
        let page = db.connector.list(&entity(), cursor.as_ref(), 500).await.unwrap();
        let writes: Vec<_> = page
            .changes
            .iter()
            .map(|change| Write {
                expected: Expected::when(|present| present.contains_key("name")),
                ..set(&format!("u{}", change.id), change.id.as_str(), "note", "updated")
            })
            .collect();
        updated += confirmed(&db.write(&writes).await);
        cursor = Some(page.next);
        if !page.more {
            break;
        }
    }
    println!("listing and updating {updated}: {:?}", begun.elapsed());
    let cursor = db.position().await;
    let begun = Instant::now();
    db.sql("UPDATE people SET updated_at = now()").await;
    println!("touching all: {:?}", begun.elapsed());
    assert_eq!(db.changes(&cursor).await, vec![]);
    let begun = Instant::now();
    db.sql("UPDATE people SET points = 1").await;
    println!("changing all: {:?}", begun.elapsed());
    assert_eq!(db.changes(&cursor).await.len(), 1000);
}

/// How many rows of the log were read without an index, as the server counts. Counts reach it when a connection ends.
async fn log_rows_scanned(db: &Database) -> (i64, i64) {
    let sql = "SELECT seq_tup_read, idx_scan FROM pg_stat_user_tables WHERE schemaname = 'avowal_none' AND relname = 'log'";
    let row = person(&db.url).await.query_one(sql, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_costs_its_rows_however_long_the_log_is() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    db.sql("INSERT INTO people (name) SELECT 'Person ' || n FROM generate_series(1, 20000) n").await;
    db.sql("ANALYZE avowal_none.log; ANALYZE avowal_none.ops").await;
    let reader = connect(&db.url, binding("people", "id"));
    let cursor = reader.feed_position(&entity()).await.unwrap();
    db.sql("UPDATE people SET note = 'x' WHERE id <= 300").await;
    // Whoever wrote has ended, so that its counts are in.
    let Database { url, connector, person } = db;
    drop((connector, person));
    let db = Database {
        connector: connect(&url, binding("people", "id")),
        person: super::person(&url).await,
        url,
    };
    let (scanned, by_index) = log_rows_scanned(&db).await;
    assert_eq!(reader.changes(&entity(), &cursor, 300).await.unwrap().changes.len(), 300);
    drop(reader);
    let begun = Instant::now();
    loop {
        let (now_scanned, now_by_index) = log_rows_scanned(&db).await;
        if now_by_index > by_index {
            assert_eq!(now_scanned, scanned, "a page of 300 rows made the server read the whole log");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "the counts did not come in");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_long_ago_goes_from_the_log() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    let age = "UPDATE avowal_none.log SET at = at - interval '8 days'";
    db.sql(age).await;
    let first = db.position().await;
    // It is tidied up after ten thousand rows that were read.
    db.sql("INSERT INTO people (name) SELECT 'p' || n FROM generate_series(1, 10500) n").await;
    db.sql(&format!("{age} WHERE operation = 'insert'")).await;
    db.sql("UPDATE people SET note = 'x' WHERE id <= 10").await;
    let mut cursor = first.clone();
    loop {
        let page = db.connector.changes(&entity(), &cursor, 1000).await.unwrap();
        cursor = page.next;
        if page.changes.is_empty() {
            break;
        }
    }
    db.changes(&cursor).await;
    let rows = db.person.query_one("SELECT count(*) FROM avowal_none.log", &[]).await.unwrap();
    let left = rows.get::<_, i64>(0);
    assert!(
        (10..10_000).contains(&left),
        "old rows that were read are gone, the others stay: {left} are left"
    );
    assert_eq!(db.changes(&cursor).await, vec![]);
    let error = db.connector.changes(&entity(), &first, 1000).await.unwrap_err();
    assert_eq!(error.kind, ConnectorErrorKind::CursorExpired, "{error}");
}
