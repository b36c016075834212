//! Systems that answer and contradict themselves: one copy whose read fails, a copy that is missing and shown, a write that
//! is taken and not kept, credentials that may read and not write.

use crate::world::{CUSTOMER, World};
use avowal_core::record::intent::Operation;
use avowal_engine::ports::clock::Clock as _;
use avowal_engine::ports::store::ReadOverview;
use avowal_testkit::fake::{Fault, Profile};
use serde_json::json;

async fn two(profile: Profile) -> World {
    let world = World::of([("app", Profile::log()), ("crm", profile)]);
    world.add("app", json!({"email": "a@x.org", "name": "Ann", "phone": "1"}));
    world.add("app", json!({"email": "b@x.org", "name": "Bob", "phone": "2"}));
    world.sync().await;
    world.system("crm").take_deliveries();
    world
}

#[tokio::test]
async fn one_copy_whose_read_fails_holds_up_nobody() {
    for (name, profile) in Profile::all() {
        let world = two(profile).await;
        let id = world.id("crm", "a@x.org");
        world.system("crm").fail_reads_of(&id, Some("403 forbidden"));
        world.edit("crm", "a@x.org", json!({"phone": "11"}));
        world.edit("crm", "b@x.org", json!({"phone": "22"}));
        let engine = world.engine();
        for delivery in world.system("crm").take_deliveries() {
            engine.receive_delivery(&"crm".into(), &delivery).await;
        }
        let report = world.sync().await;
        assert!(report.systems["crm"].problem.is_none(), "{name}: {report:?}");
        assert_eq!(world.get("app", "b@x.org", "phone"), json!("22"), "{name}");
        for _ in 0..12 {
            world.clock.advance(60_000);
            world.sync().await;
        }
        let is_settled = world.get("app", "a@x.org", "phone") == json!("11");
        let aside = world.store.quarantined(10).await.unwrap();
        assert!(is_settled || aside.len() == 1, "{name}: {aside:?}\n{}", world.story());
        let reads = world.system("crm").calls().reads;
        world.clock.advance(600_000);
        world.sync().await;
        assert!(world.system("crm").calls().reads <= reads + 2, "{name}: it is not read for ever");
        // A listing has the last word about it.
        for _ in 0..3 {
            world.full_sync().await;
            world.clock.advance(60_000);
        }
        assert_eq!(world.get("app", "a@x.org", "phone"), json!("11"), "{name}\n{}", world.story());
        assert_eq!(world.store.quarantined(10).await.unwrap(), [], "{name}");
    }
}

#[tokio::test]
async fn a_write_that_is_taken_and_not_kept_reverts_nobody() {
    for (name, profile) in Profile::all() {
        if name == "correlated" {
            // The echo that names our write is believed, whatever it shows.
            continue;
        }
        let world = two(profile).await;
        world.system("crm").set_normaliser(|column, value| match column {
            "phone" => avowal_core::data::value::Value::text("1"),
            _ => value.clone(),
        });
        world.edit("app", "a@x.org", json!({"phone": "99", "name": "Anna"}));
        for _ in 0..20 {
            world.sync().await;
            world.clock.advance(60_000);
        }
        assert_eq!(world.get("app", "a@x.org", "phone"), json!("99"), "{name}\n{}", world.story());
        assert_eq!(world.get("crm", "a@x.org", "name"), json!("Anna"), "{name}");
        let report = world.sync().await;
        assert!(report.has_something_waiting(), "{name}: it is no agreement: {report:?}");
        let writes = world.write_calls();
        world.clock.advance(600_000);
        world.full_sync().await;
        assert_eq!(world.write_calls(), writes, "{name}: it is not written for ever");
        assert_eq!(world.get("app", "a@x.org", "phone"), json!("99"), "{name}");
    }
}

#[tokio::test]
async fn refused_credentials_end_the_writes_of_a_run_at_once() {
    for (name, profile) in Profile::all() {
        let world = two(profile).await;
        for n in 0..3 {
            world.add("app", json!({"email": format!("{n}@x.org")}));
        }
        world.edit("app", "a@x.org", json!({"name": "Anna"}));
        world.system("crm").fail_writes(vec![Fault::Unauthorised; 1_000]);
        let (writes, began) = (world.system("crm").calls().writes, world.clock.now().millis());
        let report = world.sync().await;
        assert!(report.has_refused_credentials(), "{name}: {report:?}");
        assert!(report.systems["crm"].problem.as_deref().unwrap_or("").contains("401"), "{name}: {report:?}");
        assert!(world.system("crm").calls().writes <= writes + 4, "{name}");
        assert!(world.clock.now().millis() < began + 3_000, "{name}: it waits for nothing");
        world.system("crm").fail_nothing();
        world.sync().await;
        assert_eq!(world.system("crm").rows(CUSTOMER).len(), 5, "{name}");
        world.check_in_sync().await;
    }
}

/// The answer was lost, and before the write is repeated somebody puts back what stood there. The repetition is answered
/// like the first attempt, and a read shows the old value: that is the person's, and no refusal.
#[tokio::test]
async fn what_somebody_puts_back_before_a_repetition_is_no_refusal() {
    let mut world = World::linked(Profile::log()).await;
    world.settings.patience_ms = 0;
    let before = world.get("crm", "a@x.org", "phone");
    world.system("crm").set_feed_stuck(true);
    world.system("crm").fail_operation(Operation::Update, [Fault::TimeoutAfter]);
    world.edit("app", "a@x.org", json!({"phone": "22"}));
    world.sync().await;
    assert_eq!(world.get("crm", "a@x.org", "phone"), json!("22"));
    world.edit("crm", "a@x.org", json!({"phone": before}));
    world.clock.advance(60_000);
    world.sync().await;
    world.system("crm").set_feed_stuck(false);
    for _ in 0..3 {
        world.clock.advance(60_000);
        world.sync().await;
    }
    assert_eq!(world.quarantine().await, [], "{}", world.story());
    assert_eq!(world.everywhere("a@x.org", "phone"), [before.clone(), before], "{}", world.story());
    world.check_in_sync().await;
}
