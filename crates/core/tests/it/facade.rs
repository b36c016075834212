//! The façade: each step of a record's life as one call.

use avowal_core::history::fold::fold;
use avowal_core::{
    Channel, Classification, ConfirmedBy, CopyState, Decided, EntityPolicy, Failure, Observation, Place,
    Receipt, Record, RemoteId, SystemName, Timestamp, Value, confirmed, failed, observe, sent,
};
use avowal_testpolicy::policy;
use serde_json::json;
use std::collections::BTreeMap;

#[path = "../../examples/two_systems.rs"]
mod two_systems;

fn at() -> Timestamp {
    Timestamp::from_millis(1_767_261_600_000)
}

fn rules() -> EntityPolicy {
    policy(&json!({
        "systems": {"app": {"local": true}, "crm": {}},
        "fields": {"name": {"type": "string", "owner": "app"}},
    }))
}

fn shown(system: &str, id: &str, name: &str) -> Observation {
    let shown = CopyState::Present(BTreeMap::from([("name".into(), Value::from(name))]));
    let seen = Observation::new(system, "customer", id, Channel::Read, shown, at());
    Observation { place: Place::Quiescent, ..seen }
}

fn first(policy: &EntityPolicy) -> Decided {
    observe(policy, Record::new("r1".into(), "customer".into()), &shown("app", "1", "Ann"))
}

#[test]
fn the_example_runs() {
    two_systems::main().unwrap();
}

#[test]
fn a_record_lives_from_the_first_look_to_the_confirmed_write() {
    let policy = rules();
    let crm = SystemName::new("crm");
    let decision = first(&policy);
    let intent = decision.intents().next().unwrap().1.clone();
    let on_its_way = sent(&policy, decision.record.clone(), &crm, at());
    assert!(on_its_way.record.intents[&crm].is_open());

    // The answer to another write changes nothing.
    let nothing = BTreeMap::new();
    let receipt = |key| Receipt {
        system: &crm,
        key,
        after: &nothing,
        order: None,
        version: None,
        by: ConfirmedBy::Receipt,
    };
    let id = RemoteId::new("c1");
    let strange = confirmed(&policy, on_its_way.record.clone(), &id, &receipt("another"), at());
    assert_eq!((strange.events.len(), &strange.record), (0, &on_its_way.record));

    let done = confirmed(&policy, on_its_way.record.clone(), &id, &receipt(&intent.key), at());
    assert_eq!(done.record.copies[&crm].remote_id, id);
    assert!(done.record.intents.is_empty());

    let events = [decision.events, on_its_way.events, done.events].concat();
    assert_eq!(
        fold("r1".into(), "customer".into(), &events),
        done.record,
        "the record is the fold of its events"
    );
}

#[test]
fn a_write_that_failed_is_planned_again() {
    let policy = rules();
    let crm = SystemName::new("crm");
    let on_its_way = sent(&policy, first(&policy).record, &crm, at());
    let back = failed(&policy, on_its_way.record, &crm, Failure::Retry, "it is busy", at());
    assert!(!back.record.intents[&crm].is_open());
}

#[test]
fn another_copy_of_a_linked_system_changes_nothing() {
    let policy = rules();
    let record = first(&policy).record;
    let decision = observe(&policy, record.clone(), &shown("app", "2", "Bob"));
    assert_eq!((decision.class(), decision.events.len()), (Classification::Stale, 0));
    assert_eq!(decision.record, record);
}

#[test]
fn a_look_that_may_lag_decides_nothing() {
    let policy = rules();
    let record = first(&policy).record;
    let lagging = Observation { place: Place::TooEarly, ..shown("app", "1", "Anna") };
    let decision = observe(&policy, record.clone(), &lagging);
    assert!(decision.doubt().is_some());
    assert_eq!(decision.record.fields, record.fields);
}
