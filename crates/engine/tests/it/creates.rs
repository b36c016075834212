//! Creates are effects: a system that shows nothing is not filled anew, and a create that is not shown yet is not repeated.

use crate::world::{CUSTOMER, World};
use avowal_core::record::intent::Operation;
use avowal_engine::ports::clock::Clock as _;
use avowal_engine::ports::store::{ControlStops, KeepLags, Stop, StopCause};
use avowal_testkit::fake::{Fault, Profile};
use serde_json::json;

async fn of_rows(profile: Profile, rows: usize) -> World {
    let world = World::of([("app", Profile::log()), ("crm", profile)]);
    for n in 0..rows {
        world.add("app", json!({"email": format!("{n}@x.org"), "name": "Ann"}));
    }
    world.sync().await;
    assert_eq!(world.counts(), [rows, rows], "a system that was never linked is filled");
    world
}

fn creates_stop(stops: &[Stop]) -> Option<&Stop> {
    stops.iter().find(|stop| stop.cause == StopCause::Creates)
}

#[tokio::test]
async fn a_system_that_shows_nothing_any_more_is_not_filled_anew() {
    for (name, profile) in
        [("cas", Profile::cas()), ("bare", Profile::bare()), ("ids", Profile::signal_only())]
    {
        for rows in [2, 20] {
            let mut world = of_rows(profile.clone(), rows).await;
            world.policies = World::with(
                json!({"customer": {
                    "match_on": ["email"],
                    "fields": {
                        "email": {"type": "string", "owner": "app", "strategy": "owner_wins"},
                        "name": {"type": "string", "owner": "shared", "strategy": "latest_valid_change", "precedence": ["app", "crm"]}
                    },
                    "deletes": {"owner": "app", "on_refused": "revert", "edit_against_delete": "edit_wins"}
                }}),
                [("app", Profile::log()), ("crm", profile.clone())],
            )
            .policies;
            world.system("crm").set_blind(true);
            let report = world.full_sync().await;
            assert!(report.is_held(), "{name} {rows}: {report:?}");
            let stop = creates_stop(&report.stops).unwrap_or_else(|| panic!("{name} {rows}: {report:?}"));
            assert!(stop.to_string().contains("--approve-creates"), "{stop}");
            assert!(stop.to_string().contains(&rows.to_string()), "{stop}");
            assert_eq!(world.counts(), [rows, rows], "{name}");
            // It holds in the next run as well, and new people are not let in either.
            world.add("app", json!({"email": "new@x.org", "name": "New"}));
            assert!(world.sync().await.is_held(), "{name}");
            assert_eq!(world.counts(), [rows + 1, rows], "{name}");
            world.system("crm").set_blind(false);
            for _ in 0..3 {
                world.clock.advance(60_000);
                world.full_sync().await;
            }
            assert_eq!(world.counts(), [rows + 1, rows], "{name} {rows}: what it shows again is not made");
            world.store.lift_stop(&stop.clone(), "Ada", world.clock.now()).await.unwrap();
            world.sync().await;
            assert_eq!(world.counts(), [rows + 1, rows + 1], "{name} {rows}\n{}", world.story());
            world.check_in_sync().await;
        }
    }
}

#[tokio::test]
async fn what_a_person_has_approved_is_made_again() {
    let world = of_rows(Profile::cas(), 20).await;
    for n in 0..20 {
        let id = world.id("crm", &format!("{n}@x.org"));
        world.system("crm").delete_silently(CUSTOMER, &id);
    }
    world.edit("app", "3@x.org", json!({"name": "Bea"}));
    world.full_sync().await;
    assert!(world.counts()[1] <= 1, "{:?}", world.counts());
}

#[tokio::test]
async fn a_create_that_is_shown_late_is_made_once() {
    for (name, profile) in [("cas", Profile::cas()), ("ids", Profile::signal_only())] {
        for ms in [3_000, 9_000, 14_000] {
            let world = World::of([("app", Profile::log()), ("crm", profile.clone())]);
            world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
            world.system("crm").fail_operation(Operation::Create, [Fault::ShownLate(ms)]);
            world.sync().await;
            world.clock.advance(60_000);
            world.sync().await;
            assert_eq!(world.counts(), [1, 1], "{name} {ms}\n{}", world.story());
            world.check_in_sync().await;
        }
    }
}

#[tokio::test]
async fn a_lost_create_is_repeated_when_a_listing_lacks_it_too() {
    let world = World::of([("app", Profile::log()), ("crm", Profile::cas())]);
    world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
    world.system("crm").fail_operation(Operation::Create, [Fault::TimeoutBefore]);
    let lists = world.system("crm").calls().lists;
    let report = world.sync().await;
    assert_eq!(world.counts(), [1, 1], "{report:?}\n{}", world.story());
    assert!(world.system("crm").calls().lists > lists + 1, "it was listed");
    world.check_in_sync().await;
}

#[tokio::test]
async fn a_lost_create_is_repeated_although_no_run_is_as_long_as_the_lag() {
    for (name, profile) in [("cas", Profile::cas()), ("ids", Profile::signal_only())] {
        let world = World::of([("app", Profile::log()), ("crm", profile.proving(false, true))]);
        world.store.keep_lag(&"crm".into(), 30_000).await.unwrap();
        world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
        world.system("crm").fail_operation(Operation::Create, [Fault::TimeoutBefore]);
        world.sync().await;
        assert_eq!(world.counts(), [1, 0], "{name}: the lag is not over");
        for _ in 0..6 {
            world.clock.advance(10_000);
            world.sync().await;
        }
        assert_eq!(world.counts(), [1, 1], "{name}: {}", world.story());
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn a_create_without_any_effect_is_left_to_a_person_in_the_end() {
    let world = World::of([("app", Profile::log()), ("crm", Profile::cas())]);
    world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
    world.system("crm").fail_operation(Operation::Create, vec![Fault::TimeoutBefore; 50]);
    for _ in 0..8 {
        world.sync().await;
        world.clock.advance(60_000);
    }
    let report = world.sync().await;
    assert_eq!(report.quarantine_open, 1, "{report:?}");
    assert!(world.system("crm").calls().writes <= 3, "{:?}", world.system("crm").calls());
}

/// A create was sent and its answer lost; then the system shows nothing at all. What held copies is not empty, so that
/// the create is not in the listing proves nothing.
#[tokio::test]
async fn an_empty_listing_of_a_system_that_held_copies_proves_nothing_of_a_lost_create() {
    for (name, profile) in [("cas", Profile::cas()), ("ids", Profile::signal_only())] {
        let world = of_rows(profile.proving(false, true), 1).await;
        world.add("app", json!({"email": "new@x.org", "name": "New"}));
        world.system("crm").fail_writes([Fault::CrashAfter]);
        crate::crashes::poll_times(world.engine(), 5_000).await;
        assert_eq!(world.counts(), [2, 2], "{name}: it was made");
        world.system("crm").set_blind(true);
        for _ in 0..5 {
            world.clock.advance(60_000);
            world.full_sync().await;
        }
        assert_eq!(world.counts()[1], 2, "{name}: it was not made again");
        world.system("crm").set_blind(false);
        for _ in 0..3 {
            world.clock.advance(600_000);
            world.full_sync().await;
        }
        assert_eq!(world.counts(), [2, 2], "{name}");
    }
}

/// The system says of a copy that it is not there, because it is not there yet. That is no delete done.
#[tokio::test]
async fn a_copy_that_is_shown_late_is_deleted_all_the_same() {
    let mut world = World::of([("app", Profile::log()), ("crm", Profile::correlated())]);
    world.settings.patience_ms = 0;
    world.sync().await;
    let id = world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
    world.system("crm").fail_operation(Operation::Create, [Fault::ShownLate(10_000)]);
    world.sync().await;
    for delivery in world.system("crm").take_deliveries() {
        world.engine().receive_delivery(&"crm".into(), &delivery).await;
    }
    world.system("app").delete(CUSTOMER, &id);
    for _ in 0..6 {
        world.sync().await;
        world.clock.advance(10_000);
    }
    assert_eq!(world.counts(), [0, 0], "{}", world.story());
    world.check_in_sync().await;
}
