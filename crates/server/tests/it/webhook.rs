//! The gates that a delivery passes, each with its answer.

use super::secret;
use async_trait::async_trait;
use avowal_core::data::ids::SystemName;
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::connector::Delivery;
use avowal_server::body::BODY_BYTES_MAX;
use avowal_server::listen::{bind, serve};
use avowal_server::signature::Secret;
use avowal_server::webhook::{DeliveryAnswer, IN_FLIGHT_MAX, Inbox, SecretPath, WebhookEndpoint, router};
use reqwest::{Client, RequestBuilder, StatusCode};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

const NOW_S: i64 = 1_763_800_000;
const PATH: &str = "a-path_that_only_the_sender_knows";

/// Keeps what it is given, and answers by the first word of the body.
pub(super) struct Shelf {
    taken: Mutex<Vec<Delivery>>,
    /// A body `wait` waits for a permit.
    pub(super) gate: Semaphore,
}

impl Shelf {
    pub(super) fn new() -> Self {
        Self { taken: Mutex::default(), gate: Semaphore::new(0) }
    }

    pub(super) fn bodies(&self) -> Vec<Vec<u8>> {
        self.taken.lock().unwrap().iter().map(|delivery| delivery.body.clone()).collect()
    }
}

#[async_trait]
impl Inbox for Shelf {
    async fn deliver(&self, _system: &SystemName, delivery: Delivery) -> DeliveryAnswer {
        let body = String::from_utf8_lossy(&delivery.body).into_owned();
        if body == "wait" {
            self.gate.acquire().await.unwrap().forget();
        }
        let mut taken = self.taken.lock().unwrap();
        if taken.iter().any(|earlier| earlier.id == delivery.id) {
            return DeliveryAnswer::Duplicate;
        }
        match body.as_str() {
            "full" => return DeliveryAnswer::Busy { retry_after_s: 9 },
            "nonsense" => return DeliveryAnswer::Refused { reason: "not JSON".to_owned() },
            _ => taken.push(delivery),
        }
        DeliveryAnswer::Accepted
    }
}

pub(super) struct Listening {
    pub(super) address: SocketAddr,
    pub(super) shelf: Arc<Shelf>,
    pub(super) stop: oneshot::Sender<()>,
    pub(super) served: JoinHandle<()>,
    client: Client,
}

pub(super) async fn listen() -> Listening {
    let key = |byte| Secret::parse(&secret(byte)).unwrap();
    let endpoints = vec![
        WebhookEndpoint::new(SystemName::new("crm"), vec![key(1)]),
        WebhookEndpoint::new(SystemName::new("shop"), vec![key(2)]),
        WebhookEndpoint::new(SystemName::new("open"), Vec::new()),
        WebhookEndpoint {
            secret_path: SecretPath::parse(PATH),
            ..WebhookEndpoint::new(SystemName::new("pathed"), Vec::new())
        },
    ];
    let shelf = Arc::new(Shelf::new());
    let listener = bind(([127, 0, 0, 1], 0).into(), &endpoints).await.unwrap();
    let address = listener.local_addr().unwrap();
    let now = Arc::new(|| Timestamp::from_millis(NOW_S * 1000));
    let router = router(endpoints, Arc::clone(&shelf) as Arc<dyn Inbox>, now);
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(serve(listener, router, 128, async {
        let _ = stopped.await;
    }));
    let client = avowal_testkit::http::client().unwrap();
    Listening { address, shelf, stop, served, client }
}

impl Listening {
    pub(super) fn signed(&self, id: &str, at_s: i64, key: u8, body: &str) -> RequestBuilder {
        let signer = standardwebhooks::Webhook::new(&secret(key)).unwrap();
        let signature = signer.sign(id, at_s, body.as_bytes()).unwrap();
        self.unsigned("crm", body)
            .header("webhook-id", id)
            .header("webhook-timestamp", at_s)
            .header("webhook-signature", signature)
    }

    fn unsigned(&self, system: &str, body: &str) -> RequestBuilder {
        self.client.post(format!("http://{}/webhooks/{system}", self.address)).body(body.to_owned())
    }

    fn taken(&self) -> usize {
        self.shelf.taken.lock().unwrap().len()
    }
}

async fn status(request: RequestBuilder) -> StatusCode {
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn only_a_true_delivery_is_taken_and_only_once() {
    let at = listen().await;
    let forged = [
        at.unsigned("crm", "x"),
        at.signed("msg_1", NOW_S, 1, "x").body("y"),
        at.signed("msg_1", NOW_S, 2, "x"),
        at.signed("msg_1", NOW_S - 301, 1, "x"),
        at.signed("msg_1", NOW_S + 301, 1, "x"),
    ];
    for request in forged {
        assert_eq!(status(request).await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(at.taken(), 0, "nothing is stored");
    for _ in 0..2 {
        assert_eq!(status(at.signed("msg_1", NOW_S, 1, "x")).await, StatusCode::ACCEPTED);
    }
    assert_eq!(at.taken(), 1);
    assert_eq!(status(at.unsigned("nobody", "x")).await, StatusCode::NOT_FOUND);
    for _ in 0..2 {
        assert_eq!(status(at.unsigned("open", "x")).await, StatusCode::ACCEPTED);
    }
    assert_eq!(status(at.client.get(format!("http://{}/healthz", at.address))).await, StatusCode::OK);
}

#[tokio::test]
async fn what_is_not_signed_is_said_to_be_so() {
    let at = listen().await;
    assert_eq!(status(at.signed("msg_1", NOW_S, 1, "x")).await, StatusCode::ACCEPTED);
    assert_eq!(status(at.unsigned("open", "y")).await, StatusCode::ACCEPTED);
    assert_eq!(status(at.unsigned(&format!("pathed/{PATH}"), "z")).await, StatusCode::ACCEPTED);
    let signed: Vec<bool> = at.shelf.taken.lock().unwrap().iter().map(|delivery| delivery.signed).collect();
    assert_eq!(signed, [true, false, false]);
    for system in ["pathed", "pathed/", "pathed/another-path-of-the-same-length", "open/x", "crm/x"] {
        assert_eq!(status(at.unsigned(system, "x")).await, StatusCode::NOT_FOUND, "{system}");
    }
    assert!(SecretPath::parse("short").is_none() && SecretPath::parse(&"ä".repeat(30)).is_none());
}

#[tokio::test]
async fn each_answer_of_the_inbox_has_its_status() {
    let at = listen().await;
    let full = at.signed("msg_1", NOW_S, 1, "full").send().await.unwrap();
    assert_eq!(
        (full.status(), &full.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"9".parse().unwrap())
    );
    assert_eq!(status(at.signed("msg_1", NOW_S, 1, "nonsense")).await, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let at = listen().await;
    let large = "x".repeat(BODY_BYTES_MAX + 1);
    assert_eq!(status(at.signed("msg_1", NOW_S, 1, &large)).await, StatusCode::PAYLOAD_TOO_LARGE);
    let zipped = at.signed("msg_1", NOW_S, 1, "x").header("content-encoding", "gzip");
    assert_eq!(status(zipped).await, StatusCode::BAD_REQUEST);
    assert_eq!(at.taken(), 0);
}

#[tokio::test]
async fn a_flood_is_asked_to_come_back() {
    let at = listen().await;
    let waiting: Vec<_> = (0..IN_FLIGHT_MAX)
        .map(|n| tokio::spawn(status(at.signed(&format!("msg_{n}"), NOW_S, 1, "wait"))))
        .collect();
    let turned_away = loop {
        let reply = at.signed("msg_x", NOW_S, 1, "x").send().await.unwrap();
        if reply.status() == StatusCode::TOO_MANY_REQUESTS {
            break reply;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(turned_away.headers()["retry-after"], "1");
    at.shelf.gate.add_permits(IN_FLIGHT_MAX);
    for request in waiting {
        assert_eq!(request.await.unwrap(), StatusCode::ACCEPTED);
    }
}
