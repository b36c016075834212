//! All or nothing: what may not be written leaves no trace.

use super::sample::{Stream, after, copy, delivery, feed, moved, records, signal, unreadable};
use super::{committed, conflicts, contents};
use avowal_engine::ports::store::{
    BATCH_RECORDS_MAX, Commit, CommitOutcome, SignalReason, Store, StoreError,
};
use std::sync::Arc;

/// A conflict of the second record leaves nothing of the first, and nothing of all that comes with it.
pub async fn conflict_leaves_nothing(store: Arc<dyn Store>) {
    let mut old = Stream::linked("01", "crm", "1");
    committed(&*store, old.commit()).await;
    let mut stale = Stream::linked("01", "crm", "1");
    let mut fresh = Stream::linked("02", "crm", "2");
    let commit = Commit {
        records: vec![fresh.step(), stale.step()],
        dedupe: vec![delivery("crm", "d1")],
        cursors: vec![moved("crm", None, "10")],
        quarantine: vec![unreadable("crm", "3", "not an address")],
        signals: vec![signal("crm", "4", Default::default(), SignalReason::Webhook)],
        ..Commit::default()
    };
    conflicts(&*store, commit).await;
    assert_eq!(store.cursor(&feed("crm")).await, Ok(None));
    assert_eq!(store.seen_before(&"crm".into(), &["d1".to_owned()]).await, Ok(vec![false]));
    assert_eq!(store.next_due().await, Ok(None));
    assert_eq!(store.locate(&[copy("crm", "2")]).await, Ok(vec![None]));
}

/// A record that has moved on is not written.
pub async fn stale_sequence(store: Arc<dyn Store>) {
    let mut one = Stream::linked("01", "crm", "1");
    committed(&*store, one.commit()).await;
    let mut competing = one.clone();
    one.plan("crm", "k1");
    committed(&*store, one.commit()).await;
    competing.plan("crm", "k2");
    conflicts(&*store, competing.commit()).await;
}

/// A record that is not there stands at sequence 0.
pub async fn missing_record_needs_zero(store: Arc<dyn Store>) {
    let mut one = Stream::linked("01", "crm", "1");
    let mut step = one.step();
    step.expected_seq = 5;
    conflicts(&*store, records([step])).await;
}

/// A cursor moves only from where it stands.
pub async fn stale_cursor(store: Arc<dyn Store>) {
    let step = |from: Option<&str>, to| Commit { cursors: vec![moved("crm", from, to)], ..Commit::default() };
    conflicts(&*store, step(Some("9"), "10")).await;
    committed(&*store, step(None, "10")).await;
    conflicts(&*store, step(None, "11")).await;
    conflicts(&*store, step(Some("9"), "11")).await;
    committed(&*store, step(Some("10"), "11")).await;
    assert_eq!(store.cursor(&feed("crm")).await, Ok(Some(after("11"))));
}

/// Two moves of one cursor in one commit follow each other.
pub async fn cursor_moves_step_by_step(store: Arc<dyn Store>) {
    let both = |second| Commit {
        cursors: vec![moved("crm", None, "1"), moved("crm", second, "2")],
        ..Commit::default()
    };
    conflicts(&*store, both(None)).await;
    assert_eq!(store.cursor(&feed("crm")).await, Ok(None));
    committed(&*store, both(Some("1"))).await;
    assert_eq!(store.cursor(&feed("crm")).await, Ok(Some(after("2"))));
}

/// A delivery is taken once, and what came with its repetition is not written.
pub async fn repeated_delivery(store: Arc<dyn Store>) {
    let mut one = Stream::linked("01", "crm", "1");
    let first = Commit { dedupe: vec![delivery("crm", "d1")], ..one.commit() };
    committed(&*store, first).await;
    let before = contents(&*store).await;
    let mut two = Stream::linked("02", "crm", "2");
    let again = Commit { dedupe: vec![delivery("crm", "d0"), delivery("crm", "d1")], ..two.commit() };
    assert_eq!(store.commit(again).await, Ok(CommitOutcome::Duplicate { key: "d1".to_owned() }));
    assert_eq!(contents(&*store).await, before);
    // Another system's delivery of the same name is another one.
    committed(&*store, Commit { dedupe: vec![delivery("app", "d1")], ..Commit::default() }).await;
    committed(&*store, Commit { dedupe: vec![delivery("crm", "d0")], ..Commit::default() }).await;
}

/// Also within one commit.
pub async fn delivery_twice_in_one_commit(store: Arc<dyn Store>) {
    let twice = Commit { dedupe: vec![delivery("crm", "d1"), delivery("crm", "d1")], ..Commit::default() };
    assert_eq!(store.commit(twice).await, Ok(CommitOutcome::Duplicate { key: "d1".to_owned() }));
    assert_eq!(store.seen_before(&"crm".into(), &["d1".to_owned()]).await, Ok(vec![false]));
}

/// No two records share a copy.
pub async fn taken_link(store: Arc<dyn Store>) {
    committed(&*store, Stream::linked("01", "crm", "1").commit()).await;
    conflicts(&*store, Stream::linked("02", "crm", "1").commit()).await;
    // The same id in another system, or of another entity, is another copy.
    committed(&*store, Stream::linked("02", "app", "1").commit()).await;
    let mut order = Stream::linked("03", "crm", "1").step();
    order.state.entity = "order".into();
    committed(&*store, records([order])).await;
}

/// Also within one commit.
pub async fn link_twice_in_one_commit(store: Arc<dyn Store>) {
    let mut one = Stream::linked("01", "crm", "1");
    let mut two = Stream::linked("02", "crm", "1");
    conflicts(&*store, records([one.step(), two.step()])).await;
}

/// Two records may exchange their copies in one commit, in whatever order they come.
pub async fn remote_ids_may_change_hands(store: Arc<dyn Store>) {
    let mut one = Stream::linked("01", "crm", "1");
    let mut two = Stream::linked("02", "crm", "2");
    committed(&*store, records([one.step(), two.step()])).await;
    for (stream, remote_id) in [(&mut one, "2"), (&mut two, "1")] {
        stream.state.copies.get_mut("crm").unwrap().remote_id = remote_id.into();
        stream.push(avowal_core::history::Body::Released { system: "crm".into() });
    }
    committed(&*store, records([one.step(), two.step()])).await;
    let located = store.locate(&[copy("crm", "1"), copy("crm", "2")]).await.unwrap();
    let ids: Vec<_> = located.into_iter().map(|located| located.unwrap().record.to_string()).collect();
    assert_eq!(ids, ["02", "01"]);
}

/// A copy that is gone still belongs to its record, until the record lets it go.
pub async fn dead_copy_keeps_its_link(store: Arc<dyn Store>) {
    let mut one = Stream::linked("01", "crm", "1");
    one.state.copies.get_mut("crm").unwrap().alive = false;
    committed(&*store, one.commit()).await;
    let located = store.locate(&[copy("crm", "1")]).await.unwrap().remove(0).unwrap();
    assert!(!located.alive);
    conflicts(&*store, Stream::linked("02", "crm", "1").commit()).await;
    one.state.copies.clear();
    one.push(avowal_core::history::Body::Released { system: "crm".into() });
    committed(&*store, one.commit()).await;
    committed(&*store, Stream::linked("02", "crm", "1").commit()).await;
}

/// A commit beyond the bound is refused whole.
pub async fn oversized_commit(store: Arc<dyn Store>) {
    let steps = (0..=BATCH_RECORDS_MAX).map(|n| Stream::new(&format!("{n:05}")).step());
    let commit = Commit { records: steps.collect(), ..Commit::default() };
    assert!(matches!(store.commit(commit).await, Err(StoreError::Unavailable(_))));
    assert_eq!(store.counts().await.unwrap(), Default::default());
}
