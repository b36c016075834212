//! The stories of the model and the seeds, told with the events that they leave.

use crate::world::{World, gone, shows};
use serde_json::{Value as Json, json};

/// Two systems, all that the quickstart knows of a customer.
pub fn rules() -> Json {
    json!({
        "systems": {"app": {"local": true}, "crm": {}},
        "fields": {
            "email": {"type": "string", "owner": "app", "strategy": "local_wins", "proposals": ["crm"], "valid": "value.contains('@')"},
            "phone": {"type": "string", "owner": "shared", "strategy": "latest_valid_change", "precedence": ["app", "crm"]},
            "stage": {"type": "enum", "values": ["lead", "customer"], "owner": "crm", "strategy": "external_wins"},
        },
    })
}

/// A customer that stands in both systems and is settled.
pub fn synced() -> World {
    let mut world = World::new(&rules());
    world.see(shows("app", &json!({"email": "a@x", "phone": "1", "stage": null})));
    world.send_to("crm");
    world.see(shows("crm", &json!({"email": "a@x", "phone": "1", "stage": "lead"})));
    world.drain();
    assert!(world.record.intents.is_empty());
    world
}

#[test]
fn the_first_sight_of_a_customer() {
    let mut world = World::new(&rules());
    let mut told = world.see(shows("app", &json!({"email": "a@x", "phone": "1", "stage": null})));
    told += &world.send_to("crm");
    told += &world.see(shows("crm", &json!({"email": "a@x", "phone": "1", "stage": "lead"})));
    told += &world.drain();
    insta::assert_snapshot!(told, @r#"
    linked app app-1
    observed app new app:1, email -→"a@x" First, phone -→"1" First, stage -→null First
    believe email="a@x" (app:1)
    believe phone="1" (app:1)
    plan create crm email="a@x" phone="1"
    sent crm #1
    linked crm crm-1
    confirmed crm by its receipt email="a@x" phone="1"
    observed crm new crm:1, stage -→"lead" First
    believe stage="lead" (crm:1)
    plan update app stage="lead"
    sent app #1
    confirmed app by its receipt stage="lead"
    "#);
}

#[test]
fn disjoint_edits_merge() {
    let mut world = synced();
    let mut told = world.see(shows("app", &json!({"email": "b@x", "phone": "1", "stage": "lead"})));
    told += &world.see(shows("crm", &json!({"email": "a@x", "phone": "1", "stage": "customer"})));
    told += &world.drain();
    insta::assert_snapshot!(told, @r#"
    observed app new app:2, email "a@x"→"b@x" Sequential
    believe email="b@x" (app:2)
    plan update crm email="b@x"
    observed crm new crm:2, stage "lead"→"customer" Sequential
    believe stage="customer" (crm:2)
    plan update app stage="customer"
    sent app #1
    confirmed app by its receipt stage="customer"
    sent crm #1
    confirmed crm by its receipt email="b@x"
    "#);
    for system in ["app", "crm"] {
        assert_eq!(world.content(system, "email"), "\"b@x\"");
        assert_eq!(world.content(system, "stage"), "\"customer\"");
    }
}

#[test]
fn both_change_the_email_and_the_owner_wins() {
    let mut world = synced();
    world.see(shows("app", &json!({"email": "b@x"})));
    let told = world.see(shows("crm", &json!({"email": "c@x"}))) + &world.drain();
    insta::assert_snapshot!(told, @r#"
    observed crm concurrent crm:2, email "a@x"→"c@x" Concurrent
    conflict email: "b@x" (app:2) against "c@x" (crm:2)
    resolved email="b@x": owner_wins: the field belongs to app
    sent crm #1
    confirmed crm by its receipt email="b@x"
    "#);
    assert_eq!(world.content("crm", "email"), "\"b@x\"");
}

#[test]
fn a_proposal_that_has_seen_the_owner_s_value_passes() {
    let mut world = synced();
    let told = world.see(shows("crm", &json!({"email": "c@x"}))) + &world.drain();
    insta::assert_snapshot!(told, @r#"
    observed crm new crm:2, email "a@x"→"c@x" Sequential
    believe email="c@x" (crm:2)
    plan update app email="c@x"
    sent app #1
    confirmed app by its receipt email="c@x"
    "#);
    assert_eq!(world.content("app", "email"), "\"c@x\"");
}

#[test]
fn a_value_that_a_person_takes_back_arrives_everywhere() {
    let mut world = synced();
    world.see(shows("app", &json!({"phone": "2"})));
    world.drain();
    let told = world.see_twice(shows("app", &json!({"phone": "1"}))) + &world.drain();
    insta::assert_snapshot!(told, @r#"
    suspect app {"phone":"1"}
    look again
    observed app new app:3, phone "2"→"1" Sequential
    believe phone="1" (app:3)
    plan update crm phone="1"
    sent crm #1
    confirmed crm by its receipt phone="1"
    "#);
    assert_eq!(
        (world.content("app", "phone"), world.content("crm", "phone")),
        ("\"1\"".into(), "\"1\"".into())
    );
    // And back from the other side.
    world.see_twice(shows("crm", &json!({"phone": "2"})));
    world.drain();
    assert_eq!(
        (world.content("app", "phone"), world.content("crm", "phone")),
        ("\"2\"".into(), "\"2\"".into())
    );
    // Before the first change was delivered.
    world.see_twice(shows("app", &json!({"phone": "1"})));
    world.see_twice(shows("app", &json!({"phone": "2"})));
    assert_eq!(world.intent("crm"), "", "the difference went away");
    world.drain();
    assert_eq!(
        (world.content("app", "phone"), world.content("crm", "phone")),
        ("\"2\"".into(), "\"2\"".into())
    );
}

#[test]
fn a_value_taken_back_arrives_through_a_system_that_normalises() {
    let mut world = synced();
    for (typed, stored) in
        [("030 1", "+49301"), ("030 2", "+49302"), ("030 1", "+49301"), ("030 2", "+49302")]
    {
        world.see_twice(shows("app", &json!({"phone": typed})));
        world.send("crm");
        world.receipt("crm", &json!({"phone": stored}));
        assert_eq!(world.content("crm", "phone"), format!("{stored:?}"));
        assert_eq!(world.content("app", "phone"), format!("{typed:?}"));
        assert_eq!(world.drain(), "", "nothing more to do");
    }
    // A person changes it in the CRM and takes that back; the app follows both times.
    for stored in ["+49303", "+49302"] {
        world.see_twice(shows("crm", &json!({"phone": stored})));
        world.drain();
        assert_eq!(world.content("app", "phone"), format!("{stored:?}"));
    }
    // What we wrote long ago is not what stands there now, so the same spelling is written again.
    world.see_twice(shows("app", &json!({"phone": "030 1"})));
    world.see_twice(shows("crm", &json!({"phone": "+49309"})));
    world.drain();
    assert_eq!(world.content("crm", "phone"), "\"030 1\"");
}

#[test]
fn a_copy_that_came_to_agree_has_seen_the_belief() {
    let mut world = synced();
    world.see(shows("app", &json!({"phone": "2"})));
    world.see(shows("crm", &json!({"phone": "2"})));
    let told = world.see(shows("crm", &json!({"phone": "3"})));
    insta::assert_snapshot!(told, @r#"
    observed crm new crm:3, phone "2"→"3" Sequential
    believe phone="3" (crm:3)
    plan update app phone="3"
    "#);
}

#[test]
fn a_normalising_provider_does_not_ping_pong() {
    let mut world = synced();
    world.see(shows("app", &json!({"phone": "030 1"})));
    world.send("crm");
    world.receipt("crm", &json!({"phone": "+49301"}));
    for shown in ["+49301", "030 1", "+49301"] {
        assert_eq!(world.see(shows("crm", &json!({"phone": shown}))), "", "{shown}");
        assert_eq!(world.see(shows("app", &json!({"phone": "030 1"}))), "");
    }
    assert_eq!(world.belief("phone"), "\"030 1\"");
}

#[test]
fn null_never_clears_unless_declared() {
    let mut world = synced();
    let told = world.see(shows("crm", &json!({"phone": null}))) + &world.drain();
    insta::assert_snapshot!(told, @r#"
    observed crm new crm:2, phone "1"→null Sequential
    refused crm phone=null: null does not clear phone in crm (nulls = "ignore") (Revert)
    correct update crm phone="1"
    sent crm #1
    confirmed crm by its receipt phone="1"
    "#);
    let mut rules = rules();
    rules["systems"]["crm"]["nulls"] = json!("clear");
    let mut world = World::new(&rules);
    world.see(shows("app", &json!({"phone": "1"})));
    world.drain();
    let told = world.see(shows("crm", &json!({"phone": null}))) + &world.drain();
    insta::assert_snapshot!(told, @r#"
    observed crm new crm:1, phone "1"→null Sequential
    believe phone=null (crm:1)
    plan update app phone=null
    sent app #1
    confirmed app by its receipt phone=null
    "#);
    // At first sight an empty field clears nothing, whatever is declared.
    let mut world = World::new(&rules);
    world.see(shows("app", &json!({"phone": "1"})));
    let told = world.see(shows("crm", &json!({"phone": null}))) + &world.drain();
    insta::assert_snapshot!(told, @r#"
    linked crm crm-1
    observed crm new, phone -→null Concurrent
    plan update crm phone="1"
    sent crm #1
    confirmed crm by its receipt phone="1"
    "#);
}

#[test]
fn a_missing_key_never_clears() {
    let mut world = synced();
    assert_eq!(world.see(shows("crm", &json!({}))), "");
    let told = world.see(shows("crm", &json!({"stage": "customer"})));
    insta::assert_snapshot!(told, @r#"
    observed crm new crm:2, stage "lead"→"customer" Sequential
    believe stage="customer" (crm:2)
    plan update app stage="customer"
    "#);
    assert_eq!(world.content("crm", "phone"), "\"1\"");
}

#[test]
fn a_stranger_s_change_is_refused_and_corrected() {
    let mut world = synced();
    let told = world.see(shows("app", &json!({"stage": "customer"}))) + &world.drain();
    insta::assert_snapshot!(told, @r#"
    observed app new app:2, stage "lead"→"customer" Sequential
    refused app stage="customer": stage belongs to crm; app may not change it (Revert)
    correct update app stage="lead"
    sent app #1
    confirmed app by its receipt stage="lead"
    "#);
}

#[test]
fn an_invalid_value_is_refused_even_from_the_owner() {
    let mut world = synced();
    let told = world.see(shows("app", &json!({"email": "nobody"}))) + &world.drain();
    insta::assert_snapshot!(told, @r#"
    observed app new app:2, email "a@x"→"nobody" Sequential
    refused app email="nobody": the value does not satisfy value.contains('@') (Revert)
    correct update app email="a@x"
    sent app #1
    confirmed app by its receipt email="a@x"
    "#);
}

#[test]
fn an_ignored_difference_is_tolerated_until_that_copy_changes_again() {
    let mut rules = rules();
    rules["fields"]["stage"]["on_refused"] = json!("ignore");
    let mut world = World::new(&rules);
    world.see(shows("crm", &json!({"email": "a@x", "stage": "lead"})));
    world.drain();
    let told = world.see(shows("app", &json!({"stage": "customer"})));
    insta::assert_snapshot!(told, @r#"
    observed app new app:1, stage "lead"→"customer" Sequential
    refused app stage="customer": stage belongs to crm; app may not change it (Ignore)
    "#);
    assert_eq!(world.drain(), "");
    // The same state again is no change; another one is judged again, and agreement ends the tolerance.
    assert_eq!(world.see(shows("app", &json!({"stage": "customer"}))), "");
    world.see_twice(shows("app", &json!({"stage": "lead"})));
    let told = world.see(shows("crm", &json!({"stage": "customer"}))) + &world.drain();
    insta::assert_snapshot!(told, @r#"
    observed crm new crm:2, stage "lead"→"customer" Sequential
    believe stage="customer" (crm:2)
    plan update app stage="customer"
    sent app #1
    confirmed app by its receipt stage="customer"
    "#);
}

#[test]
fn transitions_bind_the_owner_too() {
    let mut world = World::new(&json!({
        "systems": {"app": {"local": true}, "billing": {}},
        "fields": {"status": {
            "type": "enum", "values": ["trial", "active", "cancelled"], "owner": "billing",
            "transitions": {"trial": ["active"], "active": ["cancelled"], "cancelled": []},
        }},
    }));
    world.see(shows("billing", &json!({"status": "trial"})));
    world.drain();
    let told = world.see(shows("billing", &json!({"status": "cancelled"}))) + &world.drain();
    insta::assert_snapshot!(told, @r#"
    observed billing new billing:2, status "trial"→"cancelled" Sequential
    refused billing status="cancelled": trial may not become cancelled: after trial may come active (Revert)
    correct update billing status="trial"
    sent billing #1
    confirmed billing by its receipt status="trial"
    "#);
    world.see(shows("billing", &json!({"status": "active"})));
    world.see(shows("billing", &json!({"status": "cancelled"})).confirmed());
    assert_eq!(world.belief("status"), "\"cancelled\"");
}

#[test]
fn two_populated_copies_linked_for_the_first_time_have_no_base() {
    let mut rules = rules();
    rules["systems"]["crm"]["create"] = json!(false);
    let mut world = World::new(&rules);
    world.see(shows("app", &json!({"email": "a@x", "phone": "1"})));
    let told =
        world.see(shows("crm", &json!({"email": "b@x", "phone": "2", "stage": "lead"}))) + &world.drain();
    insta::assert_snapshot!(told, @r#"
    linked crm crm-1
    observed crm concurrent crm:1, email -→"b@x" Concurrent, phone -→"2" Concurrent, stage -→"lead" First
    conflict email: "a@x" (app:1) against "b@x" (crm:1)
    resolved email="a@x": owner_wins: the field belongs to app
    conflict phone: "1" (app:1) against "2" (crm:1)
    resolved phone="1": precedence: app before crm
    believe stage="lead" (crm:1)
    plan update app stage="lead"
    correct update crm email="a@x" phone="1"
    sent app #1
    confirmed app by its receipt stage="lead"
    sent crm #1
    confirmed crm by its receipt email="a@x" phone="1"
    "#);
}

#[test]
fn a_stranger_stands_in_while_the_owner_has_no_copy() {
    let mut world = World::new(&rules());
    let told = world.see(shows("app", &json!({"phone": "1", "stage": "customer"}))) + &world.send_to("crm");
    insta::assert_snapshot!(told, @r#"
    linked app app-1
    observed app new app:1, phone -→"1" First, stage -→"customer" First
    believe phone="1" (app:1)
    believe stage="customer" (app:1)
    plan create crm phone="1" stage="customer"
    sent crm #1
    linked crm crm-1
    confirmed crm by its receipt phone="1" stage="customer"
    "#);
    // From then on the owner has a copy, and the stranger is one.
    world.see(shows("app", &json!({"stage": "lead"})));
    assert_eq!(world.intent("app"), "update stage=\"customer\"");
    world.drain();
    world.see(shows("crm", &json!({"stage": "lead"})));
    world.drain();
    assert_eq!(world.content("app", "stage"), "\"lead\"");
}

#[test]
fn a_stranger_who_speaks_first_is_remembered_and_judged_when_the_owner_speaks() {
    let mut world = World::new(&rules());
    world.see(shows("crm", &json!({"phone": "1"})));
    let told = world.see(shows("app", &json!({"phone": "1", "stage": "customer"})));
    insta::assert_snapshot!(told, @r#"
    linked app app-1
    observed app new app:1, phone -→"1" Agreement, stage -→"customer" First
    withdrawn app
    "#);
    let told = world.see(shows("crm", &json!({"phone": "1", "stage": "lead"}))) + &world.drain();
    insta::assert_snapshot!(told, @r#"
    observed crm new crm:2, stage -→"lead" First
    believe stage="lead" (crm:2)
    plan update app stage="lead"
    sent app #1
    confirmed app by its receipt stage="lead"
    "#);
    assert_eq!(world.content("app", "stage"), "\"lead\"");
}

#[test]
fn nobody_stands_in_for_an_owner_who_has_spoken() {
    let mut rules = rules();
    rules["deletes"] = json!({"owner": "app", "on_refused": "revert"});
    let mut world = World::new(&rules);
    world.see(shows("crm", &json!({"email": "a@x", "phone": "1", "stage": "lead"})));
    world.drain();
    // The owner's copy is being made again after a delete that was refused.
    world.see(gone("crm"));
    world.see(shows("app", &json!({"stage": "customer"})));
    assert_eq!(world.belief("stage"), "\"lead\"");
    world.drain();
    assert_eq!(
        (world.content("app", "stage"), world.content("crm", "stage")),
        ("\"lead\"".into(), "\"lead\"".into())
    );
}

#[test]
fn an_unlinked_copy_and_the_same_fact_again_change_nothing() {
    let mut world = synced();
    let before = world.record.clone();
    for _ in 0..3 {
        assert_eq!(world.see(shows("crm", &json!({"email": "a@x", "phone": "1", "stage": "lead"}))), "");
        assert_eq!(
            world.see(shows("app", &json!({"email": "a@x", "phone": "1", "stage": "lead"})).version("v9")),
            ""
        );
    }
    assert_eq!(world.record, before, "a bulk touch leaves no trace");
    assert_eq!(world.see(gone("app")).lines().next(), Some("observed app new app:2, gone"));
}
