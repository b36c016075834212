//! The daemon: it reacts, it waits, it stops.

use crate::world::{World, customer, unreachable};
use avowal_engine::{SyncOptions, Unwatched};
use avowal_testkit::fake::{ManualClock, Profile, pause};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

struct Daemon {
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), avowal_engine::EngineError>>,
}

impl Daemon {
    fn start(world: &World) -> Self {
        let (stop, stopped) = watch::channel(false);
        let engine = world.engine();
        #[allow(clippy::disallowed_methods, reason = "a test stands where the program would")]
        let task = tokio::spawn(engine.run(stopped, Arc::new(Unwatched)));
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.send(true).unwrap();
        for _ in 0..10_000 {
            if self.task.is_finished() {
                return self.task.await.unwrap().unwrap();
            }
            pause().await;
        }
        panic!("it did not stop although no time passed");
    }
}

/// Gives the daemon room to do what it can without time passing.
async fn rest() {
    for _ in 0..3_000 {
        pause().await;
    }
}

fn world() -> World {
    let systems = [("app", Profile::log()), ("crm", Profile::cas())];
    World::on(Arc::new(ManualClock::driven()), json!({ "customer": customer() }), systems)
}

#[tokio::test]
async fn it_reacts_to_a_system_that_rings_without_time_passing() {
    let world = world();
    world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
    let daemon = Daemon::start(&world);
    rest().await;
    // Whichever was listed last may have made the other wait for a moment.
    world.clock.advance(5_000);
    rest().await;
    assert_eq!(world.counts(), [1, 1]);
    world.edit("app", "a@x.org", json!({"name": "Bea"}));
    rest().await;
    assert_eq!(world.get("crm", "a@x.org", "name"), json!("Bea"));
    // A system without a true order is not believed within the moment in which its reads may lag.
    world.clock.advance(5_000);
    rest().await;
    world.edit("crm", "a@x.org", json!({"phone": "5"}));
    rest().await;
    assert_eq!(world.get("app", "a@x.org", "phone"), json!("5"));
    daemon.stop().await;
    world.check_laws().await;
    world.check_agreement().await;
}

#[tokio::test]
async fn it_takes_webhooks_while_it_runs() {
    let world = world();
    let engine = world.engine();
    let (stop, stopped) = watch::channel(false);
    #[allow(clippy::disallowed_methods, reason = "a test stands where the program would")]
    let task = tokio::spawn(engine.clone().run(stopped, Arc::new(Unwatched)));
    rest().await;
    let id = world.add("crm", json!({"email": "a@x.org", "name": "Ann"}));
    rest().await;
    world.clock.advance(5_000);
    rest().await;
    world.system("crm").edit("customer", &id, crate::world::raw(&json!({"name": "Bea"})));
    for delivery in world.system("crm").take_deliveries() {
        engine.receive_delivery(&"crm".into(), &delivery).await;
    }
    rest().await;
    assert_eq!(world.get("app", "a@x.org", "name"), json!("Bea"));
    stop.send(true).unwrap();
    rest().await;
    assert!(task.is_finished());
    task.await.unwrap().unwrap();
    world.check_laws().await;
}

#[tokio::test]
async fn an_engine_reads_on_after_its_daemon_has_ended() {
    let world = world();
    let engine = world.engine();
    let (stop, stopped) = watch::channel(false);
    #[allow(clippy::disallowed_methods, reason = "a test stands where the program would")]
    let task = tokio::spawn(engine.clone().run(stopped, Arc::new(Unwatched)));
    rest().await;
    stop.send(true).unwrap();
    rest().await;
    task.await.unwrap().unwrap();
    world.add("crm", json!({"email": "a@x.org", "name": "Ann"}));
    engine.sync(SyncOptions { full: true }, &Unwatched).await.unwrap();
    assert_eq!(world.get("app", "a@x.org", "name"), json!("Ann"));
}

#[tokio::test]
async fn a_system_that_is_away_comes_back_by_itself() {
    let world = world();
    world.system("crm").set_down(Some(unreachable()));
    world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
    let daemon = Daemon::start(&world);
    rest().await;
    assert_eq!(world.counts(), [1, 0]);
    world.system("crm").set_down(None);
    for _ in 0..10 {
        world.clock.advance(10_000);
        rest().await;
    }
    assert_eq!(world.counts(), [1, 1]);
    daemon.stop().await;
    world.check_laws().await;
}

#[tokio::test]
async fn a_full_disk_stops_nothing_for_good() {
    // The first commit notes the policies before anything runs.
    for n in 2..9 {
        let world = world();
        world.store.fail_commit(n, avowal_testkit::memory::CommitFault::Full);
        world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
        let daemon = Daemon::start(&world);
        for _ in 0..10 {
            rest().await;
            world.clock.advance(10_000);
        }
        rest().await;
        assert_eq!(world.counts(), [1, 1], "commit {n}");
        daemon.stop().await;
        world.check_laws().await;
        world.check_agreement().await;
    }
}

#[tokio::test]
async fn it_stops_at_once_while_everybody_sleeps() {
    let world = world();
    let daemon = Daemon::start(&world);
    rest().await;
    daemon.stop().await;
}
