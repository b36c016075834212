//! Connections that break at the worst moment: a relay between store and server cuts them there.

use super::customer;
use avowal_core::data::ids::SystemName;
use avowal_core::data::value::Value;
use avowal_core::history::Body;
use avowal_engine::ports::store::{
    Commit, CommitChanges, CommitOutcome, ReadOverview, ReadRecords, Store, StoreError,
};
use avowal_engine::{Engine, EngineParts, FirstWrites, Settings, SyncOptions, SystemPort, Unwatched};
use avowal_stores::postgres::PostgresStore;
use avowal_testkit::fake::{FakeSystem, ManualClock, Profile};
use avowal_testkit::postgres::{PASSWORD, PrivatePostgres, USER};
use avowal_testkit::store_suite::sample::Stream;
use avowal_testkit::store_suite::{contents, verify_history};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Where a connection shall break.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cut {
    /// Nowhere.
    Never,
    /// When the server has answered COMMIT: the answer is lost.
    AfterCommit,
    /// Before COMMIT reaches the server.
    BeforeCommit,
    /// When a transaction begins.
    AtBegin,
    /// After every n-th COMMIT, before and after the server has it, in turn.
    EveryCommit(u64),
}

/// A relay on a port of its own.
struct Relay {
    port: u16,
    cut: watch::Sender<Cut>,
    commits: Arc<AtomicU64>,
}

impl Relay {
    async fn to(server_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (cut, orders) = watch::channel(Cut::Never);
        let commits = Arc::new(AtomicU64::new(0));
        let counted = commits.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server_port)).await else { continue };
                tokio::spawn(relay(client, server, orders.clone(), counted.clone()));
            }
        });
        Self { port, cut, commits }
    }

    fn url(&self) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    fn cut(&self, cut: Cut) {
        self.cut.send_replace(cut);
    }
}

/// Copies both ways until a cut is due. Returning closes both ends.
async fn relay(
    mut client: TcpStream,
    mut server: TcpStream,
    orders: watch::Receiver<Cut>,
    commits: Arc<AtomicU64>,
) {
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    let mut armed = false;
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(n @ 1..) = read else { return };
                let has = |word: &[u8]| up[..n].windows(word.len()).any(|part| part == word);
                let is_commit = has(b"COMMIT\0");
                let count = if is_commit { commits.fetch_add(1, Ordering::Relaxed) + 1 } else { 0 };
                match *orders.borrow() {
                    Cut::Never => {}
                    Cut::AfterCommit => armed |= is_commit,
                    Cut::BeforeCommit if is_commit => return,
                    Cut::AtBegin if has(b"BEGIN\0") => return,
                    Cut::EveryCommit(nth) if is_commit && count % nth == 0 => {
                        if count % (2 * nth) == 0 { return }
                        armed = true;
                    }
                    Cut::BeforeCommit | Cut::AtBegin | Cut::EveryCommit(_) => {}
                }
                if server.write_all(&up[..n]).await.is_err() { return }
            }
            read = server.read(&mut down) => {
                let Ok(n @ 1..) = read else { return };
                if armed || client.write_all(&down[..n]).await.is_err() { return }
            }
        }
    }
}

async fn severable() -> (PrivatePostgres, Relay, Arc<PostgresStore>) {
    let server = PrivatePostgres::start().unwrap();
    let relay = Relay::to(server.port()).await;
    let store = PostgresStore::open(&relay.url()).await.unwrap();
    (server, relay, Arc::new(store))
}

#[tokio::test]
async fn lost_answer_to_commit_is_unknown_for_the_group() {
    let (_server, relay, store) = severable().await;
    assert_eq!(store.commit(customer("00").commit()).await, Ok(CommitOutcome::Committed));
    for (cut, applied) in [(Cut::AfterCommit, true), (Cut::BeforeCommit, false)] {
        relay.cut(cut);
        let tasks: Vec<_> = (0..12)
            .map(|n| {
                let (store, id) = (store.clone(), format!("{applied}-{n:02}"));
                tokio::spawn(async move { store.commit(customer(&id).commit()).await })
            })
            .collect();
        for task in tasks {
            let outcome = task.await.unwrap();
            assert!(matches!(outcome, Ok(CommitOutcome::Unknown { .. })), "{cut:?}: {outcome:?}");
        }
        relay.cut(Cut::Never);
        let stored = store.load(&[format!("{applied}-00").into()]).await.unwrap().remove(0);
        assert_eq!(stored.is_some(), applied, "{cut:?}");
    }
    // What is refused is refused for certain, whatever becomes of the others.
    relay.cut(Cut::AfterCommit);
    let outcome = store.commit(customer("00").commit()).await;
    assert!(matches!(outcome, Ok(CommitOutcome::Conflict { .. })), "{outcome:?}");
    verify_history(&*store).await;
}

#[tokio::test]
async fn connection_lost_before_commit_is_made_again() {
    let (_server, relay, store) = severable().await;
    relay.cut(Cut::AtBegin);
    let healer = async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        relay.cut(Cut::Never);
    };
    let mut customer = customer("01");
    let (outcome, ()) = tokio::join!(store.commit(customer.commit()), healer);
    assert_eq!(outcome, Ok(CommitOutcome::Committed));
    assert_eq!(store.counts().await.unwrap().events, 1);
}

#[tokio::test]
async fn restarted_server_is_found_again() {
    let (mut server, relay, store) = severable().await;
    assert_eq!(store.commit(customer("01").commit()).await, Ok(CommitOutcome::Committed));
    server.stop().unwrap();
    let error = store.load(&["01".into()]).await.unwrap_err();
    let StoreError::Unavailable(why) = &error else { panic!("{error:?}") };
    assert!(why.contains(&relay.port.to_string()) && why.contains("Check that the server runs"), "{why}");
    assert!(!why.contains(PASSWORD), "{why}");
    server.restart().unwrap();
    assert_eq!(store.commit(customer("02").commit()).await, Ok(CommitOutcome::Committed));
    assert_eq!(contents(&*store).await.records.len(), 2);
}

/// Writers that find out after every unknown outcome, as the engine does: every event is there once.
#[tokio::test]
async fn writers_that_look_lose_and_double_nothing() {
    const WRITERS: usize = 8;
    const STEPS: u64 = 25;
    let (_server, relay, store) = severable().await;
    relay.cut(Cut::EveryCommit(5));
    let tasks: Vec<_> = (0..WRITERS)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut stream = customer(&format!("{n:02}"));
                let mut unknown = 0;
                for step in 0..STEPS {
                    if step > 0 {
                        stream.push(Body::Released { system: "crm".into() });
                    }
                    unknown += persist(&*store, &mut stream).await;
                }
                unknown
            })
        })
        .collect();
    let mut unknown = 0;
    for task in tasks {
        unknown += task.await.unwrap();
    }
    relay.cut(Cut::Never);
    assert!(unknown > 10, "only {unknown} unknown outcomes");
    verify_history(&*store).await;
    let counts = store.counts().await.unwrap();
    assert_eq!(counts.events, WRITERS as u64 * STEPS);
    assert_eq!(contents(&*store).await.events.len() as u64, counts.events);
}

/// Commits the next step until it is there; answers how often nobody could tell.
async fn persist(store: &dyn Store, stream: &mut Stream) -> u64 {
    let commit = stream.commit();
    let mut unknown = 0;
    loop {
        match store.commit(commit.clone()).await {
            Ok(CommitOutcome::Committed) => return unknown,
            Ok(CommitOutcome::Unknown { .. }) => {
                unknown += 1;
                let stored = store.load(std::slice::from_ref(&stream.state.id)).await.unwrap().remove(0);
                if stored.is_some_and(|stored| stored.head == stream.state.head) {
                    return unknown;
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Two systems, the engine between them, and a store whose connection breaks at every other commit.
#[tokio::test]
async fn engine_ends_well_on_a_store_that_breaks() {
    let (_server, relay, store) = severable().await;
    let clock = Arc::new(ManualClock::new());
    let systems: BTreeMap<SystemName, Arc<FakeSystem>> = ["app", "crm"]
        .into_iter()
        .map(|name| (name.into(), Arc::new(FakeSystem::new(name, Profile::log(), clock.clone()))))
        .collect();
    let fields = |n: usize| BTreeMap::from([("email".to_owned(), Value::text(format!("{n}@example.org")))]);
    for n in 0..40 {
        systems[if n % 2 == 0 { "app" } else { "crm" }].insert("customer", fields(n));
    }
    let engine = || {
        let port = |fake: &Arc<FakeSystem>| SystemPort {
            connector: fake.clone(),
            poll_ms: 5_000,
            rate: None,
            lag_ms: None,
        };
        Engine::new(EngineParts {
            run: None,
            store: store.clone(),
            clock: clock.clone(),
            systems: systems.iter().map(|(name, fake)| (name.clone(), port(fake))).collect(),
            policies: BTreeMap::from([("customer".into(), Arc::new(policy()))]),
            settings: Settings {
                batch_records_max: 3,
                first_writes: FirstWrites::Agreed { by: "Ada".to_owned() },
                ..Settings::default()
            },
        })
    };
    relay.cut(Cut::EveryCommit(2));
    let before = relay.commits.load(Ordering::Relaxed);
    engine().sync(SyncOptions::default(), &Unwatched).await.unwrap();
    assert!(relay.commits.load(Ordering::Relaxed) - before > 10);
    relay.cut(Cut::Never);
    engine().sync(SyncOptions::default(), &Unwatched).await.unwrap();
    for system in systems.values() {
        let emails: BTreeSet<_> =
            system.rows("customer").into_values().map(|row| row["email"].clone()).collect();
        assert_eq!((emails.len(), system.rows("customer").len()), (40, 40));
    }
    let quiet = engine().sync(SyncOptions { full: true }, &Unwatched).await.unwrap();
    assert_eq!((quiet.written(), quiet.events), (0, 0));
    let shown = contents(&*store).await;
    assert_eq!(shown.records.iter().filter(|record| !record.copies.is_empty()).count(), 40);
    assert_eq!(shown.quarantine, []);
    verify_history(&*store).await;
}

pub fn policy() -> avowal_core::policy::EntityPolicy {
    avowal_testpolicy::policy(&json!({
        "match_on": ["email"],
        "fields": {"email": {"type": "string", "owner": "shared", "strategy": "latest_valid_change", "precedence": ["app", "crm"]}},
        "systems": {"app": {"local": true}, "crm": {}}
    }))
}

#[tokio::test]
async fn refused_commit_does_not_fail_its_neighbours() {
    let (_server, _relay, store) = severable().await;
    assert_eq!(store.commit(customer("00").commit()).await, Ok(CommitOutcome::Committed));
    let tasks: Vec<_> = (0..20)
        .map(|n| {
            let store = store.clone();
            // Every other one takes a copy that belongs to somebody else.
            let remote_id = if n % 2 == 0 { "00".to_owned() } else { format!("own-{n}") };
            let commit: Commit = Stream::linked(&format!("n{n:02}"), "crm", &remote_id).commit();
            tokio::spawn(async move { store.commit(commit).await.unwrap() })
        })
        .collect();
    for (n, task) in tasks.into_iter().enumerate() {
        let outcome = task.await.unwrap();
        assert_eq!(outcome == CommitOutcome::Committed, n % 2 == 1, "{n}: {outcome:?}");
    }
    verify_history(&*store).await;
}
