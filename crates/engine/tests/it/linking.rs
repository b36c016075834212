//! Copies find their records: by key, once, whoever is listed first; creates wait for the target's listing.

use crate::world::{World, customer, raw, unreachable};
use avowal_core::history::{Body, LinkReason};
use avowal_testkit::fake::Profile;
use serde_json::json;

#[tokio::test]
async fn two_full_systems_are_linked_by_key_without_a_single_duplicate() {
    for (name, profile) in Profile::all() {
        let world = World::of([("app", Profile::log()), ("crm", profile)]);
        for n in 0..30 {
            world.add("app", json!({"email": format!("{n}@x.org"), "name": format!("n{n}")}));
            if n % 3 != 0 {
                world.add("crm", json!({"email": format!(" {n}@X.org "), "stage": "lead"}));
            }
        }
        for n in 30..35 {
            world.add("crm", json!({"email": format!("{n}@x.org"), "stage": "lead"}));
        }
        world.sync().await;
        assert_eq!(world.counts(), [35, 35], "{name}");
        assert_eq!(world.records().await.len(), 35, "{name}");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn three_systems_come_together_whichever_is_listed_first() {
    for order in [["app", "billing", "crm"], ["crm", "app", "billing"], ["billing", "crm", "app"]] {
        let world =
            World::of([("app", Profile::log()), ("billing", Profile::correlated()), ("crm", Profile::cas())]);
        for n in 0..12 {
            for (at, system) in order.iter().enumerate() {
                if n % 4 != at {
                    world.add(system, json!({"email": format!("{n}@x.org"), "name": "same"}));
                }
            }
        }
        // Two are away at first, and come back one by one.
        world.system(order[1]).set_down(Some(unreachable()));
        world.system(order[2]).set_down(Some(unreachable()));
        let report = world.sync().await;
        assert!(!report.is_complete());
        assert_eq!(world.write_calls(), 0, "nothing may be created where nothing has been listed");
        world.check_laws().await;
        world.system(order[1]).set_down(None);
        world.sync().await;
        world.check_laws().await;
        world.system(order[2]).set_down(None);
        world.sync().await;
        assert_eq!(world.counts(), [12, 12, 12], "{order:?}");
        assert_eq!(world.records().await.len(), 12, "{order:?}");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn a_key_that_only_its_owner_may_set_links_copies_that_came_before_the_owner() {
    let mut rules = customer();
    rules["fields"]["email"] = json!({"type": "string", "owner": "app", "strategy": "owner_wins"});
    // "a_shop" is listed before "app", and may not say what the email is.
    let world = World::with(
        json!({ "customer": rules }),
        [("a_shop", Profile::log()), ("app", Profile::log()), ("crm", Profile::cas())],
    );
    for n in 0..5 {
        for system in ["a_shop", "app", "crm"] {
            world.add(system, json!({"email": format!("{n}@x.org"), "name": "same"}));
        }
    }
    world.sync().await;
    assert_eq!(world.counts(), [5, 5, 5]);
    assert_eq!(world.records().await.len(), 5);
    world.check_in_sync().await;
}

#[tokio::test]
async fn a_second_copy_with_the_same_key_is_set_aside_and_the_others_go_on() {
    let world = World::of([("app", Profile::log()), ("crm", Profile::cas())]);
    world.add("app", json!({"email": "a@x.org", "name": "one"}));
    world.add("app", json!({"email": "a@x.org", "name": "two"}));
    world.add("app", json!({"email": "b@x.org", "name": "three"}));
    let report = world.sync().await;
    assert_eq!(report.quarantined, 1);
    assert_eq!(world.counts(), [3, 2]);
    world.check_laws().await;
    world.check_idle().await;
    // It stays on the list, however often it is seen, until somebody has merged the two.
    for _ in 0..3 {
        world.full_sync().await;
        let items = world.quarantine().await;
        assert_eq!(items.len(), 1);
        assert!(items[0].reason.contains("a second copy in app"), "{}", items[0].reason);
    }
    world.system("app").delete("customer", &"app-2".into());
    world.full_sync().await;
    assert_eq!(world.counts(), [2, 2]);
    world.check_in_sync().await;
}

#[tokio::test]
async fn a_row_made_in_both_systems_at_once_is_linked_instead_of_created_again() {
    let world = World::of([("app", Profile::log()), ("crm", Profile::cas())]);
    world.sync().await;
    world.add("app", json!({"email": "a@x.org", "name": "from app"}));
    world.add("crm", json!({"email": "a@x.org", "stage": "lead"}));
    world.sync().await;
    assert_eq!(world.counts(), [1, 1]);
    assert_eq!(world.everywhere("a@x.org", "stage"), [json!("lead"), json!("lead")]);
    world.check_in_sync().await;
}

#[tokio::test]
async fn what_a_first_attempt_finds_there_is_a_strangers_copy() {
    let world = World::of([("app", Profile::log()), ("crm", Profile::cas())]);
    world.sync().await;
    // Word for word what we are about to create, but nobody has told us of it yet.
    world.system("crm").set_feed_stuck(true);
    world.add("crm", json!({"email": "a@x.org", "name": "Ann"}));
    world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
    world.sync().await;
    let links = world.events().await.into_iter().filter_map(|event| match event.body {
        Body::Linked { system, how, .. } => Some((system.to_string(), how)),
        _ => None,
    });
    let key = "email=\"a@x.org\"".to_owned();
    let expected = [("app", LinkReason::FirstSeen), ("crm", LinkReason::Matched { key })];
    assert_eq!(links.collect::<Vec<_>>(), expected.map(|(system, how)| (system.to_owned(), how)));
    world.system("crm").set_feed_stuck(false);
    world.sync().await;
    assert_eq!(world.counts(), [1, 1]);
    world.check_in_sync().await;
}

#[tokio::test]
async fn a_copy_without_keys_is_known_by_the_key_of_the_write_that_made_it() {
    let mut rules = customer();
    rules["match_on"] = json!([]);
    for (name, profile) in [("log", Profile::log()), ("correlated", Profile::correlated())] {
        let world =
            World::with(json!({ "customer": rules.clone() }), [("app", Profile::log()), ("crm", profile)]);
        world.sync().await;
        world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
        // The write takes effect, the process dies, and the feed shows the copy to the next one.
        world.system("crm").fail_writes([avowal_testkit::fake::Fault::CrashAfter]);
        crate::crashes::poll_times(world.engine(), 10_000).await;
        assert_eq!(world.counts(), [1, 1], "{name}");
        world.sync().await;
        assert_eq!(world.counts(), [1, 1], "{name}");
        world.check_in_sync().await;
    }
}

fn orders() -> serde_json::Value {
    json!({
        "customer": customer(),
        "an_order": {
            "match_on": [["customer", "number"]],
            "fields": {
                "customer": {"type": "ref", "to": "customer", "owner": "app", "strategy": "owner_wins", "proposals": ["crm"]},
                "number": {"type": "string", "owner": "shared", "strategy": "latest_valid_change", "precedence": ["app", "crm"]},
                "parent": {"type": "ref", "to": "an_order", "owner": "shared", "strategy": "latest_valid_change", "precedence": ["app", "crm"]}
            }
        }
    })
}

#[tokio::test]
async fn references_wait_for_their_referents_and_arrive_in_one_run() {
    for (name, profile) in Profile::all() {
        let world = World::with(orders(), [("app", Profile::log()), ("crm", profile)]);
        let customers: Vec<_> =
            (0..3).map(|n| world.add("app", json!({"email": format!("{n}@x.org")}))).collect();
        let app = world.system("app");
        for (n, customer) in customers.iter().enumerate() {
            app.insert("an_order", raw(&json!({"customer": customer.as_str(), "number": format!("o{n}")})));
        }
        world.sync().await;
        let crm = world.system("crm");
        assert_eq!(crm.rows("an_order").len(), 3, "{name}");
        for order in crm.rows("an_order").values() {
            let number = order["number"].as_text().unwrap().trim_start_matches('o').to_owned();
            let owner = world.id("crm", &format!("{number}@x.org"));
            assert_eq!(order["customer"].as_text(), Some(owner.as_str()), "{name}");
        }
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn a_reference_to_something_unknown_is_set_aside_and_comes_in_with_it() {
    let mut world = World::with(orders(), [("app", Profile::log()), ("crm", Profile::cas())]);
    world.settings.patience_ms = 60_000;
    let customer = world.add("app", json!({"email": "a@x.org"}));
    world.sync().await;
    let app = world.system("app");
    let order = |number: &str, parent: Option<&str>| {
        raw(&json!({"customer": customer.as_str(), "number": number, "parent": parent}))
    };
    // The parent is not there yet; a reference to its own kind may come in any order.
    let child = app.insert("an_order", order("o1", Some("app-4")));
    world.add("app", json!({"email": "b@x.org"}));
    let report = world.sync().await;
    assert_eq!((world.counts(), report.quarantined), (vec![2, 2], 1), "others are not held up");
    assert_eq!(world.system("crm").rows("an_order").len(), 0);
    world.check_laws().await;
    let parent = app.insert("an_order", order("o0", None));
    assert_eq!(parent.as_str(), "app-4");
    // Nothing says that the child may be read now, but whoever edits it, or replays it, brings it in.
    app.edit("an_order", &child, raw(&json!({"number": "o2"})));
    world.sync().await;
    assert_eq!(world.system("crm").rows("an_order").len(), 2);
    assert_eq!(world.quarantine().await, []);
    world.check_in_sync().await;
}

#[tokio::test]
async fn a_create_whose_key_holds_a_reference_is_looked_up_by_the_targets_own_id() {
    let world = World::with(orders(), [("app", Profile::log()), ("crm", Profile::cas())]);
    let customer = world.add("app", json!({"email": "a@x.org"}));
    world.sync().await;
    world.system("app").insert("an_order", raw(&json!({"customer": customer.as_str(), "number": "o1"})));
    world.system("crm").fail_writes([avowal_testkit::fake::Fault::TimeoutAfter]);
    // The feed does not show it before it is looked up.
    let engine = world.engine();
    let _ = engine.sync(avowal_engine::SyncOptions::default(), &avowal_engine::Unwatched).await.unwrap();
    assert_eq!(world.system("crm").rows("an_order").len(), 1);
    world.check_in_sync().await;
}
