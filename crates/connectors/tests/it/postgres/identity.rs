//! Which database it is, and whether it has gone back in time; several installations in one.

use super::{Database, SCHEMA, confirmed, connect, entity, names, person, set};
use avowal_connectors::postgres::{PostgresConnector, PostgresOptions};
use avowal_core::record::observation::OrderToken;
use avowal_engine::ports::connector::{Connector, ConnectorErrorKind, Installation, WriteOutcome};
use avowal_engine::ports::store::Cursor;
use avowal_testkit::connector_suite::binding;
use avowal_testkit::postgres::PrivatePostgres;
use std::time::{Duration, Instant};

async fn changes_error(connector: &PostgresConnector, cursor: &Cursor) -> (ConnectorErrorKind, String) {
    let error = connector.changes(&entity(), cursor, 10).await.unwrap_err();
    (error.kind, error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_and_a_lossless_failover_are_neither_another_database_nor_a_restored_one() {
    let mut server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    db.sql("INSERT INTO people (name) VALUES ('Ann')").await;
    let cursor = db.position().await;
    server.restart().unwrap();
    let _ = db.connector.changes(&entity(), &cursor, 10).await;
    assert_eq!(db.connector.changes(&entity(), &cursor, 10).await.unwrap().changes, vec![]);

    let mut follower = server.follower().unwrap();
    let name = db.url.rsplit('/').next().unwrap();
    let writer = person(&db.url).await;
    writer.batch_execute("INSERT INTO people (name) VALUES ('Bob')").await.unwrap();
    let page = db.connector.changes(&entity(), &cursor, 10).await.unwrap();
    writer.batch_execute("UPDATE people SET name = 'Bobby' WHERE name = 'Bob'").await.unwrap();
    let begun = Instant::now();
    while follower.psql(name, "SELECT 1 FROM people WHERE name = 'Bobby'").unwrap().trim() != "1" {
        assert!(begun.elapsed() < Duration::from_secs(30), "the follower lags");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.stop().unwrap();
    follower.promote().unwrap();
    let after = connect(&follower.url(name), binding("people", "id"));
    let changes = after.changes(&entity(), &page.next, 10).await.unwrap().changes;
    assert_eq!(names(&changes), ["Bobby"]);
    follower.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_is_told_from_the_database_that_was_read() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    db.sql("INSERT INTO people (name) VALUES ('Ann')").await;
    let old = db.position().await;
    let backup = server.follower().unwrap();
    let name = db.url.rsplit('/').next().unwrap();
    let begun = Instant::now();
    while backup.psql(name, "SELECT count(*) FROM people").is_ok_and(|count| count.trim() != "1") {
        assert!(begun.elapsed() < Duration::from_secs(30), "the follower lags");
    }
    backup.promote().unwrap();
    db.sql("INSERT INTO people (name) VALUES ('Bob')").await;
    let cursor = db.position().await;
    let restored = connect(&backup.url(name), binding("people", "id"));
    let (kind, message) = changes_error(&restored, &cursor).await;
    assert_eq!(kind, ConnectorErrorKind::IdentityChanged, "{message}");
    assert!(message.contains("gone back in time"), "{message}");
    // Nothing was read that the backup does not hold.
    assert_eq!(restored.changes(&entity(), &old, 10).await.unwrap().changes, vec![]);

    // It stays so when other changes have taken the numbers, and when the log has been made again.
    let writer = person(&backup.url(name)).await;
    writer
        .batch_execute("INSERT INTO people (name) SELECT 'n' || n FROM generate_series(1, 50) n")
        .await
        .unwrap();
    assert_eq!(changes_error(&restored, &cursor).await.0, ConnectorErrorKind::IdentityChanged);
    writer.batch_execute("DROP TRIGGER avowal_none_person_update ON people").await.unwrap();
    restored.install().await.unwrap();
    let (kind, _) = changes_error(&restored, &old).await;
    assert_eq!(kind, ConnectorErrorKind::CursorExpired, "an epoch that we remade ourselves");

    // A person says that it is the one: its numbers go on above those that were given before.
    restored.adopt(&entity(), &cursor).await.unwrap();
    let (kind, _) = changes_error(&restored, &cursor).await;
    assert_eq!(kind, ConnectorErrorKind::CursorExpired, "it is listed again");
    let adopted = restored.feed_position(&entity()).await.unwrap();
    writer.batch_execute("UPDATE people SET name = 'Anne' WHERE name = 'Ann'").await.unwrap();
    let changes = restored.changes(&entity(), &adopted, 10).await.unwrap().changes;
    assert_eq!(names(&changes), ["Anne"]);
    let last: i64 = db.person.query_one("SELECT last_value FROM avowal_none.ids", &[]).await.unwrap().get(0);
    let Some(OrderToken::Sequence(order)) = changes[0].order else { panic!("{changes:?}") };
    assert!(order > last.unsigned_abs());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_that_is_restored_into_the_same_database_has_gone_back() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    db.sql("INSERT INTO people (name) VALUES ('Ann')").await;
    let name = db.url.rsplit('/').next().unwrap();
    let dump = server.dump(name).unwrap();
    db.sql("INSERT INTO people (name) VALUES ('Bob')").await;
    let cursor = db.position().await;
    db.sql("DROP SCHEMA avowal_none CASCADE; DROP TABLE people; DROP TYPE mood").await;
    server.psql(name, &dump).unwrap();
    let (kind, message) = changes_error(&db.connector, &cursor).await;
    assert_eq!(kind, ConnectorErrorKind::SchemaDrift, "{message}");
    db.connector.install().await.unwrap();
    let (kind, message) = changes_error(&db.connector, &cursor).await;
    assert_eq!(kind, ConnectorErrorKind::IdentityChanged, "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_database_of_the_same_name_is_told() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    let cursor = db.position().await;
    db.changes(&cursor).await;
    let other = Database::new(&server, SCHEMA).await;
    let (kind, message) = changes_error(&other.connector, &cursor).await;
    assert_eq!(kind, ConnectorErrorKind::IdentityChanged, "{message}");
    assert!(message.contains("another database"), "{message}");

    let name = db.url.rsplit('/').next().unwrap().to_owned();
    let Database { connector, person: held, .. } = db;
    drop(held);
    server.psql("postgres", &format!("DROP DATABASE {name} WITH (FORCE)")).unwrap();
    person(&server.create_database(&name).unwrap()).await.batch_execute(SCHEMA).await.unwrap();
    let _ = connector.write(&entity(), &[set("k1", "1", "name", "x")]).await;
    let outcomes = connector.write(&entity(), &[set("k2", "1", "name", "x")]).await;
    let held =
        matches!(&outcomes[0], WriteOutcome::Retry { reason, .. } if reason.contains("another database"));
    assert!(held, "a write over a new connection asks first: {outcomes:?}");
    let (kind, message) = changes_error(&connector, &cursor).await;
    assert_eq!(kind, ConnectorErrorKind::IdentityChanged, "before anything is installed: {message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unlogged_log_that_a_crash_emptied_is_made_again() {
    let mut server = PrivatePostgres::start().unwrap();
    let schema = format!("{SCHEMA}; CREATE PUBLICATION everything FOR ALL TABLES");
    let db = Database::new(&server, &schema).await;
    db.sql("INSERT INTO people (name) VALUES ('Ann')").await;
    let cursor = db.position().await;
    server.restart().unwrap();
    let _ = db.connector.changes(&entity(), &cursor, 10).await;
    let (kind, message) = changes_error(&db.connector, &cursor).await;
    assert_eq!(kind, ConnectorErrorKind::SchemaDrift, "{message}");
    db.connector.install().await.unwrap();
    let (kind, message) = changes_error(&db.connector, &cursor).await;
    assert_eq!(kind, ConnectorErrorKind::CursorExpired, "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_installations_on_one_table_leave_each_other_alone() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    let options = PostgresOptions { url: db.url.clone(), installation: Installation::new("second").unwrap() };
    let mut shape = binding("people", "id");
    shape.columns.retain(|column| column.name == "email");
    let second = PostgresConnector::connect(options, vec![shape]).unwrap();
    let first_cursor = db.position().await;
    second.install().await.unwrap();
    let second_cursor = second.feed_position(&entity()).await.unwrap();
    db.sql("INSERT INTO people (name, email) VALUES ('Ann', 'a'); UPDATE people SET name = 'Anne'").await;
    assert_eq!(names(&db.changes(&first_cursor).await), ["Ann", "Anne"]);
    let seen = second.changes(&entity(), &second_cursor, 10).await.unwrap().changes;
    assert_eq!(seen.len(), 1, "{seen:?}");

    assert_eq!(confirmed(&second.write(&entity(), &[set("same key", "1", "email", "b")]).await), 1);
    assert_eq!(confirmed(&db.write(&[set("same key", "1", "note", "n")]).await), 1);
    let seen = db.changes(&first_cursor).await;
    assert_eq!(seen[2].correlation, None, "the other's write is a change to us");

    let findings = second.check().await.unwrap();
    assert!(findings.iter().any(|finding| finding.problem.contains("avowal_none")), "{findings:?}");
    second.uninstall().await.unwrap();
    db.sql("UPDATE people SET name = 'Anna'").await;
    assert_eq!(names(&db.changes(&first_cursor).await).last(), Some(&"Anna"));
    let left = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'avowal\\_second%'";
    assert_eq!(db.person.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_that_are_gone_or_switched_off_are_noticed() {
    let server = PrivatePostgres::start().unwrap();
    for change in [
        "ALTER TABLE people DISABLE TRIGGER ALL",
        "ALTER TABLE people DISABLE TRIGGER ALL; ALTER TABLE people ENABLE TRIGGER ALL",
        "DROP TRIGGER avowal_none_person_update ON people",
        "DROP FUNCTION avowal_none.capture_person CASCADE",
        "DROP SCHEMA avowal_none CASCADE",
        "CREATE TABLE n (LIKE people INCLUDING ALL); DROP TABLE people; ALTER TABLE n RENAME TO people",
    ] {
        let db = Database::new(&server, &SCHEMA.replace("bigserial", "bigint")).await;
        let cursor = db.position().await;
        db.sql(change).await;
        let (kind, message) = changes_error(&db.connector, &cursor).await;
        assert_eq!(kind, ConnectorErrorKind::SchemaDrift, "{change}: {message}");
        db.connector.install().await.unwrap();
        let (kind, message) = changes_error(&db.connector, &cursor).await;
        assert_eq!(kind, ConnectorErrorKind::CursorExpired, "{change}: {message}");
    }
}
