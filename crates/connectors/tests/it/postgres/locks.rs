//! What the application has locked: we wait for it, and none of its statements ever ends in a deadlock with ours.

use super::{Database, SCHEMA, confirmed, connect, connect_all, entity, names, person, set};
use avowal_core::data::ids::EntityName;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{Binding, Connector, Fields, Write, WriteOutcome};
use avowal_testkit::connector_suite::binding;
use avowal_testkit::postgres::PrivatePostgres;
use std::time::Duration;
use tokio_postgres::Client;

/// As long as Postgres lets a circle of waiting statements stand before it ends one of them, and some more.
const CIRCLE: Duration = Duration::from_millis(1_500);

async fn others_wait(client: &Client) -> bool {
    let waits = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted";
    for _ in 0..100 {
        if client.query_one(waits, &[]).await.unwrap().get(0) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_waits_for_the_application_without_holding_what_that_needs() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    db.sql("INSERT INTO people (name) VALUES ('Ann'), ('Bob')").await;
    let cursor = db.position().await;
    let gone = "SELECT 'DROP TRIGGER ' || quote_ident(tgname) || ' ON people' FROM pg_trigger \
                WHERE tgname LIKE 'avowal%delete'";
    let gone: String = db.person.query_one(gone, &[]).await.unwrap().get(0);
    db.sql(&gone).await;
    // What the transaction does first is not logged, so it holds its table but nothing of ours.
    db.sql("BEGIN; DELETE FROM people WHERE name = 'Bob'").await;
    let again = connect(&db.url, binding("people", "id"));
    let other = person(&db.url).await;
    let (installed, ()) = tokio::join!(again.install(), async {
        assert!(others_wait(&other).await);
        db.sql("UPDATE people SET name = 'Anna' WHERE name = 'Ann'").await;
        tokio::time::sleep(CIRCLE).await;
        db.sql("COMMIT").await;
    });
    assert_eq!(installed.unwrap().len(), 1);
    // What went unseen makes the feed begin anew, so that everything is listed.
    assert!(db.connector.changes(&entity(), &cursor, 10).await.is_err());
    let cursor = db.position().await;
    db.sql("UPDATE people SET name = 'Anne'").await;
    assert_eq!(names(&db.changes(&cursor).await), ["Anne"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn installations_at_the_same_time_make_one_log() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    db.connector.uninstall().await.unwrap();
    let (one, two) = (connect(&db.url, binding("people", "id")), connect(&db.url, binding("people", "id")));
    let (one, two) = tokio::join!(one.install(), two.install());
    let made = [one.unwrap().len(), two.unwrap().len()];
    assert_eq!(made.iter().sum::<usize>(), 1, "the second finds the log of the first: {made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_locked_without_a_circle() {
    let server = PrivatePostgres::start().unwrap();
    let schema =
        "CREATE TABLE people (id bigint PRIMARY KEY, name text, email text, note text, points bigint,
            amount numeric, active boolean, tags jsonb, updated_at timestamptz) PARTITION BY RANGE (id);
        CREATE TABLE low PARTITION OF people FOR VALUES FROM (0) TO (100);
        CREATE TABLE high PARTITION OF people FOR VALUES FROM (100) TO (200)";
    let db = Database::new(&server, schema).await;
    db.connector.uninstall().await.unwrap();
    // The transaction takes one partition now and the whole table later, while we have taken the table.
    db.sql("BEGIN; INSERT INTO high (id, name) VALUES (100, 'Ann')").await;
    let other = person(&db.url).await;
    let (installed, ()) = tokio::join!(db.connector.install(), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        db.sql("INSERT INTO people (id, name) VALUES (1, 'Bob'), (101, 'Cy')").await;
        tokio::time::sleep(CIRCLE).await;
        db.sql("COMMIT").await;
        assert!(!other.is_closed());
    });
    installed.unwrap();
    let cursor = db.position().await;
    db.sql("UPDATE people SET name = name || '!' WHERE id = 101").await;
    assert_eq!(names(&db.changes(&cursor).await), ["Cy!"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_the_log_waits_for_who_writes_to_it() {
    let server = PrivatePostgres::start().unwrap();
    let db =
        Database::new(&server, &format!("{SCHEMA}; CREATE TABLE others (LIKE people INCLUDING ALL)")).await;
    let others = Binding { entity: EntityName::new("other"), ..binding("others", "id") };
    let both = connect_all(&db.url, vec![binding("people", "id"), others]);
    both.install().await.unwrap();
    // It has written to the log by one table and wants the other, which we hold by then.
    db.sql("BEGIN; INSERT INTO people (name) VALUES ('Ann')").await;
    let other = person(&db.url).await;
    let (removed, ()) = tokio::join!(both.uninstall(), async {
        assert!(others_wait(&other).await);
        db.sql("INSERT INTO others (name) VALUES ('Bob')").await;
        tokio::time::sleep(CIRCLE).await;
        db.sql("COMMIT").await;
    });
    removed.unwrap();
    let left = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'avowal%'";
    assert_eq!(db.person.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
    db.sql("INSERT INTO people (name) VALUES ('Cy')").await;
}

fn retried(outcome: &WriteOutcome) -> &str {
    match outcome {
        WriteOutcome::Retry { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_application_has_locked_wait_and_the_others_of_the_batch_go_through() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    db.sql("INSERT INTO people (name) VALUES ('Ann'), ('Bob'), ('Cy')").await;
    db.sql("BEGIN; UPDATE people SET note = 'mine' WHERE id = 2").await;
    let writes =
        [set("k1", "1", "name", "Anna"), set("k2", "2", "name", "Bobby"), set("k3", "9", "name", "?")];
    let outcomes = db.write(&writes).await;
    assert!(matches!(outcomes[0], WriteOutcome::Confirmed { .. }), "{outcomes:?}");
    assert!(retried(&outcomes[1]).contains("locked"), "{outcomes:?}");
    assert!(matches!(outcomes[2], WriteOutcome::Missing), "{outcomes:?}");
    db.sql("COMMIT").await;
    assert_eq!(confirmed(&db.write(&[set("k2", "2", "name", "Bobby")]).await), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_takes_rows_in_another_order_is_never_ended_for_us() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, &format!("{SCHEMA}; ALTER TABLE people ADD UNIQUE (email)")).await;
    db.sql("INSERT INTO people (name) VALUES ('Ann'), ('Bob'), ('Cy')").await;
    // It holds the last row, and a value that ours wants; then it takes the rows that ours has taken.
    db.sql("BEGIN; UPDATE people SET note = 'mine' WHERE id = 3; INSERT INTO people (email) VALUES ('x')")
        .await;
    let other = person(&db.url).await;
    let create = Write {
        operation: Operation::Create,
        id: None,
        fields: Fields::from([("email".to_owned(), "x".into())]),
        ..set("k4", "", "", "")
    };
    let writes =
        [set("k1", "1", "name", "Anna"), set("k2", "2", "email", "x"), set("k3", "3", "name", "Cyd"), create];
    let (outcomes, ()) = tokio::join!(db.write(&writes), async {
        let _ = others_wait(&other).await;
        db.sql("UPDATE people SET note = 'mine' WHERE id IN (1, 2)").await;
        tokio::time::sleep(CIRCLE).await;
        db.sql("COMMIT").await;
    });
    assert!(matches!(outcomes[0], WriteOutcome::Confirmed { .. }), "{outcomes:?}");
    for outcome in &outcomes[1..] {
        assert!(retried(outcome).contains("lock"), "{outcomes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_alone_waits_for_its_row() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    db.sql("INSERT INTO people (name) VALUES ('Ann')").await;
    db.sql("BEGIN; UPDATE people SET note = 'mine' WHERE id = 1").await;
    let other = person(&db.url).await;
    let writes = [set("k1", "1", "name", "Anna")];
    let (outcomes, ()) = tokio::join!(db.write(&writes), async {
        assert!(others_wait(&other).await);
        db.sql("COMMIT").await;
    });
    assert_eq!(confirmed(&outcomes), 1, "{outcomes:?}");
}
