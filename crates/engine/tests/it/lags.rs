//! Systems whose reads are late by more than the quiet time.

use crate::world::World;
use avowal_core::data::ids::SystemName;
use avowal_engine::ports::store::KeepLags;
use avowal_engine::{SyncOptions, Unwatched};
use avowal_testkit::fake::Profile;
use serde_json::json;
use std::future::Future as _;
use std::pin::pin;
use std::task::Context;

/// By how much reads are late here: ten times the quiet time.
const LAG_MS: i64 = 10_000;

#[tokio::test]
async fn what_stood_in_a_copy_before_our_write_never_comes_back() {
    for (name, profile) in Profile::all() {
        let world = World::linked(profile).await;
        // Long ago, so that only our own write is news.
        world.clock.advance(600_000);
        world.edit("app", "a@x.org", json!({"phone": "2"}));
        world.system("crm").set_lag_ms(LAG_MS);
        let mut written = Vec::new();
        for _ in 0..8 {
            world.full_sync().await;
            written.push(world.system("crm").calls().writes);
            assert_eq!(world.everywhere("a@x.org", "phone"), [json!("2"), json!("2")], "{name}");
            world.clock.advance(2_000);
        }
        world.system("crm").set_lag_ms(0);
        world.clock.advance(60_000);
        world.full_sync().await;
        assert_eq!(world.everywhere("a@x.org", "phone"), [json!("2"), json!("2")], "{name}");
        assert_eq!(written[0], world.system("crm").calls().writes, "{name}: it was written again");
        assert_eq!(world.count_of("manual_review_requested").await, 0, "{name}");
        world.check_agreement().await;
    }
}

#[tokio::test]
async fn the_lag_of_a_system_is_learned_and_kept() {
    let world = World::linked(Profile::bare()).await;
    world.clock.advance(600_000);
    world.edit("app", "a@x.org", json!({"phone": "2"}));
    world.system("crm").set_lag_ms(LAG_MS);
    for _ in 0..8 {
        world.full_sync().await;
        world.clock.advance(2_000);
    }
    let lags = world.store.lags().await.unwrap();
    let learned = lags.get(&SystemName::new("crm")).copied().unwrap_or_default();
    assert!((2_000..=LAG_MS as u64).contains(&learned), "{lags:?}");
    assert!(!lags.contains_key(&SystemName::new("app")), "{lags:?}");
}

#[tokio::test]
async fn what_a_person_puts_back_counts_once_the_lag_is_over() {
    for (name, profile) in Profile::all() {
        let world = World::linked(profile).await;
        world.edit("app", "a@x.org", json!({"phone": "2"}));
        world.sync().await;
        world.clock.advance(60_000);
        world.edit("crm", "a@x.org", json!({"phone": "1"}));
        world.clock.advance(60_000);
        world.full_sync().await;
        world.full_sync().await;
        assert_eq!(world.everywhere("a@x.org", "phone"), [json!("1"), json!("1")], "{name}");
    }
}

/// A person puts the old value back, and soon the new one again. The system's own clock tells that from a late read.
#[tokio::test]
async fn a_mind_that_is_changed_back_and_forth_is_no_lag() {
    for polls in 1..200 {
        let world = World::linked(Profile::correlated()).await;
        world.edit("app", "a@x.org", json!({"phone": "2"}));
        world.full_sync().await;
        world.clock.advance(28_000);
        world.edit("crm", "a@x.org", json!({"phone": "1"}));
        let engine = world.engine();
        let mut run = pin!(tokio::task::unconstrained(engine.sync(SyncOptions { full: true }, &Unwatched)));
        let mut context = Context::from_waker(futures::task::noop_waker_ref());
        let is_over = (0..polls).any(|_| run.as_mut().poll(&mut context).is_ready());
        if is_over {
            return assert!(polls > 10, "no moment was tried");
        }
        world.clock.advance(1_000);
        world.edit("crm", "a@x.org", json!({"phone": "2"}));
        run.await.unwrap();
        world.full_sync().await;
        let lags = world.store.lags().await.unwrap();
        assert!(!lags.contains_key(&SystemName::new("crm")), "{polls}: {lags:?}");
    }
}
