//! The change feed: nothing skipped, in order, restartable.

use super::{
    Case, Fixture, assert_shows, case, create, drain, entity, fields, person, position, present, update,
};
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_engine::ports::connector::{Change, OrderKind, RemoteState, WriteOutcome};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(every_kind_of_change_is_shown, "the feed shows inserts, updates and deletes after a position"),
        case!(any_cursor_restarts, "the feed can be restarted from any of its cursors"),
        case!(nothing_is_skipped_beside_writers, "the feed skips nothing while others write"),
        case!(order_tokens_grow, "order tokens of one copy grow with its changes"),
        case!(a_touch_is_no_change, "touching records without changing what is mapped changes nothing"),
        case!(own_writes_are_named, "the feed names our writes by their key, and only ours"),
    ]
}

fn has_feed(fixture: &dyn Fixture) -> bool {
    fixture.connector().capabilities(&entity()).feed
}

/// What the feed says last of each copy.
fn last(changes: Vec<Change>) -> BTreeMap<RemoteId, Change> {
    changes.into_iter().map(|change| (change.id.clone(), change)).collect()
}

async fn every_kind_of_change_is_shown(fixture: &dyn Fixture) {
    if !has_feed(fixture) {
        return;
    }
    let old = fixture.insert(person("Old")).await;
    let doomed = fixture.insert(person("Doomed")).await;
    let still = fixture.insert(person("Still")).await;
    let from = position(fixture).await;
    let new = fixture.insert(person("New")).await;
    fixture.update(&old, fields([("note", Value::text("second"))])).await;
    fixture.update(&old, fields([("note", Value::text("third"))])).await;
    fixture.delete(&doomed).await;

    let (changes, _) = drain(fixture, &from, 2).await;
    let last = last(changes);
    assert_shows(present(&last[&new]), &person("New"));
    assert_shows(present(&last[&old]), &fields([("note", Value::text("third")), ("name", "Old".into())]));
    if fixture.connector().capabilities(&entity()).deletes_in_feed {
        assert_eq!(last[&doomed].shown, RemoteState::Gone);
    }
    if fixture.connector().capabilities(&entity()).order == OrderKind::CommitLog {
        assert!(!last.contains_key(&still), "what did not change is not in a log");
    }
}

async fn any_cursor_restarts(fixture: &dyn Fixture) {
    if !has_feed(fixture) {
        return;
    }
    let from = position(fixture).await;
    for n in 0..7 {
        fixture.insert(person(&format!("Person {n}"))).await;
    }
    let (all, cursors) = drain(fixture, &from, 2).await;
    let ids: Vec<_> = all.iter().map(|change| change.id.clone()).collect();
    assert!(ids.iter().collect::<BTreeSet<_>>().len() == 7, "seven records in {ids:?}");
    for (page, cursor) in cursors.iter().enumerate() {
        let (rest, _) = drain(fixture, cursor, 3).await;
        let rest: BTreeSet<_> = rest.into_iter().map(|change| change.id).collect();
        for id in &ids[(page * 2).min(ids.len())..] {
            assert!(rest.contains(id), "{id} is missing after the cursor of page {page}");
        }
    }
}

async fn nothing_is_skipped_beside_writers(fixture: &dyn Fixture) {
    if !has_feed(fixture) {
        return;
    }
    let mut cursor = position(fixture).await;
    let (mut made, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for n in 0..12 {
        let names = [format!("Left {n}"), format!("Right {n}")];
        let (left, right, page) =
            tokio::join!(fixture.insert(person(&names[0])), fixture.insert(person(&names[1])), async {
                fixture.connector().changes(&entity(), &cursor, 3).await.expect("changes")
            },);
        made.extend([left, right]);
        seen.extend(page.changes.into_iter().map(|change| change.id));
        cursor = page.next;
    }
    let (rest, _) = drain(fixture, &cursor, 5).await;
    seen.extend(rest.into_iter().map(|change| change.id));
    assert_eq!(made.difference(&seen).collect::<Vec<_>>(), Vec::<&RemoteId>::new(), "skipped");
}

async fn order_tokens_grow(fixture: &dyn Fixture) {
    let order = fixture.connector().capabilities(&entity()).order;
    if !has_feed(fixture) || !matches!(order, OrderKind::CommitLog | OrderKind::Counter) {
        return;
    }
    let from = position(fixture).await;
    let ann = fixture.insert(person("Ann")).await;
    for n in 0..4 {
        fixture.update(&ann, fields([("points", Value::Int(n))])).await;
    }
    let (changes, _) = drain(fixture, &from, 2).await;
    let tokens: Vec<_> = changes.iter().map(|change| change.order.clone().expect("an order token")).collect();
    for pair in tokens.windows(2) {
        assert!(pair[0].proven_older_than(&pair[1]), "{} before {}", pair[0], pair[1]);
    }
    // A state that was read now is not older than the newest change of it.
    let read = super::read_one(fixture, &ann).await;
    if let (Some(read), Some(last)) = (&read.order, tokens.last()) {
        assert!(!read.proven_older_than(last), "read {read} after {last}");
    }
}

async fn a_touch_is_no_change(fixture: &dyn Fixture) {
    if !has_feed(fixture) {
        return;
    }
    for n in 0..3 {
        fixture.insert(person(&format!("Person {n}"))).await;
    }
    let from = position(fixture).await;
    if !fixture.touch_all().await {
        return;
    }
    let (changes, _) = drain(fixture, &from, 10).await;
    if fixture.connector().capabilities(&entity()).order == OrderKind::CommitLog {
        assert_eq!(changes, vec![], "a log of mapped columns stays empty");
    }
    for change in &changes {
        let name = present(change)["name"].as_text().expect("a name").to_owned();
        assert_shows(present(change), &person(&name));
    }
}

async fn own_writes_are_named(fixture: &dyn Fixture) {
    if !has_feed(fixture) || !fixture.connector().capabilities(&entity()).correlation {
        return;
    }
    let theirs = fixture.insert(person("Theirs")).await;
    let from = position(fixture).await;
    let outcomes = fixture
        .connector()
        .write(
            &entity(),
            &[
                create("key-create", person("Ours")),
                update("key-update", &theirs, fields([("note", Value::text("ours"))])),
            ],
        )
        .await;
    let [WriteOutcome::Confirmed { id: ours, .. }, WriteOutcome::Confirmed { .. }] = &outcomes[..] else {
        panic!("both writes should be confirmed: {outcomes:?}");
    };
    let (changes, _) = drain(fixture, &from, 10).await;
    let last_own = last(changes);
    assert_eq!(last_own[ours].correlation.as_deref(), Some("key-create"));
    assert_eq!(last_own[&theirs].correlation.as_deref(), Some("key-update"));

    let from = position(fixture).await;
    fixture.update(ours, fields([("note", Value::text("a person's"))])).await;
    let (changes, _) = drain(fixture, &from, 10).await;
    assert_eq!(last(changes)[ours].correlation, None, "a person's edit is not ours");
}
