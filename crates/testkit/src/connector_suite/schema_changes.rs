//! Migrations of the application while it writes: its statements go through, and nothing of them is lost.

use super::{
    Case, Fixture, SchemaChange, assert_shows, case, entity, fields, person, position, present, read_one,
};
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_engine::ports::connector::{ConnectorErrorKind, Fields, RemoteState};
use avowal_engine::ports::store::Cursor;
use std::collections::BTreeMap;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(a_column_is_added, "a column is added while others write: nothing is lost"),
        case!(a_column_is_renamed, "a column is renamed while others write: nothing is lost"),
        case!(a_column_is_retyped, "a column gets another type while others write: nothing is lost"),
        case!(a_column_is_dropped, "a column is dropped while others write: nothing is lost"),
    ]
}

async fn a_column_is_added(fixture: &dyn Fixture) {
    migrate(fixture, SchemaChange::Add).await;
}

async fn a_column_is_renamed(fixture: &dyn Fixture) {
    migrate(fixture, SchemaChange::Rename).await;
}

async fn a_column_is_retyped(fixture: &dyn Fixture) {
    migrate(fixture, SchemaChange::Retype).await;
}

async fn a_column_is_dropped(fixture: &dyn Fixture) {
    migrate(fixture, SchemaChange::Drop).await;
}

/// The fixture's edits panic where they fail, so that they only have to be made.
async fn migrate(fixture: &dyn Fixture, change: SchemaChange) {
    let ann = fixture.insert(person("Ann")).await;
    let bob = fixture.insert(person("Bob")).await;
    if !fixture.connector().capabilities(&entity()).feed {
        return;
    }
    let from = position(fixture).await;
    let edits = async {
        for n in 0..6 {
            fixture.update(&ann, fields([("points", Value::Int(n))])).await;
        }
    };
    let (could, ()) = tokio::join!(fixture.alter(change), edits);
    if !could {
        return;
    }
    fixture.update(&ann, fields([("name", Value::text("Anne"))])).await;
    fixture.delete(&bob).await;
    let carl = fixture.insert(without_note(person("Carl"))).await;
    is_not_silent(fixture, &from, &ann).await;

    fixture.alter_back(change).await;
    fixture.update(&carl, fields([("name", Value::text("Karl"))])).await;
    fixture.connector().install().await.expect("what the migration took away is made again");
    let mut shown = latest(fixture, &from).await;
    assert_shows(
        &take(&mut shown, &ann),
        &fields([("name", Value::text("Anne")), ("points", Value::Int(5))]),
    );
    assert_shows(&take(&mut shown, &carl), &fields([("name", Value::text("Karl"))]));
    assert_eq!(shown.remove(&bob).flatten(), None, "the deleted record is not shown");

    // From here on the feed works as ever.
    let from = position(fixture).await;
    fixture.update(&carl, fields([("name", Value::text("Charles"))])).await;
    assert_shows(
        &take(&mut latest(fixture, &from).await, &carl),
        &fields([("name", Value::text("Charles"))]),
    );
}

fn without_note(mut fields: Fields) -> Fields {
    fields.remove("note");
    fields
}

#[track_caller]
fn take(shown: &mut BTreeMap<RemoteId, Option<Fields>>, id: &RemoteId) -> Fields {
    shown.remove(id).flatten().unwrap_or_else(|| panic!("the change of {id} is lost"))
}

/// A feed that cannot follow says so; an empty page would say that there was nothing.
async fn is_not_silent(fixture: &dyn Fixture, from: &Cursor, changed: &RemoteId) {
    match fixture.connector().changes(&entity(), from, 1000).await {
        Ok(page) => assert!(page.changes.iter().any(|change| change.id == *changed), "{:?}", page.changes),
        Err(error) => assert!(says_so(&error.kind), "{error}"),
    }
}

fn says_so(kind: &ConnectorErrorKind) -> bool {
    matches!(kind, ConnectorErrorKind::SchemaDrift | ConnectorErrorKind::CursorExpired)
}

/// What the engine would know of each record that the feed names: read where the feed only names it, listed where the feed
/// asks for that. `None` is a record that is gone.
async fn latest(fixture: &dyn Fixture, from: &Cursor) -> BTreeMap<RemoteId, Option<Fields>> {
    let mut changes = Vec::new();
    match fixture.connector().changes(&entity(), from, 1000).await {
        Ok(page) => changes = page.changes,
        Err(error) => {
            assert_eq!(error.kind, ConnectorErrorKind::CursorExpired, "{error}");
            let mut cursor = None;
            loop {
                let page = fixture.connector().list(&entity(), cursor.as_ref(), 100).await.expect("list");
                changes.extend(page.changes);
                if !page.more {
                    break;
                }
                cursor = Some(page.next);
            }
        }
    }
    let mut known = BTreeMap::new();
    for change in changes {
        let now = match change.shown {
            RemoteState::Unknown => read_one(fixture, &change.id).await,
            RemoteState::Present(_)
            | RemoteState::Gone
            | RemoteState::Unreadable { .. }
            | RemoteState::Unread { .. } => change,
        };
        let is_gone = now.shown == RemoteState::Gone;
        known.insert(now.id.clone(), (!is_gone).then(|| present(&now).clone()));
    }
    known
}
