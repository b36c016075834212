//! What is due, when, and in which order.

use super::committed;
use super::sample::{Stream, at, copy, records, signal};
use avowal_core::data::time::Timestamp;
use avowal_core::history::Doubt;
use avowal_core::record::intent::{IntentStatus, Operation};
use avowal_engine::ports::bucket::Shares;
use avowal_engine::ports::store::{
    Commit, CommitOutcome, DueIntent, IntentDelay, RecordCommit, SignalReason, Store,
};
use std::sync::Arc;

async fn due(store: &dyn Store, system: &str, now: Timestamp, limit: usize) -> Vec<(String, u32)> {
    let due = store.due_intents(&system.into(), Shares::ALL, now, limit).await.unwrap();
    due.into_iter().map(|DueIntent { record, failures, .. }| (record.to_string(), failures)).collect()
}

fn delay(record: &str, until: Timestamp, failures: u32) -> IntentDelay {
    let reason = "503".to_owned();
    IntentDelay {
        record: record.into(),
        system: "crm".into(),
        not_before: until,
        failures,
        reason: Some(reason),
    }
}

fn planned(id: &str, key: &str) -> Stream {
    let mut stream = Stream::linked(id, "crm", id);
    stream.plan("crm", key);
    stream
}

fn pairs(expected: &[(&str, u32)]) -> Vec<(String, u32)> {
    expected.iter().map(|(id, failures)| ((*id).to_owned(), *failures)).collect()
}

/// New intents are due at any time, to their own system only, at most as many as asked for.
pub async fn new_intents_are_due_at_once(store: Arc<dyn Store>) {
    for id in ["03", "01", "02"] {
        committed(&*store, planned(id, "k").commit()).await;
    }
    assert_eq!(
        due(&*store, "crm", Timestamp::default(), 10).await,
        pairs(&[("03", 0), ("01", 0), ("02", 0)])
    );
    assert_eq!(due(&*store, "crm", at(0), 2).await, pairs(&[("03", 0), ("01", 0)]));
    assert_eq!(due(&*store, "app", at(0), 10).await, pairs(&[]));
    assert_eq!(store.next_due().await, Ok(Some(Timestamp::default())));
}

/// A delayed intent waits; those that have been due longest come first. A delay of nothing does nothing.
pub async fn delays_hold_back(store: Arc<dyn Store>) {
    let [mut one, mut two] = ["01", "02"].map(|id| planned(id, "k"));
    let delays = vec![delay("01", at(20), 3), delay("02", at(10), 1), delay("99", at(1), 1)];
    committed(&*store, Commit { delays, ..records([one.step(), two.step()]) }).await;
    assert_eq!(due(&*store, "crm", at(9), 10).await, pairs(&[]));
    assert_eq!(due(&*store, "crm", at(10), 10).await, pairs(&[("02", 1)]));
    assert_eq!(due(&*store, "crm", at(30), 10).await, pairs(&[("02", 1), ("01", 3)]));
    assert_eq!(store.next_due().await, Ok(Some(at(10))));
}

/// Delayed intents are listed with their reasons, longest planned first. A try that is under way has none.
pub async fn reasons_of_delays_are_listed(store: Arc<dyn Store>) {
    let [mut one, mut two, mut three] = ["03", "01", "02"].map(|id| planned(id, "k"));
    two.set_status("crm", IntentStatus::Waiting);
    let delays = vec![delay("01", at(20), 3), delay("03", at(10), 1)];
    committed(&*store, Commit { delays, ..records([one.step(), two.step(), three.step()]) }).await;
    let listed = store.waiting_intents(10).await.unwrap();
    let told: Vec<_> = listed
        .iter()
        .map(|waiting| (waiting.record.as_str(), waiting.status, waiting.failures, waiting.reason.as_str()))
        .collect();
    assert_eq!(told, [("03", IntentStatus::Planned, 1, "503"), ("01", IntentStatus::Waiting, 3, "503")]);
    assert_eq!((listed[1].not_before, listed[1].system.as_str()), (at(20), "crm"));
    assert_eq!(store.waiting_intents(1).await.unwrap(), listed[..1]);
    let reasons = async |store: &dyn Store| {
        let due = store.due_intents(&"crm".into(), Shares::ALL, at(99), 10).await.unwrap();
        due.into_iter().map(|due| (due.record.to_string(), due.reason)).collect::<Vec<_>>()
    };
    let said = |id: &str| (id.to_owned(), Some("503".to_owned()));
    assert_eq!(reasons(&*store).await, [("02".to_owned(), None), said("03"), said("01")]);
    let under_way = IntentDelay { reason: None, ..delay("01", at(20), 3) };
    committed(&*store, Commit { delays: vec![under_way], ..Commit::default() }).await;
    assert_eq!(reasons(&*store).await[2], ("01".to_owned(), None));
    assert_eq!(store.waiting_intents(10).await.unwrap(), listed[..1]);
}

/// A record without a new event must still stand where it was read.
pub async fn unchanged_record_is_compared(store: Arc<dyn Store>) {
    let mut one = planned("01", "k");
    committed(&*store, one.commit()).await;
    let same = |one: &Stream| RecordCommit {
        expected_seq: one.state.seq,
        state: one.state.clone(),
        events: Vec::new(),
        match_keys: Vec::new(),
    };
    let read = same(&one);
    let of = |record: RecordCommit| Commit {
        records: vec![record],
        delays: vec![delay("01", at(10), 1)],
        ..Commit::default()
    };
    committed(&*store, of(read.clone())).await;
    assert_eq!(due(&*store, "crm", at(10), 10).await, pairs(&[("01", 1)]));
    one.set_status("crm", IntentStatus::Sent);
    committed(&*store, one.commit()).await;
    let outcome = store.commit(of(read)).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Conflict { .. }), "{outcome:?}");
}

/// While the key stays, the schedule stays, whatever else changes.
pub async fn same_key_keeps_schedule(store: Arc<dyn Store>) {
    let mut one = planned("01", "k");
    committed(&*store, Commit { delays: vec![delay("01", at(10), 2)], ..one.commit() }).await;
    one.set_status("crm", IntentStatus::Unknown);
    committed(&*store, one.commit()).await;
    assert_eq!(due(&*store, "crm", at(9), 10).await, pairs(&[]));
    assert_eq!(due(&*store, "crm", at(10), 10).await, pairs(&[("01", 2)]));
    let intent = store.load(&["01".into()]).await.unwrap().remove(0).unwrap().intents.remove("crm").unwrap();
    assert_eq!(intent.status, IntentStatus::Unknown);
}

/// An intent under another key is new.
pub async fn other_key_is_due_at_once(store: Arc<dyn Store>) {
    let mut one = planned("01", "k1");
    committed(&*store, Commit { delays: vec![delay("01", at(10), 2)], ..one.commit() }).await;
    one.plan("crm", "k2");
    committed(&*store, one.commit()).await;
    assert_eq!(due(&*store, "crm", at(0), 10).await, pairs(&[("01", 0)]));
}

/// An intent that the state no longer has is due no more.
pub async fn settled_intent_is_gone(store: Arc<dyn Store>) {
    let mut one = planned("01", "k");
    committed(&*store, one.commit()).await;
    one.set_status("crm", IntentStatus::Sent);
    one.state.intents.clear();
    committed(&*store, one.commit()).await;
    assert_eq!(due(&*store, "crm", at(100), 10).await, pairs(&[]));
    assert_eq!(store.next_due().await, Ok(None));
    assert_eq!(store.counts().await.unwrap().intents, []);
}

/// Sent and unknown intents are in flight and stay due, because their outcome must be found out.
pub async fn intents_in_flight_are_found(store: Arc<dyn Store>) {
    let mut one = planned("01", "k");
    one.state.intents.get_mut("crm").unwrap().operation = Operation::Delete;
    for (status, in_flight) in [
        (IntentStatus::Planned, false),
        (IntentStatus::Sent, true),
        (IntentStatus::Unknown, true),
        (IntentStatus::Waiting, true),
    ] {
        one.set_status("crm", status);
        committed(&*store, one.commit()).await;
        let located = store.locate(&[copy("crm", "01")]).await.unwrap().remove(0).unwrap();
        assert_eq!(located.in_flight, in_flight, "{status}");
        assert_eq!(due(&*store, "crm", at(0), 10).await, pairs(&[("01", 0)]));
        let counts = store.counts().await.unwrap();
        assert_eq!(counts.intents, [("crm".into(), status, 1)]);
        assert_eq!(counts.deletes, [("crm".into(), 1)]);
    }
}

/// Signals come when they are due, longest due first, until they are done.
pub async fn signals_are_followed_in_order(store: Arc<dyn Store>) {
    let doubted = SignalReason::SecondLook(Doubt::ReadMayLag);
    let reasons = [SignalReason::UnknownOutcome, SignalReason::Webhook, doubted, SignalReason::Replay];
    let signals = reasons.iter().zip([30, 10, 20, 10]).map(|(reason, s)| signal("crm", "1", at(s), *reason));
    committed(&*store, Commit { signals: signals.collect(), ..Commit::default() }).await;
    assert_eq!(store.due_signals(&"crm".into(), Shares::ALL, at(9), 10).await, Ok(vec![]));
    let due = store.due_signals(&"crm".into(), Shares::ALL, at(20), 10).await.unwrap();
    let order: Vec<_> = due.iter().map(|signal| signal.reason).collect();
    assert_eq!(order, [SignalReason::Webhook, SignalReason::Replay, doubted]);
    assert_eq!(store.due_signals(&"crm".into(), Shares::ALL, at(20), 1).await.unwrap(), due[..1]);
    assert_eq!(due[0], signal("crm", "1", at(10), SignalReason::Webhook).stored(due[0].id));
    // Following one and putting it back with a delay is one commit.
    let again = signal("crm", "1", at(40), SignalReason::Webhook);
    let commit =
        Commit { signals: vec![again], signals_done: vec![due[0].id, due[1].id], ..Commit::default() };
    committed(&*store, commit).await;
    let left: Vec<_> = store
        .due_signals(&"crm".into(), Shares::ALL, at(99), 10)
        .await
        .unwrap()
        .iter()
        .map(|signal| signal.not_before)
        .collect();
    assert_eq!(left, [at(20), at(30), at(40)]);
    assert_eq!(store.counts().await.unwrap().signals, 3);
}

/// The next due time is that of whatever comes first.
pub async fn next_due_is_the_earliest(store: Arc<dyn Store>) {
    assert_eq!(store.next_due().await, Ok(None));
    let mut one = planned("01", "k");
    let signals = vec![signal("crm", "1", at(20), SignalReason::Webhook)];
    committed(&*store, Commit { signals, delays: vec![delay("01", at(30), 1)], ..one.commit() }).await;
    assert_eq!(store.next_due().await, Ok(Some(at(20))));
    committed(&*store, Commit { delays: vec![delay("01", at(10), 2)], ..Commit::default() }).await;
    assert_eq!(store.next_due().await, Ok(Some(at(10))));
}
