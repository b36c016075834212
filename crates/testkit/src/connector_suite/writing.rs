//! Writes: only what was asked, once, on what was expected.

use super::{
    Case, Fixture, REFUSED_NAME, assert_shows, case, create, delete, entity, fields, person, present,
    read_one, update,
};
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_engine::ports::connector::{Expected, RemoteState, Write, WriteOutcome};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(a_create_makes_one_record, "a create makes one record and shows it"),
        case!(an_update_writes_only_its_fields, "an update writes only its fields; another person's stay"),
        case!(an_unexpected_copy_is_left_alone, "a copy that is not as expected is left alone"),
        case!(a_create_looks_up_first, "a create finds the record that is already there"),
        case!(a_repeated_key_has_one_effect, "the same key twice has one effect"),
        case!(a_delete_removes, "a delete removes the record"),
        case!(a_missing_copy_is_missing, "an update of a missing copy is answered as missing"),
        case!(a_refused_row_holds_up_nobody, "a refused record does not hold up the others"),
        case!(hostile_names_do_no_harm, "hostile column names do no harm"),
    ]
}

async fn write_one(fixture: &dyn Fixture, write: Write) -> WriteOutcome {
    let mut outcomes = fixture.connector().write(&entity(), &[write]).await;
    assert_eq!(outcomes.len(), 1, "one write, one answer");
    outcomes.remove(0)
}

#[track_caller]
fn confirmed(outcome: &WriteOutcome) -> &RemoteId {
    match outcome {
        WriteOutcome::Confirmed { id, .. } => id,
        other => panic!("should be confirmed: {other:?}"),
    }
}

async fn a_create_makes_one_record(fixture: &dyn Fixture) {
    let outcome = write_one(fixture, create("k1", person("Ann"))).await;
    let id = confirmed(&outcome).clone();
    assert_eq!(fixture.count().await, 1);
    assert_shows(&fixture.stored(&id).await.expect("stored"), &person("Ann"));
    if fixture.connector().capabilities(&entity()).receipt {
        let WriteOutcome::Confirmed { after: Some(after), .. } = &outcome else {
            panic!("the receipt is declared but missing: {outcome:?}");
        };
        assert_eq!(after.id, id);
        assert_shows(present(after), &person("Ann"));
    }
    assert_shows(present(&read_one(fixture, &id).await), &person("Ann"));
}

async fn an_update_writes_only_its_fields(fixture: &dyn Fixture) {
    let ann = fixture.insert(person("Ann")).await;
    // The edit of another person, which the engine has not seen when it writes.
    fixture.update(&ann, fields([("name", Value::text("Anne"))])).await;
    let outcome = write_one(fixture, update("k1", &ann, fields([("note", Value::text("ours"))]))).await;
    confirmed(&outcome);
    let mut wanted = person("Ann");
    wanted.insert("name".to_owned(), Value::text("Anne"));
    wanted.insert("note".to_owned(), Value::text("ours"));
    assert_shows(&fixture.stored(&ann).await.expect("stored"), &wanted);
}

async fn an_unexpected_copy_is_left_alone(fixture: &dyn Fixture) {
    if !fixture.connector().capabilities(&entity()).precondition {
        return;
    }
    let ann = fixture.insert(person("Ann")).await;
    let seen = read_one(fixture, &ann).await;
    fixture.update(&ann, fields([("note", Value::text("theirs"))])).await;
    let as_seen = |key: &str, version: Option<String>, note: &'static str| Write {
        version,
        expected: Expected::when(move |present| present.get("note") == Some(&Value::text(note))),
        ..update(key, &ann, fields([("note", Value::text("ours"))]))
    };
    let refused = write_one(fixture, as_seen("k1", seen.version, "first")).await;
    assert!(matches!(refused, WriteOutcome::Conflict { .. }), "{refused:?}");
    let theirs = fields([("note", Value::text("theirs"))]);
    assert_shows(&fixture.stored(&ann).await.expect("stored"), &theirs);

    // With what stands there now, and the same key, it goes through: the conflict used nothing up.
    let now = read_one(fixture, &ann).await;
    let accepted = write_one(fixture, as_seen("k1", now.version, "theirs")).await;
    confirmed(&accepted);
    assert_shows(&fixture.stored(&ann).await.expect("stored"), &fields([("note", Value::text("ours"))]));
}

async fn a_create_looks_up_first(fixture: &dyn Fixture) {
    if !fixture.connector().capabilities(&entity()).searchable {
        return;
    }
    let ann = fixture.insert(person("Ann")).await;
    let again = |key: &str, name: &str| Write {
        lookup: vec![
            fields([("email", Value::text(format!("{key}@example.org")))]),
            fields([("email", Value::text(format!("{}@example.org", name.to_lowercase())))]),
        ],
        ..create(key, person(name))
    };
    let outcomes = fixture.connector().write(&entity(), &[again("k1", "Ann"), again("k2", "Bob")]).await;
    let [WriteOutcome::Exists { copy }, WriteOutcome::Confirmed { .. }] = &outcomes[..] else {
        panic!("one exists, one is made: {outcomes:?}");
    };
    assert_eq!(copy.id, ann);
    assert_shows(present(copy), &person("Ann"));
    assert_eq!(fixture.count().await, 2);
}

async fn a_repeated_key_has_one_effect(fixture: &dyn Fixture) {
    if !fixture.connector().capabilities(&entity()).idempotent {
        return;
    }
    let first = write_one(fixture, create("k1", person("Ann"))).await;
    let second = write_one(fixture, create("k1", person("Ann"))).await;
    assert_eq!(confirmed(&first), confirmed(&second));
    assert_eq!(fixture.count().await, 1);

    let ann = confirmed(&first).clone();
    let ours = || update("k2", &ann, fields([("note", Value::text("ours"))]));
    confirmed(&write_one(fixture, ours()).await);
    fixture.update(&ann, fields([("note", Value::text("theirs, later"))])).await;
    confirmed(&write_one(fixture, ours()).await);
    let later = fields([("note", Value::text("theirs, later"))]);
    assert_shows(&fixture.stored(&ann).await.expect("stored"), &later);
}

async fn a_delete_removes(fixture: &dyn Fixture) {
    let ann = fixture.insert(person("Ann")).await;
    let bob = fixture.insert(person("Bob")).await;
    confirmed(&write_one(fixture, delete("k1", &ann)).await);
    assert_eq!(fixture.count().await, 1);
    assert_eq!(read_one(fixture, &ann).await.shown, RemoteState::Gone);
    assert_shows(present(&read_one(fixture, &bob).await), &person("Bob"));
    let again = write_one(fixture, delete("k2", &ann)).await;
    assert!(matches!(again, WriteOutcome::Missing | WriteOutcome::Confirmed { .. }), "{again:?}");
}

async fn a_missing_copy_is_missing(fixture: &dyn Fixture) {
    let ann = fixture.insert(person("Ann")).await;
    fixture.delete(&ann).await;
    let outcome = write_one(fixture, update("k1", &ann, fields([("note", Value::text("x"))]))).await;
    assert_eq!(outcome, WriteOutcome::Missing);
    assert_eq!(fixture.count().await, 0);
}

async fn a_refused_row_holds_up_nobody(fixture: &dyn Fixture) {
    if !fixture.refuses() {
        return;
    }
    let ann = fixture.insert(person("Ann")).await;
    let bob = fixture.insert(person("Bob")).await;
    let outcomes = fixture
        .connector()
        .write(
            &entity(),
            &[
                create("k1", person("Carl")),
                create("k2", person(REFUSED_NAME)),
                update("k3", &ann, fields([("name", Value::text("Anne"))])),
                update("k4", &bob, fields([("name", Value::text(REFUSED_NAME))])),
                create("k5", person("Dora")),
            ],
        )
        .await;
    let words: Vec<_> = outcomes
        .iter()
        .map(|outcome| match outcome {
            WriteOutcome::Confirmed { .. } => "confirmed",
            WriteOutcome::Rejected { reason } => {
                assert!(!reason.is_empty(), "the system's words are told");
                "rejected"
            }
            other => panic!("confirmed or rejected, not {other:?}"),
        })
        .collect();
    assert_eq!(words, ["confirmed", "rejected", "confirmed", "rejected", "confirmed"]);
    assert_eq!(fixture.count().await, 4);
    assert_shows(&fixture.stored(&ann).await.expect("stored"), &fields([("name", Value::text("Anne"))]));
    assert_shows(&fixture.stored(&bob).await.expect("stored"), &fields([("name", Value::text("Bob"))]));
}

async fn hostile_names_do_no_harm(fixture: &dyn Fixture) {
    const HOSTILE: &str = "name\" = 'x'; drop table people; --";
    let ann = fixture.insert(person("Ann")).await;
    let hostile = fields([(HOSTILE, Value::text("x"))]);
    // Whether an unknown name is refused or ignored is the system's; that nothing else happens is not.
    let _ = fixture.connector().find(&entity(), &hostile).await;
    let _ = write_one(fixture, update("k1", &ann, hostile.clone())).await;
    let _ = write_one(fixture, Write { lookup: vec![hostile], ..update("k2", &ann, person("Ann")) }).await;
    assert_eq!(fixture.count().await, 1);
    assert_shows(&fixture.stored(&ann).await.expect("stored"), &person("Ann"));
}
