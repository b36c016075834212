//! Files of other versions and other programs are refused before anything is written.

use super::{customer, folder};
use avowal_core::data::ids::RecordId;
use avowal_core::data::value::Digest;
use avowal_core::record::Record;
use avowal_engine::ports::bucket::Shares;
use avowal_engine::ports::store::{CommitOutcome, Store, StoreError};
use avowal_stores::sqlite::SqliteStore;
use avowal_testkit::store_suite::generate::Random;
use avowal_testkit::store_suite::sample::{Stream, at, records};
use rusqlite::{Connection, params};
use serde_json::Value;
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

/// The tables as they were when a state had rows of its own for beliefs, shadows and intents.
const BEFORE_STATE: [(i64, &str, &str); 3] = [
    (1, "initial", include_str!("../../src/sqlite/migrations/0001_initial.sql")),
    (2, "changed_at", include_str!("../../src/sqlite/migrations/0002_changed_at.sql")),
    (3, "due", include_str!("../../src/sqlite/migrations/0003_due.sql")),
];

#[tokio::test]
async fn states_in_rows_become_whole() {
    let (_folder, path) = folder();
    let mut random = Random::new(7);
    let states: Vec<Record> = (0..40)
        .map(|n| {
            let mut stream = Stream::new(&format!("{n:02}"));
            random.fill(&mut stream.state);
            for (system, copy) in &mut stream.state.copies {
                copy.remote_id = format!("{system}-{n}").into();
                // Before the year 0 and after 9999 there were no changes.
                copy.changed_at = at(copy.changed_at.millis() % 1_000_000);
            }
            stream.state.seq = 1;
            stream.state
        })
        .collect();
    let open_reviews = states.iter().map(|state| state.reviews.len()).sum::<usize>();
    assert!(open_reviews > 0 && states.iter().any(|state| state.deleted.is_some()), "nothing to carry over");
    write_in_rows(&path, &states);
    let store = SqliteStore::open(&path).unwrap();
    for state in &states {
        assert_eq!(store.load(std::slice::from_ref(&state.id)).await.unwrap(), [Some(state.clone())]);
    }
    assert_eq!(store.open_reviews(1_000).await.unwrap().len(), open_reviews);
    // The schedule and the keys are where they were, and the next commit finds what it has to take back.
    let planned = states.iter().find(|state| !state.intents.is_empty()).unwrap();
    let (system, _) = planned.intents.first_key_value().unwrap();
    let due = store.due_intents(system, Shares::ALL, at(5), 1_000).await.unwrap();
    assert!(due.iter().any(|due| due.record == planned.id && due.failures == 3), "{due:?}");
    assert!(store.due_intents(system, Shares::ALL, at(4), 1_000).await.unwrap().is_empty());
    let found = async |key: String| store.match_records(&planned.entity, &[key]).await.unwrap().remove(0);
    let keys = ["old", "kept"].map(|key| format!("{key}-{}", planned.id));
    for key in &keys {
        assert_eq!(found(key.clone()).await, std::slice::from_ref(&planned.id));
    }
    let mut stream = Stream::new(planned.id.as_str());
    stream.state = planned.clone();
    stream.push(avowal_core::history::Body::Released { system: "crm".into() });
    let mut part = stream.step_with_keys(vec![keys[1].clone()]);
    part.expected_seq = 1;
    assert_eq!(store.commit(records([part])).await, Ok(CommitOutcome::Committed));
    assert_eq!(found(keys[0].clone()).await, [] as [RecordId; 0]);
    assert_eq!(found(keys[1].clone()).await, std::slice::from_ref(&planned.id));
}

/// Writes states as the third version of the tables had them; every intent due at second 5.
fn write_in_rows(path: &Path, states: &[Record]) {
    let file = Connection::open(path).unwrap();
    file.execute_batch(
        "CREATE TABLE migrations (number INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL,
             applied_at TEXT NOT NULL) STRICT;",
    )
    .unwrap();
    for (number, name, sql) in BEFORE_STATE {
        file.execute_batch(sql).unwrap();
        let checksum = Digest::of(sql.as_bytes()).to_string();
        file.execute("INSERT INTO migrations VALUES (?1, ?2, ?3, 'then')", params![number, name, checksum])
            .unwrap();
    }
    for state in states {
        write_state(&file, &serde_json::to_value(state).unwrap());
    }
}

fn write_state(file: &Connection, state: &Value) {
    let (id, entity) = (text(&state["id"]), text(&state["entity"]));
    let put = |sql: &str, params: &[&dyn rusqlite::ToSql]| file.execute(sql, params).unwrap();
    put(
        "INSERT INTO records VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            id,
            entity,
            state["seq"].as_i64(),
            text(&state["head"]),
            json(&state["vector"]),
            json(&state["fields"]),
            json(&state["held"]).unwrap_or("{}".to_owned()),
            json(&state["deleted"])
        ],
    );
    for (system, copy) in members(&state["copies"]) {
        put(
            "INSERT INTO links (record_id, system, entity, remote_id, content, alive) VALUES (?1, ?2, ?3, ?4, '', ?5)",
            params![id, system, entity, text(&copy["remote_id"]), copy["alive"].as_bool()],
        );
        let changed_at: avowal_core::data::time::Timestamp =
            text(&copy["changed_at"]).unwrap().parse().unwrap();
        put(
            "INSERT INTO shadows (record_id, system, fields, seen, sent, order_token, version, changed_at, wanted)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                id,
                system,
                json(&copy["fields"]),
                json(&copy["seen"]),
                json(&copy["sent"]),
                json(&copy["order"]),
                text(&copy["version"]),
                changed_at.millis(),
                copy["wanted"].as_bool().unwrap_or(false)
            ],
        );
    }
    for (system, intent) in members(&state["intents"]) {
        let status = text(&intent["status"]).unwrap().replace("planned", "pending");
        put(
            "INSERT INTO intents (record_id, system, key, operation, fields, vector, status, attempt, not_before, failures)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 3)",
            params![
                id,
                system,
                text(&intent["key"]),
                text(&intent["operation"]),
                json(&intent["fields"]).unwrap_or("{}".to_owned()),
                json(&intent["vector"]),
                status,
                intent["attempt"].as_i64(),
                at(5).to_string()
            ],
        );
    }
    for (field, review) in members(&state["reviews"]) {
        put(
            "INSERT INTO reviews (record_id, field, id, entity, status, reason, believed, proposed, opened_at)
             VALUES (?1, ?2, ?3, ?4, 'open', ?5, ?6, ?7, ?8)",
            params![
                id,
                field,
                text(&review["id"]),
                entity,
                json(&review["reason"]),
                json(&review["believed"]),
                json(&review["proposed"]),
                text(&review["opened_at"])
            ],
        );
    }
    for key in ["old", "kept"] {
        let key = format!("{key}-{}", id.unwrap_or_default());
        put("INSERT INTO match_keys (record_id, entity, key) VALUES (?1, ?2, ?3)", params![id, entity, key]);
    }
}

fn text(value: &Value) -> Option<&str> {
    value.as_str()
}

fn json(value: &Value) -> Option<String> {
    (!value.is_null()).then(|| value.to_string())
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}
