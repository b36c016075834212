//! Late states, echoes of our own writes, and writes whose outcome is open.

use crate::stories::{rules, synced};
use crate::world::{World, shows};
use avowal_core::history::Failure;
use serde_json::json;

#[test]
fn an_hour_late_webhook_with_a_sequence_is_stale() {
    let mut world = synced();
    world.see(shows("crm", &json!({"phone": "2"})).seq(7));
    world.see(shows("crm", &json!({"phone": "3"})).seq(9));
    world.drain();
    let told = world.see(shows("crm", &json!({"phone": "2"})).seq(7).webhook());
    insta::assert_snapshot!(told, @r#"
    stale crm {"phone":"2"}
    "#);
    assert!(!world.looks_again());
    assert_eq!(world.belief("phone"), "\"3\"");
}

#[test]
fn an_hour_late_webhook_without_order_is_suspected_and_read_again() {
    let mut world = synced();
    world.see(shows("crm", &json!({"phone": "2"})));
    world.see(shows("crm", &json!({"phone": "3"})));
    world.drain();
    let told = world.see(shows("crm", &json!({"phone": "2"})).webhook());
    insta::assert_snapshot!(told, @r#"
    suspect crm {"phone":"2"}
    "#);
    assert!(world.looks_again());
    assert_eq!(
        world.see(shows("crm", &json!({"phone": "3"})).confirmed()),
        "",
        "the copy holds the new value"
    );
    assert_eq!(world.belief("phone"), "\"3\"");
}

#[test]
fn a_late_state_that_was_empty_is_suspected_too() {
    let mut rules = rules();
    rules["systems"]["crm"]["nulls"] = json!("clear");
    let mut world = World::new(&rules);
    world.see(shows("crm", &json!({"phone": null, "stage": "lead"})));
    world.see(shows("crm", &json!({"phone": "1", "stage": "lead"})));
    world.drain();
    world.see(shows("crm", &json!({"phone": null, "stage": "lead"})).webhook());
    assert!(world.looks_again(), "an empty field stood there before");
    assert_eq!(world.belief("phone"), "\"1\"");
}

#[test]
fn a_source_clock_that_went_back_is_suspected() {
    let mut world = synced();
    world.see(shows("crm", &json!({"phone": "2"})).time(100));
    world.see(shows("crm", &json!({"phone": "9"})).time(40).webhook());
    assert!(world.looks_again());
    // Equal times prove nothing, and are no suspicion either.
    world.see(shows("crm", &json!({"phone": "4"})).time(100));
    assert_eq!(world.belief("phone"), "\"4\"");
}

#[test]
fn a_newer_state_with_the_same_content_bars_the_ones_before_it() {
    let mut world = synced();
    world.see(shows("crm", &json!({"phone": "2"})).seq(3));
    world.drain();
    // In the CRM it went 2 (#3), 8 (#4), 2 (#5). The last state comes first.
    world.see(shows("crm", &json!({"phone": "2"})).seq(5).webhook());
    let told = world.see(shows("crm", &json!({"phone": "8"})).seq(4).webhook());
    insta::assert_snapshot!(told, @r#"
    stale crm {"phone":"8"}
    "#);
    assert_eq!(world.belief("phone"), "\"2\"");
}

#[test]
fn an_order_proves_nothing_against_a_write_whose_receipt_had_none() {
    let mut world = synced();
    world.see(shows("crm", &json!({"phone": "1", "stage": "customer"})).seq(3));
    world.see(shows("app", &json!({"phone": "2"})));
    world.send_to("crm");
    // Before our write somebody had saved the record without a change: #4, and our write was #5.
    world.see(shows("crm", &json!({"phone": "1"})).seq(4).webhook());
    assert!(world.looks_again());
    assert_eq!(world.belief("phone"), "\"2\"");
    // A person's own new value needs no second look.
    world.see(shows("crm", &json!({"phone": "7"})).seq(6).webhook());
    assert_eq!(world.belief("phone"), "\"7\"");
}

#[test]
fn an_echo_is_known_by_its_key() {
    let mut world = synced();
    world.see(shows("app", &json!({"phone": "2"})));
    world.send("crm");
    let key = world.record.intents["crm"].key.clone();
    let told = world.see(shows("crm", &json!({"phone": "2"})).key(&key).webhook());
    insta::assert_snapshot!(told, @r#"
    confirmed crm by its echo phone="2"
    echo crm
    "#);
    let again = world.see(shows("crm", &json!({"phone": "2"})).key(&key).webhook());
    insta::assert_snapshot!(again, @r#"
    echo crm
    "#);
}

#[test]
fn an_echo_with_another_value_is_what_the_system_made_of_ours() {
    let mut world = synced();
    world.see(shows("app", &json!({"phone": "030 2"})));
    world.send("crm");
    let key = world.record.intents["crm"].key.clone();
    world.see(shows("crm", &json!({"phone": "+49302"})).key(&key));
    assert_eq!(world.drain(), "");
    assert_eq!(world.belief("phone"), "\"030 2\"");
}

#[test]
fn an_echo_is_presumed_by_equal_values() {
    let mut world = synced();
    world.see(shows("app", &json!({"phone": "2"})));
    world.send("crm");
    let told = world.see(shows("crm", &json!({"phone": "2", "stage": "customer"})));
    insta::assert_snapshot!(told, @r#"
    confirmed crm by its echo phone="2"
    observed crm new crm:2, stage "lead"→"customer" Sequential
    believe stage="customer" (crm:2)
    plan update app stage="customer"
    "#);
    assert_eq!(world.belief("stage"), "\"customer\"", "the echo did not hide the edit beside it");
}

#[test]
fn a_late_echo_of_an_earlier_write_never_wins() {
    for log in [false, true] {
        let mut world = synced();
        world.see(shows("app", &json!({"phone": "2"})));
        let first = world.record.intents["crm"].key.clone();
        world.send_to("crm");
        world.see(shows("app", &json!({"phone": "3"})));
        world.send_to("crm");
        let echo = shows("crm", &json!({"phone": "2"})).key(&first).seq(10);
        world.see(if log { echo.log() } else { echo });
        assert!(world.looks_again(), "the receipt of the second write may be newer (log: {log})");
        assert_eq!(world.belief("phone"), "\"3\"");
    }
}

#[test]
fn the_log_shows_a_change_before_ours_arrived() {
    let mut world = synced();
    world.see(shows("app", &json!({"phone": "2"})));
    world.send("crm");
    let told = world.see(shows("crm", &json!({"phone": "9"})).log().seq(11));
    insta::assert_snapshot!(told, @r#"
    observed crm concurrent crm:2, phone "1"→"9" Concurrent
    conflict phone: "2" (app:2) against "9" (crm:2)
    resolved phone="2": precedence: app before crm
    "#);
    let told = world.receipt("crm", &json!({})) + &world.drain();
    insta::assert_snapshot!(told, @r#"
    confirmed crm by its receipt phone="2"
    "#);
    assert_eq!(
        (world.content("app", "phone"), world.content("crm", "phone")),
        ("\"2\"".into(), "\"2\"".into())
    );
}

#[test]
fn a_change_while_ours_is_on_its_way_is_looked_at_again() {
    let mut world = synced();
    world.see(shows("app", &json!({"phone": "2"})));
    world.send("crm");
    let told = world.see_twice(shows("crm", &json!({"phone": "9"})));
    insta::assert_snapshot!(told, @r#"
    look again
    observed crm indeterminate crm:2, phone "1"→"9" Indeterminate
    conflict phone: "2" (app:2) against "9" (crm:2)
    resolved phone="2": precedence: app before crm
    "#);
}

#[test]
fn an_unknown_outcome_is_settled_by_what_is_seen() {
    // It had arrived.
    let mut world = synced();
    world.see(shows("app", &json!({"phone": "2"})));
    world.send("crm");
    world.fail("crm", Failure::Unknown);
    let told = world.see(shows("crm", &json!({"phone": "2"})).confirmed());
    insta::assert_snapshot!(told, @r#"
    confirmed crm by reading it back phone="2"
    "#);
    // It had not: the copy is as it was, the intent stays open for the engine to settle, nothing is planned beside it.
    let mut world = synced();
    world.see(shows("app", &json!({"phone": "2"})));
    world.send("crm");
    world.fail("crm", Failure::Unknown);
    assert_eq!(world.see(shows("crm", &json!({"phone": "1"})).confirmed()), "");
    assert_eq!(world.intent("crm"), "update phone=\"2\"");
    world.fail("crm", Failure::Retry);
    world.drain();
    assert_eq!(world.content("crm", "phone"), "\"2\"");
}

/// A read that lags behind our own write shows what stood there before: no look is the last one while the system's lag
/// may explain it.
#[test]
fn what_stood_there_before_our_write_is_not_believed_within_the_lag() {
    let mut world = World::new(&json!({
        "systems": {"app": {"local": true}, "crm": {}},
        "fields": {"phone": {"type": "string", "owner": "shared", "strategy": "latest_valid_change",
            "precedence": ["app", "crm"]}},
    }));
    let shown = |phone: &str| json!({"phone": phone});
    world.see(shows("app", &shown("1")));
    world.see(shows("crm", &shown("1")));
    world.see(shows("app", &shown("2")));
    world.drain();
    world.see(shows("crm", &shown("1")).confirmed().lagging());
    assert!(world.looks_again());
    world.see(shows("crm", &shown("1")).time(1).confirmed().lagging());
    assert_eq!(world.belief("phone"), "\"2\"");
    // Something that never stood there is a change, however late reads may be.
    world.see(shows("crm", &shown("3")).confirmed().lagging());
    assert_eq!(world.belief("phone"), "\"3\"");
    // When the lag cannot explain it any more, somebody has put it back.
    world.see(shows("crm", &shown("1")).confirmed());
    assert_eq!(world.belief("phone"), "\"1\"");
}
