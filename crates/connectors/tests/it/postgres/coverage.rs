//! Changes that no statement on the mapped table makes: in partitions and children, by replication.

use super::{Database, SCHEMA, entity, field, names, person};
use avowal_engine::ports::connector::{Connector, ConnectorErrorKind, RemoteState};
use avowal_testkit::postgres::PrivatePostgres;
use std::time::{Duration, Instant};

const PARTITIONED: &str = "CREATE TABLE people (id bigserial PRIMARY KEY, name varchar(200), email text, note text,
    points bigint, amount numeric, active boolean, tags jsonb, updated_at timestamptz) PARTITION BY RANGE (id);
    CREATE TABLE people_1 PARTITION OF people FOR VALUES FROM (1) TO (1000);
    CREATE TABLE people_2 PARTITION OF people FOR VALUES FROM (1000) TO (2000) PARTITION BY RANGE (id);
    CREATE TABLE people_2a PARTITION OF people_2 FOR VALUES FROM (1000) TO (1500)";

#[tokio::test(flavor = "multi_thread")]
async fn partitions_written_by_their_own_names_are_seen() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, PARTITIONED).await;
    let cursor = db.position().await;
    db.sql("INSERT INTO people_1 (id, name) VALUES (1, 'direct')").await;
    db.sql("INSERT INTO people (id, name) VALUES (2, 'through'), (1001, 'deep')").await;
    db.sql("UPDATE people_2a SET name = 'deeper'").await;
    db.sql("UPDATE people SET id = 1002 WHERE id = 2").await;
    db.sql("DELETE FROM people_1 WHERE id = 1").await;
    let changes = db.changes(&cursor).await;
    assert_eq!(names(&changes[..4]), ["direct", "through", "deep", "deeper"]);
    let gone = changes[4..].iter().filter(|change| change.shown == RemoteState::Gone);
    assert_eq!((gone.count(), changes.len()), (2, 7), "{changes:?}");
    let cursor = db.position().await;
    db.sql("INSERT INTO people (id, name) VALUES (5, 'a')").await;
    db.sql("TRUNCATE people_1").await;
    db.sql("TRUNCATE people").await;
    let changes = db.changes(&cursor).await;
    let gone: Vec<_> = changes.iter().skip(1).map(|change| change.id.as_str()).collect();
    assert_eq!(gone, ["5", "1001", "1002"], "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn attached_and_detached_partitions_are_listed_again_and_empty_ones_are_not() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, PARTITIONED).await;
    let renew = async |cursor| {
        let error = db.connector.changes(&entity(), cursor, 10).await.unwrap_err();
        assert_eq!(error.kind, ConnectorErrorKind::SchemaDrift, "{error}");
        db.connector.install().await.unwrap();
        db.connector.changes(&entity(), cursor, 10).await
    };
    let cursor = db.position().await;
    db.sql("CREATE TABLE people_3 PARTITION OF people FOR VALUES FROM (2000) TO (3000)").await;
    assert_eq!(renew(&cursor).await.unwrap().changes, vec![], "an empty partition changes nothing");
    db.sql("INSERT INTO people_3 (id, name) VALUES (2001, 'new')").await;
    assert_eq!(names(&db.changes(&cursor).await), ["new"]);

    db.sql(
        "CREATE TABLE people_4 (LIKE people INCLUDING ALL); INSERT INTO people_4 (id, name) VALUES (3001, 'attached');
         ALTER TABLE people ATTACH PARTITION people_4 FOR VALUES FROM (3000) TO (4000)",
    )
    .await;
    let error = renew(&cursor).await.unwrap_err();
    assert_eq!(error.kind, ConnectorErrorKind::CursorExpired, "{error}");
    let cursor = db.position().await;
    db.sql("ALTER TABLE people DETACH PARTITION people_4").await;
    let error = renew(&cursor).await.unwrap_err();
    assert_eq!(error.kind, ConnectorErrorKind::CursorExpired, "{error}");
    let cursor = db.position().await;
    db.sql("DELETE FROM people_4; DROP TABLE people_4").await;
    assert_eq!(db.changes(&cursor).await, vec![], "what was detached feeds us no longer");
}

#[tokio::test(flavor = "multi_thread")]
async fn inheritance_children_are_seen() {
    let server = PrivatePostgres::start().unwrap();
    let schema = format!("{SCHEMA}; CREATE TABLE staff (badge text, PRIMARY KEY (id)) INHERITS (people)");
    let db = Database::new(&server, &schema).await;
    let cursor = db.position().await;
    db.sql("INSERT INTO staff (name, badge) VALUES ('Sam', 'b1'); UPDATE people SET name = 'Sam 2'").await;
    db.sql("UPDATE staff SET name = 'Sam 3'; UPDATE staff SET badge = 'b2'; TRUNCATE staff").await;
    let changes = db.changes(&cursor).await;
    assert_eq!(names(&changes[..3]), ["Sam", "Sam 2", "Sam 3"]);
    assert_eq!(changes[3..].iter().map(|change| &change.shown).collect::<Vec<_>>(), [&RemoteState::Gone]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_logical_replication_applies_are_seen() {
    let mut server = PrivatePostgres::start().unwrap();
    server.psql("postgres", "ALTER SYSTEM SET wal_level = logical").unwrap();
    server.restart().unwrap();
    let url = server.create_database("source").unwrap();
    let source = person(&url).await;
    source.batch_execute(SCHEMA).await.unwrap();
    source.batch_execute("CREATE PUBLICATION p FOR TABLE people").await.unwrap();
    source.execute("SELECT pg_create_logical_replication_slot('s', 'pgoutput')", &[]).await.unwrap();
    let db = Database::new(&server, SCHEMA).await;
    db.sql(&format!(
        "CREATE SUBSCRIPTION s CONNECTION '{url}' PUBLICATION p \
         WITH (create_slot = false, slot_name = 's', copy_data = false)"
    ))
    .await;
    let cursor = db.position().await;
    source
        .batch_execute(
            "INSERT INTO people (id, name) VALUES (7, 'Ann'), (8, 'Bob'); UPDATE people SET name = 'Anne' WHERE id = 7;
             UPDATE people SET updated_at = now(); UPDATE people SET id = 9 WHERE id = 8; DELETE FROM people WHERE id = 7",
        )
        .await
        .unwrap();
    let begun = Instant::now();
    let changes = loop {
        let changes = db.changes(&cursor).await;
        if changes.len() >= 6 || begun.elapsed() > Duration::from_secs(30) {
            break changes;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(names(&changes[..3]), ["Ann", "Bob", "Anne"], "{changes:?}");
    assert_eq!((changes[3].id.as_str(), &changes[3].shown), ("8", &RemoteState::Gone));
    assert_eq!((changes[4].id.as_str(), field(&changes[4], "name")), ("9", &"Bob".into()));
    assert_eq!((changes[5].id.as_str(), &changes[5].shown), ("7", &RemoteState::Gone));
    db.sql("ALTER SUBSCRIPTION s DISABLE").await;
    db.sql("ALTER SUBSCRIPTION s SET (slot_name = NONE)").await;
    db.sql("DROP SUBSCRIPTION s").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_of_all_tables_does_not_publish_the_log() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    let cursor = db.position().await;
    db.sql("CREATE PUBLICATION everything FOR ALL TABLES").await;
    db.sql("INSERT INTO people (name) VALUES ('before')").await;
    let error = db.connector.changes(&entity(), &cursor, 10).await.unwrap_err();
    assert_eq!(error.kind, ConnectorErrorKind::SchemaDrift, "{error}");
    db.connector.install().await.unwrap();
    let published = "SELECT string_agg(tablename, ' ') FROM pg_publication_tables";
    let row = db.person.query_one(published, &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "people");
    assert_eq!(names(&db.changes(&cursor).await), ["before"], "nothing was lost by that");
}
