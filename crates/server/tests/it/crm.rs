//! The demo CRM's deliveries, honest and not, at our door.

use super::{secret, webhook::Shelf};
use avowal_core::data::ids::SystemName;
use avowal_core::data::time::Timestamp;
use avowal_server::listen::{bind, serve};
use avowal_server::signature::Secret;
use avowal_server::webhook::{Inbox, WebhookEndpoint, router};
use avowal_testkit::crm::{Crm, CrmOptions, Lies, Target};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A CRM that delivers to a listener of ours.
struct Pair {
    crm: Crm,
    shelf: Arc<Shelf>,
    person: reqwest::Client,
}

impl Pair {
    async fn open() -> Self {
        let endpoints =
            vec![WebhookEndpoint::new(SystemName::new("crm"), vec![Secret::parse(&secret(1)).unwrap()])];
        let shelf = Arc::new(Shelf::new());
        let listener = bind(([127, 0, 0, 1], 0).into(), &endpoints).await.unwrap();
        let url = format!("http://{}/webhooks/crm", listener.local_addr().unwrap());
        let now = Arc::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            Timestamp::from_millis(since.as_millis() as i64)
        });
        let router = router(endpoints, Arc::clone(&shelf) as Arc<dyn Inbox>, now);
        tokio::spawn(serve(listener, router, 128, std::future::pending()));
        let webhook = Some(Target { url, secret: Some(secret(1)) });
        let crm = Crm::start_with(CrmOptions { webhook, ..CrmOptions::default() }).await.unwrap();
        Self { crm, shelf, person: avowal_testkit::http::client().unwrap() }
    }

    async fn control(&self, path: &str, body: Value) -> Value {
        let request = match path.strip_prefix("PATCH ") {
            Some(path) => self.person.patch(format!("{}/_control/{path}", self.crm.url())),
            None => self.person.post(format!("{}/_control/{path}", self.crm.url())),
        };
        let reply = request.header("content-type", "application/json").body(body.to_string()).send().await;
        let reply = reply.unwrap().error_for_status().unwrap();
        serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap_or_default()
    }

    async fn edit(&self, note: &str) {
        self.control("PATCH contacts/c1", json!({ "actor": "dana", "fields": { "note": note } })).await;
    }

    /// The notes in the deliveries that have been taken so far.
    async fn notes(&self) -> Vec<String> {
        self.crm.flush().await;
        let bodies = self.shelf.bodies();
        let note = |body: &Vec<u8>| {
            let body: Value = serde_json::from_slice(body).unwrap();
            body["data"]["note"].as_str().unwrap_or("-").to_owned()
        };
        bodies.iter().map(note).collect()
    }
}

#[tokio::test]
async fn deliveries_arrive_once_late_reordered_partial_or_never() {
    let pair = Pair::open().await;
    let made =
        pair.control("contacts", json!({ "actor": "dana", "fields": { "note": "0", "phone": "+1 (555)" } }));
    assert_eq!(made.await["phone"], "+1555");
    pair.edit("1").await;
    assert_eq!(pair.notes().await, ["0", "1"], "honest and signed");

    pair.crm.set_lies(Lies { twice: true, ..Lies::default() });
    pair.edit("2").await;
    assert_eq!(pair.notes().await, ["0", "1", "2"], "a repetition carries the same id");

    pair.crm.set_lies(Lies { hold: true, ..Lies::default() });
    pair.edit("3").await;
    pair.edit("4").await;
    assert_eq!(pair.notes().await.len(), 3);
    pair.control("release", json!({ "reverse": true })).await;
    assert_eq!(pair.notes().await[3..], ["4", "3"]);

    pair.crm.set_lies(Lies { only_fields: Some(vec!["phone".to_owned()]), ..Lies::default() });
    pair.edit("5").await;
    assert_eq!(pair.notes().await[5..], ["-"]);

    pair.crm.set_lies(Lies { drop: true, ..Lies::default() });
    pair.edit("6").await;
    assert_eq!(pair.notes().await.len(), 6);

    pair.control("replay", json!({ "number": 1 })).await;
    assert_eq!(pair.notes().await.len(), 6, "the old id is a duplicate");
    pair.control("replay", json!({ "number": 1, "fresh_id": true })).await;
    assert_eq!(pair.notes().await[6..], ["1"], "a new id brings the old value again");
    pair.crm.stop().await;
}
