//! Ids that come again: the id of a row that is gone proves nothing about the next row that gets it.

use crate::world::{CUSTOMER, World, customer, raw};
use avowal_testkit::fake::Profile;
use serde_json::json;

/// Two customers in both systems; app gives the id of a deleted newest row to the next one.
async fn two_customers(crm: Profile) -> World {
    let world = World::of([("app", Profile::log()), ("crm", crm)]);
    world.system("app").reuse_ids();
    world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
    world.add("app", json!({"email": "b@x.org", "name": "Bob"}));
    world.sync().await;
    world.clock.advance(10_000);
    world
}

#[tokio::test]
async fn our_own_create_may_get_the_id_of_a_row_that_is_gone() {
    for crm in [Profile::log(), Profile::cas(), Profile::signal_only()] {
        let world = two_customers(crm).await;
        let bob = world.id("crm", "b@x.org");
        let was = world.id("app", "b@x.org");
        world.system("crm").delete(CUSTOMER, &bob);
        world.full_sync().await;
        assert_eq!(world.counts(), [1, 1]);
        world.add("crm", json!({"email": "z@x.org", "name": "Zoe"}));
        world.sync().await;
        assert_eq!(world.id("app", "z@x.org"), was);
        assert_eq!(world.quarantine().await, []);
        world.check_in_sync().await;
        world.edit("crm", "z@x.org", json!({"name": "Zoe 2"}));
        world.sync().await;
        assert_eq!(world.get("app", "z@x.org", "name"), json!("Zoe 2"));
        // And that one is deleted, and its id comes a third time, from a person.
        let zoe = world.id("app", "z@x.org");
        world.system("app").delete(CUSTOMER, &zoe);
        world.add("app", json!({"email": "y@x.org", "name": "Yan"}));
        world.full_sync().await;
        world.full_sync().await;
        assert_eq!(world.id("app", "y@x.org"), was);
        assert_eq!(world.counts(), [2, 2], "{}", world.story());
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn our_own_create_may_get_the_id_of_a_row_whose_delete_we_have_not_seen() {
    let world = two_customers(Profile::log()).await;
    let was = world.id("app", "b@x.org");
    world.add("crm", json!({"email": "z@x.org", "name": "Zoe"}));
    // The feed of app is late: it is asked before the row is deleted, and written to afterwards.
    world.system("app").set_feed_stuck(true);
    world.system("app").delete(CUSTOMER, &was);
    world.sync().await;
    assert_eq!(world.id("app", "z@x.org"), was);
    world.system("app").set_feed_stuck(false);
    world.sync().await;
    assert_eq!(world.counts(), [2, 2], "{}", world.story());
    assert_eq!(world.quarantine().await, []);
    world.check_in_sync().await;
}

#[tokio::test]
async fn a_row_that_gets_the_id_of_another_in_one_page_is_another_thing() {
    for crm in [Profile::log(), Profile::cas(), Profile::signal_only()] {
        for settled in [false, true] {
            let world = two_customers(crm.clone()).await;
            let was = world.id("app", "b@x.org");
            world.system("app").delete(CUSTOMER, &was);
            if settled {
                world.sync().await;
            }
            world.system("app").insert_as(CUSTOMER, &was, raw(&json!({"email": "c@x.org", "name": "Cy"})));
            world.sync().await;
            world.sync().await;
            assert_eq!(world.counts(), [2, 2], "{}", world.story());
            assert_eq!(world.get("crm", "c@x.org", "name"), json!("Cy"));
            assert_eq!(world.records().await.len(), 3);
            world.check_in_sync().await;
        }
    }
}

#[tokio::test]
async fn a_row_that_is_replaced_by_itself_stays_the_same_thing() {
    let world = two_customers(Profile::log()).await;
    let (was, there) = (world.id("app", "b@x.org"), world.id("crm", "b@x.org"));
    world.system("app").delete(CUSTOMER, &was);
    world.system("app").insert_as(CUSTOMER, &was, raw(&json!({"email": "b@x.org", "name": "Bob 2"})));
    world.sync().await;
    assert_eq!(world.id("crm", "b@x.org"), there, "it was neither deleted nor made again");
    assert_eq!(world.get("crm", "b@x.org", "name"), json!("Bob 2"));
    world.check_in_sync().await;
}

#[tokio::test]
async fn a_primary_key_that_changes_is_followed_whichever_row_comes_first() {
    for new_first in [false, true] {
        let world = two_customers(Profile::log()).await;
        let was = world.id("app", "b@x.org");
        if !new_first {
            world.system("app").delete(CUSTOMER, &was);
        }
        world.system("app").insert_as(
            CUSTOMER,
            &"app-50".into(),
            raw(&json!({"email": "b@x.org", "name": "Bob"})),
        );
        if new_first {
            world.system("app").delete(CUSTOMER, &was);
        }
        world.sync().await;
        assert_eq!(world.counts(), [2, 2], "{}", world.story());
        assert_eq!(world.get("crm", "b@x.org", "name"), json!("Bob"));
        assert_eq!(world.quarantine().await, []);
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn a_write_never_lands_in_the_row_that_has_got_the_id() {
    // The feed of app is late, so nobody knows that Bob's row went and Cy's got its id.
    for crm in [Profile::log(), Profile::cas()] {
        for same_key in [false, true] {
            let world = two_customers(crm.clone()).await;
            let was = world.id("app", "b@x.org");
            world.system("app").set_feed_stuck(true);
            world.system("app").delete(CUSTOMER, &was);
            let email = if same_key { "b@x.org" } else { "c@x.org" };
            world.system("app").insert_as(CUSTOMER, &was, raw(&json!({"email": email, "name": "Cy"})));
            // The field is empty in every row, so its content alone would not tell them apart.
            world.edit("crm", "b@x.org", json!({"phone": "7"}));
            world.sync().await;
            if !same_key {
                assert_eq!(world.get("app", "c@x.org", "phone"), json!(null), "{}", world.story());
                assert_eq!(world.id("crm", "b@x.org").as_str(), "crm-2", "it keeps its key");
            }
            world.system("app").set_feed_stuck(false);
            world.clock.advance(60_000);
            world.sync().await;
            world.clock.advance(60_000);
            world.full_sync().await;
            assert_eq!(world.get("crm", email, "name"), json!("Cy"), "{}", world.story());
            assert_eq!(world.quarantine().await, []);
            world.check_in_sync().await;
        }
    }
}

#[tokio::test]
async fn a_key_that_is_edited_beside_a_write_of_ours_is_an_edit() {
    let world = two_customers(Profile::log()).await;
    world.system("app").set_feed_stuck(true);
    world.edit("app", "b@x.org", json!({"email": "bob@x.org"}));
    world.edit("crm", "b@x.org", json!({"phone": "7"}));
    world.sync().await;
    world.system("app").set_feed_stuck(false);
    world.clock.advance(60_000);
    world.sync().await;
    world.clock.advance(60_000);
    world.sync().await;
    assert_eq!(world.everywhere("bob@x.org", "phone"), [json!("7"), json!("7")], "{}", world.story());
    assert_eq!(world.counts(), [2, 2]);
    world.check_in_sync().await;
}

#[tokio::test]
async fn a_row_made_again_under_its_id_is_filled_where_it_shows_nothing() {
    for crm in [Profile::log(), Profile::cas(), Profile::signal_only()] {
        // Nobody may delete, so the row that is made again is a copy of the same record.
        let mut rules = customer();
        rules.as_object_mut().unwrap().remove("deletes");
        let world = World::with(json!({ "customer": rules }), [("app", Profile::log()), ("crm", crm)]);
        world.add("app", json!({"email": "b@x.org", "name": "Bob", "phone": "1", "tags": ["t"]}));
        world.sync().await;
        world.clock.advance(10_000);
        let was = world.id("app", "b@x.org");
        world.system("app").delete(CUSTOMER, &was);
        world.system("app").insert_as(CUSTOMER, &was, raw(&json!({"email": "b@x.org", "name": "Bob again"})));
        world.full_sync().await;
        world.clock.advance(10_000);
        world.full_sync().await;
        for (field, value) in [("name", json!("Bob again")), ("phone", json!("1")), ("tags", json!(["t"]))] {
            assert_eq!(world.everywhere("b@x.org", field), [value.clone(), value], "{}", world.story());
        }
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn a_table_that_is_emptied_and_loaded_again_ends_as_it_was_loaded() {
    // The owner of deletes, nobody, or the other system.
    for owner in [Some("app"), None, Some("crm")] {
        let mut rules = customer();
        rules["deletes"] = json!({"edit_against_delete": "edit_wins"});
        if let Some(owner) = owner {
            rules["deletes"]["owner"] = json!(owner);
        }
        for same_ids in [false, true] {
            let mut world = World::with(
                json!({ "customer": rules.clone() }),
                [("app", Profile::log()), ("crm", Profile::log())],
            );
            for n in 0..20 {
                world.add("app", json!({"email": format!("{n}@x.org"), "name": "before"}));
            }
            world.sync().await;
            world.clock.advance(10_000);
            let ids: Vec<_> = (0..20).map(|n| world.id("app", &format!("{n}@x.org"))).collect();
            for id in &ids {
                world.system("app").delete(CUSTOMER, id);
            }
            for (n, id) in ids.iter().enumerate() {
                let row = raw(&json!({"email": format!("{n}@x.org"), "name": format!("after {n}")}));
                match same_ids {
                    true => world.system("app").insert_as(CUSTOMER, id, row),
                    false => drop(world.system("app").insert(CUSTOMER, row)),
                }
            }
            let report = world.sync().await;
            let is_held = owner == Some("app") && !same_ids;
            assert_eq!(report.is_held(), is_held, "{owner:?} {same_ids} {:?}", report.stops);
            world.settings.guards.deletes_approved.insert("crm".into());
            world.sync().await;
            assert_eq!(world.counts(), [20, 20], "{owner:?} {same_ids}");
            for n in 0..20 {
                let names = world.everywhere(&format!("{n}@x.org"), "name");
                let after = json!(format!("after {n}"));
                assert_eq!(names, [after.clone(), after], "{owner:?} {same_ids} {}", world.story());
            }
            assert_eq!(world.quarantine().await, []);
            world.check_in_sync().await;
        }
    }
}

#[tokio::test]
async fn twenty_of_twenty_is_everything_and_is_held_in_however_many_batches_it_comes() {
    for batch in [500, 3] {
        let mut world = World::of([("app", Profile::log()), ("crm", Profile::log())]);
        world.settings.batch_records_max = batch;
        for n in 0..20 {
            world.add("app", json!({"email": format!("{n}@x.org")}));
        }
        world.sync().await;
        for n in 0..20 {
            let id = world.id("app", &format!("{n}@x.org"));
            world.system("app").delete(CUSTOMER, &id);
        }
        let report = world.sync().await;
        assert_eq!(world.counts(), [0, 20], "{batch}");
        let [stop] = report.stops.as_slice() else { panic!("{report:?}") };
        assert!(stop.to_string().contains("20 of the 20 copies of customer would be deleted"), "{stop}");
        // A person agrees.
        world.settings.guards.deletes_approved.insert("crm".into());
        world.sync().await;
        assert_eq!(world.counts(), [0, 0]);
    }
    // One of two is a person's business.
    let world = two_customers(Profile::log()).await;
    let bob = world.id("app", "b@x.org");
    world.system("app").delete(CUSTOMER, &bob);
    assert_eq!(world.sync().await.stops, []);
    assert_eq!(world.counts(), [1, 1]);
}

#[tokio::test]
async fn deletes_that_come_one_by_one_are_counted_together() {
    let world = World::of([("app", Profile::log()), ("crm", Profile::log())]);
    for n in 0..20 {
        world.add("app", json!({"email": format!("{n}@x.org")}));
    }
    let engine = world.engine();
    let turn = async || {
        for _ in 0..3 {
            for system in ["app", "crm"] {
                while engine.turn(&system.into(), &avowal_engine::Unwatched).await.unwrap() {}
            }
        }
    };
    engine.prepare().await.unwrap();
    turn().await;
    assert_eq!(world.counts(), [20, 20]);
    for n in 0..20 {
        let id = world.id("app", &format!("{n}@x.org"));
        world.system("app").delete(CUSTOMER, &id);
        turn().await;
    }
    assert_eq!(world.counts(), [0, 15]);
}

#[tokio::test]
async fn a_row_made_again_with_less_is_filled_and_what_it_says_is_newer() {
    for crm in [Profile::log(), Profile::cas(), Profile::signal_only()] {
        // Nobody may delete, so the row that is made again is a copy of the same record.
        let mut rules = customer();
        rules.as_object_mut().unwrap().remove("deletes");
        let world = World::with(json!({ "customer": rules }), [("app", Profile::log()), ("crm", crm)]);
        world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
        world.add("app", json!({"email": "b@x.org", "name": "Bob"}));
        world.sync().await;
        world.edit("app", "b@x.org", json!({"phone": "1"}));
        world.sync().await;
        world.clock.advance(10_000);
        let was = world.id("app", "b@x.org");
        world.system("app").delete(CUSTOMER, &was);
        world.add("app", json!({"email": "b@x.org", "name": "Bob again"}));
        world.full_sync().await;
        world.clock.advance(10_000);
        world.full_sync().await;
        assert_eq!(world.everywhere("b@x.org", "name"), [json!("Bob again"), json!("Bob again")]);
        assert_eq!(world.everywhere("b@x.org", "phone"), [json!("1"), json!("1")], "{}", world.story());
        assert_eq!(world.counts(), [2, 2]);
        world.check_in_sync().await;
    }
}

/// The first row's thing is made again under the second row's id, and another thing gets the first one's id, all in one
/// page: the last row belongs neither to the record that its id once meant, nor to the one that its id means no more.
#[tokio::test]
async fn ids_that_change_hands_twice_in_one_page_mix_nobody_up() {
    for owner in ["shared", "crm"] {
        for crm in [Profile::log(), Profile::cas(), Profile::signal_only(), Profile::bare()] {
            let mut rules = customer();
            rules["deletes"] =
                json!({"owner": owner, "on_refused": "review", "edit_against_delete": "review"});
            let rules = json!({"customer": rules});
            let world = World::with(rules, [("app", Profile::log()), ("crm", crm)]);
            world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
            world.add("app", json!({"email": "b@x.org", "name": "Bob"}));
            world.sync().await;
            world.clock.advance(10_000);
            let (ann, bob) = (world.id("app", "a@x.org"), world.id("app", "b@x.org"));
            let app = world.system("app");
            app.delete(CUSTOMER, &bob);
            app.delete(CUSTOMER, &ann);
            app.insert_as(CUSTOMER, &ann, raw(&json!({"email": "b@x.org", "name": "Bob 2"})));
            app.insert_as(CUSTOMER, &bob, raw(&json!({"email": "c@x.org", "name": "Cy"})));
            for _ in 0..3 {
                world.sync().await;
                world.clock.advance(60_000);
            }
            let names = |email| world.everywhere(email, "name");
            assert_eq!(names("c@x.org"), [json!("Cy"), json!("Cy")], "{owner}: {}", world.story());
            assert_eq!(names("b@x.org"), [json!("Bob 2"), json!("Bob 2")], "{owner}: {}", world.story());
        }
    }
}
