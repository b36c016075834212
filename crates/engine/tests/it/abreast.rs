//! What goes side by side: batches of updates on their way out, pages of a log on their way in.

use crate::bumpy::BumpyStore;
use crate::world::{World, raw};
use avowal_core::data::ids::{RemoteId, SystemName};
use avowal_core::data::value::Value;
use avowal_core::record::intent::{Intent, IntentStatus};
use avowal_engine::ports::connector::{ConnectorError, ConnectorErrorKind, Write};
use avowal_engine::ports::store::{ReadRecords, StoreError};
use avowal_engine::{EngineError, SyncOptions, Unwatched, WriteRate};
use avowal_testkit::fake::{Call, Fate, Fault, Kind, Profile, Put, Witness};
use avowal_testkit::memory::CommitFault;
use futures::FutureExt as _;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Watches the writes to a system.
struct Watch {
    store: Arc<BumpyStore>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// By key, the row.
    under_way: BTreeMap<String, String>,
    most: usize,
    /// How many writes were marked as sent while one was under way, at most.
    marked: usize,
    /// The rows that were written, in order.
    rows: Vec<String>,
}

impl Watch {
    fn of(world: &World) -> Arc<Self> {
        let watch = Arc::new(Self { store: world.store.clone(), seen: Mutex::default() });
        world.system("crm").set_witness(watch.clone());
        watch
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    fn marked(&self) -> usize {
        let records = self.store.inner.scan_records(None, 1_000).now_or_never().unwrap().unwrap();
        let is_sent = |intent: &Intent| intent.status == IntentStatus::Sent;
        records.iter().flat_map(|record| record.intents.values()).filter(|intent| is_sent(intent)).count()
    }
}

impl Witness for Watch {
    fn put(&self, _: &Put<'_>) {}

    fn called(&self, _: &str, call: Call<'_>) {
        let marked = self.marked();
        let mut seen = self.seen();
        match call {
            Call::Write(write) => {
                let row = write.id.as_ref().map_or_else(String::new, ToString::to_string);
                seen.rows.push(row.clone());
                seen.under_way.insert(write.key.clone(), row);
                seen.most = seen.most.max(seen.under_way.len());
                seen.marked = seen.marked.max(marked);
            }
            Call::Ended(key) => {
                seen.under_way.remove(key);
            }
            Call::Returned { .. } | Call::Read(_) | Call::Find => {}
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

/// The app gives so many customers a name.
fn rename_all(world: &World, customers: usize, name: &str) {
    for n in 0..customers {
        world.edit("app", &email(n), json!({"name": format!("{name} {n}")}));
    }
}

fn email(n: usize) -> String {
    format!("{n}@x.org")
}

#[tokio::test]
async fn a_batch_is_marked_while_another_is_written() {
    for profile in [Profile::log(), Profile::cas(), Profile::signal_only()] {
        let world = linked(profile, 9).await;
        let watch = Watch::of(&world);
        for round in 0..3 {
            rename_all(&world, 9, &format!("Bea {round}"));
            world.sync().await;
        }
        // Two writes are a batch at most.
        let Seen { most, marked, .. } = *watch.seen();
        assert!(most == 1 && marked > 2, "{most} under way, {marked} marked");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn updates_are_written_in_their_order_whatever_becomes_of_a_batch() {
    for n in 1..20 {
        let world = linked(Profile::log(), 9).await;
        let rows: Vec<String> = (0..9).map(|n| world.id("crm", &email(n)).to_string()).collect();
        let watch = Watch::of(&world);
        rename_all(&world, 9, "Bea");
        world.store.fail_commit(n, CommitFault::Conflict);
        world.sync().await;
        let place = |row: &String| rows.iter().position(|other| other == row);
        let written: Vec<_> = watch.seen().rows.iter().map(place).collect();
        assert!(written.is_sorted() && written.len() == 9, "conflict at commit {n}: {written:?}");
    }
}

#[tokio::test]
async fn what_is_due_elsewhere_is_not_kept_waiting() {
    let order = json!({
        "match_on": ["number"],
        "fields": {
            "number": {"type": "string", "owner": "app", "strategy": "owner_wins"},
            "state": {"type": "string", "owner": "app", "strategy": "owner_wins"}
        }
    });
    let mut world = World::with(
        json!({"customer": crate::world::customer(), "order": order}),
        [("app", Profile::log()), ("crm", Profile::log())],
    );
    world.settings.batch_records_max = 2;
    for n in 0..12 {
        world.add("app", json!({"email": email(n), "name": "Ann"}));
    }
    let id = world.system("app").insert("order", raw(&json!({"number": "1", "state": "new"})));
    world.sync().await;
    // The order is due first, but customers are looked at before orders.
    world.system("app").edit("order", &id, raw(&json!({"state": "paid"})));
    world.system("crm").set_down(Some(ConnectorError::new(ConnectorErrorKind::Unreachable, "down", None)));
    world.sync().await;
    world.system("crm").set_down(None);
    rename_all(&world, 12, "Bea");
    let watch = Watch::of(&world);
    world.sync().await;
    let rows = world.system("crm").rows("order");
    assert!(rows.values().any(|row| row.get("state") == Some(&Value::text("paid"))), "{rows:?}");
    let (order, _) = rows.first_key_value().unwrap();
    let at = watch.seen().rows.iter().position(|row| *row == order.to_string()).unwrap();
    assert!(at <= 1, "the order was written as number {at}");
}

#[tokio::test]
async fn a_reference_to_a_copy_of_the_page_before_is_known() {
    let customer = json!({
        "match_on": ["email"],
        "fields": {
            "email": {"type": "string", "owner": "app", "strategy": "owner_wins"},
            "parent": {"type": "ref", "to": "customer", "owner": "app", "strategy": "owner_wins"}
        }
    });
    let mut world =
        World::with(json!({"customer": customer}), [("app", Profile::log()), ("crm", Profile::log())]);
    world.settings.batch_records_max = 1;
    world.sync().await;
    let mut parent: Option<RemoteId> = None;
    for n in 0..6 {
        parent =
            Some(world.add("app", json!({"email": email(n), "parent": parent.map(|id| id.to_string())})));
    }
    world.sync().await;
    assert_eq!(world.system("app").calls().reads, 0, "what the log shows need not be read");
    for n in 1..6 {
        let parent = world.id("crm", &email(n - 1)).to_string();
        assert_eq!(world.get("crm", &email(n), "parent"), json!(parent));
    }
    world.check_laws().await;
}

#[tokio::test]
async fn creates_and_what_is_bounded_in_its_rate_go_one_by_one() {
    let mut world = linked(Profile::cas(), 6).await;
    let watch = Watch::of(&world);
    for n in 6..12 {
        world.add("app", json!({"email": email(n), "name": "Ann"}));
    }
    world.sync().await;
    assert_eq!(watch.seen().marked, 1);
    world.rates.insert("crm".into(), WriteRate { per_second: 100, burst: 100 });
    rename_all(&world, 6, "Bea");
    world.sync().await;
    assert_eq!(watch.seen().marked, 1);
    world.check_in_sync().await;
}

#[tokio::test]
async fn what_befalls_one_batch_leaves_the_others_alone() {
    for fault in [Fault::TimeoutAfter, Fault::TimeoutBefore, Fault::Conflict, Fault::Unavailable] {
        for pass in 0..6 {
            let world = linked(Profile::cas(), 6).await;
            world.system("crm").script(pass, |_| true, [fault.clone()]);
            rename_all(&world, 6, "Bea");
            world.sync().await;
            world.sync().await;
            for n in 0..6 {
                assert_eq!(
                    world.get("crm", &email(n), "name"),
                    json!(format!("Bea {n}")),
                    "{fault:?} after {pass}, {n}"
                );
            }
            world.check_in_sync().await;
        }
    }
}

#[tokio::test]
async fn a_batch_that_is_told_to_pause_stops_those_behind_it() {
    let world = linked(Profile::cas(), 6).await;
    let before = world.system("crm").written_at().len();
    world.system("crm").script(1, |_| true, [Fault::Limited(5_000)]);
    rename_all(&world, 6, "Bea");
    world.sync().await;
    let written = world.system("crm").written_at().split_off(before);
    let early = written.iter().filter(|at| **at < written[1] + 5_000).count();
    assert_eq!(early, 2, "{written:?}");
    world.check_in_sync().await;
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
    world.check_in_sync().await;
}

#[tokio::test]
async fn every_change_of_many_pages_is_in_the_history_once() {
    let world = linked(Profile::log(), 6).await;
    many_pages(&world).await;
    world.sync().await;
    check_many_pages(&world, "").await;
    let events = world.events().await;
    let seen = |system: &str| {
        let of_system = |event: &&avowal_core::history::IntegrationEvent| {
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
    let of_app = |event: &&avowal_core::history::IntegrationEvent| {
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

/// Something under way.
type Task<'a> = std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A copy that we make is shown while its create is being confirmed. Whatever comes first, it is the record's own copy.
#[tokio::test]
async fn a_copy_that_is_shown_while_its_create_is_confirmed_is_no_second_one() {
    for writing in 4..20 {
        for reading in (0..32).step_by(2) {
            let world = linked(Profile::log(), 1).await;
            let service = world.engine();
            service.prepare().await.unwrap();
            world.add("app", json!({"email": "new@x.org", "name": "Bea"}));
            let [app, crm] = ["app", "crm"].map(SystemName::new);
            while service.turn(&app, &Unwatched).await.unwrap() {}
            let mut writer: Task<'_> =
                Box::pin(async { assert!(service.turn(&crm, &Unwatched).await.is_ok()) });
            let mut reader: Task<'_> = Box::pin(async {
                drop(service.sync_beside_run(SyncOptions::default(), &Unwatched).await.unwrap())
            });
            let mut context = std::task::Context::from_waker(futures::task::noop_waker_ref());
            let mut step = |task: &mut Task<'_>, most: u32| {
                (0..most).any(|_| task.as_mut().poll(&mut context).is_ready())
            };
            let mut is_written = step(&mut writer, writing);
            let is_read = step(&mut reader, reading);
            // As far as it comes while the other one stands still.
            is_written = is_written || step(&mut writer, 60);
            match (is_written, is_read) {
                (true, true) => {}
                (true, false) => reader.await,
                (false, true) => writer.await,
                (false, false) => drop(futures::join!(writer, reader)),
            }
            assert_eq!(world.quarantine().await, Vec::new(), "{writing} steps, then {reading}");
            assert_eq!(world.counts(), [2, 2]);
        }
    }
}
