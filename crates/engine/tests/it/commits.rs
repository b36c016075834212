//! Every commit of a story fails once, in every way: the end is the same.

use crate::world::World;
use avowal_engine::EngineError;
use avowal_engine::ports::store::StoreError;
use avowal_testkit::fake::Profile;
use avowal_testkit::memory::CommitFault;
use serde_json::json;

const FAULTS: [CommitFault; 4] =
    [CommitFault::Conflict, CommitFault::UnknownApplied, CommitFault::UnknownNotApplied, CommitFault::Full];

/// A first link and a day of edits, in two runs that may fail and are begun again.
async fn story(world: &World) {
    for n in 0..3 {
        world.add("app", json!({"email": format!("{n}@x.org"), "name": "Ann", "phone": "1", "credit": 1}));
    }
    world.add("crm", json!({"email": "0@x.org", "phone": "2"}));
    world.add("crm", json!({"email": "9@x.org", "phone": "9"}));
    run(world).await;
    for (system, email, edit) in [
        ("app", "0@x.org", json!({"phone": "app", "name": "Bea", "credit": 4})),
        ("crm", "0@x.org", json!({"phone": "crm", "stage": "lead", "credit": 3})),
        ("app", "1@x.org", json!({"stage": "refused"})),
    ] {
        world.edit(system, email, edit);
    }
    world.add("app", json!({"email": "other@x.org", "name": "app"}));
    let gone = world.id("app", "2@x.org");
    world.system("app").delete("customer", &gone);
    run(world).await;
}

async fn run(world: &World) {
    loop {
        match world.try_sync().await {
            Ok(report) if report.is_complete() => return,
            Ok(_) => world.check_laws().await,
            Err(EngineError::Store(StoreError::Full(_))) => world.check_laws().await,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn whatever_becomes_of_the_nth_commit_the_end_is_the_same() {
    for (name, profile) in [
        ("log", Profile::log()),
        ("cas", Profile::cas()),
        ("correlated", Profile::correlated()),
        ("signal_only", Profile::signal_only()),
        ("neither", Profile::cas().proving(false, false)),
    ] {
        for fault in FAULTS {
            for n in 1.. {
                let world = World::of([("app", Profile::log()), ("crm", profile.clone())]);
                world.store.fail_commit(n, fault);
                story(&world).await;
                world.sync().await;
                let place = format!("{name}, {fault:?} at commit {n}");
                assert_eq!(world.counts(), [4, 4], "{place}");
                assert_eq!(world.everywhere("0@x.org", "phone"), [json!("crm"), json!("crm")], "{place}");
                assert_eq!(world.everywhere("0@x.org", "credit"), [json!(6), json!(6)], "{place}");
                assert_eq!(world.get("crm", "0@x.org", "name"), json!("Bea"), "{place}");
                assert_eq!(world.get("app", "9@x.org", "phone"), json!("9"), "{place}");
                world.check_in_sync().await;
                if world.store.is_unmet() {
                    assert!(n > 10, "the story has enough commits: {n}");
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_change_during_the_first_listing_is_not_missed_when_the_anchor_was_not_stored() {
    for n in 1..12 {
        let mut world = World::of([("app", Profile::log()), ("crm", Profile::cas())]);
        world.settings.batch_records_max = 2;
        for n in 0..6 {
            world.add("crm", json!({"email": format!("{n}@x.org"), "name": "Ann"}));
        }
        world.store.fail_commit(n, CommitFault::UnknownNotApplied);
        let engine = world.engine();
        let mut run = Box::pin(engine.sync(avowal_engine::SyncOptions::default(), &avowal_engine::Unwatched));
        let mut edited = false;
        std::future::poll_fn(|context| {
            if !edited && world.records_now().len() >= 4 {
                edited = true;
                world.edit("crm", "0@x.org", json!({"name": format!("changed {n}")}));
            }
            run.as_mut().poll(context)
        })
        .await
        .unwrap();
        assert_eq!(world.get("app", "0@x.org", "name"), json!(format!("changed {n}")), "commit {n}");
    }
}
