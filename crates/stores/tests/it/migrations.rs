//! Files of other versions and other programs are refused before anything is written.

use super::{customer, folder};
use avowal_engine::ports::store::{CommitChanges, ReadOverview, StoreError};
use avowal_stores::sqlite::SqliteStore;
use rusqlite::Connection;
use std::path::Path;

fn refusal(path: &Path) -> String {
    let writing = match SqliteStore::open(path) {
        Err(StoreError::Unavailable(why)) => why,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("opened"),
    };
    match SqliteStore::open_read_only(path) {
        Err(StoreError::Unavailable(why)) => assert_eq!(why, writing),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("opened"),
    }
    writing
}

fn tampered(sql: &str) -> String {
    let (_folder, path) = folder();
    drop(SqliteStore::open(&path).unwrap());
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    refusal(&path)
}

#[tokio::test]
async fn each_is_applied_once_and_remembered() {
    let (_folder, path) = folder();
    for _ in 0..2 {
        let store = SqliteStore::open(&path).unwrap();
        store.counts().await.unwrap();
    }
    let connection = Connection::open(&path).unwrap();
    let (number, name, length): (i64, String, i64) = connection
        .query_row("SELECT number, name, length(checksum) FROM migrations", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!((number, name.as_str(), length), (1, "initial", 64));
}

#[tokio::test]
async fn changed_migration_is_refused() {
    let why = tampered("UPDATE migrations SET checksum = 'other' WHERE number = 1");
    assert!(why.contains("migration 1 (initial) differs"), "{why}");
}

#[tokio::test]
async fn newer_file_is_refused() {
    let why = tampered("INSERT INTO migrations VALUES (9999, 'later', 'x', '2030-01-01')");
    assert!(why.contains("newer version of avowal (migration 9999)"), "{why}");
}

#[tokio::test]
async fn somebody_elses_file_is_refused_and_untouched() {
    let (_folder, path) = folder();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE customers (id INTEGER)").unwrap();
    let why = refusal(&path);
    assert!(why.contains("not a store of avowal") && why.contains("\"customers\""), "{why}");
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 1);
}

#[tokio::test]
async fn older_file_is_not_read_before_it_is_brought_up() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    store.commit(customer("01").commit()).await.unwrap();
    drop(store);
    Connection::open(&path).unwrap().execute_batch("DELETE FROM migrations").unwrap();
    let Err(StoreError::Unavailable(why)) = SqliteStore::open_read_only(&path) else { panic!("opened") };
    assert!(why.contains("older version"), "{why}");
}
