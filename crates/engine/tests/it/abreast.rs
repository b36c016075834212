//! What goes side by side: batches of updates on their way out, pages of a log on their way in.

use crate::world::World;
use avowal_core::ids::RemoteId;
use avowal_engine::connector::{ConnectorError, ConnectorErrorKind, Write};
use avowal_engine::store::StoreError;
use avowal_engine::{EngineError, WriteRate};
use avowal_testkit::fake::{Call, Fate, Fault, Kind, Profile, Put, Witness};
use avowal_testkit::memory::CommitFault;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Counts the writes that are under way.
#[derive(Default)]
struct Watch(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    /// By key, the row.
    under_way: BTreeMap<String, String>,
    most: usize,
    /// Rows that had two writes at once.
    doubled: Vec<String>,
}

impl Witness for Watch {
    fn put(&self, _: &Put<'_>) {}

    fn called(&self, _: &str, call: Call<'_>) {
        let mut seen = self.0.lock().unwrap();
        match call {
            Call::Write(write) => {
                let row = write.id.as_ref().map_or_else(String::new, ToString::to_string);
                if !row.is_empty() && seen.under_way.values().any(|other| *other == row) {
                    seen.doubled.push(row.clone());
                }
                seen.under_way.insert(write.key.clone(), row);
                seen.most = seen.most.max(seen.under_way.len());
            }
            Call::Ended(key) => {
                seen.under_way.remove(key);
            }
            Call::Shown { .. } | Call::Read(_) | Call::Find => {}
        }
    }
}

/// Customers that both systems hold, and two at a time wherever something is bounded.
async fn linked(crm: Profile, customers: usize) -> World {
    let mut world = World::of([("app", Profile::log()), ("crm", crm)]);
    world.settings.batch_records_max = 2;
    for n in 0..customers {
        world.add("app", json!({"email": email(n), "name": "Ann", "phone": "1"}));
    }
    world.sync().await;
    assert_eq!(world.counts(), [customers, customers]);
    world
}

fn email(n: usize) -> String {
    format!("{n}@x.org")
}

#[tokio::test]
async fn updates_go_out_side_by_side_but_one_a_copy() {
    for profile in [Profile::log(), Profile::cas(), Profile::signal_only()] {
        let world = linked(profile, 9).await;
        let watch = Arc::new(Watch::default());
        world.system("crm").set_witness(watch.clone());
        for round in 0..3 {
            for n in 0..9 {
                world.edit("app", &email(n), json!({"name": format!("Bea {round}")}));
            }
            world.sync().await;
        }
        let (most, doubled) = {
            let seen = watch.0.lock().unwrap();
            (seen.most, seen.doubled.clone())
        };
        assert!(most > 1, "one at a time");
        assert_eq!(doubled, [""; 0]);
        world.check_settled().await;
    }
}

#[tokio::test]
async fn creates_and_what_is_bounded_in_its_rate_go_one_by_one() {
    let mut world = linked(Profile::cas(), 6).await;
    let watch = Arc::new(Watch::default());
    world.system("crm").set_witness(watch.clone());
    for n in 6..12 {
        world.add("app", json!({"email": email(n), "name": "Ann"}));
    }
    world.sync().await;
    assert_eq!(watch.0.lock().unwrap().most, 1);
    world.rates.insert("crm".into(), WriteRate { per_second: 100, burst: 100 });
    for n in 0..6 {
        world.edit("app", &email(n), json!({"name": "Bea"}));
    }
    world.sync().await;
    assert_eq!(watch.0.lock().unwrap().most, 1);
    world.check_settled().await;
}

#[tokio::test]
async fn what_befalls_one_batch_leaves_the_others_alone() {
    for fault in [Fault::TimeoutAfter, Fault::TimeoutBefore, Fault::Conflict, Fault::Unavailable] {
        for pass in 0..6 {
            let world = linked(Profile::cas(), 6).await;
            world.system("crm").script(pass, |_| true, [fault.clone()]);
            for n in 0..6 {
                world.edit("app", &email(n), json!({"name": "Bea"}));
            }
            world.sync().await;
            world.sync().await;
            for n in 0..6 {
                assert_eq!(world.get("crm", &email(n), "name"), json!("Bea"), "{fault:?} after {pass}, {n}");
            }
            world.check_settled().await;
        }
    }
}

/// Edits that fill many pages of the log, some pages with the copies of the page before.
async fn many_pages(world: &World) {
    for (round, at) in [0, 0, 1, 0, 2, 3, 3, 3, 1, 4, 5, 4, 0].into_iter().enumerate() {
        world.edit("app", &email(at), json!({"name": format!("name {round}")}));
        world.edit("crm", &email(5 - at), json!({"phone": format!("phone {round}")}));
    }
    world.add("app", json!({"email": "new@x.org", "name": "Zoe"}));
    world.edit("app", &email(1), json!({"name": "last"}));
    world.edit("app", "new@x.org", json!({"name": "Zoë"}));
}

async fn check_many_pages(world: &World, place: &str) {
    for (n, name) in
        [(0, "name 12"), (1, "last"), (2, "name 4"), (3, "name 7"), (4, "name 11"), (5, "name 10")]
    {
        assert_eq!(world.get("crm", &email(n), "name"), json!(name), "{place}");
    }
    for (n, phone) in [(5, "phone 12"), (4, "phone 8"), (3, "phone 4"), (2, "phone 7"), (1, "phone 11")] {
        assert_eq!(world.get("app", &email(n), "phone"), json!(phone), "{place}");
    }
    assert_eq!(world.get("crm", "new@x.org", "name"), json!("Zoë"), "{place}");
    world.check_settled().await;
}

#[tokio::test]
async fn every_change_of_many_pages_is_in_the_history_once() {
    let world = linked(Profile::log(), 6).await;
    many_pages(&world).await;
    world.sync().await;
    check_many_pages(&world, "").await;
    let events = world.events().await;
    let seen = |system: &str| {
        let of_system = |event: &&avowal_core::history::Event| {
            event.body.kind() == "observed"
                && event.source.as_ref().is_some_and(|from| from.as_str() == system)
        };
        events[..].iter().filter(of_system).count()
    };
    // A first sight of each customer, and each edit of a person.
    assert_eq!(seen("app"), 6 + 13 + 3);
    assert_eq!(seen("crm"), 13);
}

#[tokio::test]
async fn whatever_becomes_of_a_commit_between_pages_the_end_is_the_same() {
    for fault in [
        CommitFault::Conflict,
        CommitFault::UnknownApplied,
        CommitFault::UnknownNotApplied,
        CommitFault::Full,
    ] {
        for n in 1.. {
            let world = linked(Profile::log(), 6).await;
            many_pages(&world).await;
            world.store.fail_commit(n, fault);
            for _ in 0..2 {
                match world.try_sync().await {
                    Ok(_) | Err(EngineError::Store(StoreError::Full(_))) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            check_many_pages(&world, &format!("{fault:?} at commit {n}")).await;
            if world.store.is_unmet() {
                assert!(n > 20, "the story has enough commits: {n}");
                break;
            }
        }
    }
}

/// The pages of the feed come to an end once, after so many.
struct FeedEnds(Mutex<Option<u32>>);

impl Fate for FeedEnds {
    fn write(&self, _: &str, _: &Write) -> Option<Fault> {
        None
    }

    fn call(&self, _: &str, kind: Kind) -> Option<ConnectorError> {
        let mut left = self.0.lock().unwrap();
        if kind != Kind::Changes {
            return None;
        }
        *left = left.as_mut()?.checked_sub(1);
        left.is_none().then(|| ConnectorError::new(ConnectorErrorKind::Unreachable, "gone", None))
    }

    fn lag_ms(&self, _: &str, _: &RemoteId) -> i64 {
        0
    }

    fn listing_max(&self, _: &str, _: usize) -> Option<usize> {
        None
    }
}

#[tokio::test]
async fn a_feed_that_fails_between_pages_keeps_what_has_come() {
    let world = linked(Profile::log(), 6).await;
    many_pages(&world).await;
    let before = world.events().await.len();
    world.system("app").set_fate(Arc::new(FeedEnds(Mutex::new(Some(3)))));
    let report = world.sync().await;
    assert!(report.systems["app"].problem.is_some(), "{report:?}");
    // Three pages of two changes each came before.
    let events = world.events().await;
    let of_app = |event: &&avowal_core::history::Event| {
        event.body.kind() == "observed" && event.source.as_ref().is_some_and(|from| from.as_str() == "app")
    };
    assert_eq!(
        events[..].iter().filter(of_app).count(),
        6 + 6,
        "{before} events before, {} now",
        events.len()
    );
    world.sync().await;
    check_many_pages(&world, "after the failure").await;
}
