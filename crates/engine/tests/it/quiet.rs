//! No difference, no work: second runs, bulk touches, normalised values.

use crate::world::{CUSTOMER, World};
use avowal_core::data::value::Value;
use avowal_testkit::fake::Profile;
use serde_json::json;

#[tokio::test]
async fn a_second_run_does_nothing_whatever_the_system_can_prove() {
    for (left, one) in Profile::all() {
        for (right, other) in Profile::all() {
            let world = World::of([("app", one.clone()), ("crm", other)]);
            for n in 0..5 {
                world.add("app", json!({"email": format!("{n}@x.org"), "tags": ["a"], "credit": 5}));
                world.add("crm", json!({"email": format!("{}@x.org", n + 3), "phone": "5"}));
            }
            world.sync().await;
            assert_eq!(world.counts(), [8, 8], "{left} and {right}");
            world.check_in_sync().await;
            world.edit("app", "0@x.org", json!({"name": "Ann"}));
            world.edit("crm", "0@x.org", json!({"stage": "customer"}));
            world.sync().await;
            assert_eq!(world.everywhere("0@x.org", "name"), [json!("Ann"), json!("Ann")], "{left}, {right}");
            assert_eq!(world.everywhere("0@x.org", "stage"), [json!("customer"), json!("customer")]);
            world.check_in_sync().await;
        }
    }
}

#[tokio::test]
async fn a_bulk_touch_of_every_row_costs_no_write_and_no_event() {
    for (name, profile) in Profile::all() {
        let world = World::of([("app", Profile::log()), ("crm", profile)]);
        for n in 0..50 {
            world.add("app", json!({"email": format!("{n}@x.org"), "name": "Ann"}));
        }
        world.sync().await;
        world.check_in_sync().await;
        let (events, writes) = (world.events().await.len(), world.write_calls());
        world.system("app").touch_all(CUSTOMER);
        world.system("crm").touch_all(CUSTOMER);
        let report = world.sync().await;
        assert_eq!((report.events, report.written()), (0, 0), "{name}");
        assert_eq!((world.events().await.len(), world.write_calls()), (events, writes), "{name}");
        // What a touch has made stale (an etag) does not stand in the way of the next write.
        world.edit("app", "7@x.org", json!({"name": "Bea"}));
        world.sync().await;
        assert_eq!(world.get("crm", "7@x.org", "name"), json!("Bea"), "{name}");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn what_a_system_makes_of_a_value_is_no_change() {
    for (name, profile) in Profile::all() {
        let world = World::of([("app", Profile::log()), ("crm", profile)]);
        world.system("crm").set_normaliser(|column, value| match (column, value.as_text()) {
            ("phone", Some(text)) => Value::text(text.replace([' ', '-'], "")),
            _ => value.clone(),
        });
        world.add("app", json!({"email": "a@x.org", "phone": "1 23-4"}));
        world.sync().await;
        assert_eq!(world.everywhere("a@x.org", "phone"), [json!("1 23-4"), json!("1234")], "{name}");
        world.check_in_sync().await;
        world.edit("app", "a@x.org", json!({"phone": "9 9"}));
        world.sync().await;
        assert_eq!(world.everywhere("a@x.org", "phone"), [json!("9 9"), json!("99")], "{name}");
        // The normalised form of the new value is what stood there before.
        world.edit("app", "a@x.org", json!({"phone": "9-9"}));
        world.sync().await;
        assert_eq!(world.everywhere("a@x.org", "phone"), [json!("9-9"), json!("99")], "{name}");
        world.check_in_sync().await;
        world.edit("crm", "a@x.org", json!({"phone": "77"}));
        world.sync().await;
        assert_eq!(world.everywhere("a@x.org", "phone"), [json!("77"), json!("77")], "{name}");
        world.check_in_sync().await;
    }
}
