//! A file is somebody: a backup that was restored, another file and one that was made anew are recognised.

use super::{File, SCHEMA, entity, pairs, told};
use avowal_engine::ports::connector::{Connector as _, ConnectorError, ConnectorErrorKind};
use avowal_engine::ports::store::Cursor;
use std::fs;

async fn refused(file: &File, from: &Cursor) -> ConnectorError {
    file.connector.changes(&entity(), from, 10).await.unwrap_err()
}

#[track_caller]
fn assert_changed(error: &ConnectorError, words: &str) {
    assert_eq!(error.kind, ConnectorErrorKind::IdentityChanged, "{error}");
    assert!(error.message.contains(words) && error.cure.is_some(), "{error}");
}

async fn with_ann() -> File {
    let file = File::new(SCHEMA).await;
    file.sql("INSERT INTO people (id, name) VALUES (1, 'Ann')");
    file
}

/// Puts a backup in the place of the file, as `cp` does.
fn restore(file: &File, backup: &str) {
    fs::copy(file.folder.path().join(backup), file.path()).unwrap();
}

fn back_up(file: &File, backup: &str) {
    fs::copy(file.path(), file.folder.path().join(backup)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_recognised_although_the_application_has_written_on() {
    for written_since in 0..9 {
        let file = with_ann().await;
        back_up(&file, "backup.db");
        for n in 0..4 {
            file.sql(&format!("UPDATE people SET name = 'Ann v{n}'"));
        }
        let from = file.position().await;
        restore(&file, "backup.db");
        for n in 0..written_since {
            file.sql(&format!("UPDATE people SET name = 'Ann new {n}'"));
        }
        assert_changed(&refused(&file, &from).await, "backup");
        // Installing does not hide it.
        file.connector.install().await.unwrap();
        assert_changed(&refused(&file, &from).await, "backup");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_an_older_or_a_younger_epoch_is_recognised() {
    let file = with_ann().await;
    back_up(&file, "backup.db");
    file.sql("DROP TRIGGER avowal_none_on_1_update");
    file.connector.install().await.unwrap();
    let from = file.position().await;
    restore(&file, "backup.db");
    assert_changed(&refused(&file, &from).await, "backup");
    file.sql("DROP TRIGGER avowal_none_on_1_update");
    file.connector.install().await.unwrap();
    assert_changed(&refused(&file, &from).await, "backup");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_from_before_the_first_sync_is_recognised() {
    let file = with_ann().await;
    let from = file.position().await;
    file.connector.uninstall().await.unwrap();
    assert_changed(&refused(&file, &from).await, "no change log");
    file.connector.install().await.unwrap();
    assert_changed(&refused(&file, &from).await, "made anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_and_another_one_are_recognised() {
    let file = with_ann().await;
    let from = file.position().await;
    let other = with_ann().await;
    other.sql("UPDATE people SET name = 'of another project'");
    fs::copy(other.path(), file.path()).unwrap();
    assert_changed(&refused(&file, &from).await, "another");

    fs::remove_file(file.path()).unwrap();
    rusqlite::Connection::open(file.path()).unwrap().execute_batch(SCHEMA).unwrap();
    assert_changed(&refused(&file, &from).await, "no change log");
    file.connector.install().await.unwrap();
    assert_changed(&refused(&file, &from).await, "made anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_moved_with_everything_in_it_is_the_same() {
    let file = with_ann().await;
    let from = file.position().await;
    file.sql("UPDATE people SET name = 'Anne'");
    back_up(&file, "moved.db");
    fs::rename(file.folder.path().join("moved.db"), file.path()).unwrap();
    assert_eq!(told(&file.changes(&from).await, "name"), pairs([("1", "Anne")]));
    // So is one that was packed or written out and read in again.
    let dump = file.folder.path().join("packed.db");
    rusqlite::Connection::open(file.path())
        .unwrap()
        .execute_batch(&format!("VACUUM INTO '{}'", dump.display()))
        .unwrap();
    fs::rename(dump, file.path()).unwrap();
    assert_eq!(told(&file.changes(&from).await, "name"), pairs([("1", "Anne")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_made_anew_in_the_same_file_are_no_other_identity() {
    let file = with_ann().await;
    let from = file.position().await;
    file.sql("DROP TRIGGER avowal_none_on_1_update; UPDATE people SET name = 'unseen'");
    assert_eq!(refused(&file, &from).await.kind, ConnectorErrorKind::SchemaDrift);
    file.connector.install().await.unwrap();
    assert_eq!(refused(&file, &from).await.kind, ConnectorErrorKind::CursorExpired);
    assert_eq!(
        refused(&file, &Cursor("of an earlier version".to_owned())).await.kind,
        ConnectorErrorKind::CursorExpired
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_adopted_goes_on_with_higher_orders() {
    for anew in [false, true] {
        let file = with_ann().await;
        back_up(&file, "backup.db");
        file.sql("UPDATE people SET name = 'Ann v1'; UPDATE people SET name = 'Ann v2'");
        let before = file.connector.list(&entity(), None, 10).await.unwrap().changes.remove(0).order.unwrap();
        let from = file.position().await;
        if anew {
            fs::remove_file(file.path()).unwrap();
            rusqlite::Connection::open(file.path()).unwrap().execute_batch(SCHEMA).unwrap();
        } else {
            restore(&file, "backup.db");
        }
        assert_eq!(refused(&file, &from).await.kind, ConnectorErrorKind::IdentityChanged);
        file.connector.adopt(&entity(), &from).await.unwrap();
        // A reader who comes with the old cursor lists everything.
        assert_eq!(refused(&file, &from).await.kind, ConnectorErrorKind::CursorExpired);
        let from = file.position().await;
        rusqlite::Connection::open(file.path())
            .unwrap()
            .execute_batch("INSERT OR REPLACE INTO people (id, name) VALUES (1, 'Ann new')")
            .unwrap();
        let changes = file.changes(&from).await;
        assert_eq!(told(&changes, "name"), pairs([("1", "Ann new")]));
        assert!(
            before.proven_older_than(changes[0].order.as_ref().unwrap()),
            "{before} {:?}",
            changes[0].order
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_removed_and_made_anew_gives_higher_orders() {
    let file = with_ann().await;
    file.sql("UPDATE people SET name = 'Ann v1'; UPDATE people SET name = 'Ann v2'");
    let before = file.connector.list(&entity(), None, 10).await.unwrap().changes.remove(0).order.unwrap();
    file.connector.uninstall().await.unwrap();
    file.sql("ALTER TABLE people DROP COLUMN updated_at");
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    file.connector.install().await.unwrap();
    let from = file.position().await;
    file.sql("UPDATE people SET name = 'Ann new'");
    let after = file.changes(&from).await.remove(0).order.unwrap();
    assert!(before.proven_older_than(&after), "{before} before {after}");
}
