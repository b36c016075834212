//! Listing, reading and finding.

use super::{Case, Fixture, assert_shows, case, entity, fields, person, present, read_one};
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_engine::ports::connector::{Change, RemoteState};
use std::collections::BTreeSet;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(listing_is_complete_and_stable, "a listing shows every copy once, in a stable order"),
        case!(an_empty_collection_lists_nothing, "an empty collection lists nothing"),
        case!(reads_come_in_the_order_asked, "reads come in the order asked; a missing id is gone"),
        case!(find_finds_equal_contents, "find shows the copies whose contents are equal, at most 10"),
    ]
}

async fn list_all(fixture: &dyn Fixture, limit: usize) -> Vec<Change> {
    let (mut all, mut cursor) = (Vec::new(), None);
    for _ in 0..1_000 {
        let page = fixture.connector().list(&entity(), cursor.as_ref(), limit).await.expect("list");
        assert!(page.changes.len() <= limit, "a page holds at most {limit}");
        all.extend(page.changes);
        if !page.more {
            return all;
        }
        cursor = Some(page.next);
    }
    panic!("the listing never ends");
}

async fn listing_is_complete_and_stable(fixture: &dyn Fixture) {
    let mut ids = BTreeSet::new();
    for n in 0..17 {
        ids.insert(fixture.insert(person(&format!("Person {n}"))).await);
    }
    let first = list_all(fixture, 5).await;
    let order: Vec<_> = first.iter().map(|change| change.id.clone()).collect();
    assert_eq!(order.len(), 17, "each copy once");
    assert_eq!(order.iter().cloned().collect::<BTreeSet<_>>(), ids);
    for change in &first {
        let name = present(change)["name"].as_text().expect("a name").to_owned();
        assert_shows(present(change), &person(&name));
    }
    let again: Vec<_> = list_all(fixture, 4).await.into_iter().map(|change| change.id).collect();
    assert_eq!(again, order, "the order does not depend on the page size");
}

async fn an_empty_collection_lists_nothing(fixture: &dyn Fixture) {
    assert_eq!(list_all(fixture, 5).await, vec![]);
}

async fn reads_come_in_the_order_asked(fixture: &dyn Fixture) {
    let ann = fixture.insert(person("Ann")).await;
    let bob = fixture.insert(person("Bob")).await;
    let carl = fixture.insert(person("Carl")).await;
    fixture.delete(&bob).await;
    let asked = [carl.clone(), bob.clone(), ann.clone()];
    let read = fixture.connector().read(&entity(), &asked).await.expect("read");
    let ids: Vec<_> = read.iter().map(|change| change.id.clone()).collect();
    assert_eq!(ids, asked);
    assert_shows(present(&read[0]), &person("Carl"));
    assert_eq!(read[1].shown, RemoteState::Gone);
    assert_shows(present(&read[2]), &person("Ann"));
    // An id that no system gives is gone as well, and never a piece of a query.
    let strange = read_one(fixture, &RemoteId::new("no' or '1'='1")).await;
    assert_eq!(strange.shown, RemoteState::Gone);
}

async fn find_finds_equal_contents(fixture: &dyn Fixture) {
    let ann = fixture.insert(person("Ann")).await;
    for n in 0..12 {
        let mut same = person(&format!("Same {n}"));
        same.insert("note".to_owned(), Value::text("shared"));
        fixture.insert(same).await;
    }
    let find = |name: &'static str, value: &'static str| {
        let wanted = fields([(name, Value::text(value))]);
        async move { fixture.connector().find(&entity(), &wanted).await.expect("find") }
    };
    let by_email = find("email", "ann@example.org").await;
    if !fixture.connector().capabilities(&entity()).searchable {
        assert_eq!(by_email, vec![]);
        return;
    }
    assert_eq!(by_email.iter().map(|change| change.id.clone()).collect::<Vec<_>>(), [ann]);
    assert_shows(present(&by_email[0]), &person("Ann"));
    assert_eq!(find("email", "nobody@example.org").await, vec![]);
    assert_eq!(find("email", "x' or '1'='1").await, vec![]);
    let many = find("note", "shared").await;
    assert!(!many.is_empty() && many.len() <= 10, "at most 10, found {}", many.len());
}
