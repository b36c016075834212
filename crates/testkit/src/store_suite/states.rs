//! What is committed comes back, field for field and byte for byte.

use super::generate::Random;
use super::sample::{Stream, at, copy, records};
use super::{Contents, committed, contents, verify_history};
use avowal_core::data::value::Value;
use avowal_core::data::version::Dot;
use avowal_core::history::{Body, IntegrationEvent};
use avowal_core::record::intent::Operation;
use avowal_core::record::reason::{BeliefRule, DeleteRule};
use avowal_core::record::{Record, Tombstone};
use avowal_engine::OWN_ENTITY;
use avowal_engine::ports::store::{Commit, PlannedCreates, PlannedDeletes, Store};
use std::sync::Arc;

/// Random states, replaced again and again, load as they were committed.
pub async fn round_trip_of_generated_states(store: Arc<dyn Store>) {
    let seed = 20_261_122;
    let mut random = Random::new(seed);
    let mut streams: Vec<Stream> = (0..12).map(|n| Stream::new(&format!("{n:02}"))).collect();
    let ids: Vec<_> = streams.iter().map(|stream| stream.state.id.clone()).collect();
    for round in 0..15 {
        let mut commit = Commit::default();
        for stream in &mut streams {
            random.fill(&mut stream.state);
            stream.push(Body::Released { system: "crm".into() });
            commit.records.push(stream.step());
        }
        committed(&*store, commit).await;
        let loaded = store.load(&ids).await.unwrap();
        for (stream, loaded) in streams.iter().zip(loaded) {
            let place = format!("seed {seed}, round {round}, record {}", stream.state.id);
            same_bytes(&stream.state, &loaded.unwrap(), &place);
        }
    }
    let expected: Vec<Record> = streams.into_iter().map(|stream| stream.state).collect();
    assert_eq!(contents(&*store).await.records, expected);
}

fn same_bytes(left: &Record, right: &Record, place: &str) {
    assert_eq!(left, right, "{place}");
    assert_eq!(serde_json::to_vec(left).unwrap(), serde_json::to_vec(right).unwrap(), "{place}");
}

/// Every type of event, with and without its optional parts, comes back and matches its hash.
pub async fn round_trip_of_every_event(store: Arc<dyn Store>) {
    let seed = 7;
    let mut random = Random::new(seed);
    let mut stream = Stream::new("01");
    let mut written: Vec<IntegrationEvent> = Vec::new();
    for _ in 0..20 {
        let bodies = random.bodies();
        random.append(&mut stream, bodies);
        let step = stream.step();
        written.extend(step.events.iter().cloned());
        committed(&*store, records([step])).await;
    }
    let read = store.events(&"01".into(), 1, usize::MAX).await.unwrap();
    for (written, read) in written.iter().zip(&read) {
        assert_eq!(written, read, "seed {seed}, event {}", written.seq);
        assert_eq!(read.expected_hash(), read.hash, "seed {seed}, event {}", written.seq);
    }
    assert_eq!(read.len(), written.len());
    assert_eq!(store.events(&"01".into(), 5, 3).await.unwrap(), written[4..7]);
    assert_eq!(store.events(&"02".into(), 1, 3).await.unwrap(), []);
    verify_history(&*store).await;
}

/// A record may come twice in one commit if the second part continues the first.
pub async fn same_id_in_one_commit_continues(store: Arc<dyn Store>) {
    let mut one = Stream::linked("01", "crm", "1");
    let first = one.step();
    one.plan("crm", "k");
    let second = one.step();
    committed(&*store, records([first, second])).await;
    assert_eq!(store.load(&["01".into()]).await.unwrap(), [Some(one.state)]);
    verify_history(&*store).await;
}

/// Copies are located in the order asked, with the digest of what they hold.
pub async fn locate_answers_in_order(store: Arc<dyn Store>) {
    let mut one = Stream::linked("01", "crm", "1").link("app", "a1");
    let mut two = Stream::linked("02", "crm", "2");
    committed(&*store, records([one.step(), two.step()])).await;
    let keys = [copy("crm", "2"), copy("crm", "9"), copy("app", "a1"), copy("app", "1"), copy("crm", "2")];
    let located = store.locate(&keys).await.unwrap();
    let ids: Vec<_> = located.iter().map(|found| found.as_ref().map(|found| found.record.as_str())).collect();
    assert_eq!(ids, [Some("02"), None, Some("01"), None, Some("02")]);
    let found = located[2].as_ref().unwrap();
    assert_eq!(found.content, one.state.copies["app"].content_digest());
    assert!(found.alive && !found.in_flight);
    assert_eq!(store.locate(&[]).await, Ok(vec![]));
    assert_eq!(store.load(&["02".into(), "03".into()]).await.unwrap(), [Some(two.state), None]);
}

/// The keys of a record are those of its last commit; several records may carry one key.
pub async fn match_keys_are_replaced(store: Arc<dyn Store>) {
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    let mut one = Stream::linked("01", "crm", "1");
    let mut two = Stream::linked("02", "crm", "2");
    let first = [one.step_with_keys(keys(&["a", "b", "a"])), two.step_with_keys(keys(&["b"]))];
    committed(&*store, records(first)).await;
    let found = store.match_records(&"customer".into(), &keys(&["b", "a", "c"])).await.unwrap();
    assert_eq!(found, [vec!["01".into(), "02".into()], vec!["01".into()], vec![]]);
    assert_eq!(store.match_records(&"order".into(), &keys(&["b"])).await.unwrap(), [vec![]]);
    one.push(Body::Released { system: "crm".into() });
    committed(&*store, records([one.step_with_keys(keys(&["c"]))])).await;
    let found = store.match_records(&"customer".into(), &keys(&["b", "a", "c"])).await.unwrap();
    assert_eq!(found, [vec!["02".into()], vec![], vec!["01".into()]]);
}

/// A deleted record is found only by the keys that it is given, and counts no more.
pub async fn tombstones_match_as_told(store: Arc<dyn Store>) {
    let mut one = Stream::linked("01", "crm", "1");
    committed(&*store, one.commit()).await;
    let key = ["email=01@example.org".to_owned()];
    assert_eq!(store.match_records(&"customer".into(), &key).await.unwrap()[0].len(), 1);
    one.state.deleted = Some(Tombstone { dot: Dot::new("crm", 2), since: at(5) });
    one.push(Body::Deleted { dot: Dot::new("crm", 2), rule: DeleteRule::MayDelete { system: "crm".into() } });
    let untold = one.step_with_keys(Vec::new());
    committed(&*store, records([untold])).await;
    assert_eq!(store.match_records(&"customer".into(), &key).await.unwrap(), [vec![]]);
    let told = one.step_with_keys(key.to_vec());
    committed(&*store, records([told])).await;
    assert_eq!(store.match_records(&"customer".into(), &key).await.unwrap()[0].len(), 1);
    assert_eq!(store.counts().await.unwrap().records, []);
    assert_eq!(store.scan_records(None, 10).await.unwrap(), [one.state]);
}

/// Scans go by record id, then sequence, and continue where they stopped.
pub async fn scans_are_ordered(store: Arc<dyn Store>) {
    for id in ["b", "a", "c"] {
        committed(&*store, Stream::linked(id, "crm", id).link("app", id).commit()).await;
    }
    let Contents { records, events, .. } = contents(&*store).await;
    let ids: Vec<_> = records.iter().map(|record| record.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    let places: Vec<_> = events.iter().map(IntegrationEvent::id).collect();
    assert_eq!(places, ["a-1", "a-2", "b-1", "b-2", "c-1", "c-2"]);
    let page = store.scan_events(Some(("a".into(), 1)), 2).await.unwrap();
    assert_eq!(page, events[1..3]);
    assert_eq!(store.scan_records(Some("a".into()), 1).await.unwrap(), records[1..2]);
    assert_eq!(store.scan_records(Some("c".into()), 1).await.unwrap(), []);
    assert_eq!(store.scan_events(Some(("c".into(), 2)), 1).await.unwrap(), []);
}

/// Records and living copies are counted by name, in order.
pub async fn counts_add_up(store: Arc<dyn Store>) {
    let mut one = Stream::linked("01", "crm", "1").link("app", "1");
    let mut two = Stream::linked("02", "crm", "2").link("app", "2");
    two.state.copies.get_mut("app").unwrap().alive = false;
    let mut order = Stream::linked("03", "crm", "3").step();
    order.state.entity = "order".into();
    committed(&*store, records([order, two.step(), one.step()])).await;
    let counts = store.counts().await.unwrap();
    assert_eq!(counts.records, [("customer".into(), 2), ("order".into(), 1)]);
    assert_eq!(counts.copies, [("app".into(), 1), ("crm".into(), 3)]);
    assert_eq!(counts.events, 5);
}

/// What guards ask: how many effects are planned, beside how many copies there are and were.
pub async fn planned_effects_are_counted(store: Arc<dyn Store>) {
    let planning = |id: &str, operation: Operation| {
        let mut stream = Stream::linked(id, "app", id);
        stream.plan("crm", "k");
        stream.state.intents.get_mut("crm").unwrap().operation = operation;
        stream
    };
    let fresh = planning("01", Operation::Create);
    let mut again = planning("02", Operation::Create).link("crm", "2");
    again.state.copies.get_mut("crm").unwrap().alive = false;
    let leaving = planning("03", Operation::Delete).link("crm", "3");
    let standing = Stream::linked("04", "crm", "4");
    for stream in [fresh, again, leaving, standing] {
        committed(&*store, stream.clone().commit()).await;
    }
    let creates = store.planned_creates(&"crm".into()).await.unwrap();
    let expected = PlannedCreates { entity: "customer".into(), planned: 2, again: 1, copies: 2, gone: 1 };
    assert_eq!(creates, [expected]);
    let deletes = store.planned_deletes(&"crm".into()).await.unwrap();
    assert_eq!(deletes, [PlannedDeletes { entity: "customer".into(), planned: 1, copies: 2 }]);
    assert_eq!(store.planned_creates(&"app".into()).await.unwrap(), []);
}

/// A stream that belongs to no record, such as that of a policy, is no record of a user. Its events are history.
pub async fn own_streams_are_no_records(store: Arc<dyn Store>) {
    let mut policy = Stream::new("@policy.customer");
    policy.state.entity = OWN_ENTITY.into();
    policy.push(Body::PolicyChanged { from: None, to: "digest".to_owned() });
    let mut one = Stream::linked("01", "crm", "1");
    committed(&*store, records([policy.step_with_keys(Vec::new()), one.step()])).await;
    let counts = store.counts().await.unwrap();
    assert_eq!(counts.records, [("customer".into(), 1)]);
    assert_eq!(counts.events, 2);
}

/// A rebuilt state replaces the stored one; history, ledger of reviews and other records stay.
pub async fn restate_replaces_state_and_keeps_history(store: Arc<dyn Store>) {
    let mut random = Random::new(3);
    let mut one = Stream::linked("01", "crm", "1");
    one.plan("crm", "k");
    let bodies = random.bodies();
    random.append(&mut one, bodies);
    committed(&*store, one.commit()).await;
    committed(&*store, Stream::linked("02", "crm", "2").commit()).await;
    let before = contents(&*store).await;
    let spoilt = Record { reviews: Default::default(), fields: Default::default(), ..one.state.clone() };
    store.restate(&spoilt, &[]).await.unwrap();
    assert_ne!(contents(&*store).await, before);
    random.fill(&mut one.state);
    store.restate(&one.state, &["x".to_owned()]).await.unwrap();
    same_bytes(&one.state, &store.load(&["01".into()]).await.unwrap().remove(0).unwrap(), "restated");
    let after = contents(&*store).await;
    assert_eq!(after.events, before.events);
    assert_eq!(after.records[1], before.records[1]);
    let matches = store.match_records(&"customer".into(), &["x".to_owned()]).await.unwrap();
    assert_eq!(matches[0].len(), 1);
    store.restate(&before.records[0], &["email=01@example.org".to_owned()]).await.unwrap();
    assert_eq!(contents(&*store).await, before);
}

/// Values at the edge's bound of nesting, and numbers without a short form, come back as they were.
pub async fn deep_and_odd_values_survive(store: Arc<dyn Store>) {
    let deep = (0..126).fold(Value::Int(i64::MIN), |value, _| Value::List(vec![value]));
    let odd =
        Value::parse(b"[1e-300, 0.1, 5e-324, 9007199254740991, -0.5, 1.50, 1e400, 12345678901234567890.123]")
            .unwrap();
    let mut one = Stream::linked("01", "crm", "1");
    for value in [deep, odd] {
        one.push(Body::FieldChanged {
            field: "email".into(),
            from: None,
            value: value.clone(),
            dot: Dot::new("crm", 2),
            rule: BeliefRule::Shared,
        });
        one.state.copies.get_mut("crm").unwrap().fields.get_mut("email").unwrap().content = value.clone();
        one.state.fields.get_mut("email").unwrap().value = value;
        committed(&*store, one.commit()).await;
        assert_eq!(store.load(&["01".into()]).await.unwrap(), [Some(one.state.clone())]);
    }
    verify_history(&*store).await;
}
