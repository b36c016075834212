//! Opening, closing, locking, reading beside a writer, and damage.

use super::{customer, folder};
use avowal_engine::ports::store::{CommitChanges, CommitOutcome, ReadOverview, ReadRecords, StoreError};
use avowal_stores::sqlite::SqliteStore;
use avowal_testkit::store_suite::contents;
use rusqlite::Connection;
use std::fs::File;

#[tokio::test]
async fn reopening_keeps_everything() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    for id in ["01", "02"] {
        assert_eq!(store.commit(customer(id).commit()).await, Ok(CommitOutcome::Committed));
    }
    let before = contents(&store).await;
    drop(store);
    // The last connection folds the log into the file, so a copy of the file alone is complete.
    assert!(!path.with_extension("db-wal").exists());
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(contents(&store).await, before);
    assert_eq!(before.records.len(), 2);
}

#[tokio::test]
async fn dropping_finishes_what_is_queued() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    let mut commits: Vec<_> =
        (0..20).map(|n| Box::pin(store.commit(customer(&format!("{n:02}")).commit()))).collect();
    for commit in &mut commits {
        // One poll hands the commit to the writer; then the caller goes away.
        let poll = std::future::poll_fn(|context| std::task::Poll::Ready(commit.as_mut().poll(context)));
        assert!(!matches!(poll.await, std::task::Poll::Ready(Err(_))));
    }
    drop(commits);
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.counts().await.unwrap().events, 20);
}

#[tokio::test]
async fn second_writer_is_told_who_holds_the_store() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    let Err(StoreError::Locked(who)) = SqliteStore::open(&path) else { panic!("two writers") };
    assert!(who.contains("avowal.db.lock"), "{who}");
    assert!(who.ends_with(&format!("process {}", std::process::id())), "{who}");
    drop(store);
    SqliteStore::open(&path).unwrap();
}

#[tokio::test]
async fn lock_of_another_file_handle_counts() {
    let (_folder, path) = folder();
    let lock = File::create(path.with_extension("db.lock")).unwrap();
    lock.try_lock().unwrap();
    assert!(matches!(SqliteStore::open(&path), Err(StoreError::Locked(_))));
    // A lock file left behind by a crash holds nobody up.
    drop(lock);
    SqliteStore::open(&path).unwrap();
}

#[tokio::test]
async fn read_only_sees_commits_and_writes_nothing() {
    let (_folder, path) = folder();
    let Err(StoreError::Unavailable(why)) = SqliteStore::open_read_only(&path) else { panic!("no file") };
    assert!(why.contains("avowal sync"), "{why}");
    assert!(!path.exists());
    let writer = SqliteStore::open(&path).unwrap();
    let reader = SqliteStore::open_read_only(&path).unwrap();
    assert_eq!(writer.commit(customer("01").commit()).await, Ok(CommitOutcome::Committed));
    assert_eq!(contents(&reader).await, contents(&writer).await);
    let refused = reader.commit(customer("02").commit()).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    let state = reader.load(&["01".into()]).await.unwrap().remove(0).unwrap();
    assert!(matches!(reader.restate(&state, &[]).await, Err(StoreError::Unavailable(_))));
    assert_eq!(reader.seen_before(&"crm".into(), &["d".to_owned()]).await, Ok(vec![false]));
    drop(writer);
    assert_eq!(contents(&reader).await.records.len(), 1);
    drop(reader);
    // Also when nobody writes.
    let reader = SqliteStore::open_read_only(&path).unwrap();
    assert_eq!(contents(&reader).await.records.len(), 1);
}

#[tokio::test]
async fn missing_folder_is_named() {
    let (folder, _) = folder();
    let path = folder.path().join("nowhere").join("avowal.db");
    let Err(StoreError::Unavailable(why)) = SqliteStore::open(&path) else { panic!("opened") };
    assert!(why.contains("nowhere") && why.contains("folder exists"), "{why}");
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let (_folder, path) = folder();
    std::fs::write(&path, "name,email\n".repeat(1000)).unwrap();
    let Err(StoreError::Corrupt { place, .. }) = SqliteStore::open(&path) else { panic!("opened") };
    assert!(place.contains("avowal.db"));
}

#[tokio::test]
async fn damaged_row_is_named() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    for id in ["01", "02"] {
        store.commit(customer(id).commit()).await.unwrap();
    }
    // What was committed last is kept in memory, so the rows are read by a store that has just been opened.
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    Connection::open(&path).unwrap().execute("UPDATE records SET state = '{' WHERE id = '01'", []).unwrap();
    let Err(StoreError::Corrupt { place, .. }) = store.load(&["01".into()]).await else { panic!("loaded") };
    assert_eq!(place, "records row 01, state");
    assert!(store.load(&["02".into()]).await.unwrap()[0].is_some());
}

#[tokio::test]
async fn another_programs_transaction_is_waited_for() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    let shell = Connection::open(&path).unwrap();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    let release = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        shell.execute_batch("ROLLBACK").unwrap();
    });
    assert_eq!(store.commit(customer("01").commit()).await, Ok(CommitOutcome::Committed));
    release.join().unwrap();
}
