//! The process dies at every point at which it can: the next one finds everything, and does nothing twice.

use crate::world::World;
use avowal_engine::{Engine, SyncOptions, Unwatched};
use avowal_testkit::fake::{Fault, Profile};
use serde_json::json;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Polls a run so many times, then drops it as a crash would. Answers whether it came to its end before.
///
/// All polls happen within one of the test's own, which tokio would hold to one task's share of its locks: beyond
/// that they would be pending for ever.
pub async fn poll_times(engine: Arc<Engine>, times: usize) -> bool {
    let mut run = pin!(tokio::task::unconstrained(engine.sync(SyncOptions::default(), &Unwatched)));
    let mut context = Context::from_waker(futures::task::noop_waker_ref());
    for _ in 0..times {
        if let Poll::Ready(report) = run.as_mut().poll(&mut context) {
            report.unwrap();
            return true;
        }
    }
    false
}

/// Two systems with something of everything to do: a link, creates both ways, a conflict, a refusal, a delete.
async fn busy(one: Profile, other: Profile) -> World {
    let world = World::of([("app", one), ("crm", other)]);
    for n in 0..3 {
        world.add("app", json!({"email": format!("{n}@x.org"), "name": "Ann", "phone": "1", "credit": 1}));
    }
    world.add("crm", json!({"email": "0@x.org", "phone": "2"}));
    world.sync().await;
    world.check_in_sync().await;
    // So that even a read that lags shows what the first run has made.
    world.clock.advance(2_000);
    world.edit("app", "0@x.org", json!({"phone": "app", "name": "Bea", "credit": 4}));
    world.edit("crm", "0@x.org", json!({"phone": "crm", "stage": "lead", "credit": 3}));
    world.edit("app", "1@x.org", json!({"stage": "refused"}));
    world.add("crm", json!({"email": "new@x.org", "name": "crm"}));
    world.add("app", json!({"email": "other@x.org", "name": "app"}));
    let gone = world.id("app", "2@x.org");
    world.system("app").delete("customer", &gone);
    world
}

fn check_end(world: &World, story: &str) {
    assert_eq!(world.counts(), [4, 4], "{story}");
    let both = |json: serde_json::Value| [json.clone(), json];
    assert_eq!(world.everywhere("0@x.org", "phone"), both(json!("crm")), "{story}");
    assert_eq!(world.everywhere("0@x.org", "name"), both(json!("Bea")), "{story}");
    assert_eq!(world.everywhere("0@x.org", "credit"), both(json!(6)), "{story}");
    assert_eq!(world.everywhere("new@x.org", "name"), both(json!("crm")), "{story}");
    assert_eq!(world.everywhere("other@x.org", "name"), both(json!("app")), "{story}");
}

#[tokio::test]
async fn a_run_that_is_dropped_anywhere_is_finished_by_the_next() {
    for (name, profile) in Profile::all().into_iter().filter(|(name, _)| *name != "bare") {
        let mut times = 1;
        loop {
            let world = busy(Profile::log(), profile.clone()).await;
            let ended = poll_times(world.engine(), times).await;
            world.check_laws().await;
            let story = format!("{name}, dropped after {times} polls");
            // A create that may or may not have arrived, where nothing can tell, is shown and never repeated.
            world.sync().await;
            check_end(&world, &story);
            world.check_in_sync().await;
            if ended {
                assert!(times > 20, "the story is long enough: {times}");
                break;
            }
            times += 1;
        }
    }
}

#[tokio::test]
async fn a_run_that_is_dropped_again_and_again_gets_there() {
    for (_, profile) in Profile::all().into_iter().filter(|(name, _)| *name != "bare") {
        let world = busy(Profile::log(), profile).await;
        let mut polls = 10;
        while !poll_times(world.engine(), polls).await {
            world.check_laws().await;
            polls += 3;
        }
        check_end(&world, "dropped again and again");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn a_process_that_dies_in_the_middle_of_a_write_leaves_one_effect() {
    for (name, profile) in Profile::all().into_iter().filter(|(name, _)| *name != "bare") {
        for fault in [Fault::CrashBefore, Fault::CrashAfter] {
            for pass in 0..5 {
                let world = busy(Profile::log(), profile.clone()).await;
                world.system("crm").script(pass, |_| true, [fault.clone()]);
                poll_times(world.engine(), 10_000).await;
                world.check_laws().await;
                world.sync().await;
                check_end(&world, &format!("{name}, {fault:?} at write {pass}"));
                world.check_in_sync().await;
            }
        }
    }
}
