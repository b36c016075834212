//! What a constraint forbids now, another write may allow: such a write waits. What it forbids for ever is refused.

use super::{File, SCHEMA, set};
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{Connector as _, Fields, Write, WriteOutcome};

fn create(key: &str, name: &str, value: &str) -> Write {
    Write { operation: Operation::Create, id: None, ..set(key, "", name, value.into()) }
}

fn remove(key: &str, id: &str) -> Write {
    Write { operation: Operation::Delete, fields: Fields::new(), ..set(key, id, "name", "".into()) }
}

#[track_caller]
fn assert_blocked(outcome: &WriteOutcome, words: &str) {
    match outcome {
        WriteOutcome::Blocked { reason } => assert!(reason.contains(words), "{reason}"),
        other => panic!("should be blocked: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_value_that_another_row_holds_blocks_the_write() {
    let file = File::new(&SCHEMA.replace("email TEXT", "email TEXT UNIQUE")).await;
    file.sql("INSERT INTO people (id, name, email) VALUES (1, 'Ann', 'a@b'), (2, 'Bob', 'b@b')");
    assert_blocked(&file.write(set("k1", "2", "email", "a@b".into())).await, "UNIQUE");
    assert_blocked(&file.write(create("k2", "email", "a@b")).await, "UNIQUE");
    file.sql("UPDATE people SET email = 'free@b' WHERE id = 1");
    let outcome = file.write(set("k1", "2", "email", "a@b".into())).await;
    assert!(matches!(outcome, WriteOutcome::Confirmed { .. }), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_parent_and_a_remaining_child_block_the_write() {
    let schema = SCHEMA.replace("note TEXT", "note TEXT REFERENCES people (id)");
    for schema in [schema.clone(), schema.replace("(id)", "(id) DEFERRABLE INITIALLY DEFERRED")] {
        let file = File::new(&schema).await;
        file.sql("INSERT INTO people (id, name) VALUES (1, 'Ann'), (2, 'Bob')");
        file.sql("UPDATE people SET note = 1 WHERE id = 2");
        assert_blocked(&file.write(create("k1", "note", "77")).await, "FOREIGN KEY");
        assert_blocked(&file.write(remove("k2", "1")).await, "FOREIGN KEY");
        // Blocked rows hold up nobody, in one call.
        let writes =
            [create("k3", "note", "1"), create("k4", "note", "99"), set("k5", "1", "name", "Anne".into())];
        let outcomes = file.connector.write(&super::entity(), &writes).await;
        assert!(matches!(outcomes[0], WriteOutcome::Confirmed { .. }), "{outcomes:?}");
        assert_blocked(&outcomes[1], "FOREIGN KEY");
        assert!(matches!(outcomes[2], WriteOutcome::Confirmed { .. }), "{outcomes:?}");
        assert_eq!(
            file.person
                .lock()
                .unwrap()
                .query_row("SELECT count(*) FROM people", [], |row| row.get::<_, i64>(0)),
            Ok(3)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_other_write_can_cure_is_refused() {
    let file = File::new(&SCHEMA.replace("email TEXT", "email TEXT NOT NULL DEFAULT 'x'")).await;
    file.sql("INSERT INTO people (id, name) VALUES (1, 'Ann')");
    file.sql("CREATE TRIGGER never BEFORE UPDATE ON people WHEN new.points = 13 BEGIN SELECT RAISE(ABORT, 'unlucky'); END");
    for write in [
        set("k1", "1", "email", avowal_core::data::value::Value::Null),
        set("k2", "1", "name", "refused by rule".into()),
        set("k3", "1", "points", 13.into()),
    ] {
        let outcome = file.write(write).await;
        assert!(matches!(outcome, WriteOutcome::Rejected { .. }), "{outcome:?}");
    }
}
