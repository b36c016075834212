//! The API over a real socket: what people ask and decide, and what is refused.

use avowal_core::data::ids::SystemName;
use avowal_core::policy::EntityPolicy;
use avowal_engine::ports::connector::Fields;
use avowal_engine::{EngineParts, FirstWrites, Settings, SystemPort};
use avowal_server::client::Client;
use avowal_server::socket::{CONNECTIONS_MAX, SocketError, bind};
use avowal_server::{api, listen};
use avowal_testkit::fake::{FakeSystem, ManualClock, Profile};
use avowal_testkit::memory::MemoryStore;
use avowal_testpolicy::policy;
use avowal_view::{
    Answer, AnswerRequest, Approved, Decide as _, Desk, PauseRequest, RefusalKind, ReplayRequest,
    ResumeRequest, SyncRequest,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// A desk that is asked over a socket, and the systems behind it.
struct Office {
    folder: TempDir,
    desk: Arc<Desk>,
    systems: BTreeMap<SystemName, Arc<FakeSystem>>,
}

impl Office {
    /// An app and a CRM that hold one customer, and disagree about the name when `crossed`.
    async fn open(crossed: bool) -> Self {
        let clock = Arc::new(ManualClock::new());
        let names = ["app", "crm"].map(SystemName::new);
        let systems: BTreeMap<SystemName, Arc<FakeSystem>> = names
            .into_iter()
            .map(|name| {
                let fake = FakeSystem::new(name.as_str(), Profile::log(), clock.clone());
                (name, Arc::new(fake))
            })
            .collect();
        let rules: EntityPolicy = policy(&json!({
            "systems": {"app": {"local": true}, "crm": {}},
            "match_on": ["email"],
            "fields": {
                "email": {"type": "string", "owner": "app", "strategy": "owner_wins"},
                "name": {"type": "string", "owner": "shared", "strategy": "manual_review"}
            }
        }));
        let ports = systems.iter().map(|(name, fake)| {
            let port = SystemPort { connector: fake.clone(), poll_ms: 1_000, rate: None, lag_ms: Some(500) };
            (name.clone(), port)
        });
        let desk = Arc::new(Desk::new(
            EngineParts {
                store: Arc::new(MemoryStore::new()),
                clock,
                systems: ports.collect(),
                policies: [(rules.entity.clone(), Arc::new(rules))].into(),
                settings: Settings {
                    first_writes: FirstWrites::Agreed { by: "Ada".to_owned() },
                    ..Settings::default()
                },
                run: None,
            },
            "0123456789ab".to_owned(),
        ));
        let office = Self { folder: tempfile::tempdir().unwrap(), desk, systems };
        office.add("app", json!({"email": "a@x.org", "name": "Ann"}));
        office.sync().await;
        if crossed {
            office.edit("app", json!({"name": "Anne"}));
            office.edit("crm", json!({"name": "Anna"}));
            office.sync().await;
        }
        let socket = bind(&office.socket()).unwrap();
        let router = api::router(office.desk.clone());
        tokio::spawn(listen::serve(socket, router, CONNECTIONS_MAX, std::future::pending()));
        office
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    async fn client(&self) -> Client {
        Client::connect(&self.socket()).await.unwrap()
    }

    async fn sync(&self) {
        let request = SyncRequest { full: false, yes: false, approved: BTreeMap::new(), by: "Ada".into() };
        self.desk.sync(&request).await.unwrap();
    }

    fn add(&self, system: &str, fields: Value) {
        self.systems[system].insert("customer", raw(fields));
    }

    /// The customer by its copy in the app.
    fn key(&self) -> String {
        let id = self.systems["app"].rows("customer").into_keys().next().unwrap();
        format!("app:{}", id.as_str())
    }

    fn edit(&self, system: &str, fields: Value) {
        let system = &self.systems[system];
        let id = system.rows("customer").into_keys().next().unwrap();
        system.edit("customer", &id, raw(fields));
    }

    /// Sends a request as it is, and answers status, headers and body.
    async fn send(&self, request: &str) -> (u16, String, Value) {
        let mut stream = UnixStream::connect(self.socket()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_owned(), serde_json::from_str(body).unwrap_or_default())
    }

    async fn get(&self, path: &str) -> (u16, String, Value) {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
    }

    async fn post(&self, path: &str, body: &str) -> (u16, String, Value) {
        let length = body.len();
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}");
        self.send(&format!("{head}\r\n\r\n{body}")).await
    }
}

fn raw(fields: Value) -> Fields {
    serde_json::from_value(fields).unwrap()
}

#[tokio::test]
async fn a_person_reads_decides_and_sees_it_spread() {
    let office = Office::open(true).await;
    let client = office.client().await;
    let reviews: Value = client.get("/api/v1/reviews").await.unwrap();
    let id = reviews[0]["review"]["id"].as_str().unwrap();
    let review: Value = client.get(&format!("/api/v1/reviews/{id}")).await.unwrap();
    assert_eq!(review["may_take"], json!(["crm"]), "{review}");
    assert!(review["rule"].as_str().unwrap().starts_with("name is shared"), "{review}");

    let answer = |answer, by: &str| AnswerRequest { answer, by: by.to_owned(), note: None };
    let nobody = client.resolve(id, &answer(Answer::Keep, " ")).await.unwrap_err();
    assert_eq!(nobody.kind, RefusalKind::Usage, "{nobody}");
    let unknown = client.resolve("a b/../c", &answer(Answer::Keep, "Bo")).await.unwrap_err();
    assert_eq!(unknown.kind, RefusalKind::UnknownName, "{unknown}");
    assert!(unknown.message.contains("a b/../c"), "{unknown}");
    let resolved = client.resolve(id, &answer(Answer::Take("crm".into()), "Bo")).await.unwrap();
    assert_eq!((resolved.by.as_str(), resolved.review.as_str()), ("Bo", id));

    let request = SyncRequest { full: true, yes: false, approved: BTreeMap::new(), by: "Bo".into() };
    let report = client.sync(&request).await.unwrap();
    assert_eq!((report.reviews_open, report.intents_open), (0, 0), "{report:?}");
    let record: Value = client.get("/api/v1/records/customer/email=a@x.org").await.unwrap();
    assert_eq!(record["fields"]["name"]["value"], "Anna");
    assert_eq!(record["fields"]["name"]["copies"]["app"]["state"], "same");
    let key = record["id"].as_str().unwrap();
    let why: Value = client.get(&format!("/api/v1/records/customer/{key}/why/name")).await.unwrap();
    assert_eq!((&why["value"], &why["actor"]), (&json!("Anna"), &json!("Bo")), "{why}");
    let status: Value = client.get("/api/v1/status").await.unwrap();
    assert_eq!((&status["reviews"], &status["records"]), (&json!(0), &json!([["customer", 1]])), "{status}");
}

#[tokio::test]
async fn a_timeline_comes_in_pages_that_name_the_next() {
    let office = Office::open(true).await;
    let timeline = format!("/api/v1/records/customer/{}/timeline", office.key());
    let (status, _, all) = office.get(&timeline).await;
    assert_eq!(status, 200, "{all}");
    let mut path = format!("{timeline}?limit=2");
    let mut events = Vec::new();
    loop {
        let (_, head, page) = office.get(&path).await;
        let page = page.as_array().unwrap();
        assert!(page.len() <= 2, "{page:?}");
        events.extend(page.iter().cloned());
        let next = head.lines().find_map(|line| line.strip_prefix("link: <"));
        let Some(next) = next else { break };
        path = next.split_once('>').unwrap().0.to_owned();
    }
    assert_eq!(Value::from(events), all);
    let (_, _, last) = office.get(&format!("{timeline}?last=1")).await;
    assert_eq!(last[0], *all.as_array().unwrap().last().unwrap());
}

#[tokio::test]
async fn a_system_is_stopped_and_goes_on() {
    let office = Office::open(false).await;
    let crm = SystemName::new("crm");
    let request = PauseRequest { direction: None, by: "Ada".into(), note: Some("cleaning".into()) };
    let body = serde_json::to_string(&request).unwrap();
    let (status, _, stops) = office.post("/api/v1/systems/crm/pause", &body).await;
    assert_eq!((status, stops.as_array().map(Vec::len)), (200, Some(2)), "{stops}");
    let (_, _, system) = office.get("/api/v1/systems/crm").await;
    assert_eq!(system["stops"][0]["note"], "cleaning", "{system}");
    assert_eq!(system["lag"]["declared_ms"], 500, "{system}");
    let request = ResumeRequest {
        direction: None,
        restored: false,
        approved: Approved::default(),
        yes: false,
        by: "Ada".into(),
    };
    let client = office.client().await;
    let restored = ResumeRequest { restored: true, ..request.clone() };
    assert_eq!(client.resume(&crm, &restored).await.unwrap_err().kind, RefusalKind::Usage);
    assert_eq!(client.resume(&crm, &request).await.unwrap(), Vec::new());
}

#[tokio::test]
async fn an_item_that_is_not_there_cannot_be_tried_again() {
    let office = Office::open(false).await;
    let client = office.client().await;
    let by = ReplayRequest { by: "Ada".into() };
    assert_eq!(client.replay(Some(7), &by).await.unwrap_err().kind, RefusalKind::UnknownName);
    assert_eq!(client.replay(None, &by).await.unwrap().replayed, Vec::<i64>::new());
    assert_eq!(office.get("/api/v1/quarantine").await.2, json!([]));
}

#[tokio::test]
async fn every_refusal_is_a_problem_that_says_what_to_do() {
    let office = Office::open(false).await;
    let large = format!("{{\"by\": \"{}\"}}", "x".repeat(api::BODY_BYTES_MAX));
    let answers = [
        (404, None, office.get("/api/v1/nothing").await),
        (404, None, office.get("/").await),
        (405, None, office.get("/api/v1/sync").await),
        (400, None, office.get("/api/v1/quarantine/seven").await),
        (400, None, office.get("/api/v1/records/customer/app:1/timeline?page=2").await),
        (404, Some("unknown_name"), office.get("/api/v1/systems/cmr").await),
        (404, Some("unknown_name"), office.get("/api/v1/records/supplier/app:1").await),
        (404, Some("unknown_name"), office.get("/api/v1/records/customer/app:1/why/shoe_size").await),
        (404, Some("nothing_there"), office.get("/api/v1/records/customer/app:99").await),
        (400, Some("usage"), office.post("/api/v1/quarantine/replay", "{}").await),
        (400, Some("usage"), office.post("/api/v1/quarantine/replay", "{\"by\": \" \"}").await),
        (400, Some("usage"), office.post("/api/v1/sync", "{\"by\": \"Ada\", \"fast\": true}").await),
        (413, None, office.post("/api/v1/quarantine/replay", &large).await),
    ];
    for (status, kind, (found, head, body)) in answers {
        assert_eq!(found, status, "{body}");
        assert!(head.contains("content-type: application/problem+json"), "{head}");
        assert_eq!(body["status"], status, "{body}");
        assert_eq!(body["kind"].as_str(), kind, "{body}");
        let detail = body["detail"].as_str().unwrap();
        assert!(detail.len() > 20, "{body}");
    }
}

#[tokio::test]
async fn a_body_that_dawdles_is_sent_away() {
    let office = Office::open(false).await;
    let head = "POST /api/v1/sync HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 9\r\n\r\n{";
    let answer = tokio::time::timeout(Duration::from_secs(20), office.send(head)).await.unwrap();
    assert_eq!(answer.0, 408, "{}", answer.2);
}

#[tokio::test]
async fn a_socket_belongs_to_one_process_and_one_user() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    assert!(Client::connect(&path).await.is_none());
    let first = bind(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(bind(&path), Err(SocketError::Taken { .. })));
    // Another one's file is not removed.
    std::fs::remove_file(&path).unwrap();
    let second = bind(&path).unwrap();
    drop(first);
    assert!(path.exists());
    drop(second);
    assert!(!path.exists());
    // A dead process has left its file.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists() && Client::connect(&path).await.is_none());
    drop(bind(&path).unwrap());

    let long = bind(&folder.path().join("x".repeat(104))).unwrap_err().to_string();
    assert!(long.contains("longer than 103 bytes") && long.contains("[store] socket"), "{long}");
    std::fs::write(&path, "mine").unwrap();
    assert!(matches!(bind(&path), Err(SocketError::NoSocket { .. })));
    assert!(matches!(bind(&folder.path().join("none/s")), Err(SocketError::Unusable { .. })));
}
