//! Deliveries, reviews, quarantine and cursors.

use super::sample::{Stream, after, at, copy, delivery, feed, moved, unreadable};
use super::{committed, conflicts};
use avowal_core::data::value::Value;
use avowal_core::data::version::{Dot, VersionVector};
use avowal_core::history::{Body, ReviewAnswer};
use avowal_core::record::reason::ReviewReason;
use avowal_core::record::{Review, Side};
use avowal_engine::ports::store::{
    Commit, CursorKind, CursorMove, CursorName, NewQuarantineItem, Position, Store,
};
use std::sync::Arc;

/// A delivery is known once it is committed; asking again changes nothing about that.
pub async fn repeated_deliveries_are_seen(store: Arc<dyn Store>) {
    let keys = ["a".to_owned(), "b".to_owned(), "a".to_owned()];
    assert_eq!(store.seen_before(&"crm".into(), &keys).await, Ok(vec![false, false, false]));
    committed(&*store, Commit { dedupe: vec![delivery("crm", "a")], ..Commit::default() }).await;
    for _ in 0..2 {
        assert_eq!(store.seen_before(&"crm".into(), &keys).await, Ok(vec![true, false, true]));
    }
    assert_eq!(store.seen_before(&"app".into(), &keys).await, Ok(vec![false, false, false]));
    assert_eq!(store.seen_before(&"app".into(), &[]).await, Ok(vec![]));
}

fn side(value: &str) -> Side {
    Side { value: Value::text(value), dot: Dot::new("crm", 2), vector: VersionVector::new() }
}

fn question(id: &str, opened_at: i64) -> Review {
    Review {
        id: id.to_owned(),
        reason: ReviewReason::ManualReview,
        believed: Some(side("old")),
        proposed: [("crm".into(), side("new"))].into(),
        opened_at: at(opened_at),
    }
}

fn ask(stream: &mut Stream, field: &str, review: Review) {
    stream.push(Body::ManualReviewRequested { subject: field.into(), review: review.clone() });
    stream.state.reviews.insert(field.into(), review);
}

/// Open questions are listed, oldest first, until they are decided.
pub async fn reviews_open_and_close(store: Arc<dyn Store>) {
    let mut one = Stream::linked("01", "crm", "1");
    ask(&mut one, "email", question("01-2", 20));
    ask(&mut one, "phone", question("01-3", 10));
    committed(&*store, one.commit()).await;
    let open = store.open_reviews(10).await.unwrap();
    let fields: Vec<_> = open.iter().map(|open| open.subject.as_str()).collect();
    assert_eq!(fields, ["phone", "email"]);
    assert_eq!(open[0].review, question("01-3", 10));
    assert_eq!(store.open_reviews(1).await.unwrap(), open[..1]);
    one.state.reviews.remove(&"phone".into());
    one.push(Body::ReviewDecided {
        subject: "phone".into(),
        review: "01-3".to_owned(),
        answer: ReviewAnswer::Take { system: "crm".into() },
        note: Some("asked the customer".to_owned()),
    });
    committed(&*store, one.commit()).await;
    assert_eq!(store.open_reviews(10).await.unwrap(), open[1..]);
    assert_eq!(store.counts().await.unwrap().reviews, 1);
    // The same field may come into question again.
    ask(&mut one, "phone", question("01-5", 30));
    committed(&*store, one.commit()).await;
    assert_eq!(store.load(&["01".into()]).await.unwrap(), [Some(one.state.clone())]);
    assert_eq!(store.counts().await.unwrap().reviews, 2);
}

/// A later observation refreshes what is proposed.
pub async fn reviews_are_refreshed(store: Arc<dyn Store>) {
    let mut one = Stream::linked("01", "crm", "1");
    ask(&mut one, "email", question("01-2", 20));
    committed(&*store, one.commit()).await;
    let review = one.state.reviews.get_mut(&"email".into()).unwrap();
    review.proposed.insert("app".into(), side("newer"));
    review.believed = None;
    one.push(Body::Released { system: "crm".into() });
    committed(&*store, one.commit()).await;
    assert_eq!(store.load(&["01".into()]).await.unwrap(), [Some(one.state.clone())]);
    assert_eq!(store.open_reviews(10).await.unwrap().len(), 1);
}

/// Items are kept whole. An understood copy closes what came from it; what could not go out, a person releases.
pub async fn quarantine_opens_and_closes(store: Arc<dyn Store>) {
    let outgoing =
        NewQuarantineItem { record: Some("01".into()), ..unreadable("crm", "1", "refused for good") };
    let nameless = NewQuarantineItem { remote_id: None, ..unreadable("crm", "1", "no id") };
    let items = vec![
        unreadable("crm", "1", "bad"),
        outgoing.clone(),
        nameless.clone(),
        unreadable("crm", "2", "bad"),
    ];
    committed(&*store, Commit { quarantine: items.clone(), ..Commit::default() }).await;
    let stored = store.quarantined(10).await.unwrap();
    assert!(stored.windows(2).all(|pair| pair[0].id < pair[1].id));
    let without_ids: Vec<_> = stored.iter().cloned().map(NewQuarantineItem::from).collect();
    assert_eq!(without_ids, items);
    assert_eq!(store.quarantined(2).await.unwrap(), stored[..2]);
    committed(&*store, Commit { quarantine_closed: vec![copy("crm", "1")], ..Commit::default() }).await;
    assert_eq!(store.quarantined(10).await.unwrap(), stored[1..]);
    let released = Commit { quarantine_ids_closed: vec![stored[1].id, stored[2].id], ..Commit::default() };
    committed(&*store, released).await;
    assert_eq!(store.quarantined(10).await.unwrap(), stored[3..]);
    assert_eq!(store.counts().await.unwrap().quarantine, 1);
}

/// An unreadable row that every listing shows again is one item; another reason or payload is another.
pub async fn same_item_is_one(store: Arc<dyn Store>) {
    for (seconds, reason) in [(3, "bad"), (4, "bad"), (5, "worse")] {
        let item = NewQuarantineItem { at: at(seconds), ..unreadable("crm", "1", reason) };
        committed(&*store, Commit { quarantine: vec![item], ..Commit::default() }).await;
    }
    let open = store.quarantined(10).await.unwrap();
    let shown: Vec<_> = open.iter().map(|item| (item.at, item.reason.as_str())).collect();
    assert_eq!(shown, [(at(3), "bad"), (at(5), "worse")]);
    // Once closed, the same item is a new one.
    committed(&*store, Commit { quarantine_closed: vec![copy("crm", "1")], ..Commit::default() }).await;
    committed(&*store, Commit { quarantine: vec![unreadable("crm", "1", "bad")], ..Commit::default() }).await;
    assert_eq!(store.counts().await.unwrap().quarantine, 1);
}

/// Systems, entities and roads have positions of their own.
pub async fn cursors_are_kept_apart(store: Arc<dyn Store>) {
    committed(&*store, Commit { cursors: vec![moved("crm", None, "7")], ..Commit::default() }).await;
    let others = [
        CursorName { kind: CursorKind::Listing, ..feed("crm") },
        CursorName { entity: "order".into(), ..feed("crm") },
        feed("app"),
    ];
    for name in others {
        assert_eq!(store.cursor(&name).await, Ok(None));
    }
    assert_eq!(store.cursor(&feed("crm")).await, Ok(Some(after("7"))));
}

/// Each position comes back as it was, and a move compares with it.
pub async fn every_position_survives(store: Arc<dyn Store>) {
    let name = CursorName { kind: CursorKind::Listing, ..feed("crm") };
    let all = [after(""), after("complete"), Position::Planning, Position::Complete, Position::Again];
    let mut from = None;
    for to in all {
        let step = CursorMove { name: name.clone(), from: from.clone(), to: to.clone() };
        committed(&*store, Commit { cursors: vec![step.clone()], ..Commit::default() }).await;
        assert_eq!(store.cursor(&name).await, Ok(Some(to.clone())));
        conflicts(&*store, Commit { cursors: vec![step], ..Commit::default() }).await;
        from = Some(to);
    }
}
