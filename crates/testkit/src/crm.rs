//! A small CRM that lies on demand: the other side of the quickstart, and a real server for tests.
//!
//! It keeps contacts in memory and serves them over HTTP on 127.0.0.1. A contact is any JSON object; the CRM adds
//! `id`, `rev` (a counter), `updated_at`, `updated_by` and `operation_id` (the idempotency key of the write
//! that made this state, or null). `phone` is normalised when written: `+1 (555) 010-2000` is stored as
//! `+15550102000`. An `email` without `@` is refused with 422.
//!
//! | request | answer |
//! |---|---|
//! | `GET /contacts?page=1&per_page=50` | `{"contacts": […], "page", "total_pages"}`, in order of creation |
//! | `… &updated_since=TIME` | only those changed at or after it, in order of change |
//! | `… &email=a@b.c` (any field) | only those with this value |
//! | `GET /contacts/{id}` | one contact, its version in `ETag` |
//! | `POST /contacts` | 201 and the contact; `Idempotency-Key` is honoured |
//! | `PATCH /contacts/{id}` | changes the given fields; `If-Match` is honoured with 412, `Idempotency-Key` too |
//! | `DELETE /contacts/{id}` | 204 |
//!
//! Every change is announced by a webhook (Standard Webhooks: signed, with `webhook-id`) of the type
//! `contact.created`, `contact.updated` or `contact.deleted`: `{"type", "timestamp", "data": contact}`.
//! Deliveries go out one after the other; one that is not answered with success is tried three times.
//!
//! # The control interface
//!
//! | request | effect |
//! |---|---|
//! | `POST /_control/contacts` `{"actor", "fields"}` | a person makes a contact; answers it |
//! | `PATCH /_control/contacts/{id}` `{"actor", "fields"}` | a person edits one; answers it |
//! | `DELETE /_control/contacts/{id}` | a person removes one |
//! | `POST /_control/touch` | gives every contact a new `updated_at` and `rev`, without a webhook |
//! | `POST /_control/webhook` `{"url", "secret"}` | where webhooks go from now on, and how they are signed |
//! | `POST /_control/lies` `{…}` | replaces the lies, see [`Lies`]; `{}` makes it honest |
//! | `POST /_control/release` `{"reverse": false}` | sends the webhooks that were held back |
//! | `POST /_control/replay` `{"number", "fresh_id"}` | sends an old delivery again, with its own or a new id |
//! | `POST /_control/flush` | answers when no webhook is on its way any more |
//! | `GET /_control/webhooks` | all deliveries so far: `number`, `id`, `body`, `state` |
//! | `GET /_control/stats` | `requests` by method, `writes`, `webhooks` by state, and a `log` of the last requests |
//!
//! The token, if one is set, guards `/contacts` only.

mod api;
mod book;
mod control;
mod hooks;

pub use hooks::Target;

use axum::Router;
use axum::routing::{get, patch, post};
use book::Book;
use hooks::Hooks;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How many requests the log keeps.
const LOG_MAX: usize = 500;

/// How the CRM starts.
#[derive(Clone, Debug, Default)]
pub struct CrmOptions {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The bearer token that `/contacts` asks for; none by default.
    pub token: Option<String>,
    /// Where webhooks go; nowhere by default.
    pub webhook: Option<Target>,
}

/// The lies that the CRM tells from now on. The default is honesty.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lies {
    /// Webhooks are held back until they are released.
    pub hold: bool,
    /// Webhooks are lost.
    pub drop: bool,
    /// Webhooks are sent twice, with one id.
    pub twice: bool,
    /// Webhooks carry only these fields, and the id.
    pub only_fields: Option<Vec<String>>,
    /// Webhooks claim to be older by so many seconds.
    pub backdate_s: i64,
    /// So many reads of single contacts show the state before the last change.
    pub stale_reads: u32,
    /// Writes of these values are refused with 422, by field.
    pub refuse: BTreeMap<String, serde_json::Value>,
    /// The next requests to `/contacts` fail.
    pub fail: Option<Fail>,
}

/// How requests fail.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fail {
    /// How many.
    pub count: u32,
    /// The status they are answered with.
    pub status: u16,
    /// Whether the request has its effect before the failure.
    #[serde(default)]
    pub after_effect: bool,
    /// Whether only writes fail.
    #[serde(default)]
    pub writes_only: bool,
    /// The `Retry-After` header, in seconds.
    #[serde(default)]
    pub retry_after_s: Option<u64>,
    /// How long the answer takes.
    #[serde(default)]
    pub delay_ms: u64,
}

/// A running CRM. It stops when this is dropped.
pub struct Crm {
    address: SocketAddr,
    shared: Shared,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
    courier: JoinHandle<()>,
}

impl Crm {
    /// Starts one on a free port, without a token and without webhooks.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(CrmOptions::default()).await
    }

    /// Starts one.
    pub async fn start_with(options: CrmOptions) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let address = listener.local_addr()?;
        let (hooks, courier) = hooks::start(options.webhook);
        let shared = Shared {
            state: Arc::new(Mutex::new(State::default())),
            hooks,
            token: options.token.map(Arc::from),
        };
        let (stop, stopped) = oneshot::channel();
        let router = router(shared.clone());
        let server = tokio::spawn(async move {
            let served = axum::serve(listener, router).with_graceful_shutdown(async {
                // The sender's end is dropped with the handle, which is as good as the order to stop.
                let _ = stopped.await;
            });
            let _ = served.await;
        });
        Ok(Self { address, shared, stop: Some(stop), server: Some(server), courier })
    }

    /// Its address, as in `http://127.0.0.1:40001`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sends webhooks to `target` from now on.
    pub fn set_webhook(&self, target: Option<Target>) {
        self.shared.hooks.aim(target);
    }

    /// Replaces the lies.
    pub fn set_lies(&self, lies: Lies) {
        self.shared.lock().lies = lies;
    }

    /// Returns when no webhook is on its way any more; held ones do not count.
    pub async fn flush(&self) {
        self.shared.hooks.flush().await;
    }

    /// Stops it in order.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        if let Some(server) = self.server.take() {
            // Idle connections may stay open for long; a second is enough for those at work.
            let _ = tokio::time::timeout(std::time::Duration::from_secs(1), server).await;
        }
    }
}

impl Drop for Crm {
    fn drop(&mut self) {
        self.courier.abort();
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

/// What all handlers share.
#[derive(Clone)]
struct Shared {
    state: Arc<Mutex<State>>,
    hooks: Hooks,
    token: Option<Arc<str>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct State {
    book: Book,
    lies: Lies,
    requests: BTreeMap<String, u64>,
    writes: u64,
    log: VecDeque<Logged>,
}

/// One request in the log.
#[derive(Clone, Serialize)]
struct Logged {
    method: String,
    path: String,
    status: u16,
}

impl State {
    fn record(&mut self, method: &str, path: String, status: u16) {
        *self.requests.entry(method.to_owned()).or_default() += 1;
        if method != "GET" {
            self.writes += 1;
        }
        if self.log.len() == LOG_MAX {
            self.log.pop_front();
        }
        self.log.push_back(Logged { method: method.to_owned(), path, status });
    }
}

fn router(shared: Shared) -> Router {
    let contacts = Router::new()
        .route("/contacts", get(api::list).post(api::create))
        .route("/contacts/{id}", get(api::read).patch(api::update).delete(api::delete))
        .layer(axum::middleware::from_fn_with_state(shared.clone(), api::guard));
    Router::new()
        .route("/_control/contacts", post(control::create))
        .route("/_control/contacts/{id}", patch(control::update).delete(control::delete))
        .route("/_control/touch", post(control::touch))
        .route("/_control/webhook", post(control::webhook))
        .route("/_control/lies", post(control::lies))
        .route("/_control/release", post(control::release))
        .route("/_control/replay", post(control::replay))
        .route("/_control/flush", post(control::flush))
        .route("/_control/webhooks", get(control::webhooks))
        .route("/_control/stats", get(control::stats))
        .merge(contacts)
        .with_state(shared)
}
