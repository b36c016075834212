//! A field that cannot be understood is set aside by itself: the rest of its copy goes through, and nothing is written
//! over it.

use crate::world::{World, gone, shows};
use serde_json::json;

fn invoices() -> World {
    World::new(&json!({
        "systems": {"app": {"local": true, "nulls": "clear"}, "crm": {"nulls": "clear"}},
        "fields": {
            "amount": {"type": "integer", "owner": "shared", "strategy": "latest_valid_change", "precedence": ["app", "crm"]},
            "status": {"type": "enum", "values": ["pending", "paid"], "owner": "shared",
                "strategy": "latest_valid_change", "precedence": ["app", "crm"]},
        },
        "deletes": {"owner": "shared", "edit_against_delete": "delete_wins"},
    }))
}

fn synced() -> World {
    let mut world = invoices();
    world.see(shows("app", &json!({"amount": 10, "status": "pending"})));
    world.see(shows("crm", &json!({"amount": 10, "status": "pending"})));
    world.drain();
    world
}

#[test]
fn an_unknown_word_sets_its_field_aside_and_the_rest_goes_through() {
    let mut world = synced();
    let said = world.see(shows("crm", &json!({"amount": 12})).aside("status", "\"processing\""));
    assert!(said.contains("aside crm status: \"processing\" is not one of pending, paid"), "{said}");
    assert_eq!((world.belief("amount").as_str(), world.belief("status").as_str()), ("12", "\"pending\""));
    world.drain();
    assert_eq!(world.content("app", "amount"), "12");
    // The same again is no news.
    let said = world.see(shows("crm", &json!({"amount": 12})).aside("status", "\"processing\""));
    assert_eq!(said, "");
    // Another unknown word is.
    let said = world.see(shows("crm", &json!({"amount": 12})).aside("status", "\"held\""));
    assert_eq!(said, "aside crm status: \"held\" is not one of pending, paid\n");
}

#[test]
fn nothing_is_written_over_what_nobody_has_understood() {
    let mut world = synced();
    world.see(shows("crm", &json!({"amount": 10})).aside("status", "\"processing\""));
    world.see(shows("app", &json!({"amount": 11, "status": "paid"})));
    assert!(!world.intent("crm").contains("status"), "{}", world.intent("crm"));
    assert!(world.intent("crm").contains("amount"), "{}", world.intent("crm"));
    world.drain();
    // Understood again, as it was before: then the difference is written like any other.
    let said = world.see(shows("crm", &json!({"amount": 11, "status": "pending"})));
    assert!(said.contains("understood crm status"), "{said}");
    world.drain();
    assert_eq!(world.content("crm", "status"), "\"paid\"");
}

#[test]
fn a_good_value_null_or_a_delete_ends_it() {
    for (shown, belief) in [(json!({"status": "paid"}), "\"paid\""), (json!({"status": null}), "null")] {
        let mut world = synced();
        world.see(shows("crm", &json!({})).aside("status", "\"processing\""));
        let said = world.see(shows("crm", &shown));
        assert!(said.contains("understood crm status"), "{said}");
        assert_eq!(world.belief("status"), belief);
        assert!(world.record.copies["crm"].aside.is_empty());
    }
    let mut world = synced();
    world.see(shows("crm", &json!({})).aside("status", "\"processing\""));
    world.see(gone("crm"));
    assert!(world.record.copies["crm"].aside.is_empty());
}

#[test]
fn the_digest_of_a_copy_tells_what_is_set_aside() {
    let mut world = synced();
    let before = world.record.copies["crm"].content_digest();
    world.see(shows("crm", &json!({})).aside("status", "\"processing\""));
    let aside = world.record.copies["crm"].content_digest();
    assert_ne!(before, aside);
    world.see(shows("crm", &json!({"status": "pending"})));
    assert_eq!(world.record.copies["crm"].content_digest(), before);
}
