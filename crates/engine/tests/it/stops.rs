//! Stops: a person holds a system, or a system is not the one that it was.

use crate::world::World;
use avowal_engine::DeliveryOutcome;
use avowal_engine::ports::store::{ControlStops, Direction, Stop, StopCause};
use avowal_testkit::fake::Profile;
use serde_json::json;

fn stop(direction: Direction) -> Stop {
    Stop {
        system: "crm".into(),
        direction,
        cause: StopCause::Person,
        by: Some("Ada".to_owned()),
        note: Some("the CRM is being cleaned".to_owned()),
        since: Default::default(),
    }
}

async fn lift(world: &World, stop: &Stop) {
    assert!(world.store.lift_stop(stop, "Ada", Default::default()).await.unwrap());
}

#[tokio::test]
async fn nothing_is_written_to_a_stopped_system_and_what_it_shows_is_recorded() {
    for (name, profile) in Profile::all() {
        let world = World::linked(profile).await;
        let stop = stop(Direction::Out);
        world.store.set_stop(&stop).await.unwrap();
        let writes = world.system("crm").calls().writes;
        world.edit("app", "a@x.org", json!({"phone": "2"}));
        world.edit("crm", "a@x.org", json!({"name": "Crm"}));
        world.add("app", json!({"email": "b@x.org"}));
        let report = world.sync().await;
        assert_eq!(report.stops, std::slice::from_ref(&stop), "{name}");
        assert!(report.is_held(), "{name}");
        assert_eq!(world.system("crm").calls().writes, writes, "{name}");
        world.full_sync().await;
        assert_eq!(world.system("crm").calls().writes, writes, "{name}");
        assert_eq!(world.get("app", "a@x.org", "name"), json!("Crm"), "{name}");

        lift(&world, &stop).await;
        world.sync().await;
        assert_eq!(world.get("crm", "a@x.org", "phone"), json!("2"), "{name}");
        assert_eq!(world.counts(), [2, 2], "{name}");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn what_a_stopped_system_shows_is_kept_until_it_goes_on() {
    for (name, profile) in Profile::all() {
        let world = World::linked(profile).await;
        let stop = stop(Direction::In);
        world.store.set_stop(&stop).await.unwrap();
        world.edit("crm", "a@x.org", json!({"name": "Crm"}));
        let engine = world.engine();
        for delivery in world.system("crm").take_deliveries() {
            let outcome = engine.receive_delivery(&"crm".into(), &delivery).await;
            assert_eq!(outcome, DeliveryOutcome::Accepted, "{name}");
        }
        world.add("app", json!({"email": "b@x.org"}));
        world.sync().await;
        world.full_sync().await;
        assert_eq!(world.get("app", "a@x.org", "name"), json!("Ann"), "{name}");
        assert_eq!(world.counts(), [2, 2], "{name}: it is written to");

        lift(&world, &stop).await;
        world.sync().await;
        world.sync().await;
        assert_eq!(world.everywhere("a@x.org", "name"), [json!("Crm"), json!("Crm")], "{name}");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn a_restored_system_is_stopped_until_a_person_has_said_that_it_is_the_one() {
    for (name, profile) in Profile::all().into_iter().filter(|(_, profile)| profile.capabilities.feed) {
        let world = World::linked(profile).await;
        let backup = world.system("crm").backup();
        for phone in ["2", "3", "4"] {
            world.edit("crm", "a@x.org", json!({"phone": phone}));
            world.sync().await;
        }
        world.system("crm").restore(&backup);
        world.edit("crm", "a@x.org", json!({"name": "After the restore"}));
        world.edit("app", "a@x.org", json!({"stage": "lead"}));
        let writes = world.system("crm").calls().writes;
        for full in [false, true] {
            let report = if full { world.full_sync().await } else { world.sync().await };
            let [stop] = report.stops.as_slice() else { panic!("{name}: {report:?}") };
            assert_eq!((stop.direction, stop.cause), (Direction::Out, StopCause::Identity), "{name}");
            assert!(stop.to_string().contains("restored from a backup"), "{name}: {stop}");
            assert_eq!(world.get("app", "a@x.org", "phone"), json!("4"), "{name}: nothing old came back");
            assert_eq!(world.system("crm").calls().writes, writes, "{name}");
        }
        let engine = world.engine();
        assert!(engine.recognise(&"crm".into()).await.is_err(), "{name}");
        engine.adopt(&"crm".into()).await.unwrap();
        let stop = world.store.stops().await.unwrap().remove(0);
        lift(&world, &stop).await;
        world.clock.advance(60_000);
        world.sync().await;
        assert_eq!(world.get("app", "a@x.org", "name"), json!("After the restore"), "{name}");
        world.check_in_sync().await;
    }
}
