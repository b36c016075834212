//! The order in which a source made its records, and records whose ids come again.

use super::{Case, Fixture, assert_shows, case, drain, entity, fields, person, position, present};
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_engine::ports::connector::{Change, OrderKind, RemoteState};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(
            creates_come_as_they_were_made,
            "the feed shows new records in the order in which they were made"
        ),
        case!(a_delete_comes_last, "a record that is changed and deleted at once is deleted"),
        case!(
            a_replaced_record_goes_first,
            "a record that is made again under its id is gone before it is there"
        ),
        case!(
            a_restart_is_nothing_new,
            "another connector to the same system goes on where the first one was"
        ),
    ]
}

fn is_log(fixture: &dyn Fixture) -> bool {
    let capabilities = fixture.connector().capabilities(&entity());
    capabilities.feed && capabilities.order == OrderKind::CommitLog
}

fn of<'a>(changes: &'a [Change], id: &RemoteId) -> Vec<&'a Change> {
    changes.iter().filter(|change| change.id == *id).collect()
}

async fn creates_come_as_they_were_made(fixture: &dyn Fixture) {
    if !is_log(fixture) {
        return;
    }
    let from = position(fixture).await;
    let mut made = Vec::new();
    for n in 0..13 {
        made.push(fixture.insert(person(&format!("Person {n}"))).await);
        // A later change of an older record must not move it behind those that were made since.
        fixture.update(&made[n / 2], fields([("note", Value::text(format!("after {n}")))])).await;
    }
    let (changes, _) = drain(fixture, &from, 4).await;
    let mut shown: Vec<RemoteId> = Vec::new();
    for change in changes {
        if !shown.contains(&change.id) {
            shown.push(change.id);
        }
    }
    assert_eq!(shown, made);
}

async fn a_delete_comes_last(fixture: &dyn Fixture) {
    let capabilities = fixture.connector().capabilities(&entity());
    if !capabilities.feed || !capabilities.deletes_in_feed {
        return;
    }
    let ann = fixture.insert(person("Ann")).await;
    let from = position(fixture).await;
    fixture.update_and_delete(&ann, fields([("note", Value::text("last words"))])).await;
    let (changes, _) = drain(fixture, &from, 10).await;
    let last = of(&changes, &ann).pop().expect("the delete is shown");
    assert_eq!(last.shown, RemoteState::Gone);
}

async fn a_replaced_record_goes_first(fixture: &dyn Fixture) {
    let ann = fixture.insert(person("Ann")).await;
    if !is_log(fixture) {
        return;
    }
    let from = position(fixture).await;
    if !fixture.replace(&ann, person("Bob")).await {
        return;
    }
    let (changes, _) = drain(fixture, &from, 1).await;
    let shown = of(&changes, &ann);
    assert!(
        shown.iter().any(|change| change.shown == RemoteState::Gone),
        "nothing says that it went: {changes:?}"
    );
    assert_shows(present(shown[shown.len() - 1]), &person("Bob"));
}

async fn a_restart_is_nothing_new(fixture: &dyn Fixture) {
    let ann = fixture.insert(person("Ann")).await;
    if !is_log(fixture) {
        return;
    }
    let from = position(fixture).await;
    fixture.update(&ann, fields([("note", Value::text("while nobody looked"))])).await;
    let Some(restarted) = fixture.reopen() else { return };
    assert_eq!(restarted.install().await.expect("install"), Vec::<String>::new(), "everything is there");
    let page = restarted.changes(&entity(), &from, 10).await.expect("the cursor is still good");
    assert_shows(present(&page.changes[0]), &fields([("note", Value::text("while nobody looked"))]));
    assert_eq!(page.changes.len(), 1);
    // What one of them reads, the other one need not read again.
    assert_eq!(drain(fixture, &page.next, 10).await.0, vec![]);
}
