//! The application's own statements never fail because of us, whatever becomes of its tables.

use super::{Database, SCHEMA, entity, names, person};
use avowal_engine::ports::connector::{Connector, ConnectorErrorKind, RemoteState, WriteOutcome};
use avowal_testkit::postgres::PrivatePostgres;
use tokio_postgres::Client;

/// Every kind of statement an application makes, over one row and over many.
pub async fn every_statement(person: &Client, name: &str) {
    let many = "generate_series(1, 80)";
    for sql in [
        format!("INSERT INTO people ({name}) VALUES ('one')"),
        format!("INSERT INTO people ({name}) SELECT 'p' || n FROM {many} n"),
        format!("UPDATE people SET {name} = {name} || '!' WHERE id % 2 = 0"),
        format!("UPDATE people SET {name} = 'single' WHERE id = (SELECT max(id) FROM people)"),
        "DELETE FROM people WHERE id % 3 = 0".to_owned(),
        "TRUNCATE people".to_owned(),
        format!("BEGIN ISOLATION LEVEL REPEATABLE READ; INSERT INTO people ({name}) VALUES ('rr'); COMMIT"),
        format!("BEGIN ISOLATION LEVEL SERIALIZABLE; UPDATE people SET {name} = 'ser'; COMMIT"),
    ] {
        person.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_survive_what_the_triggers_name_being_gone_or_other() {
    let server = PrivatePostgres::start().unwrap();
    for (change, name) in [
        ("ALTER TABLE people RENAME COLUMN name TO full_name", "full_name"),
        ("ALTER TABLE people DROP COLUMN email", "name"),
        ("ALTER TABLE people RENAME COLUMN points TO score", "name"),
        ("ALTER TABLE people ADD COLUMN extra text NOT NULL DEFAULT 'x'", "name"),
        ("ALTER TABLE people ALTER COLUMN points TYPE text, ALTER COLUMN amount TYPE text", "name"),
        (
            "ALTER TABLE people ALTER COLUMN tags TYPE text[] USING NULL, ALTER COLUMN active TYPE text",
            "name",
        ),
        ("ALTER TABLE people ALTER COLUMN id TYPE numeric", "name"),
        ("ALTER TABLE people DROP COLUMN points; ALTER TABLE people ADD COLUMN points text", "name"),
        ("DROP TABLE avowal_none.log", "name"),
        ("DROP TABLE avowal_none.log, avowal_none.ops, avowal_none.feeds", "name"),
    ] {
        let db = Database::new(&server, SCHEMA).await;
        // A plan that is kept, and a transaction whose snapshot is older than the change.
        db.sql("INSERT INTO people (name) VALUES ('before'); UPDATE people SET points = 2").await;
        let early = person(&db.url).await;
        early.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await.unwrap();
        db.sql(change).await;
        let sql =
            format!("INSERT INTO people ({name}) VALUES ('early'); UPDATE people SET {name} = 'e2'; COMMIT");
        early.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{change}: {error:?}"));
        every_statement(&db.person, name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_survive_another_name_schema_and_session() {
    let server = PrivatePostgres::start().unwrap();
    for (change, table) in [
        ("ALTER TABLE people RENAME TO persons; CREATE VIEW people AS SELECT * FROM persons", "people"),
        ("CREATE SCHEMA other; ALTER TABLE people SET SCHEMA other", "other.people"),
        ("SET search_path = ''; SET row_security = off", "public.people"),
        ("SET session_replication_role = replica; SET timezone = 'Asia/Tokyo'", "people"),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE", "people"),
        ("ALTER TABLE people ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY", "people"),
    ] {
        let db = Database::new(&server, SCHEMA).await;
        db.sql(change).await;
        db.sql(&format!(
            "INSERT INTO {table} (name) VALUES ('x'); UPDATE {table} SET name = 'y'; DELETE FROM {table}"
        ))
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_recorded_is_looked_at_again() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    db.sql("INSERT INTO people (name) VALUES ('Ann'), ('Bob')").await;
    let cursor = db.position().await;
    // There and back, between two looks of ours.
    db.sql(
        "ALTER TABLE people RENAME COLUMN name TO full_name; UPDATE people SET full_name = 'Anne' WHERE id = 1;
         DELETE FROM people WHERE id = 2; ALTER TABLE people RENAME COLUMN full_name TO name",
    )
    .await;
    let changes = db.changes(&cursor).await;
    let (gone, looked_at): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.id.as_str() == "2");
    assert!(!looked_at.is_empty() && !gone.is_empty(), "{changes:?}");
    assert!(looked_at.iter().all(|change| change.shown == RemoteState::Unknown), "{changes:?}");
    assert!(gone.iter().all(|change| change.shown == RemoteState::Gone), "the id is enough for a delete");

    // Where even the id is gone, everything is listed again.
    let cursor = db.position().await;
    db.sql(
        "ALTER TABLE people RENAME COLUMN id TO nr; UPDATE people SET name = 'Anna';
         ALTER TABLE people RENAME COLUMN nr TO id",
    )
    .await;
    let error = db.connector.changes(&entity(), &cursor, 100).await.unwrap_err();
    assert_eq!(error.kind, ConnectorErrorKind::CursorExpired, "{error}");
    let cursor = db.position().await;
    assert_eq!(db.changes(&cursor).await, vec![]);

    // A column that stays away is the mapping's matter; one that comes back as another is made for anew.
    db.sql("ALTER TABLE people RENAME COLUMN name TO full_name").await;
    let error = db.connector.changes(&entity(), &cursor, 100).await.unwrap_err();
    assert_eq!(error.kind, ConnectorErrorKind::SchemaDrift, "{error}");
    let error = db.connector.changes(&entity(), &cursor, 100).await.unwrap_err();
    assert!(error.to_string().contains("no column \"name\""), "{error}");
    db.sql("ALTER TABLE people ADD COLUMN name varchar(99)").await;
    assert_eq!(db.connector.install().await.unwrap().len(), 1);
    let error = db.connector.changes(&entity(), &cursor, 100).await.unwrap_err();
    assert_eq!(error.kind, ConnectorErrorKind::CursorExpired, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_swapped_out_feeds_us_no_longer() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    db.sql("INSERT INTO people (name) VALUES ('Ann'), ('Bob')").await;
    let cursor = db.position().await;
    db.sql(
        "BEGIN; ALTER TABLE people RENAME TO people_old; CREATE TABLE people (LIKE people_old INCLUDING ALL);
         INSERT INTO people SELECT * FROM people_old; COMMIT",
    )
    .await;
    let error = db.connector.changes(&entity(), &cursor, 100).await.unwrap_err();
    assert_eq!(error.kind, ConnectorErrorKind::SchemaDrift, "{error}");
    db.connector.install().await.unwrap();
    let error = db.connector.changes(&entity(), &cursor, 100).await.unwrap_err();
    assert_eq!(error.kind, ConnectorErrorKind::CursorExpired, "{error}");
    let cursor = db.position().await;
    db.sql(
        "TRUNCATE people_old; DROP TABLE people_old CASCADE; UPDATE people SET name = 'Anne' WHERE id = 1",
    )
    .await;
    assert_eq!(names(&db.changes(&cursor).await), ["Anne"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_of_an_extension_type_work_wherever_the_extension_stands() {
    let server = PrivatePostgres::start().unwrap();
    for (schema, id, extension, value) in [
        ("public", "ltree", "ltree", "Top.a"),
        ("ext", "ltree", "ltree", "Top.a"),
        ("ext", "citext", "citext", "Top.a"),
        ("ext", "isbn", "isn", "978-0-393-04002-9"),
        ("pg_catalog", "inet", "hstore", "10.0.0.1"),
        ("pg_catalog", "text[]", "hstore", "{a,b}"),
        ("pg_catalog", "date", "hstore", "2026-11-27"),
    ] {
        let place = if schema == "pg_catalog" { "public" } else { schema };
        let sql = format!(
            "CREATE SCHEMA IF NOT EXISTS ext; CREATE EXTENSION {extension} SCHEMA {place};
             CREATE TABLE people (id {schema}.{id} PRIMARY KEY, name text, email text, note text, points bigint,
                amount numeric, active boolean, tags jsonb)"
        );
        let db = Database::new(&server, &sql).await;
        let cursor = db.position().await;
        db.sql(&format!("INSERT INTO people (id, name, email) VALUES ('{value}', 'Ann', 'Ann@x')")).await;
        db.sql("UPDATE people SET name = 'Anne'").await;
        let changes = db.changes(&cursor).await;
        assert_eq!(names(&changes), ["Ann", "Anne"], "{schema}.{id}");
        let row = changes[1].id.clone();
        if id == "inet" {
            assert_eq!(row.as_str(), value);
        }
        if id == "text[]" {
            continue;
        }
        let read = db.connector.read(&entity(), std::slice::from_ref(&row)).await.unwrap();
        assert_eq!(names(&read), ["Anne"], "{id}");
        let outcomes = db.write(&[super::set("k1", row.as_str(), "name", "Anna")]).await;
        assert!(matches!(&outcomes[0], WriteOutcome::Confirmed { .. }), "{outcomes:?}");
        let page = db.connector.list(&entity(), None, 1).await.unwrap();
        assert_eq!(names(&page.changes), ["Anna"]);
        assert_eq!(db.connector.list(&entity(), Some(&page.next), 1).await.unwrap().changes, vec![]);
        db.sql("DELETE FROM people").await;
        assert_eq!(db.changes(&cursor).await.last().unwrap().shown, RemoteState::Gone);
    }
}
