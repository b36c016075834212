//! What a person sees with the sqlite3 shell, and what the file refuses.

use super::{customer, folder};
use avowal_core::data::ids::SystemName;
use avowal_core::data::value::Value;
use avowal_core::data::version::Dot;
use avowal_core::history::{Body, ConfirmedBy, FieldStored, ReviewAnswer};
use avowal_core::record::Review;
use avowal_core::record::reason::ReviewReason;
use avowal_engine::ports::store::{
    Commit, CommitChanges, KeepRuns, NewRun, ReadOverview, RunCounts, RunEnd, RunKind,
};
use avowal_stores::sqlite::SqliteStore;
use avowal_testkit::store_suite::sample::{Stream, at, delivery, records, unreadable};
use rusqlite::Connection;
use std::path::Path;

/// The rows of a query, cells joined by `|` as the shell prints them.
fn rows(path: &Path, sql: &str) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let line = |row: &rusqlite::Row<'_>| {
        let cell = |at| match row.get_unwrap::<_, rusqlite::types::Value>(at) {
            rusqlite::types::Value::Null => String::new(),
            rusqlite::types::Value::Integer(int) => int.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => panic!("{other:?} is not for a person"),
        };
        Ok((0..columns).map(cell).collect::<Vec<_>>().join("|"))
    };
    statement.query_map([], line).unwrap().map(Result::unwrap).collect()
}

fn confirm(stream: &mut Stream, system: &str, source: &str, value: &str) {
    let stored = FieldStored {
        content: Value::text(value),
        sent_as: None,
        wrote: Value::text(value).digest(),
        base: Dot::new(SystemName::from(source), 1),
    };
    stream.push(Body::IntentConfirmed {
        system: system.into(),
        key: format!("key-{value}"),
        by: ConfirmedBy::Receipt,
        fields: [("email".into(), stored)].into(),
        order: None,
        version: None,
    });
}

#[tokio::test]
async fn history_cannot_be_changed_or_deleted() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    store.commit(customer("01").commit()).await.unwrap();
    let shell = Connection::open(&path).unwrap();
    for sql in ["UPDATE events SET actor = 'me'", "DELETE FROM events"] {
        let error = shell.execute(sql, []).unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
    assert_eq!(store.counts().await.unwrap().events, 1);
}

#[tokio::test]
async fn ledger_holds_the_last_entry_of_each_direction() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    let mut one = customer("01");
    for value in ["a", "b", "a2"] {
        confirm(&mut one, "crm", "app", value);
    }
    confirm(&mut one, "app", "crm", "b");
    store.commit(one.commit()).await.unwrap();
    let sql = "SELECT record_key, source_system, target_system, field, direction, idempotency_key, field_hash, synced_at
               FROM sync_ledger ORDER BY direction";
    let line = |from: &str, to: &str, value: &str| {
        format!("01|{from}|{to}|email|{from}->{to}|key-{value}|{}|{}", Value::text(value).digest(), at(1))
    };
    let expected = [line("app", "crm", "a2"), line("crm", "app", "b")];
    assert_eq!(rows(&path, sql), expected);
    let refused = Connection::open(&path).unwrap().execute("UPDATE sync_ledger SET field_hash = 'x'", []);
    assert!(refused.unwrap_err().to_string().contains("view"), "the history alone says what it holds");
}

#[tokio::test]
async fn closed_reviews_keep_their_answer() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    let mut one = customer("01");
    let review = Review {
        id: "01-2".to_owned(),
        reason: ReviewReason::ManualReview,
        believed: None,
        proposed: Default::default(),
        opened_at: at(2),
    };
    one.push(Body::ManualReviewRequested { subject: "email".into(), review: review.clone() });
    one.state.reviews.insert("email".into(), review);
    store.commit(one.commit()).await.unwrap();
    one.state.reviews.clear();
    let (answer, note) = (ReviewAnswer::Keep, Some("asked".to_owned()));
    one.push(Body::ReviewDecided { subject: "email".into(), review: "01-2".to_owned(), answer, note });
    store.commit(one.commit()).await.unwrap();
    let sql = "SELECT id, status, opened_at, answer, note, closed_by, closed_at FROM reviews";
    let expected = [format!("01-2|closed|{}|\"keep\"|asked|a person|{}", at(2), at(1))];
    assert_eq!(rows(&path, sql), expected);
    store.restate(&one.state, &[]).await.unwrap();
    assert_eq!(rows(&path, sql), expected);
}

#[tokio::test]
async fn repetitions_are_counted() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    let commit = Commit {
        dedupe: vec![delivery("crm", "d1")],
        quarantine: vec![unreadable("crm", "1", "bad"), unreadable("crm", "1", "bad")],
        ..Commit::default()
    };
    store.commit(commit).await.unwrap();
    for _ in 0..3 {
        store.seen_before(&"crm".into(), &["d1".to_owned(), "d2".to_owned()]).await.unwrap();
    }
    assert_eq!(rows(&path, "SELECT key, repeats FROM dedupe"), ["d1|3"]);
    assert_eq!(rows(&path, "SELECT reason, times FROM quarantine"), ["bad|2"]);
}

#[tokio::test]
async fn every_cell_is_text_or_number() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    let mut one = customer("01").link("app", "a");
    one.plan("app", "01_email_from_crm");
    store.commit(records([one.step()])).await.unwrap();
    for table in ["events", "records", "links", "shadows", "intents", "match_keys"] {
        assert!(!rows(&path, &format!("SELECT * FROM {table}")).is_empty(), "{table}");
    }
    let intents =
        rows(&path, "SELECT record_id, system, key, operation, status, attempt, not_before FROM intents");
    assert_eq!(intents, ["01|app|01_email_from_crm|update|pending|0|1970-01-01T00:00:00.000Z"]);
    let events =
        rows(&path, "SELECT position, record_id, seq, type, json_extract(payload, '$.system') FROM events");
    assert_eq!(events, ["1|01|1|linked|crm", "2|01|2|linked|app", "3|01|3|intent_planned|app"]);
}

#[tokio::test]
async fn untouched_rows_are_not_written_again() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    let mut one = customer("01").link("app", "a");
    one.plan("app", "key");
    store.commit(records([one.step_with_keys(vec!["email=a".to_owned()])])).await.unwrap();
    let shell = Connection::open(&path).unwrap();
    shell.execute_batch("CREATE TABLE touched (what TEXT)").unwrap();
    for table in ["links", "intents", "match_keys"] {
        for event in ["INSERT", "UPDATE", "DELETE"] {
            let sql = format!(
                "CREATE TRIGGER {table}_{event} AFTER {event} ON {table}
                 BEGIN INSERT INTO touched VALUES ('{event} {table}'); END"
            );
            shell.execute_batch(&sql).unwrap();
        }
    }
    one.state.copies.get_mut("crm").unwrap().version = Some("e2".to_owned());
    one.push(Body::Released { system: "crm".into() });
    store.commit(records([one.step_with_keys(vec!["email=a".to_owned()])])).await.unwrap();
    assert_eq!(rows(&path, "SELECT what FROM touched"), [""; 0]);
    assert_eq!(rows(&path, "SELECT state ->> '$.copies.crm.version' FROM records"), ["e2"]);
    one.state.copies.get_mut("crm").unwrap().alive = false;
    one.push(Body::Released { system: "crm".into() });
    store.commit(records([one.step_with_keys(vec!["email=b".to_owned()])])).await.unwrap();
    let touched = ["UPDATE links", "DELETE match_keys", "INSERT match_keys"];
    assert_eq!(rows(&path, "SELECT what FROM touched"), touched);
}

#[tokio::test]
async fn state_can_be_read_field_by_field() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    let mut one = customer("01");
    let copy = one.state.copies.get_mut("crm").unwrap();
    let wrote = Value::text("written").digest();
    copy.fields.get_mut("email").unwrap().wrote = Some(wrote);
    store.commit(one.commit()).await.unwrap();
    let sql = "SELECT record_id, system, remote_id, field, content, wrote FROM shadows";
    assert_eq!(rows(&path, sql), [format!("01|crm|01|email|01@example.org|{wrote}")]);
    let expected: Vec<String> = one
        .state
        .fields
        .iter()
        .map(|(field, belief)| format!("01|customer|{field}|{}", belief.value.as_text().unwrap_or_default()))
        .collect();
    assert_eq!(rows(&path, "SELECT record_id, entity, field, value FROM beliefs"), expected);
}

/// Whoever opens the file for writing is alone with it, so what has not ended was killed; but somebody who only compares may
/// go on beside, and says so.
#[tokio::test]
async fn a_run_without_an_end_was_killed_unless_it_shows_life() {
    let (_folder, path) = folder();
    let begun = |kind| NewRun {
        kind,
        by: "Ada".to_owned(),
        why: "a test".to_owned(),
        configuration: "none".to_owned(),
        began_at: at(1),
    };
    let store = SqliteStore::open(&path).unwrap();
    let killed = store.begin_run(&begun(RunKind::Sync)).await.unwrap();
    drop(store);
    let beside = SqliteStore::open_read_only(&path).unwrap();
    let comparing = beside.begin_run(&begun(RunKind::Reconcile)).await.unwrap();
    let store = SqliteStore::open(&path).unwrap();
    for run in [killed, comparing] {
        assert_eq!(store.find_run(run).await.unwrap().unwrap().end, Some(RunEnd::Killed));
    }
    beside.note_run(comparing, &RunCounts::default(), at(2)).await.unwrap();
    assert_eq!(store.find_run(comparing).await.unwrap().unwrap().end, None);
    beside.end_run(comparing, RunEnd::Done, &RunCounts::default(), at(3)).await.unwrap();
    let ended = store.find_run(comparing).await.unwrap().unwrap();
    assert_eq!((ended.end, ended.ended_at), (Some(RunEnd::Done), Some(at(3))));
    assert_eq!(store.find_run(killed).await.unwrap().unwrap().ended_at, None);
}
