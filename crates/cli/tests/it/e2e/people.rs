//! What people do on ordinary days: change their minds, clear fields, delete and make again.

use super::row::{Peer, Row, Rows};
use super::world::World;
use avowal_testkit::pocketbase::Method;
use serde_json::{Value, json};

fn name(rows: &mut Rows, code: &str, name: &str) {
    rows.get_mut(code).unwrap().name = Some(name.to_owned());
}

#[test]
fn a_mind_changed_back_arrives_everywhere() {
    let (world, mut rows) = World::synced(10);
    // A → B → A, with a sync between.
    world.edit_one(Peer::App, "c00001", "full_name", "Somebody else");
    name(&mut rows, "c00001", "Somebody else");
    world.sync();
    world.assert_all(&rows);
    world.edit_one(Peer::App, "c00001", "full_name", "Person 1");
    name(&mut rows, "c00001", "Person 1");
    world.sync();
    world.assert_all(&rows);

    // The way back is made by another system's people.
    world.edit_one(Peer::Crm, "c00002", "name", "Somebody else");
    world.sync();
    world.edit_one(Peer::Billing, "c00002", "name", "Person 2");
    world.sync();
    world.assert_all(&rows);

    // A → B → A within one sync is no difference, and what the others did meanwhile stands.
    world.edit_one(Peer::App, "c00003", "full_name", "Somebody else");
    world.edit_one(Peer::App, "c00003", "full_name", "Person 3");
    world.edit_one(Peer::Billing, "c00003", "note", "meanwhile");
    rows.get_mut("c00003").unwrap().note = Some("meanwhile".to_owned());
    world.sync();
    world.assert_all(&rows);

    // There and back again several times, each way seen.
    for turn in 0..3 {
        let wanted = if turn % 2 == 0 { "There" } else { "Back" };
        world.edit_one(Peer::Billing, "c00004", "name", wanted);
        world.sync();
        name(&mut rows, "c00004", wanted);
        world.assert_all(&rows);
    }
    world.assert_quiet();
    world.assert_history();
}

#[test]
fn a_missing_key_never_clears_and_null_clears_where_declared() {
    let (world, mut rows) = World::synced(10);
    // Null in a table, "" in PocketBase: somebody cleared the field.
    world.edit_one(Peer::App, "c00001", "phone_number", Value::Null);
    rows.get_mut("c00001").unwrap().phone = None;
    world.edit_one(Peer::Billing, "c00002", "note", Value::Null);
    rows.get_mut("c00002").unwrap().note = None;
    world.edit_one(Peer::Crm, "c00003", "note", "");
    rows.get_mut("c00003").unwrap().note = None;
    world.sync();
    world.assert_all(&rows);

    // Where null is declared to say nothing, it clears nothing.
    world.reconfigure(
        "note = \"note\" }\n\n[entities.customer.systems.billing]",
        "note = { name = \"note\", nulls = \"ignore\" } }\n\n[entities.customer.systems.billing]",
    );
    world.edit_one(Peer::App, "c00004", "note", Value::Null);
    world.sync();
    for place in [Peer::Billing, Peer::Crm] {
        assert_eq!(world.rows(place)["c00004"].note, rows["c00004"].note, "{}", place.name());
    }

    // The CRM loses a field altogether. Its copies are shown without it, and nobody else loses anything.
    let collection = world.pocketbase.request(Method::GET, "/api/collections/customers", None).unwrap();
    let fields: Vec<Value> =
        collection["fields"].as_array().unwrap().iter().filter(|f| f["name"] != "note").cloned().collect();
    world
        .pocketbase
        .request(Method::PATCH, "/api/collections/customers", Some(&json!({ "fields": fields })))
        .unwrap();
    world.edit_one(Peer::Crm, "c00005", "name", "Renamed without a note");
    world.sync();
    for place in [Peer::App, Peer::Billing] {
        let found = world.rows(place);
        assert_eq!(found["c00005"].name.as_deref(), Some("Renamed without a note"));
        assert_eq!(found["c00005"].note, rows["c00005"].note, "{}", place.name());
    }
    world.assert_history();
}

#[test]
fn deletes_and_copies_made_again() {
    let (world, mut rows) = World::synced(10);
    // The app may delete.
    world.app().execute("DELETE FROM customers WHERE code = 'c00001'", []).unwrap();
    rows.remove("c00001");
    world.sync();
    world.assert_all(&rows);

    // Billing may not: the copy is made again.
    world.billing("DELETE FROM customers WHERE code = 'c00002'");
    world.sync();
    world.assert_all(&rows);

    // PocketBase does not show deletes in its changes; a full listing finds them.
    let id = world.crm_ids().remove("c00003").unwrap();
    world.pocketbase.delete("customers", &[id]).unwrap();
    assert_eq!(world.json(&["sync", "--full"])["stops"], json!([]));
    world.sync();
    world.assert_all(&rows);

    // Deleted and made again under the same e-mail, first with a sync between, then without.
    for again in [true, false] {
        world.app().execute("DELETE FROM customers WHERE code = 'c00004'", []).unwrap();
        if again {
            world.sync();
        }
        let mut row = Row::of_app(4);
        row.name = Some(format!("Came back {again}"));
        row.note = None;
        world.fill(Peer::App, &Rows::from([("c00004".to_owned(), row.clone())]));
        rows.insert("c00004".to_owned(), row);
        world.sync();
        world.assert_all(&rows);
    }
    world.assert_quiet();
    world.assert_history();
}

#[test]
fn too_many_deletes_are_held_until_a_person_agrees() {
    let (world, rows) = World::synced(100);
    world.app().execute("DELETE FROM customers WHERE code >= 'c00030'", []).unwrap();
    let held = world.run(&["sync"]);
    held.assert(3, &["Held by a guard", "approve-deletes"]);
    assert_eq!(world.rows(Peer::Billing).len(), 100);
    assert_eq!(world.rows(Peer::Crm).len(), 100);
    world.json(&["sync", "--approve-deletes", "billing", "--approve-deletes", "crm"]);
    let rest: Rows = rows.into_iter().take(30).collect();
    world.assert_all(&rest);
    world.assert_quiet();
}

#[test]
fn who_decided_can_be_asked() {
    let (world, _) = World::synced(10);
    // Both sides at once: the app owns the e-mail.
    world.edit_one(Peer::Crm, "c00001", "email", "agent@example.com");
    world.edit_one(Peer::App, "c00001", "email", "customer@example.com");
    world.sync();
    let why = world.json(&["why", "customer", "email=customer@example.com", "email"]);
    for key in
        ["value", "dot", "version", "rule", "policy_digest", "evidence", "since", "losers", "propagation"]
    {
        assert!(!why[key].is_null(), "{key} is missing: {why}");
    }
    assert_eq!(why["value"], "customer@example.com");
    let losers = why["losers"].as_array().unwrap();
    assert!(
        losers.iter().any(|loser| loser["system"] == "crm" && loser["value"] == "agent@example.com"),
        "{why}"
    );
    let timeline = world.run(&["timeline", "customer", "email=customer@example.com"]);
    timeline.assert(0, &["agent@example.com", "customer@example.com"]);
}
