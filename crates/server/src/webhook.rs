//! `POST /webhooks/{system}`: deliveries, verified and handed over.

use crate::signature::{Secret, SignatureError, SignedHeaders, verify};
use async_trait::async_trait;
use avowal_core::data::ids::SystemName;
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::Digest;
use avowal_engine::ports::connector::Delivery;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The largest body of a delivery.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// How many deliveries may be under way at once; more are asked to come back.
pub const IN_FLIGHT_MAX: usize = 64;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// When a sender may come back after a flood, in seconds.
const FLOOD_RETRY_S: u64 = 1;

/// A system that may deliver.
#[derive(Clone, Debug)]
pub struct WebhookEndpoint {
    /// The system; also the last part of the path.
    pub system: SystemName,
    /// The secrets it may sign with; during a rotation two. Without any, deliveries are taken unsigned, which
    /// [`crate::listen::bind`] allows on a loopback address only.
    pub secrets: Vec<Secret>,
    /// How it signs.
    pub scheme: Scheme,
    /// How far its clock and ours may differ, transport included.
    pub tolerance_s: u32,
}

impl WebhookEndpoint {
    /// An endpoint with Standard Webhooks signatures and a tolerance of 300 s.
    pub fn new(system: SystemName, secrets: Vec<Secret>) -> Self {
        Self { system, secrets, scheme: Scheme::StandardWebhooks, tolerance_s: 300 }
    }
}

/// How deliveries are signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// <https://www.standardwebhooks.com>: HMAC-SHA256 over id, time and body.
    StandardWebhooks,
}

/// Who takes deliveries.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Takes a verified delivery. `Accepted` and `Duplicate` are answered only when it is durable: the sender
    /// will not send it again. May be called many times at once, also with the same delivery.
    async fn deliver(&self, system: &SystemName, delivery: Delivery) -> DeliveryAnswer;
}

/// What became of a delivery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DeliveryAnswer {
    /// It is durable. Answered 202.
    Accepted,
    /// It was durable before. Answered 202 too, so that the sender stops.
    Duplicate,
    /// It cannot be taken now, for example because the store is full. Answered 503: the sender tries again.
    Busy {
        /// When to come back.
        retry_after_s: u64,
    },
    /// It will never be understood. Answered 400.
    Refused {
        /// Why, fit for the sender's eyes.
        reason: String,
    },
}

/// The current time, as the composition root tells it.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The routes: `POST /webhooks/{system}` and `GET /healthz`.
pub fn router(endpoints: Vec<WebhookEndpoint>, inbox: Arc<dyn Inbox>, now: Now) -> Router {
    let endpoints = endpoints.into_iter().map(|endpoint| (endpoint.system.clone(), endpoint)).collect();
    let gate = Gate { endpoints, inbox, now, places: Semaphore::new(IN_FLIGHT_MAX) };
    Router::new()
        .route("/webhooks/{system}", post(receive))
        .route("/healthz", get(async || "ok"))
        .with_state(Arc::new(gate))
}

struct Gate {
    endpoints: BTreeMap<SystemName, WebhookEndpoint>,
    inbox: Arc<dyn Inbox>,
    now: Now,
    places: Semaphore,
}

async fn receive(
    State(gate): State<Arc<Gate>>,
    Path(system): Path<String>,
    request: Request<Body>,
) -> Response {
    // The place is taken before the body is read, so that a flood costs a bounded amount of memory.
    let Ok(_place) = gate.places.try_acquire() else {
        return busy(StatusCode::TOO_MANY_REQUESTS, FLOOD_RETRY_S);
    };
    let Some(endpoint) = gate.endpoints.get(system.as_str()) else {
        return refuse(StatusCode::NOT_FOUND, "no such endpoint");
    };
    let (parts, body) = request.into_parts();
    if parts.headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return refuse(StatusCode::BAD_REQUEST, "compressed bodies are not accepted");
    }
    let announced =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > BODY_BYTES_MAX) {
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large");
    }
    let body = match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return refuse(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or incomplete"),
        Err(_) => return refuse(StatusCode::REQUEST_TIMEOUT, "the body took too long"),
    };
    let now = (gate.now)();
    let id = match authenticate(endpoint, &parts.headers, &body, now) {
        Ok(id) => id,
        Err(error) => {
            tracing::warn!(system = %endpoint.system, %error, "a delivery was refused");
            return refuse(StatusCode::UNAUTHORIZED, &error.to_string());
        }
    };
    let delivery = Delivery { id, body: body.to_vec(), received_at: now };
    match gate.inbox.deliver(&endpoint.system, delivery).await {
        DeliveryAnswer::Accepted | DeliveryAnswer::Duplicate => StatusCode::ACCEPTED.into_response(),
        DeliveryAnswer::Busy { retry_after_s } => busy(StatusCode::SERVICE_UNAVAILABLE, retry_after_s),
        DeliveryAnswer::Refused { reason } => refuse(StatusCode::BAD_REQUEST, &reason),
    }
}

/// The delivery's id, if its sender is who it should be.
fn authenticate(
    endpoint: &WebhookEndpoint,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<String, SignatureError> {
    let header = |name: &'static str| {
        headers.get(name).and_then(|value| value.to_str().ok()).ok_or(SignatureError::Header(name))
    };
    if endpoint.secrets.is_empty() {
        // Equal bodies need not be one delivery, so without an id only the moment of arrival tells them apart.
        let made_up = || format!("{}@{}", Digest::of(body), now.millis());
        return Ok(header("webhook-id")
            .ok()
            .filter(|id| id.len() <= 256)
            .map_or_else(made_up, str::to_owned));
    }
    match endpoint.scheme {
        Scheme::StandardWebhooks => {
            let signed = SignedHeaders {
                id: header("webhook-id")?,
                timestamp: header("webhook-timestamp")?,
                signature: header("webhook-signature")?,
            };
            verify(&endpoint.secrets, endpoint.tolerance_s, signed, body, now)?;
            Ok(signed.id.to_owned())
        }
    }
}

fn refuse(status: StatusCode, reason: &str) -> Response {
    (status, format!("{reason}\n")).into_response()
}

fn busy(status: StatusCode, retry_after_s: u64) -> Response {
    (status, [(header::RETRY_AFTER, retry_after_s.to_string())]).into_response()
}
