//! Deliveries: once, late, twice, partial, out of order, lost.

use crate::world::{CUSTOMER, World, raw};
use avowal_engine::DeliveryOutcome;
use avowal_engine::ports::connector::Delivery;
use avowal_engine::ports::store::ReadOverview;
use avowal_testkit::fake::Profile;
use avowal_testkit::memory::CommitFault;
use serde_json::json;

/// The profiles that send webhooks.
fn senders() -> Vec<(&'static str, Profile)> {
    Profile::all().into_iter().filter(|(_, profile)| profile.webhooks).collect()
}

#[tokio::test]
async fn the_same_delivery_twice_is_taken_once() {
    for (name, profile) in senders() {
        let world = World::linked(profile).await;
        world.edit("crm", "a@x.org", json!({"phone": "2"}));
        let delivery = world.system("crm").take_deliveries().remove(0);
        let engine = world.engine();
        let crm = "crm".into();
        assert_eq!(engine.receive_delivery(&crm, &delivery).await, DeliveryOutcome::Accepted, "{name}");
        let events = world.events().await.len();
        for _ in 0..3 {
            assert_eq!(engine.receive_delivery(&crm, &delivery).await, DeliveryOutcome::Duplicate, "{name}");
        }
        assert_eq!(world.events().await.len(), events, "{name}");
        world.sync().await;
        assert_eq!(world.everywhere("a@x.org", "phone"), [json!("2"), json!("2")], "{name}");
        assert_eq!(
            world.engine().receive_delivery(&crm, &delivery).await,
            DeliveryOutcome::Duplicate,
            "{name}: a restart"
        );
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn a_late_delivery_with_an_old_value_never_wins() {
    for (name, profile) in senders() {
        let world = World::linked(profile).await;
        let id = world.id("crm", "a@x.org");
        let old = world.system("crm").delivery(CUSTOMER, &id, world.system("crm").row(CUSTOMER, &id));
        for phone in ["2", "3"] {
            world.edit("app", "a@x.org", json!({"phone": phone}));
            world.sync().await;
        }
        assert_eq!(
            world.engine().receive_delivery(&"crm".into(), &old).await,
            DeliveryOutcome::Accepted,
            "{name}"
        );
        world.sync().await;
        assert_eq!(world.everywhere("a@x.org", "phone"), [json!("3"), json!("3")], "{name}");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn what_is_not_signed_is_a_signal_and_no_statement() {
    for (name, profile) in senders() {
        let world = World::linked(profile).await;
        let id = world.id("crm", "a@x.org");
        // Nobody has edited anything: the body is forged.
        let forged = raw(&json!({"phone": "666", "name": "Ann", "email": "a@x.org"}));
        for (n, fields) in [Some(forged), None].into_iter().enumerate() {
            let delivery = world.system("crm").delivery(CUSTOMER, &id, fields);
            let delivery = Delivery { signed: false, id: format!("forged-{n}"), ..delivery };
            let taken = world.engine().receive_delivery(&"crm".into(), &delivery).await;
            assert_eq!(taken, DeliveryOutcome::Accepted, "{name}");
        }
        world.sync().await;
        assert_eq!(world.everywhere("a@x.org", "phone"), [json!("1"), json!("1")], "{name}");
        assert_eq!(world.counts(), [1, 1], "{name}");
        // A true edit is found by the signal all the same.
        world.edit("crm", "a@x.org", json!({"phone": "2"}));
        for delivery in world.system("crm").take_deliveries() {
            let unsigned = Delivery { signed: false, ..delivery };
            world.engine().receive_delivery(&"crm".into(), &unsigned).await;
        }
        world.sync().await;
        assert_eq!(world.everywhere("a@x.org", "phone"), [json!("2"), json!("2")], "{name}");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn a_partial_delivery_clears_nothing() {
    for (name, profile) in senders() {
        let world = World::linked(profile).await;
        let id = world.id("crm", "a@x.org");
        let part = raw(&json!({"phone": "2"}));
        world.system("crm").edit(CUSTOMER, &id, part.clone());
        world.system("crm").take_deliveries();
        let delivery = world.system("crm").delivery(CUSTOMER, &id, Some(part));
        world.engine().receive_delivery(&"crm".into(), &delivery).await;
        world.sync().await;
        assert_eq!(world.everywhere("a@x.org", "phone"), [json!("2"), json!("2")], "{name}");
        assert_eq!(world.everywhere("a@x.org", "name"), [json!("Ann"), json!("Ann")], "{name}");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn deliveries_in_any_order_with_losses_end_in_agreement() {
    for (name, profile) in senders() {
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 1, 3, 3]] {
            let world = World::linked(profile.clone()).await;
            for edit in
                [json!({"phone": "2"}), json!({"name": "B"}), json!({"phone": "3"}), json!({"name": "C"})]
            {
                world.edit("crm", "a@x.org", edit);
            }
            let deliveries = world.system("crm").take_deliveries();
            let engine = world.engine();
            for at in order {
                engine.receive_delivery(&"crm".into(), &deliveries[at]).await;
                world.check_laws().await;
            }
            world.sync().await;
            assert_eq!(world.everywhere("a@x.org", "phone"), [json!("3"), json!("3")], "{name}, {order:?}");
            assert_eq!(world.everywhere("a@x.org", "name"), [json!("C"), json!("C")], "{name}, {order:?}");
            world.check_in_sync().await;
        }
    }
}

#[tokio::test]
async fn our_own_writes_come_back_as_echoes_and_change_nothing() {
    for (name, profile) in senders() {
        let world = World::linked(profile).await;
        world.edit("app", "a@x.org", json!({"phone": "2"}));
        world.sync().await;
        let writes = world.write_calls();
        for delivery in world.system("crm").take_deliveries() {
            world.engine().receive_delivery(&"crm".into(), &delivery).await;
        }
        world.sync().await;
        assert_eq!(world.write_calls(), writes, "{name}");
        assert_eq!(world.everywhere("a@x.org", "phone"), [json!("2"), json!("2")], "{name}");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn an_echo_that_arrives_before_the_receipt_is_no_second_change() {
    for (name, profile) in senders() {
        let world = World::linked(profile).await;
        world.edit("app", "a@x.org", json!({"phone": "2"}));
        world.add("app", json!({"email": "b@x.org"}));
        let engine = world.engine();
        let mut run = Box::pin(engine.sync(avowal_engine::SyncOptions::default(), &avowal_engine::Unwatched));
        // Whatever is sent out is delivered between two steps of the run.
        loop {
            let ready =
                std::future::poll_fn(|context| std::task::Poll::Ready(run.as_mut().poll(context))).await;
            for delivery in world.system("crm").take_deliveries() {
                world.engine().receive_delivery(&"crm".into(), &delivery).await;
            }
            if ready.is_ready() {
                break;
            }
        }
        drop(run);
        world.sync().await;
        assert_eq!(world.counts(), [2, 2], "{name}");
        assert_eq!(world.everywhere("a@x.org", "phone"), [json!("2"), json!("2")], "{name}");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn a_delivery_is_answered_only_when_it_is_durable() {
    let world = World::linked(Profile::bare()).await;
    world.edit("crm", "a@x.org", json!({"phone": "2"}));
    let delivery = world.system("crm").take_deliveries().remove(0);
    let engine = world.engine();
    let crm = "crm".into();
    world.store.fail_commit(1, CommitFault::Full);
    let busy = engine.receive_delivery(&crm, &delivery).await;
    assert!(matches!(&busy, DeliveryOutcome::Busy { reason } if reason.contains("full")), "{busy:?}");
    world.store.fail_commit(1, CommitFault::UnknownApplied);
    let taken = engine.receive_delivery(&crm, &delivery).await;
    assert!(matches!(taken, DeliveryOutcome::Accepted | DeliveryOutcome::Duplicate), "{taken:?}");
    // Without a true order the body only hints at a change; the hint is there once.
    assert_eq!(world.store.inner.counts().await.unwrap().signals, 1);
    let nonsense = Delivery { body: b"{".to_vec(), id: "x".into(), ..delivery };
    assert!(matches!(engine.receive_delivery(&crm, &nonsense).await, DeliveryOutcome::Refused { .. }));
    assert!(matches!(
        engine.receive_delivery(&"nobody".into(), &nonsense).await,
        DeliveryOutcome::Refused { .. }
    ));
}
