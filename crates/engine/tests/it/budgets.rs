//! How many writes go: so many within an hour and a day, and the first of a run before the others.

use crate::guards::{ROWS, email, linked, row};
use crate::world::value;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::clock::Clock as _;
use avowal_engine::ports::store::{ControlStops, StopCause};
use avowal_engine::{Engine, SyncOptions, Unwatched, WriteRate};
use avowal_testkit::fake::{Fault, Profile};
use serde_json::json;
use std::sync::Arc;

/// Every write counts, whatever becomes of it, in whichever run it goes out.
#[tokio::test]
async fn a_write_budget_lets_so_many_go_within_an_hour_and_a_day() {
    let mut world = linked(Profile::cas()).await;
    world.settings.guards.writes_per_hour = Some(10);
    world.settings.guards.writes_per_day = Some(25);
    for n in ROWS..ROWS + 30 {
        world.add("app", row(n));
    }
    let report = world.sync().await;
    assert_eq!((world.counts(), report.intents_open), (vec![ROWS + 30, ROWS + 10], 20));
    assert!(!report.is_held() && report.has_something_waiting());
    let [used] = report.used_up.as_slice() else { panic!("{report:?}") };
    assert!(
        used.to_string()
            .starts_with("crm: 10 of 10 writes within an hour and 10 of 25 writes within a day; the next"),
        "{used}"
    );
    // Another process counts on.
    assert_eq!(world.sync().await.written(), 0);
    world.clock.advance(30 * 60 * 1000);
    assert_eq!(world.sync().await.written(), 0);
    world.clock.advance(32 * 60 * 1000);
    assert_eq!(world.sync().await.written(), 10);
    world.clock.advance(62 * 60 * 1000);
    let report = world.sync().await;
    assert_eq!((report.written(), world.counts()[1]), (5, ROWS + 25), "the day is used up");
    world.clock.advance(62 * 60 * 1000);
    assert_eq!(world.sync().await.written(), 0);
    world.clock.advance(24 * 60 * 60 * 1000);
    let report = world.sync().await;
    assert_eq!((world.counts()[1], report.used_up), (ROWS + 30, vec![]));
    world.check_in_sync().await;
}

#[tokio::test]
async fn what_the_rate_does_not_let_go_is_not_counted_against_the_budget() {
    let mut world = linked(Profile::cas()).await;
    world.settings.guards.writes_per_hour = Some(10);
    world.rates.insert("crm".into(), WriteRate { per_second: 2, burst: 2 });
    for n in ROWS..ROWS + 20 {
        world.add("app", row(n));
    }
    assert_eq!(world.sync().await.written(), 10);
}

#[tokio::test]
async fn two_processes_together_keep_to_one_budget() {
    let mut world = linked(Profile::cas()).await;
    world.settings.guards.writes_per_hour = Some(10);
    world.settings.batch_records_max = 4;
    for n in ROWS..ROWS + 30 {
        world.add("app", row(n));
    }
    let (one, other) = (world.engine(), world.engine());
    let sync = |engine: Arc<Engine>| async move { engine.sync(SyncOptions::default(), &Unwatched).await };
    let (one, other) = futures::join!(sync(one), sync(other));
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    assert!(world.counts()[1] <= ROWS + 10, "{:?}", world.counts());
    world.clock.advance(62 * 60 * 1000);
    world.sync().await;
    assert!(world.counts()[1] <= ROWS + 20 && world.counts()[1] > ROWS + 10, "{:?}", world.counts());
}

#[tokio::test]
async fn the_first_writes_of_a_run_are_confirmed_before_the_others_go() {
    for (name, crm) in Profile::all() {
        let mut world = linked(crm).await;
        world.settings.guards.canary = 3;
        for n in ROWS..ROWS + 20 {
            world.add("app", row(n));
        }
        let at = world.system("crm").written_at().len();
        world.sync().await;
        assert_eq!(world.counts()[1], ROWS + 20, "{name}");
        assert_eq!(world.system("crm").written_at().len() - at, 20, "{name}");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn while_the_first_writes_are_not_confirmed_the_others_do_not_go() {
    let mut world = linked(Profile::cas()).await;
    world.settings.guards.canary = 3;
    world.settings.patience_ms = 0;
    for n in ROWS..ROWS + 20 {
        world.add("app", row(n));
    }
    world.system("crm").fail_operation(Operation::Create, vec![Fault::TimeoutBefore; 3]);
    let report = world.sync().await;
    assert_eq!((report.written(), report.intents_open, world.counts()[1]), (0, 20, ROWS));
    world.settings.patience_ms = 20_000;
    for _ in 0..3 {
        world.clock.advance(60_000);
        world.sync().await;
    }
    assert_eq!(world.counts()[1], ROWS + 20, "{}", world.story());
    world.check_in_sync().await;
}

#[tokio::test]
async fn where_the_first_writes_are_refused_the_others_do_not_go() {
    let mut world = linked(Profile::cas()).await;
    world.settings.guards.canary = 3;
    world.system("crm").refuse("status", value(&json!("x")));
    for n in 0..20 {
        world.edit("app", &email(n), json!({"status": "x"}));
    }
    let sent = world.system("crm").written_at().len();
    let report = world.sync().await;
    let [stop] = report.stops.as_slice() else { panic!("{report:?}") };
    assert_eq!(stop.cause, StopCause::Canary);
    assert!(stop.to_string().contains("3 of the first 3 writes of the run could not be written"), "{stop}");
    assert_eq!(world.system("crm").written_at().len() - sent, 3);
    assert_eq!(report.quarantine_open, 3);
    world.system("crm").refuse_nothing();
    world.store.lift_stop(stop, "Ada", world.clock.now()).await.unwrap();
    world.sync().await;
    assert_eq!(world.get("crm", &email(19), "status"), json!("x"));
}
