//! Outgoing changes: one in flight, folding, holding, and keys.

use crate::world::{World, shows};
use avowal_core::history::{Body, Failure};
use serde_json::json;
use std::collections::BTreeMap;

fn synced() -> World {
    let mut world = World::new(&json!({
        "systems": {"app": {"local": true}, "crm": {}},
        "fields": {
            "a": {"type": "string", "owner": "app"},
            "b": {"type": "string", "owner": "app"},
        },
    }));
    world.see(shows("app", &json!({"a": "1", "b": "1"})));
    world.drain();
    world
}

#[test]
fn one_change_is_in_flight_and_later_ones_fold_into_the_next() {
    let mut world = synced();
    let mut told = world.see(shows("app", &json!({"a": "2"})));
    told += &world.send("crm");
    told += &world.see(shows("app", &json!({"a": "3"})));
    told += &world.see(shows("app", &json!({"b": "3"})));
    told += &world.receipt("crm", &json!({}));
    told += &world.drain();
    insta::assert_snapshot!(told, @r#"
    observed app new app:2, a "1"→"2" Sequential
    believe a="2" (app:2)
    plan update crm a="2"
    sent crm #1
    observed app new app:3, a "2"→"3" Sequential
    believe a="3" (app:3)
    observed app new app:4, b "1"→"3" Sequential
    believe b="3" (app:4)
    confirmed crm by its receipt a="2"
    plan update crm a="3" b="3"
    sent crm #1
    confirmed crm by its receipt a="3" b="3"
    "#);
    assert_eq!((world.content("crm", "a"), world.content("crm", "b")), ("\"3\"".into(), "\"3\"".into()));
}

#[test]
fn an_unsent_change_is_replaced() {
    let mut world = synced();
    world.see(shows("app", &json!({"a": "2"})));
    let told = world.see(shows("app", &json!({"a": "3", "b": "3"})));
    insta::assert_snapshot!(told, @r#"
    observed app new app:3, a "2"→"3" Sequential, b "1"→"3" Sequential
    believe a="3" (app:3)
    believe b="3" (app:3)
    plan update crm a="3" b="3"
    "#);
}

#[test]
fn a_refused_write_is_held_until_its_content_changes() {
    let mut world = synced();
    world.see(shows("app", &json!({"a": "2"})));
    world.send("crm");
    assert_eq!(world.fail("crm", Failure::Rejected), "failed crm: Rejected\n");
    assert_eq!(world.see(shows("app", &json!({"a": "2"}))), "");
    assert_eq!(world.intent("crm"), "");
    world.see(shows("app", &json!({"a": "3"})));
    assert_eq!(world.intent("crm"), "update a=\"3\"");
}

#[test]
fn a_write_that_was_refused_once_is_tried_when_it_is_wanted_again_after_another_has_been_done() {
    let mut world = synced();
    world.see(shows("app", &json!({"a": "2"})));
    world.send("crm");
    world.fail("crm", Failure::Rejected);
    world.see(shows("app", &json!({"a": "3"})));
    world.send("crm");
    world.receipt("crm", &json!({}));
    world.see(shows("app", &json!({"a": "2"})).confirmed());
    assert_eq!(world.intent("crm"), "update a=\"2\"");
}

#[test]
fn a_held_write_goes_out_again_when_a_person_releases_it() {
    let mut world = synced();
    world.see(shows("app", &json!({"a": "2"})));
    world.send("crm");
    world.fail("crm", Failure::Rejected);
    let policy = world.policy.clone();
    world.step(world.context(), |chronicle| {
        chronicle.push(Body::Released { system: "crm".into() });
        avowal_core::outgoing::plan::plan(&policy, chronicle, None);
    });
    assert_eq!(world.intent("crm"), "update a=\"2\"");
}

#[test]
fn every_failure_leaves_the_right_thing_behind() {
    for (failure, intent, told) in [
        (Failure::Retry, "update a=\"2\"", "failed crm: Retry\n"),
        (Failure::Unknown, "update a=\"2\"", "failed crm: Unknown\n"),
        (Failure::Conflict, "update a=\"2\"", "failed crm: Conflict\nplan update crm a=\"2\"\n"),
        (Failure::Missing, "update a=\"2\"", "failed crm: Missing\nplan update crm a=\"2\"\n"),
        (Failure::Rejected, "", "failed crm: Rejected\n"),
    ] {
        let mut world = synced();
        world.see(shows("app", &json!({"a": "2"})));
        world.send("crm");
        assert_eq!(world.fail("crm", failure), told);
        assert_eq!(world.intent("crm"), intent, "{failure:?}");
    }
}

#[test]
fn an_unknown_outcome_raises_what_may_be_there_but_not_what_is_there() {
    let mut world = synced();
    world.see(shows("app", &json!({"a": "2"})));
    world.send("crm");
    world.fail("crm", Failure::Unknown);
    let copy = &world.record.copies["crm"];
    assert_eq!((copy.seen.to_string(), copy.sent.to_string()), ("{app: 1}".into(), "{app: 2}".into()));
    assert_eq!(
        world.see(shows("app", &json!({"a": "3"}))).lines().filter(|line| line.starts_with("plan")).count(),
        0
    );
}

#[test]
fn a_write_to_a_read_only_column_is_never_planned() {
    let mut world = World::new(&json!({
        "systems": {"app": {"local": true}, "crm": {"read_only": ["a"]}, "erp": {"fields": ["b"]}},
        "fields": {"a": {"type": "string", "owner": "app"}, "b": {"type": "string", "owner": "app"}},
    }));
    world.see(shows("app", &json!({"a": "1", "b": "1"})));
    assert_eq!(
        (world.intent("crm"), world.intent("erp")),
        ("create b=\"1\"".into(), "create b=\"1\"".into())
    );
}

#[test]
fn a_copy_is_made_only_with_a_key_to_know_it_by() {
    let mut world = World::new(&json!({
        "systems": {"app": {"local": true}, "crm": {}},
        "fields": {"email": {"type": "string", "owner": "app"}, "name": {"type": "string", "owner": "app"}},
        "match_on": ["email"],
    }));
    world.see(shows("app", &json!({"email": null, "name": "ann"})));
    assert_eq!(world.intent("crm"), "");
    world.see(shows("app", &json!({"email": "a@x"})));
    assert_eq!(world.intent("crm"), "create email=\"a@x\" name=\"ann\"");
}

#[test]
fn the_same_difference_has_the_same_key_and_another_one_another() {
    let keys = |steps: &dyn Fn(&mut World)| {
        let mut world = synced();
        steps(&mut world);
        let mut out = BTreeMap::new();
        for event in &world.history {
            if let Body::IntentPlanned { key, fields, .. } = &event.body {
                out.entry(key.clone()).or_insert_with(Vec::new).push(crate::world::text(fields));
            }
        }
        out
    };
    // After a conflict the same difference is planned again, under the same key.
    let again = keys(&|world| {
        world.see(shows("app", &json!({"a": "2"})));
        world.send("crm");
        world.fail("crm", Failure::Conflict);
    });
    assert_eq!(again.values().map(Vec::len).max(), Some(2));
    // A value that went there and back is another change each time.
    let there_and_back = keys(&|world| {
        for a in ["2", "1", "2", "1"] {
            world.see_twice(shows("app", &json!({"a": a})));
            world.drain();
        }
    });
    assert!(there_and_back.values().all(|contents| contents.len() == 1), "{there_and_back:?}");
    // So is each correction of the same field.
    let corrections = keys(&|world| {
        for a in ["7", "8", "7"] {
            world.see_twice(shows("crm", &json!({"a": a})));
            world.drain();
        }
    });
    assert_eq!(corrections.len(), 4, "{corrections:?}");
    assert!(corrections.keys().all(|key| key.starts_with("customer.r1.") && key.ends_with(".to.crm")));
}
