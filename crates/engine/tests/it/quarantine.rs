//! What cannot be understood is set aside with its reason, holds up nobody, and can be tried again.

use crate::world::{CUSTOMER, World, customer};
use avowal_core::data::value::Value;
use avowal_engine::ports::store::{QuarantineItem, ReadOverview};
use avowal_engine::{SyncOptions, Unwatched};
use avowal_testkit::fake::{Fault, Profile};
use serde_json::json;

impl World {
    pub async fn quarantine(&self) -> Vec<QuarantineItem> {
        self.store.quarantined(100).await.unwrap()
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_set_aside_and_the_others_go_on() {
    for (name, profile) in Profile::all() {
        let world = World::of([("app", Profile::log()), ("crm", profile)]);
        let bad = world.add("crm", json!({"email": "bad@x.org"}));
        world.system("crm").set_unreadable(CUSTOMER, &bad, true);
        for n in 0..5 {
            world.add("crm", json!({"email": format!("{n}@x.org")}));
        }
        // A value of the wrong type sets aside its field only: the row goes through without it.
        world.add("crm", json!({"email": "worse@x.org", "credit": "many"}));
        world.sync().await;
        assert_eq!(world.counts(), [6, 7], "{name}");
        let items = world.quarantine().await;
        assert_eq!(items.len(), 2, "{name}: {items:?}");
        assert!(items.iter().any(|item| item.reason.contains("credit (`credit`)")), "{name}: {items:?}");
        world.check_laws().await;
        let events = world.events().await.len();
        world.sync().await;
        assert_eq!((world.quarantine().await.len(), world.events().await.len()), (2, events), "{name}");
        // Both are repaired: they come in, and their items close.
        world.system("crm").set_unreadable(CUSTOMER, &bad, false);
        world.edit("crm", "worse@x.org", json!({"credit": 5}));
        world.sync().await;
        assert_eq!(world.counts(), [7, 7], "{name}");
        assert_eq!(world.quarantine().await, [], "{name}");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn what_comes_last_tells_whether_a_copy_is_set_aside() {
    for ends_readable in [false, true] {
        let world = World::of([("app", Profile::log()), ("crm", Profile::log())]);
        let row = world.add("crm", json!({"email": "a@x.org"}));
        world.system("crm").set_unreadable(CUSTOMER, &row, true);
        world.sync().await;
        assert_eq!(world.quarantine().await.len(), 1);
        // One page of the log shows it readable and not, in one order or the other.
        if ends_readable {
            world.edit("crm", "a@x.org", json!({"name": "Ann"}));
        }
        world.system("crm").set_unreadable(CUSTOMER, &row, false);
        if !ends_readable {
            world.system("crm").set_unreadable(CUSTOMER, &row, true);
        }
        world.sync().await;
        assert_eq!(world.quarantine().await.len(), usize::from(!ends_readable), "readable: {ends_readable}");
    }
}

#[tokio::test]
async fn an_item_is_replayed_by_reading_the_copy_anew() {
    let world = World::of([("app", Profile::log()), ("crm", Profile::log())]);
    let bad = world.add("crm", json!({"email": "bad@x.org"}));
    world.system("crm").set_unreadable(CUSTOMER, &bad, true);
    world.sync().await;
    let item = world.quarantine().await.remove(0);
    // In vain at first: it is set aside again.
    world.engine().replay(&item, "ann").await.unwrap();
    world.sync().await;
    assert_eq!(world.quarantine().await.len(), 1);
    world.system("crm").repair_silently(&bad);
    let item = world.quarantine().await.remove(0);
    world.engine().replay(&item, "ann").await.unwrap();
    world.sync().await;
    assert_eq!(world.counts(), [1, 1]);
    assert_eq!(world.quarantine().await, []);
    world.check_in_sync().await;
}

#[tokio::test]
async fn a_create_that_nobody_can_settle_is_shown_and_a_person_settles_it() {
    let mut world = World::of([("app", Profile::log()), ("crm", Profile::cas().proving(false, false))]);
    world.settings.patience_ms = 600_000;
    world.sync().await;
    world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
    world.system("crm").fail_writes([Fault::TimeoutBefore]);
    world.sync().await;
    let items = world.quarantine().await;
    assert_eq!(items.len(), 1);
    assert!(items[0].reason.contains("unknown"), "{}", items[0].reason);
    assert_eq!(world.system("crm").calls().writes, 1, "it is not sent again by itself");
    // A person has looked: it is not there.
    world.engine().replay(&items[0], "ann").await.unwrap();
    world.sync().await;
    assert_eq!(world.counts(), [1, 1]);
    assert_eq!(world.quarantine().await, []);
    world.check_in_sync().await;
}

#[tokio::test]
async fn two_writers_that_keep_undoing_each_other_are_parted() {
    let mut rules = customer();
    rules["fields"]["email"] = json!({"type": "string", "owner": "app", "strategy": "owner_wins"});
    for (name, profile) in Profile::all() {
        let world =
            World::with(json!({ "customer": rules.clone() }), [("app", Profile::log()), ("crm", profile)]);
        // The email belongs to app, and an automation in crm knows better.
        world.system("crm").set_automation(|column, value| match (column, value.as_text()) {
            ("email", Some(text)) => Value::text(text.replace("@x.org", "@crm.org")),
            _ => value.clone(),
        });
        world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
        world.add("app", json!({"email": "b@y.org", "name": "Bea"}));
        // Where only time tells a lagging read from an automation, that takes its time. One process counts.
        let engine = world.engine();
        for _ in 0..20 {
            engine.sync(SyncOptions::default(), &Unwatched).await.unwrap();
            world.clock.advance(15_000);
        }
        let writes = world.system("crm").calls().writes;
        assert!(writes < 20, "{name}: {writes} writes");
        assert_eq!(world.get("crm", "b@y.org", "name"), json!("Bea"), "{name}: the others go on");
        world.check_laws().await;
        world.check_idle().await;
        let items = world.quarantine().await;
        assert_eq!(items.len(), 1, "{name}: {items:?}");
        // Where nothing shows our value in between, the system seems to keep its own.
        let words = ["crm keeps changing email back", "keeps what stood in email before"];
        let reasons = items.iter().all(|item| words.iter().any(|words| item.reason.contains(words)));
        assert!(reasons, "{name}: {items:?}");
    }
}
