//! The application's own statements never fail because of us, and what it does is seen.

use super::{File, SCHEMA, entity, pairs, told};
use avowal_engine::ports::connector::{Connector as _, ConnectorErrorKind, Severity};
use rusqlite::Connection;
use std::process::Command;

/// Unique keys of every kind, so that there are triggers of every kind.
const KEYS: &str = "CREATE UNIQUE INDEX by_email ON people (lower(email)) WHERE email IS NOT NULL;
    CREATE UNIQUE INDEX by_points ON people (points);";

/// Every kind of statement, on two rows.
const EVERY_STATEMENT: &str =
    "INSERT INTO people (id, name, email, points) VALUES (1, 'Ann', 'a@b', 1), (2, 'Bob', 'b@b', 2);
    UPDATE people SET note = 'x', points = points + 10;
    INSERT OR REPLACE INTO people (id, name, email) VALUES (3, 'Anne', 'A@B');
    INSERT INTO people (id, name) VALUES (2, 'Bob') ON CONFLICT (id) DO UPDATE SET name = 'Bobby';
    UPDATE OR REPLACE people SET id = 4 WHERE id = 3;
    DELETE FROM people WHERE id = 4;";

fn last(changes: Vec<(String, String)>) -> std::collections::BTreeMap<String, String> {
    changes.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_trusts_no_schema_can_write() {
    let file = File::new(&format!("{SCHEMA}; {KEYS}")).await;
    let from = file.position().await;
    for recursive in ["OFF", "ON"] {
        file.sql(&format!(
            "PRAGMA trusted_schema = OFF; PRAGMA recursive_triggers = {recursive}; DELETE FROM people;"
        ));
        file.sql(EVERY_STATEMENT);
    }
    let told = last(told(&file.changes(&from).await, "name"));
    assert_eq!(told, last(pairs([("1", "gone"), ("2", "Bobby"), ("3", "gone"), ("4", "gone")])));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_systems_own_sqlite_can_write() {
    let file = File::new(&format!("{SCHEMA}; {KEYS}")).await;
    let from = file.position().await;
    let sql = format!("PRAGMA trusted_schema = OFF; {EVERY_STATEMENT}");
    let Ok(output) = Command::new("sqlite3").arg("-batch").arg(file.path()).arg(sql).output() else {
        return println!("there is no sqlite3 here");
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = last(told(&file.changes(&from).await, "name"));
    assert_eq!(told["2"], "Bobby");
    assert_eq!(told["4"], "gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_attached_is_followed() {
    let file = File::new(&format!("{SCHEMA}; {KEYS}")).await;
    let from = file.position().await;
    let other = Connection::open_in_memory().unwrap();
    other
        .execute_batch(&format!("CREATE TABLE people (id); ATTACH '{}' AS app", file.path().display()))
        .unwrap();
    other.execute_batch(&EVERY_STATEMENT.replace("people", "app.people")).unwrap();
    assert_eq!(last(told(&file.changes(&from).await, "name"))["2"], "Bobby");
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_renamed_and_added_beside_us() {
    let file = File::new(&format!("{SCHEMA}; {KEYS}")).await;
    let from = file.position().await;
    file.sql(
        "ALTER TABLE people ADD COLUMN extra TEXT DEFAULT 'x'; ALTER TABLE people DROP COLUMN updated_at;",
    );
    file.sql("INSERT INTO people (id, name) VALUES (7, 'Zoe')");
    assert_eq!(told(&file.changes(&from).await, "name"), pairs([("7", "Zoe")]));

    file.sql(
        "ALTER TABLE people RENAME COLUMN note TO remark; ALTER TABLE people RENAME COLUMN email TO mail;",
    );
    file.sql(&EVERY_STATEMENT.replace("note", "remark").replace("email", "mail"));
    let error = file.connector.changes(&entity(), &from, 10).await.unwrap_err();
    assert_eq!(error.kind, ConnectorErrorKind::SchemaDrift);
    assert!(error.message.contains("\"email\""), "{error}");
    // Renamed back, nothing has been missed: the triggers were renamed with the columns.
    file.sql(
        "ALTER TABLE people RENAME COLUMN remark TO note; ALTER TABLE people RENAME COLUMN mail TO email;",
    );
    assert!(file.changes(&from).await.len() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapped_column_can_be_dropped_after_uninstall() {
    let file = File::new(SCHEMA).await;
    let refused = file.person.lock().unwrap().execute_batch("ALTER TABLE people DROP COLUMN note");
    assert!(refused.is_err(), "SQLite itself refuses it while a trigger names the column");
    file.connector.uninstall().await.unwrap();
    let findings = file.findings().await;
    assert_eq!(findings[0].severity, Severity::Note);
    assert!(
        findings[0].problem.contains("DROP COLUMN") && findings[0].cure.contains("uninstall"),
        "{findings:?}"
    );
    file.sql("ALTER TABLE people DROP COLUMN note");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_way_of_renaming_the_table_does_not_break_it() {
    let file = File::new(SCHEMA).await;
    file.sql("PRAGMA legacy_alter_table = ON; ALTER TABLE people RENAME TO persons;");
    file.sql("INSERT INTO persons (id, name) VALUES (1, 'Ann'); UPDATE persons SET id = 2, name = 'Anne'; DELETE FROM persons;");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_swapped_out_is_not_taken_for_ours() {
    let file = File::new(SCHEMA).await;
    file.sql("INSERT INTO people (id, name) VALUES (1, 'Ann')");
    let from = file.position().await;
    file.sql(&SCHEMA.replace("people", "new_people"));
    file.sql("INSERT INTO new_people SELECT * FROM people; ALTER TABLE people RENAME TO old_people; ALTER TABLE new_people RENAME TO people;");
    file.sql("UPDATE old_people SET name = 'of the old table'; DELETE FROM old_people;");
    let error = file.connector.changes(&entity(), &from, 10).await.unwrap_err();
    assert_eq!(error.kind, ConnectorErrorKind::SchemaDrift);
    file.connector.install().await.unwrap();
    assert_eq!(
        file.connector.changes(&entity(), &from, 10).await.unwrap_err().kind,
        ConnectorErrorKind::CursorExpired
    );
    let from = file.position().await;
    file.sql(
        "INSERT INTO old_people (id, name) VALUES (9, 'of the old table'); UPDATE people SET name = 'Anne';",
    );
    assert_eq!(told(&file.changes(&from).await, "name"), pairs([("1", "Anne")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_go_with_their_parent_are_gone() {
    for recursive in ["OFF", "ON"] {
        let schema = SCHEMA.replace("note TEXT", "note REFERENCES people (id) ON DELETE CASCADE");
        let file = File::new(&schema).await;
        file.sql(&format!("PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = {recursive};"));
        file.sql(
            "INSERT INTO people (id, name, note) VALUES (1, 'Ann', NULL), (2, 'Bob', 1), (3, 'Carl', 2)",
        );
        let from = file.position().await;
        file.sql("DELETE FROM people WHERE id = 1");
        let told = last(told(&file.changes(&from).await, "name"));
        assert_eq!(told, last(pairs([("1", "gone"), ("2", "gone"), ("3", "gone")])));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_table_is_followed() {
    for (id, ending) in [
        ("id INTEGER PRIMARY KEY", ""),
        ("id INTEGER PRIMARY KEY AUTOINCREMENT", ""),
        ("id TEXT PRIMARY KEY", ""),
        ("id TEXT PRIMARY KEY COLLATE NOCASE", ""),
        ("id UUID PRIMARY KEY", ""),
        ("id PRIMARY KEY", ""),
        ("id REAL PRIMARY KEY", ""),
        ("n INTEGER PRIMARY KEY, id INTEGER UNIQUE", ""),
        ("id TEXT PRIMARY KEY", "WITHOUT ROWID"),
        ("id INTEGER PRIMARY KEY", "WITHOUT ROWID"),
    ] {
        let schema = format!("{} {ending}", SCHEMA.replace("id INTEGER PRIMARY KEY", id));
        let file = File::new(&schema).await;
        let from = file.position().await;
        file.sql("INSERT INTO people (id, name) VALUES (1, 'Ann'), (2, 'Bob'); UPDATE people SET name = 'Anne' WHERE id = 1; DELETE FROM people WHERE id = 2;");
        let changes = file.changes(&from).await;
        let id = changes[0].id.to_string();
        let names: Vec<_> = told(&changes, "name").into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["Ann", "Bob", "Anne", "gone"], "{schema}");
        let read = file.connector.read(&entity(), &[changes[0].id.clone()]).await.unwrap();
        assert_eq!(told(&read, "name"), pairs([(&id, "Anne")]), "{schema}");
        let written = file.write(super::set("k1", &id, "name", "Annie".into())).await;
        assert!(
            matches!(written, avowal_engine::ports::connector::WriteOutcome::Confirmed { .. }),
            "{schema}: {written:?}"
        );
        let listed = file.connector.list(&entity(), None, 1).await.unwrap();
        assert_eq!(told(&listed.changes, "name"), pairs([(&id, "Annie")]), "{schema}");
        let end = file.connector.list(&entity(), Some(&listed.next), 1).await.unwrap();
        assert!(end.changes.is_empty(), "{schema}");
    }
}
