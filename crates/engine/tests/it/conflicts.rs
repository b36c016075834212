//! Edits on both sides: disjoint ones are kept, crossing ones are decided by the policy and by nothing else.

use crate::world::{World, customer};
use avowal_core::record::intent::IntentStatus;
use avowal_testkit::fake::Profile;
use serde_json::json;

async fn linked(profile: Profile) -> World {
    let world = World::of([("app", Profile::log()), ("crm", profile)]);
    world.add(
        "app",
        json!({"email": "a@x.org", "name": "Ann", "phone": "1", "tags": ["a", "b"], "credit": 10}),
    );
    world.add("crm", json!({"email": "a@x.org", "stage": "lead"}));
    world.sync().await;
    world.check_in_sync().await;
    world
}

#[tokio::test]
async fn disjoint_edits_are_all_kept() {
    for (name, profile) in Profile::all() {
        let world = World::of([("app", Profile::log()), ("crm", profile)]);
        for n in 0..40 {
            world.add("app", json!({"email": format!("{n}@x.org"), "name": "Ann", "phone": "1"}));
        }
        world.sync().await;
        for n in 0..40 {
            world.edit("app", &format!("{n}@x.org"), json!({"name": format!("app {n}")}));
            world.edit("crm", &format!("{n}@x.org"), json!({"phone": format!("crm {n}")}));
        }
        world.sync().await;
        for n in 0..40 {
            let email = format!("{n}@x.org");
            assert_eq!(
                world.everywhere(&email, "name"),
                [json!(format!("app {n}")), json!(format!("app {n}"))]
            );
            assert_eq!(
                world.everywhere(&email, "phone"),
                [json!(format!("crm {n}")), json!(format!("crm {n}"))]
            );
        }
        assert_eq!(world.count_of("conflict_detected").await, 0, "{name}");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn crossing_edits_are_decided_by_owner_precedence_and_merge() {
    for (name, profile) in Profile::all() {
        let world = linked(profile).await;
        let crm = world.id("crm", "a@x.org");
        world.edit(
            "app",
            "a@x.org",
            json!({"email": "app@x.org", "name": "App", "phone": "app", "tags": ["b", "c"], "credit": 15}),
        );
        let edit = json!({"email": "crm@x.org", "name": "Crm", "phone": "crm", "tags": ["a", "b", "d"], "credit": 7});
        world.system("crm").edit("customer", &crm, crate::world::raw(&edit));
        world.sync().await;
        let (email, both) = ("app@x.org", |json: serde_json::Value| [json.clone(), json]);
        assert_eq!(world.everywhere(email, "name"), both(json!("App")), "{name}: precedence app before crm");
        assert_eq!(world.everywhere(email, "phone"), both(json!("crm")), "{name}: precedence crm before app");
        assert_eq!(world.everywhere(email, "tags"), both(json!(["b", "c", "d"])), "{name}: union");
        assert_eq!(world.everywhere(email, "credit"), both(json!(12)), "{name}: 10 + 5 - 3");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn a_field_changed_by_someone_who_may_not_is_put_back() {
    for (name, profile) in Profile::all() {
        let world = linked(profile).await;
        world.edit("app", "a@x.org", json!({"stage": "customer"}));
        world.sync().await;
        assert_eq!(world.everywhere("a@x.org", "stage"), [json!("lead"), json!("lead")], "{name}");
        assert_eq!(world.count_of("refused").await, 1, "{name}");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn a_value_that_a_person_puts_back_arrives_everywhere() {
    for (name, profile) in Profile::all() {
        let world =
            World::of([("app", Profile::log()), ("billing", Profile::correlated()), ("crm", profile)]);
        world.add("app", json!({"email": "a@x.org", "phone": "A"}));
        world.sync().await;
        for (round, phone) in ["B", "A", "B", "A"].into_iter().enumerate() {
            let editor = ["crm", "app"][round / 2];
            world.edit(editor, "a@x.org", json!({"phone": phone}));
            world.sync().await;
            let all = [json!(phone), json!(phone), json!(phone)];
            assert_eq!(world.everywhere("a@x.org", "phone"), all, "{name}, round {round}");
            world.check_in_sync().await;
        }
    }
}

#[tokio::test]
async fn two_populated_copies_that_meet_are_concurrent_where_they_differ() {
    for (name, profile) in Profile::all() {
        let world = World::of([("app", Profile::log()), ("crm", profile)]);
        world.add("app", json!({"email": "a@x.org", "name": "App", "phone": "app"}));
        world.add("crm", json!({"email": "a@x.org", "name": "Crm", "phone": "crm", "stage": "lead"}));
        world.sync().await;
        assert_eq!(world.everywhere("a@x.org", "name"), [json!("App"), json!("App")], "{name}");
        assert_eq!(world.everywhere("a@x.org", "phone"), [json!("crm"), json!("crm")], "{name}");
        assert_eq!(world.count_of("conflict_resolved").await, 2, "{name}");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn absent_never_clears_and_null_only_where_it_is_declared_to() {
    let mut rules = customer();
    rules["systems"] = json!({"crm": {"nulls": "clear"}});
    let world = World::with(json!({ "customer": rules }), [("app", Profile::log()), ("crm", Profile::cas())]);
    world.add("app", json!({"email": "a@x.org", "name": "Ann", "phone": "1"}));
    world.sync().await;
    world.edit("app", "a@x.org", json!({"phone": null}));
    world.sync().await;
    assert_eq!(world.everywhere("a@x.org", "phone"), [json!("1"), json!("1")], "null says nothing in app");
    world.edit("crm", "a@x.org", json!({"phone": null}));
    world.sync().await;
    assert_eq!(world.everywhere("a@x.org", "phone"), [json!(null), json!(null)], "null clears in crm");
    world.check_in_sync().await;
}

#[tokio::test]
async fn an_edit_between_our_look_and_our_write_is_not_overwritten() {
    for (name, profile) in [("log", Profile::log()), ("cas", Profile::cas())] {
        let world = linked(profile).await;
        world.edit("app", "a@x.org", json!({"phone": "app"}));
        // A person is faster than our write: the precondition fails, the copy is read and decided.
        let engine = world.engine();
        let mut run = Box::pin(engine.sync(avowal_engine::SyncOptions::default(), &avowal_engine::Unwatched));
        let writes = world.system("crm").calls().writes;
        let mut edited = false;
        let report = std::future::poll_fn(|context| {
            if !edited && world.records_now().iter().any(is_sent) {
                edited = true;
                world.edit("crm", "a@x.org", json!({"phone": "crm"}));
            }
            run.as_mut().poll(context)
        })
        .await
        .unwrap();
        assert!(edited && world.system("crm").calls().writes > writes, "{name}");
        assert_eq!(world.everywhere("a@x.org", "phone"), [json!("crm"), json!("crm")], "{name}: {report:?}");
        assert_eq!(world.count_of("conflict_resolved").await, 1, "{name}");
        world.check_in_sync().await;
    }
}

fn is_sent(record: &avowal_core::record::Record) -> bool {
    record.intents.get("crm").is_some_and(|intent| intent.status == IntentStatus::Sent)
}
