//! `POST /webhooks/{system}`: deliveries, verified and handed over. `POST /webhooks/{system}/{secret}`: signals.

use crate::body::LargeBodies;
use crate::crowd::Place;
use crate::signature::{Secret, SignatureError, SignedHeaders, precheck, verify};
use async_trait::async_trait;
use avowal_core::data::ids::SystemName;
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::Digest;
use avowal_engine::ports::connector::Delivery;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

/// How many deliveries may be taken in at once, their senders known; more are asked to come back.
pub const IN_FLIGHT_MAX: usize = 64;
/// When a sender may come back after a flood, in seconds.
const FLOOD_RETRY_S: u64 = 1;

/// A system that may deliver.
#[derive(Clone, Debug)]
pub struct WebhookEndpoint {
    /// The system; also the last part of the path.
    pub system: SystemName,
    /// The secrets it may sign with; during a rotation two. Without any, and without a secret path, deliveries are taken
    /// unsigned, which [`crate::listen::bind`] allows on a loopback address only.
    pub secrets: Vec<Secret>,
    /// The last part of the path of a sender that does not sign.
    pub secret_path: Option<SecretPath>,
    /// How it signs.
    pub scheme: Scheme,
    /// How far its clock and ours may differ, transport included.
    pub tolerance_s: u32,
}

impl WebhookEndpoint {
    /// An endpoint with Standard Webhooks signatures and a tolerance of 300 s.
    pub fn new(system: SystemName, secrets: Vec<Secret>) -> Self {
        Self { system, secrets, secret_path: None, scheme: Scheme::StandardWebhooks, tolerance_s: 300 }
    }
}

/// A part of a path that only the sender knows. It never shows itself.
#[derive(Clone)]
pub struct SecretPath(String);

impl SecretPath {
    /// The fewest characters.
    pub const CHARS_MIN: usize = 24;

    /// Takes a text that is long enough and needs no encoding in a path.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        (plain && text.len() >= Self::CHARS_MIN).then(|| Self(text.to_owned()))
    }

    fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl fmt::Debug for SecretPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
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

/// The routes: `POST /webhooks/{system}`, `POST /webhooks/{system}/{secret}` and `GET /healthz`.
pub fn router(endpoints: Vec<WebhookEndpoint>, inbox: Arc<dyn Inbox>, now: Now) -> Router {
    let endpoints = endpoints.into_iter().map(|endpoint| (endpoint.system.clone(), endpoint)).collect();
    let places = Semaphore::new(IN_FLIGHT_MAX);
    let gate = Gate { endpoints, inbox, now, places, large: LargeBodies::new() };
    Router::new()
        .route("/webhooks/{system}", post(receive_signed))
        .route("/webhooks/{system}/{secret}", post(receive_signal))
        .route("/healthz", get(async || "ok"))
        .with_state(Arc::new(gate))
}

struct Gate {
    endpoints: BTreeMap<SystemName, WebhookEndpoint>,
    inbox: Arc<dyn Inbox>,
    now: Now,
    /// For senders that are known; others take none of them.
    places: Semaphore,
    large: LargeBodies,
}

async fn receive_signed(
    State(gate): State<Arc<Gate>>,
    Path(system): Path<String>,
    request: Request<Body>,
) -> Response {
    match gate.endpoints.get(system.as_str()) {
        Some(endpoint) if endpoint.secrets.is_empty() && endpoint.secret_path.is_none() => {
            receive(&gate, endpoint, Proof::None, request).await
        }
        Some(endpoint) if !endpoint.secrets.is_empty() => {
            receive(&gate, endpoint, Proof::Signature, request).await
        }
        Some(_) | None => no_endpoint(),
    }
}

async fn receive_signal(
    State(gate): State<Arc<Gate>>,
    Path((system, secret)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let endpoint = gate.endpoints.get(system.as_str());
    match endpoint.filter(|endpoint| endpoint.secret_path.as_ref().is_some_and(|path| path.is(&secret))) {
        Some(endpoint) => receive(&gate, endpoint, Proof::None, request).await,
        None => no_endpoint(),
    }
}

/// What tells that a delivery is its sender's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// A signature over the body.
    Signature,
    /// Nothing that covers the body: it is taken as a signal.
    None,
}

async fn receive(gate: &Gate, endpoint: &WebhookEndpoint, proof: Proof, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    if parts.headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return refuse(StatusCode::BAD_REQUEST, "compressed bodies are not accepted");
    }
    if proof == Proof::Signature
        && let Err(error) =
            signed(&parts.headers).and_then(|headers| precheck(endpoint.tolerance_s, headers, (gate.now)()))
    {
        return unauthorised(endpoint, error);
    }
    let body = match gate.large.read(&parts.headers, body).await {
        Ok(body) => body,
        Err((status, reason)) => return refuse(status, reason),
    };
    let now = (gate.now)();
    let id = match proof {
        Proof::Signature => match authenticate(endpoint, &parts.headers, &body, now) {
            Ok(id) => id,
            Err(error) => return unauthorised(endpoint, error),
        },
        Proof::None => made_up_id(&parts.headers, &body, now),
    };
    let Ok(_place) = gate.places.try_acquire() else {
        return busy(StatusCode::TOO_MANY_REQUESTS, FLOOD_RETRY_S);
    };
    let connection = parts.extensions.get::<Arc<Place>>();
    // Who has come to the point is not sent away before it is answered.
    if let Some(place) = connection {
        place.stay(true);
    }
    let delivery = Delivery { id, body, received_at: now, signed: proof == Proof::Signature };
    let answer = gate.inbox.deliver(&endpoint.system, delivery).await;
    if let Some(place) = connection {
        place.stay(false);
    }
    match answer {
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
    match endpoint.scheme {
        Scheme::StandardWebhooks => {
            let signed = signed(headers)?;
            verify(&endpoint.secrets, endpoint.tolerance_s, signed, body, now)?;
            Ok(signed.id.to_owned())
        }
    }
}

fn signed(headers: &HeaderMap) -> Result<SignedHeaders<'_>, SignatureError> {
    let header = |name: &'static str| {
        headers.get(name).and_then(|value| value.to_str().ok()).ok_or(SignatureError::Header(name))
    };
    Ok(SignedHeaders {
        id: header("webhook-id")?,
        timestamp: header("webhook-timestamp")?,
        signature: header("webhook-signature")?,
    })
}

/// Equal bodies need not be one delivery, so without an id only the moment of arrival tells them apart.
fn made_up_id(headers: &HeaderMap, body: &[u8], now: Timestamp) -> String {
    let given = headers.get("webhook-id").and_then(|id| id.to_str().ok());
    given
        .filter(|id| id.len() <= 256)
        .map_or_else(|| format!("{}@{}", Digest::of(body), now.millis()), str::to_owned)
}

fn unauthorised(endpoint: &WebhookEndpoint, error: SignatureError) -> Response {
    tracing::warn!(system = %endpoint.system, %error, "a delivery was refused");
    refuse(StatusCode::UNAUTHORIZED, &error.to_string())
}

fn no_endpoint() -> Response {
    refuse(StatusCode::NOT_FOUND, "no such endpoint")
}

fn refuse(status: StatusCode, reason: &str) -> Response {
    (status, format!("{reason}\n")).into_response()
}

fn busy(status: StatusCode, retry_after_s: u64) -> Response {
    (status, [(header::RETRY_AFTER, retry_after_s.to_string())]).into_response()
}
