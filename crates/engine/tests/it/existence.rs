//! Deletes: they travel, they are guarded, and absence alone proves nothing.

use crate::world::{CUSTOMER, World, customer};
use avowal_testkit::fake::Profile;
use serde_json::json;

#[tokio::test]
async fn a_delete_arrives_everywhere_and_stays() {
    for (name, profile) in Profile::all() {
        for deleter in ["app", "crm"] {
            let world =
                World::of([("app", Profile::log()), ("billing", Profile::log()), ("crm", profile.clone())]);
            for n in 0..4 {
                world.add("app", json!({"email": format!("{n}@x.org"), "name": "Ann"}));
            }
            world.sync().await;
            let id = world.id(deleter, "1@x.org");
            world.system(deleter).delete(CUSTOMER, &id);
            world.sync().await;
            if deleter == "crm" && profile.capabilities.feed && !profile.capabilities.deletes_in_feed {
                // Its feed says nothing of deletes: a full listing and a direct read do.
                assert_eq!(world.counts(), [4, 4, 3], "{name}");
                world.full_sync().await;
            }
            assert_eq!(world.counts(), [3, 3, 3], "{name}, {deleter}");
            world.check_in_sync().await;
            // The same key later is a new record.
            world.add(deleter, json!({"email": "1@x.org", "name": "Again"}));
            world.sync().await;
            assert_eq!(world.counts(), [4, 4, 4], "{name}, {deleter}");
            world.check_in_sync().await;
        }
    }
}

#[tokio::test]
async fn an_edit_that_had_not_seen_the_delete_is_answered_as_declared() {
    for (answer, expected) in [("edit_wins", [1, 1]), ("delete_wins", [0, 0])] {
        let mut rules = customer();
        rules["deletes"]["edit_against_delete"] = json!(answer);
        let world =
            World::with(json!({ "customer": rules }), [("app", Profile::log()), ("crm", Profile::cas())]);
        world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
        world.sync().await;
        world.edit("crm", "a@x.org", json!({"name": "Edited"}));
        let id = world.id("app", "a@x.org");
        world.system("app").delete(CUSTOMER, &id);
        world.sync().await;
        assert_eq!(world.counts(), expected, "{answer}");
        world.check_in_sync().await;
        if answer == "edit_wins" {
            assert_eq!(world.everywhere("a@x.org", "name"), [json!("Edited"), json!("Edited")]);
        }
    }
}

#[tokio::test]
async fn a_delete_of_a_system_that_may_not_is_put_back() {
    let mut rules = customer();
    rules["deletes"] = json!({"owner": "app", "on_refused": "revert"});
    for (name, profile) in Profile::all() {
        let world =
            World::with(json!({ "customer": rules.clone() }), [("app", Profile::log()), ("crm", profile)]);
        world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
        world.sync().await;
        let id = world.id("crm", "a@x.org");
        world.system("crm").delete(CUSTOMER, &id);
        world.full_sync().await;
        assert_eq!(world.counts(), [1, 1], "{name}: {}", world.story());
        assert_eq!(world.get("crm", "a@x.org", "name"), json!("Ann"), "{name}");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn too_many_deletes_wait_for_a_person() {
    for (name, profile) in Profile::all() {
        let mut world = World::of([("app", Profile::log()), ("crm", profile)]);
        for n in 0..60 {
            world.add("app", json!({"email": format!("{n}@x.org"), "name": "Ann"}));
        }
        world.sync().await;
        for n in 0..40 {
            let id = world.id("app", &format!("{n}@x.org"));
            world.system("app").delete(CUSTOMER, &id);
        }
        world.edit("app", "50@x.org", json!({"name": "Bea"}));
        let report = world.sync().await;
        let [stop] = report.stops.as_slice() else { panic!("{name}: {report:?}") };
        let words = stop.to_string();
        assert!(words.contains("40 of the 60 copies of customer would be deleted"), "{name}: {words}");
        assert!(words.contains("`avowal resume crm --approve-deletes`"), "{name}: {words}");
        assert!(words.contains("Among them: crm:"), "{name}: {words}");
        assert_eq!(world.counts(), [20, 60], "{name}");
        assert_eq!(world.get("crm", "50@x.org", "name"), json!("Bea"), "{name}: the rest goes on");
        let again = world.sync().await;
        assert_eq!((again.stops.len(), world.counts()), (1, vec![20, 60]), "{name}: it holds");
        world.clock.advance(600_000);
        world.settings.guards.deletes_approved.insert("crm".into());
        let report = world.sync().await;
        assert_eq!((report.intents_open, world.counts()), (0, vec![20, 20]), "{name}");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn a_few_deletes_pass_the_guard() {
    let world = World::of([("app", Profile::log()), ("crm", Profile::cas())]);
    for n in 0..30 {
        world.add("app", json!({"email": format!("{n}@x.org")}));
    }
    world.sync().await;
    for n in 0..5 {
        let id = world.id("app", &format!("{n}@x.org"));
        world.system("app").delete(CUSTOMER, &id);
    }
    let report = world.sync().await;
    assert_eq!((report.stops.len(), world.counts()), (0, vec![25, 25]));
    world.check_in_sync().await;
}

#[tokio::test]
async fn a_listing_that_lacks_rows_deletes_nothing_that_a_read_still_finds() {
    for (name, profile) in Profile::all() {
        let world = World::of([("app", Profile::log()), ("crm", profile)]);
        for n in 0..6 {
            world.add("app", json!({"email": format!("{n}@x.org"), "name": "Ann"}));
        }
        world.sync().await;
        // The listing is cut off; the rows are all there.
        world.system("crm").set_listing_max(Some(2));
        world.full_sync().await;
        assert_eq!(world.counts(), [6, 6], "{name}");
        world.check_agreement().await;
        world.system("crm").set_listing_max(None);
        // One row really goes, and no feed says so.
        let gone = world.id("crm", "3@x.org");
        world.system("crm").delete_silently(CUSTOMER, &gone);
        world.full_sync().await;
        assert_eq!(world.counts(), [5, 5], "{name}");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn a_copy_that_cannot_be_read_yet_is_not_taken_for_deleted() {
    // It answers a create with an id that its reads do not know for a while.
    let world = World::of([("app", Profile::log()), ("crm", Profile::signal_only())]);
    world.sync().await;
    world.system("crm").set_lag_ms(900);
    world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
    world.sync().await;
    world.clock.advance(10_000);
    world.sync().await;
    assert_eq!(world.counts(), [1, 1]);
    assert_eq!(world.count_of("deleted").await + world.count_of("manual_review_requested").await, 0);
    world.check_in_sync().await;
}
