//! Two engines in one process, each with its own connections to one Postgres store: what two machines would do.

use super::severed::policy;
use avowal_core::data::ids::SystemName;
use avowal_core::data::value::Value;
use avowal_engine::{
    DeliveryOutcome, Engine, EngineParts, FirstWrites, Settings, SyncOptions, SystemPort, Unwatched,
};
use avowal_stores::postgres::PostgresStore;
use avowal_testkit::fake::{FakeSystem, ManualClock, Profile};
use avowal_testkit::postgres::PrivatePostgres;
use avowal_testkit::store_suite::{contents, verify_history};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

struct Nodes {
    _server: PrivatePostgres,
    systems: BTreeMap<SystemName, Arc<FakeSystem>>,
    engines: Vec<Arc<Engine>>,
}

impl Nodes {
    async fn new(profile: &Profile) -> Self {
        let server = PrivatePostgres::start().unwrap();
        let clock = Arc::new(ManualClock::new());
        let systems: BTreeMap<SystemName, Arc<FakeSystem>> = ["app", "crm"]
            .into_iter()
            .map(|name| (name.into(), Arc::new(FakeSystem::new(name, profile.clone(), clock.clone()))))
            .collect();
        let mut engines = Vec::new();
        for _ in 0..2 {
            let store = Arc::new(PostgresStore::open(&server.url("postgres")).await.unwrap());
            let port = |fake: &Arc<FakeSystem>| SystemPort {
                connector: fake.clone(),
                poll_ms: 5_000,
                rate: None,
                lag_ms: None,
            };
            engines.push(Arc::new(Engine::new(EngineParts {
                run: None,
                store,
                clock: clock.clone(),
                systems: systems.iter().map(|(name, fake)| (name.clone(), port(fake))).collect(),
                policies: BTreeMap::from([("customer".into(), Arc::new(policy()))]),
                settings: Settings {
                    batch_records_max: 7,
                    first_writes: FirstWrites::Agreed { by: "Ada".to_owned() },
                    ..Settings::default()
                },
            })));
        }
        Self { _server: server, systems, engines }
    }

    /// Both engines run at once until both are done.
    async fn sync(&self) {
        let running: Vec<_> = self
            .engines
            .iter()
            .map(|engine| {
                let engine = engine.clone();
                tokio::spawn(async move { engine.sync(SyncOptions::default(), &Unwatched).await.map(|_| ()) })
            })
            .collect();
        for run in running {
            run.await.unwrap().unwrap();
        }
    }
}

fn email(n: usize) -> BTreeMap<String, Value> {
    BTreeMap::from([("email".to_owned(), Value::text(format!("{n}@example.org")))])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_make_one_record_of_one_customer() {
    for profile in [Profile::log(), Profile::cas()] {
        let nodes = Nodes::new(&profile).await;
        for n in 0..60 {
            for system in nodes.systems.values() {
                system.insert("customer", email(n));
            }
        }
        nodes.sync().await;
        nodes.sync().await;
        let store = nodes.engines[0].store().clone();
        let shown = contents(&*store).await;
        let linked = shown.records.iter().filter(|record| record.copies.len() == 2).count();
        assert_eq!((linked, shown.quarantine.len()), (60, 0));
        for system in nodes.systems.values() {
            assert_eq!(system.rows("customer").len(), 60);
        }
        verify_history(&*store).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_are_taken_once_by_whichever_node() {
    let nodes = Nodes::new(&Profile::log()).await;
    let crm = nodes.systems["crm"].clone();
    let id = crm.insert("customer", email(0));
    nodes.sync().await;
    let name = SystemName::from("crm");
    for _ in 0..10 {
        let delivery = crm.delivery("customer", &id, Some(email(0)));
        let answers: Vec<_> = (0..6)
            .map(|n| {
                let (engine, name, delivery) = (nodes.engines[n % 2].clone(), name.clone(), delivery.clone());
                tokio::spawn(async move { engine.receive_delivery(&name, &delivery).await })
            })
            .collect();
        let mut accepted = 0;
        for answer in answers {
            match answer.await.unwrap() {
                DeliveryOutcome::Accepted => accepted += 1,
                DeliveryOutcome::Duplicate => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(accepted, 1);
    }
    nodes.sync().await;
    let emails: BTreeSet<_> =
        nodes.systems["app"].rows("customer").into_values().map(|row| row["email"].clone()).collect();
    assert_eq!(emails.len(), 1);
    verify_history(&**nodes.engines[1].store()).await;
}
