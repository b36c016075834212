//! Constraints that another write may cure, and refusals that none does.

use super::{Database, SCHEMA, confirmed, set};
use avowal_core::data::value::Value;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{Fields, Write, WriteOutcome};
use avowal_testkit::postgres::PrivatePostgres;

/// The words of a write that is blocked.
fn blocked(outcome: &WriteOutcome) -> &str {
    match outcome {
        WriteOutcome::Blocked { reason } => reason,
        other => panic!("{other:?}"),
    }
}

fn rejected(outcome: &WriteOutcome) -> &str {
    match outcome {
        WriteOutcome::Rejected { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_write_may_cure_is_blocked() {
    let server = PrivatePostgres::start().unwrap();
    let schema = format!(
        "{SCHEMA}; ALTER TABLE people ADD UNIQUE (email), ALTER points SET NOT NULL, ALTER points SET DEFAULT 0,
         ADD FOREIGN KEY (points) REFERENCES people (id) DEFERRABLE,
         ADD EXCLUDE USING btree (note WITH =);
         INSERT INTO people (id, name, email, note, points) VALUES (0, 'Zero', 'z', 'z', 0)"
    );
    let db = Database::new(&server, &schema).await;
    db.sql("INSERT INTO people (name, email, note) VALUES ('Ann', 'a', 'n1'), ('Bob', 'b', 'n2')").await;

    let outcomes = db.write(&[set("k1", "1", "email", "b"), set("k2", "2", "name", "Bobby")]).await;
    assert!(blocked(&outcomes[0]).contains("unique"), "{outcomes:?}");
    assert_eq!(confirmed(&outcomes), 1, "the others of the batch go through");
    let outcomes = db.write(&[set("k3", "1", "points", Value::Int(77))]).await;
    assert!(blocked(&outcomes[0]).contains("foreign key"), "{outcomes:?}");
    let outcomes = db.write(&[set("k4", "1", "note", "n2")]).await;
    assert!(blocked(&outcomes[0]).contains("exclusion"), "{outcomes:?}");
    let delete = Write { operation: Operation::Delete, fields: Fields::new(), ..set("k5", "0", "", "") };
    let outcomes = db.write(&[delete]).await;
    assert!(blocked(&outcomes[0]).contains("foreign key"), "{outcomes:?}");

    // With the same key it goes through once the other write has been made.
    assert_eq!(confirmed(&db.write(&[set("k6", "2", "email", "c")]).await), 1);
    assert_eq!(confirmed(&db.write(&[set("k1", "1", "email", "b")]).await), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_other_write_cures_is_rejected_with_a_reason() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, &SCHEMA.replace("note text", "note text NOT NULL DEFAULT ''")).await;
    db.sql("INSERT INTO people (name) VALUES ('Ann')").await;
    let outcomes = db.write(&[set("k1", "1", "name", "refused by rule")]).await;
    assert!(rejected(&outcomes[0]).contains("check constraint"), "{outcomes:?}");
    let outcomes = db.write(&[set("k2", "1", "note", Value::Null)]).await;
    assert!(rejected(&outcomes[0]).contains("not-null"), "{outcomes:?}");
    let outcomes = db.write(&[set("k3", "1", "points", "many")]).await;
    assert!(rejected(&outcomes[0]).contains("invalid input"), "{outcomes:?}");
    let outcomes = db.write(&[set("k4", "1", "note", "a\0b")]).await;
    assert!(rejected(&outcomes[0]).contains("NUL"), "{outcomes:?}");
    let inside = Value::List(vec!["ok".into(), "a\0b".into()]);
    let outcomes = db.write(&[set("k5", "1", "tags", inside)]).await;
    assert!(rejected(&outcomes[0]).contains("NUL"), "{outcomes:?}");
}

async fn text(db: &Database, sql: &str) -> String {
    db.person.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn creates_are_made_in_the_order_given_whatever_they_set() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, &SCHEMA.replace("note text", "note text DEFAULT 'none'")).await;
    let each = ["email", "name", "note", "points", "tags", "note", "email", "active"];
    let value = |column: &str, n: usize| match column {
        "points" => Value::Int(1),
        "tags" => Value::List(vec![Value::text("x")]),
        "active" => Value::Bool(true),
        _ => Value::text(format!("{column} {n}")),
    };
    let writes: Vec<Write> = each
        .iter()
        .enumerate()
        .map(|(n, column)| Write {
            operation: Operation::Create,
            id: None,
            fields: [
                ("name".to_owned(), Value::text(format!("{n}"))),
                ((*column).to_owned(), value(column, n)),
            ]
            .into(),
            ..set(&format!("k{n}"), "", "", "")
        })
        .collect();
    assert_eq!(confirmed(&db.write(&writes).await), 8);
    let order = "SELECT string_agg(coalesce(substring(name FROM '[0-9]'), '?'), '' ORDER BY id) FROM people";
    assert_eq!(text(&db, order).await, "01234567");
    let notes = "SELECT string_agg(note, ',' ORDER BY id) FROM people";
    assert_eq!(
        text(&db, notes).await,
        "none,none,note 2,none,none,note 5,none,none",
        "a default fills what is not named"
    );
}
