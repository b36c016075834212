//! The first write into a system that holds something waits for a person, whatever happens in between.

use crate::world::{CUSTOMER, World};
use avowal_core::record::observation::Channel;
use avowal_engine::ports::clock::Clock as _;
use avowal_engine::ports::connector::{Change, RemoteState};
use avowal_engine::ports::store::{ControlStops, StopCause};
use avowal_engine::{Batch, FirstWrite, FirstWrites, SyncOptions, Unwatched};
use avowal_testkit::fake::Profile;
use serde_json::json;

fn agreed() -> FirstWrites {
    FirstWrites::Agreed { by: "Ada".to_owned() }
}

/// Two systems that hold the same two customers with other names, and one customer each that the other lacks.
fn populated(profile: Profile) -> World {
    let mut world = World::of([("app", Profile::log()), ("crm", profile)]);
    world.settings.first_writes = FirstWrites::Ask;
    for n in 0..2 {
        world.add("app", json!({"email": format!("{n}@x.org"), "name": "Ann", "phone": "1"}));
        world.add("crm", json!({"email": format!("{n}@x.org"), "name": "Anne", "stage": "lead"}));
    }
    world.add("app", json!({"email": "app@x.org", "name": "Bob"}));
    world.add("crm", json!({"email": "crm@x.org", "name": "Cid"}));
    world
}

#[tokio::test]
async fn nothing_is_written_into_a_system_that_holds_something_before_a_person_has_agreed() {
    for (name, profile) in Profile::all() {
        let mut world = populated(profile);
        for _ in 0..3 {
            let report = world.sync().await;
            assert_eq!(world.write_calls(), 0, "{name}");
            assert!(report.is_held(), "{name}: {report:?}");
            let counted =
                |system: &str| FirstWrite { system: system.into(), creates: 1, updates: 2, deletes: 0 };
            assert_eq!(report.first_writes, [counted("app"), counted("crm")], "{name}");
            let said = report.first_writes[0].to_string();
            assert!(
                said.contains("3 writes to it wait for your word: 1 made, 2 changed, 0 deleted"),
                "{said}"
            );
            world.clock.advance(60_000);
        }
        world.settings.first_writes = agreed();
        let report = world.sync().await;
        assert!(!report.is_held(), "{name}: {report:?}");
        assert_eq!((world.counts(), report.written()), (vec![4, 4], 6), "{name}");
        // Once answered, it is never asked again.
        world.settings.first_writes = FirstWrites::Ask;
        world.edit("app", "0@x.org", json!({"name": "Anna"}));
        world.clock.advance(60_000);
        let report = world.sync().await;
        assert_eq!((report.is_held(), report.written()), (false, 1), "{name}: {report:?}");
    }
}

#[tokio::test]
async fn a_run_that_is_dropped_anywhere_has_written_nothing() {
    for polls in 1..400 {
        let world = populated(Profile::cas());
        let engine = world.engine();
        let mut run = Box::pin(engine.sync(SyncOptions::default(), &Unwatched));
        let mut context = std::task::Context::from_waker(futures::task::noop_waker_ref());
        let ended = (0..polls).any(|_| run.as_mut().poll(&mut context).is_ready());
        drop(run);
        assert_eq!(world.write_calls(), 0, "{polls} polls");
        assert!(world.sync().await.is_held(), "{polls} polls");
        assert_eq!(world.write_calls(), 0, "{polls} polls, then another run");
        if ended {
            return;
        }
    }
    panic!("the run never ended");
}

#[tokio::test]
async fn an_empty_system_is_filled_without_a_question_and_edits_flow_afterwards() {
    for (name, profile) in Profile::all() {
        let mut world = World::of([("app", Profile::log()), ("crm", profile)]);
        world.settings.first_writes = FirstWrites::Ask;
        world.add("app", json!({"email": "a@x.org", "name": "Ann", "phone": "1"}));
        let report = world.sync().await;
        assert_eq!((report.is_held(), report.written()), (false, 1), "{name}: {report:?}");
        assert_eq!(report.stops, [], "{name}: the systems agree, so nothing is left to ask");
        world.clock.advance(60_000);
        world.edit("crm", "a@x.org", json!({"phone": "2"}));
        world.clock.advance(60_000);
        let report = world.sync().await;
        assert_eq!((report.is_held(), report.written()), (false, 1), "{name}: {report:?}");
    }
}

#[tokio::test]
async fn a_system_that_cannot_be_read_leaves_the_question_open() {
    let mut world = populated(Profile::cas());
    world.system("crm").set_down(Some(crate::world::unreachable()));
    let report = world.sync().await;
    assert!(!report.is_held(), "nothing waits yet: {report:?}");
    assert!(
        report.stops.iter().any(|stop| stop.cause == StopCause::FirstWrite && stop.system == "app".into())
    );
    world.system("crm").set_down(None);
    assert!(world.sync().await.is_held());
    assert_eq!(world.write_calls(), 0);
    world.settings.first_writes = agreed();
    world.sync().await;
    assert_eq!(world.counts(), [4, 4]);
}

#[tokio::test]
async fn a_third_empty_system_is_filled_while_the_others_wait() {
    let mut world =
        World::of([("app", Profile::log()), ("billing", Profile::cas()), ("crm", Profile::correlated())]);
    world.settings.first_writes = FirstWrites::Ask;
    world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
    world.add("crm", json!({"email": "a@x.org", "name": "Anne"}));
    let report = world.sync().await;
    assert!(report.is_held());
    assert_eq!(world.counts(), [1, 1, 1]);
    assert_eq!((world.system("app").calls().writes, world.system("crm").calls().writes), (0, 0));
}

#[tokio::test]
async fn a_daemon_holds_and_goes_on_when_a_person_lifts_the_stop() {
    let world = populated(Profile::cas());
    let engine = world.engine();
    engine.prepare().await.unwrap();
    let turns = async |count: usize| {
        for _ in 0..count {
            for system in world.systems.keys() {
                engine.turn(system, &Unwatched).await.unwrap();
            }
            world.clock.advance(1_000);
        }
    };
    turns(5).await;
    assert_eq!(world.write_calls(), 0);
    let stops = world.store.stops().await.unwrap();
    assert_eq!(stops.len(), 2, "{stops:?}");
    for stop in &stops {
        world.store.lift_stop(stop, "Ada", world.clock.now()).await.unwrap();
    }
    turns(5).await;
    assert_eq!(world.counts(), [4, 4]);
}

#[tokio::test]
async fn what_a_read_shows_before_the_first_listing_asks_as_well() {
    let world = populated(Profile::cas());
    let engine = world.engine();
    let id = world.id("crm", "0@x.org");
    let mut batch = Batch::new(&"crm".into(), Channel::Read, world.clock.now());
    let row = world.system("crm").row(CUSTOMER, &id).unwrap();
    batch.items = vec![(CUSTOMER.into(), Change::bare(id, RemoteState::Present(row)))];
    engine.ingest(batch).await.unwrap();
    let stops = world.store.stops().await.unwrap();
    assert!(stops.iter().any(|stop| stop.cause == StopCause::FirstWrite && stop.system == "crm".into()));
    world.sync().await;
    assert_eq!(world.write_calls(), 0);
}
