//! Values survive both ways, exactly.

use super::{
    Case, Fixture, assert_shows, case, create, drain, entity, fields, person, position, present, read_one,
    update,
};
use avowal_core::data::value::Value;
use avowal_engine::ports::connector::{Fields, WriteOutcome};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(written_values_survive, "values that we write are stored exactly"),
        case!(their_values_survive, "values that others write are shown exactly, in reads, lists and feed"),
        case!(null_and_empty_differ, "null and the empty text stay apart"),
        case!(a_nul_is_stored_or_refused, "a text with a NUL is stored whole or refused, alone"),
    ]
}

/// Contents that have broken other products.
fn hard_contents() -> Vec<Fields> {
    let text = |text: &str| {
        fields([("name", Value::text(text)), ("note", Value::text(text)), ("email", "a@b.org".into())])
    };
    vec![
        text("Zoë Größe 東京 🦀 \u{202e}abc"),
        text("O'Brien \"quoted\" `tick` \\back\\slash"),
        text("two\nlines\r\nand\ttab"),
        text("'; drop table people; --"),
        text("  leading and trailing  "),
        text("=cmd|' /C calc'!A0"),
        text("null"),
        text("0012"),
        fields([("points", Value::Int(i64::MAX))]),
        fields([("points", Value::Int(i64::MIN))]),
        fields([("points", Value::Int(9_007_199_254_740_993))]),
        fields([("points", Value::Int(0))]),
        fields([("amount", Value::text("12345678901234567.89"))]),
        fields([("amount", Value::text("-0.1"))]),
        fields([("amount", Value::text("0.10"))]),
        fields([("active", Value::Bool(false))]),
        fields([("tags", Value::List(vec![]))]),
        fields([("tags", Value::List(vec!["ü\"".into(), Value::Int(3), Value::Bool(true), "{}".into()]))]),
    ]
}

fn full(part: &Fields, n: usize) -> Fields {
    let mut whole = person(&format!("Person {n}"));
    whole.extend(part.clone());
    whole
}

async fn written_values_survive(fixture: &dyn Fixture) {
    for (n, part) in hard_contents().iter().enumerate() {
        let whole = full(part, n);
        let made = fixture.connector().write(&entity(), &[create(&format!("c{n}"), whole.clone())]).await;
        let [WriteOutcome::Confirmed { id, .. }] = &made[..] else { panic!("{part:?}: {made:?}") };
        assert_shows(&fixture.stored(id).await.expect("stored"), &whole);
        assert_shows(present(&read_one(fixture, id).await), &whole);

        let other = fixture.insert(person("Other")).await;
        let write = update(&format!("u{n}"), &other, part.clone());
        let changed = fixture.connector().write(&entity(), &[write]).await;
        assert!(matches!(changed[..], [WriteOutcome::Confirmed { .. }]), "{part:?}: {changed:?}");
        assert_shows(&fixture.stored(&other).await.expect("stored"), part);
    }
}

async fn their_values_survive(fixture: &dyn Fixture) {
    let feed = fixture.connector().capabilities(&entity()).feed;
    for (n, part) in hard_contents().iter().enumerate() {
        let whole = full(part, n);
        let from = if feed { Some(position(fixture).await) } else { None };
        let id = fixture.insert(whole.clone()).await;
        assert_shows(present(&read_one(fixture, &id).await), &whole);
        if let Some(from) = from {
            let (changes, _) = drain(fixture, &from, 10).await;
            let last = changes.iter().rfind(|change| change.id == id).expect("shown in the feed");
            assert_shows(present(last), &whole);
        }
    }
    let page = fixture.connector().list(&entity(), None, 100).await.expect("list");
    assert_eq!(page.changes.len(), hard_contents().len());
    for change in &page.changes {
        assert_shows(present(change), &fixture.stored(&change.id).await.expect("stored"));
    }
}

async fn null_and_empty_differ(fixture: &dyn Fixture) {
    let ann = fixture.insert(person("Ann")).await;
    for (n, note) in [Value::Null, Value::text(""), Value::Null, Value::text("x")].into_iter().enumerate() {
        let part = fields([("note", note)]);
        let outcome =
            fixture.connector().write(&entity(), &[update(&format!("k{n}"), &ann, part.clone())]).await;
        assert!(matches!(outcome[..], [WriteOutcome::Confirmed { .. }]), "{outcome:?}");
        assert_shows(&fixture.stored(&ann).await.expect("stored"), &part);
        assert_shows(present(&read_one(fixture, &ann).await), &part);
    }
}

async fn a_nul_is_stored_or_refused(fixture: &dyn Fixture) {
    let ann = fixture.insert(person("Ann")).await;
    let bob = fixture.insert(person("Bob")).await;
    let nul = fields([("note", Value::text("before\0after"))]);
    let plain = fields([("note", Value::text("plain"))]);
    let writes = [update("k1", &ann, nul.clone()), update("k2", &bob, plain.clone())];
    let outcomes = fixture.connector().write(&entity(), &writes).await;
    let stands = fixture.stored(&ann).await.expect("stored");
    match &outcomes[0] {
        WriteOutcome::Confirmed { .. } => assert_shows(&stands, &nul),
        WriteOutcome::Rejected { reason } => {
            assert!(!reason.is_empty());
            assert_shows(&stands, &person("Ann"));
        }
        other => panic!("stored or refused, not {other:?}"),
    }
    assert!(matches!(outcomes[1], WriteOutcome::Confirmed { .. }), "{outcomes:?}");
    assert_shows(&fixture.stored(&bob).await.expect("stored"), &plain);
}
