//! Writes that fail in every way: never two copies, never a lost change, nobody held up.

use crate::world::{CUSTOMER, World, unreachable};
use avowal_core::data::value::Value;
use avowal_core::record::intent::Operation;
use avowal_engine::WriteRate;
use avowal_engine::ports::clock::Clock;
use avowal_engine::ports::connector::{ConnectorError, ConnectorErrorKind};
use avowal_testkit::fake::{Fault, FeedKind, Profile};
use serde_json::json;

/// The capability mixes that decide how an unknown outcome is settled.
fn mixes() -> Vec<(String, Profile)> {
    let mut out = Vec::new();
    for (name, profile) in Profile::all() {
        for (idempotent, searchable) in [(true, true), (true, false), (false, true), (false, false)] {
            let mix = format!("{name}, idempotent {idempotent}, searchable {searchable}");
            out.push((mix, profile.clone().proving(idempotent, searchable)));
        }
    }
    out
}

/// Whether anything can tell if a create of unknown outcome has taken effect, if the system shows nothing of it.
fn can_tell(profile: &Profile) -> bool {
    profile.capabilities.idempotent || profile.capabilities.searchable
}

#[tokio::test]
async fn a_create_of_unknown_outcome_never_makes_two_copies() {
    for (name, profile) in mixes() {
        for fault in [Fault::TimeoutBefore, Fault::TimeoutAfter] {
            let world = World::of([("app", Profile::log()), ("crm", profile.clone())]);
            world.sync().await;
            world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
            world.system("crm").fail_writes([fault.clone()]);
            world.sync().await;
            world.check_laws().await;
            let story = format!("{name}, {fault:?}");
            if can_tell(&profile) || fault == Fault::TimeoutAfter {
                assert_eq!(world.counts(), [1, 1], "{story}");
                world.check_in_sync().await;
            } else {
                // Nobody can tell: it stays open and is shown, and nothing is sent again.
                assert_eq!(world.counts(), [1, 0], "{story}");
                assert_eq!(world.system("crm").calls().writes, 1, "{story}");
                assert_eq!(world.sync().await.intents_open, 1, "{story}");
            }
        }
    }
}

#[tokio::test]
async fn an_update_of_unknown_outcome_arrives_once() {
    for (name, profile) in mixes() {
        for faults in [
            vec![Fault::TimeoutBefore],
            vec![Fault::TimeoutAfter],
            vec![Fault::TimeoutBefore, Fault::TimeoutAfter],
            vec![Fault::TimeoutBefore, Fault::Limited(700), Fault::TimeoutAfter],
            vec![Fault::Unavailable, Fault::TimeoutAfter],
        ] {
            let world = World::of([("app", Profile::log()), ("crm", profile.clone())]);
            world.add("app", json!({"email": "a@x.org", "name": "Ann", "phone": "1"}));
            world.sync().await;
            world.edit("app", "a@x.org", json!({"name": "Bea", "phone": "2"}));
            world.system("crm").fail_writes(faults.clone());
            world.sync().await;
            assert_eq!(world.get("crm", "a@x.org", "name"), json!("Bea"), "{name}, {faults:?}");
            world.check_in_sync().await;
        }
    }
}

#[tokio::test]
async fn a_delete_of_unknown_outcome_is_settled() {
    for (name, profile) in mixes() {
        for fault in [Fault::TimeoutBefore, Fault::TimeoutAfter, Fault::Limited(300)] {
            let world = World::of([("app", Profile::log()), ("crm", profile.clone())]);
            world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
            world.sync().await;
            let id = world.id("app", "a@x.org");
            // Long ago, so that no lag explains that the copy is absent.
            world.clock.advance(600_000);
            world.system("app").delete(CUSTOMER, &id);
            world.system("crm").fail_operation(Operation::Delete, [fault.clone()]);
            world.sync().await;
            assert_eq!(world.counts(), [0, 0], "{name}, {fault:?}");
            world.check_in_sync().await;
        }
    }
}

#[tokio::test]
async fn an_unknown_create_that_meets_a_refusal_and_an_edit_is_not_made_twice() {
    // The first attempt took effect, its repetition is refused for now, and the content changes meanwhile: with
    // a new key the system would make another copy.
    for fault in [Fault::Limited(30_000), Fault::Unavailable] {
        let mut profile = Profile::correlated();
        profile.capabilities.correlation = false;
        // A feed that is late shows nothing of it.
        profile.feed = FeedKind::Images;
        let world = World::of([("app", Profile::log()), ("crm", profile)]);
        world.sync().await;
        world.system("crm").set_feed_stuck(true);
        world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
        world.system("crm").fail_writes([Fault::TimeoutAfter, fault.clone(), fault.clone()]);
        world.sync().await;
        world.edit("app", "a@x.org", json!({"email": "b@x.org", "name": "Bea"}));
        world.sync().await;
        world.clock.advance(120_000);
        world.sync().await;
        assert_eq!(world.counts(), [1, 1], "{fault:?}: {}", world.story());
        // The feed may show it before it is settled.
        world.system("crm").set_feed_stuck(false);
        world.sync().await;
        assert_eq!(world.counts(), [1, 1], "{fault:?}: {}", world.story());
        world.clock.advance(120_000);
        world.sync().await;
        assert_eq!(world.get("crm", "b@x.org", "name"), json!("Bea"), "{fault:?}");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn an_edit_in_the_target_while_our_write_is_unknown_is_not_lost() {
    for (name, profile) in mixes() {
        for fault in [Fault::TimeoutBefore, Fault::TimeoutAfter] {
            let world = World::of([("app", Profile::log()), ("crm", profile.clone())]);
            world.add("app", json!({"email": "a@x.org", "name": "Ann", "phone": "1"}));
            world.sync().await;
            world.edit("app", "a@x.org", json!({"name": "App"}));
            world.system("crm").fail_writes([fault.clone()]);
            let engine = world.engine();
            let mut run =
                Box::pin(engine.sync(avowal_engine::SyncOptions::default(), &avowal_engine::Unwatched));
            let calls = world.system("crm").calls().writes;
            let mut edited = false;
            std::future::poll_fn(|context| {
                if !edited && world.system("crm").calls().writes > calls {
                    edited = true;
                    world.edit("crm", "a@x.org", json!({"phone": "crm"}));
                }
                run.as_mut().poll(context)
            })
            .await
            .unwrap();
            world.sync().await;
            let story = format!("{name}, {fault:?}");
            assert_eq!(world.everywhere("a@x.org", "phone"), [json!("crm"), json!("crm")], "{story}");
            assert_eq!(world.everywhere("a@x.org", "name"), [json!("App"), json!("App")], "{story}");
            world.check_in_sync().await;
        }
    }
}

#[tokio::test]
async fn a_system_that_asks_for_a_pause_gets_it() {
    let world = World::of([("app", Profile::log()), ("crm", Profile::cas())]);
    for n in 0..10 {
        world.add("app", json!({"email": format!("{n}@x.org")}));
    }
    world.system("crm").fail_writes([Fault::Limited(3_000)]);
    world.sync().await;
    assert_eq!(world.counts(), [10, 10]);
    let at = world.system("crm").written_at();
    assert!(at[1] - at[0] >= 3_000, "the next write came after {} ms", at[1] - at[0]);
    world.check_in_sync().await;
}

#[tokio::test]
async fn a_long_pause_is_kept_too() {
    let mut world = World::of([("app", Profile::log()), ("crm", Profile::cas())]);
    world.settings.patience_ms = 600_000;
    world.add("app", json!({"email": "a@x.org"}));
    world.system("crm").fail_writes([Fault::Limited(300_000)]);
    world.sync().await;
    let at = world.system("crm").written_at();
    assert!(at[1] - at[0] >= 300_000, "the next write came after {} ms", at[1] - at[0]);
    world.check_in_sync().await;
}

#[tokio::test]
async fn a_record_that_is_refused_holds_up_nobody() {
    for (name, profile) in Profile::all() {
        let world = World::of([("app", Profile::log()), ("crm", profile)]);
        world.system("crm").refuse("email", Value::text("3@x.org"));
        for n in 0..10 {
            world.add("app", json!({"email": format!("{n}@x.org"), "name": "Ann"}));
        }
        let report = world.sync().await;
        assert_eq!(world.counts(), [10, 9], "{name}");
        assert_eq!(report.quarantined, 1, "{name}");
        world.check_idle().await;
        // Its next content is tried again, and a person may have it tried again as it is.
        world.system("crm").refuse_nothing();
        let item = world.quarantine().await.remove(0);
        assert!(item.reason.contains("3@x.org"), "{}", item.reason);
        world.engine().replay(&item, "ann").await.unwrap();
        world.sync().await;
        assert_eq!(world.counts(), [10, 10], "{name}");
        assert_eq!(world.quarantine().await.len(), 0);
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn a_system_that_is_away_is_reported_and_catches_up_later() {
    for (name, profile) in Profile::all() {
        let world = World::of([("app", Profile::log()), ("billing", Profile::log()), ("crm", profile)]);
        for n in 0..5 {
            world.add("app", json!({"email": format!("{n}@x.org"), "name": "Ann"}));
        }
        world.sync().await;
        world.system("crm").set_down(Some(unreachable()));
        world.edit("app", "0@x.org", json!({"name": "App"}));
        world.edit("crm", "1@x.org", json!({"name": "Crm"}));
        let began = avowal_engine::ports::clock::Clock::now(world.clock.as_ref()).millis();
        let report = world.sync().await;
        let took = avowal_engine::ports::clock::Clock::now(world.clock.as_ref()).millis() - began;
        assert!(took < 5_000, "{name}: nothing to wait for, but it waited {took} ms");
        assert!(report.systems["crm"].problem.as_deref().unwrap().contains("no route to host"), "{name}");
        assert_eq!(world.get("billing", "0@x.org", "name"), json!("App"), "{name}: the others go on");
        world.check_laws().await;
        world.system("crm").set_down(None);
        world.sync().await;
        for (email, value) in [("0@x.org", "App"), ("1@x.org", "Crm")] {
            assert_eq!(world.everywhere(email, "name"), [json!(value), json!(value), json!(value)], "{name}");
        }
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn a_feed_that_has_lost_our_place_is_made_up_for_by_a_listing() {
    for (name, profile) in Profile::all().into_iter().filter(|(_, profile)| profile.capabilities.feed) {
        let world = World::of([("app", Profile::log()), ("crm", profile)]);
        for n in 0..5 {
            world.add("app", json!({"email": format!("{n}@x.org"), "name": "Ann"}));
        }
        world.sync().await;
        world.edit("crm", "1@x.org", json!({"name": "Crm"}));
        world.add("crm", json!({"email": "new@x.org"}));
        let gone = world.id("crm", "2@x.org");
        world.system("crm").delete(CUSTOMER, &gone);
        world.system("crm").expire_feed();
        let report = world.sync().await;
        assert!(report.is_complete(), "{name}");
        assert_eq!(world.get("app", "1@x.org", "name"), json!("Crm"), "{name}");
        assert_eq!(world.counts(), [5, 5], "{name}: one came, one went");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn a_listing_whose_cursor_expires_begins_again() {
    let mut world = World::of([("app", Profile::log()), ("crm", Profile::cas())]);
    world.settings.batch_records_max = 2;
    for n in 0..7 {
        world.add("crm", json!({"email": format!("{n}@x.org")}));
    }
    let expired = ConnectorError::new(ConnectorErrorKind::CursorExpired, "the page token is too old", None);
    // The process ends within the listing; the page token does not live until the next one.
    crate::crashes::poll_times(world.engine(), 40).await;
    world.system("crm").fail_lists([expired]);
    world.sync().await;
    world.sync().await;
    assert_eq!(world.counts(), [7, 7]);
    world.check_in_sync().await;
}

#[tokio::test]
async fn the_rate_bounds_every_write() {
    for faults in [vec![], vec![Fault::TimeoutAfter; 8]] {
        let mut world = World::of([("app", Profile::log()), ("crm", Profile::cas().proving(true, true))]);
        world.settings.patience_ms = 600_000;
        world.rates.insert("crm".into(), WriteRate { per_second: 4, burst: 2 });
        for n in 0..20 {
            world.add("app", json!({"email": format!("{n}@x.org")}));
        }
        world.system("crm").fail_writes(faults);
        world.sync().await;
        assert_eq!(world.counts(), [20, 20]);
        let at = world.system("crm").written_at();
        for window in at.windows(7) {
            // Two at once and four a second: seven need at least 1.25 seconds.
            assert!(window[6] - window[0] >= 1_250, "seven writes in {} ms", window[6] - window[0]);
        }
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn a_long_run_has_patience_left_for_what_it_does_last() {
    for (name, profile) in Profile::all() {
        let mut world = World::of([("app", Profile::log()), ("crm", profile.proving(false, true))]);
        // Sending alone takes longer than `sync` has patience.
        world.rates.insert("crm".into(), WriteRate { per_second: 1, burst: 1 });
        for n in 0..30 {
            world.add("app", json!({"email": format!("{n}@x.org")}));
        }
        world.system("crm").script(29, |_| true, [Fault::TimeoutBefore]);
        let began = world.clock.now();
        world.sync().await;
        let took_ms = world.clock.now().millis() - began.millis();
        assert!(took_ms > world.settings.patience_ms.cast_signed(), "{name}: it took {took_ms} ms");
        assert_eq!(world.counts(), [30, 30], "{name}");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn lagging_reads_do_not_fool_anybody() {
    for (name, profile) in mixes() {
        for fault in [None, Some(Fault::TimeoutAfter)] {
            let world = World::of([("app", Profile::log()), ("crm", profile.clone())]);
            world.add("app", json!({"email": "a@x.org", "name": "A", "phone": "1"}));
            world.sync().await;
            world.system("crm").set_lag_ms(600);
            world.system("crm").fail_writes(fault.clone());
            let story = format!("{name}, {fault:?}");
            world.edit("app", "a@x.org", json!({"name": "B"}));
            world.add("app", json!({"email": "b@x.org", "name": "new"}));
            world.sync().await;
            world.clock.advance(5_000);
            world.sync().await;
            assert_eq!(world.counts(), [2, 2], "{story}");
            assert_eq!(world.everywhere("a@x.org", "name"), [json!("B"), json!("B")], "{story}");
            world.clock.advance(5_000);
            // A person puts the old value back: that is an edit, not what a slow read would show.
            world.edit("crm", "a@x.org", json!({"name": "A"}));
            world.clock.advance(5_000);
            world.sync().await;
            world.sync().await;
            assert_eq!(world.everywhere("a@x.org", "name"), [json!("A"), json!("A")], "{story}");
            world.clock.advance(5_000);
            world.check_in_sync().await;
        }
    }
}
