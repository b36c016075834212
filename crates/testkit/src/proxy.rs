//! A recording proxy between Avowal and a service: it keeps count of every call, and makes seeded trouble on the way.
//!
//! It listens on a free port of 127.0.0.1 and passes everything on to one address, the `Host` header included, so that
//! links which the service makes lead back to it. Which call meets which trouble depends on the seed and on the call's
//! number alone. Calls that are under way at once may change places, so a repeated run is alike, not the same.

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, RETRY_AFTER, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// The most calls that are kept; more of them are only counted.
const CALLS_MAX: usize = 500_000;
/// A service that takes longer is taken for hung.
const SERVICE_MS_MAX: u64 = 60_000;

/// What becomes of a call on the way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Trouble {
    /// The service never gets the request, and the connection is closed.
    LostRequest,
    /// The service does the work, and the connection is closed without an answer.
    LostAnswer,
    /// The service never gets the request; the answer is 500.
    FailedBefore,
    /// The service does the work; the answer is 500 all the same.
    FailedAfter,
    /// The service never gets the request; the answer is 429 with `Retry-After: 1`.
    Busy,
}

impl Trouble {
    /// Whether the service gets the request.
    pub fn reaches(self) -> bool {
        match self {
            Trouble::LostAnswer | Trouble::FailedAfter => true,
            Trouble::LostRequest | Trouble::FailedBefore | Trouble::Busy => false,
        }
    }
}

/// How many of a thousand calls meet which trouble. The default is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Troubles {
    /// Of [`Trouble::LostRequest`].
    pub lost_requests: u16,
    /// Of [`Trouble::LostAnswer`].
    pub lost_answers: u16,
    /// Of [`Trouble::FailedBefore`].
    pub failed_before: u16,
    /// Of [`Trouble::FailedAfter`].
    pub failed_after: u16,
    /// Of [`Trouble::Busy`].
    pub busy: u16,
}

impl Troubles {
    fn of(self, seed: u64, number: u64) -> Option<Trouble> {
        let mut drawn = (mixed(seed ^ mixed(number)) % 1000) as u16;
        let kinds = [
            (self.lost_requests, Trouble::LostRequest),
            (self.lost_answers, Trouble::LostAnswer),
            (self.failed_before, Trouble::FailedBefore),
            (self.failed_after, Trouble::FailedAfter),
            (self.busy, Trouble::Busy),
        ];
        for (share, trouble) in kinds {
            match drawn.checked_sub(share) {
                None => return Some(trouble),
                Some(left) => drawn = left,
            }
        }
        None
    }
}

/// One call as it went through.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// In capitals.
    pub method: String,
    /// As it was asked for.
    pub path: String,
    /// Without the question mark; empty where there is none.
    pub query: String,
    /// What the caller got; `None` where the connection was closed.
    pub status: Option<u16>,
    /// What it met on the way.
    pub trouble: Option<Trouble>,
    /// The request's body.
    pub sent_bytes: usize,
    /// What the service answered with, also where the caller never got it.
    pub answered_bytes: usize,
}

impl Call {
    /// Whether it asks for something to be changed.
    pub fn is_write(&self) -> bool {
        self.method != "GET" && self.method != "HEAD"
    }
}

/// A running proxy; dropping it stops it.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    // Its threads end with it.
    _runtime: Runtime,
}

#[derive(Debug)]
struct Shared {
    to: String,
    http: reqwest::Client,
    seed: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    number: u64,
    troubles: Troubles,
    calls: Vec<Call>,
}

impl Proxy {
    /// Listens for calls to a service at `to`, as in `http://127.0.0.1:8090`. All goes through until there are troubles.
    pub fn start(to: &str, seed: u64) -> io::Result<Self> {
        let http = crate::http::client_without_redirects()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let shared = Arc::new(Shared { to: to.to_owned(), http, seed, state: Mutex::default() });
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0)))?;
        let port = listener.local_addr()?.port();
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { port, shared, _runtime: runtime })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on calls meet these troubles.
    pub fn trouble(&self, troubles: Troubles) {
        self.shared.lock().troubles = troubles;
    }

    /// From now on everything goes through.
    pub fn calm(&self) {
        self.trouble(Troubles::default());
    }

    /// The calls since the last time that they were taken, in the order of their ends.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.shared.lock().calls)
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw(&self) -> Option<Trouble> {
        let mut state = self.lock();
        state.number += 1;
        state.troubles.of(self.seed, state.number)
    }

    fn record(&self, call: Call) {
        let mut state = self.lock();
        if state.calls.len() < CALLS_MAX {
            state.calls.push(call);
        }
    }

    /// Passes one call on, as far as its trouble lets it. An error closes the connection.
    async fn handle(&self, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
        let trouble = self.draw();
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let mut call = Call {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            status: None,
            trouble,
            sent_bytes: body.len(),
            answered_bytes: 0,
        };
        let served =
            if trouble.is_none_or(Trouble::reaches) { Some(self.forward(head, body).await) } else { None };
        call.answered_bytes = served.iter().flatten().map(|answer| answer.body().len()).sum();
        let answer = match trouble {
            None => served.unwrap_or_else(|| Err(io::Error::other("not forwarded"))).map(whole),
            Some(Trouble::LostRequest | Trouble::LostAnswer) => Err(io::Error::other("lost on purpose")),
            Some(Trouble::FailedBefore | Trouble::FailedAfter) => {
                Ok(said(StatusCode::INTERNAL_SERVER_ERROR, r#"{"message":"trouble on the way"}"#))
            }
            Some(Trouble::Busy) => {
                let mut answer = said(StatusCode::TOO_MANY_REQUESTS, r#"{"message":"too many requests"}"#);
                answer.headers_mut().insert(RETRY_AFTER, 1.into());
                Ok(answer)
            }
        };
        call.status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
        self.record(call);
        answer
    }

    async fn forward(&self, head: hyper::http::request::Parts, body: Bytes) -> io::Result<Response<Bytes>> {
        let mut headers = head.headers;
        for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(name);
        }
        let answer = self
            .http
            .request(head.method, format!("{}{}", self.to, head.uri))
            .headers(headers)
            .timeout(Duration::from_millis(SERVICE_MS_MAX))
            .body(body)
            .send()
            .await
            .map_err(io::Error::other)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut response = Response::new(answer.bytes().await.map_err(io::Error::other)?);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            response.headers_mut().remove(name);
        }
        Ok(response)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&shared)));
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(|request| {
        let shared = Arc::clone(&shared);
        async move { shared.handle(request).await }
    });
    // It ends with an error wherever an answer was lost on purpose, or the caller was killed.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

fn whole(answer: Response<Bytes>) -> Response<Full<Bytes>> {
    answer.map(Full::new)
}

fn said(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *answer.status_mut() = status;
    answer
}

/// Spreads a number over all bits (splitmix64).
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
