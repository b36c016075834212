//! Sending requests: authorised, paced, bounded; a failure says whether the request went out.

use super::guard::{self, PublicOnly};
use super::pace::Pace;
use super::secrets::Secrets;
use crate::http::answer::reply::Reply;
use crate::http::answer::trouble::Trouble;
use crate::http::answer::words::harmless;
use crate::http::auth::headers::headers;
use crate::http::auth::token::Session;
use crate::http::declare::fault::wrong;
use crate::http::declare::options::HttpOptions;
use avowal_engine::ports::connector::ConnectorError;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// The first wait for a service that does not say how long.
const BACKOFF_MS_MIN: u64 = 500;
/// The shortest wait, also for a service that says 0.
const WAIT_MS_MIN: u64 = 100;

/// One service behind one address.
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    session: Option<Session>,
    pace: Pace,
    places: Semaphore,
    patience: Duration,
    body_bytes_max: usize,
    secrets: Secrets,
}

/// A request without its authorisation.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
}

impl Client {
    /// Checks the options; nothing is sent yet.
    pub(crate) fn new(options: HttpOptions) -> Result<Self, ConnectorError> {
        let base = base_url(&options)?;
        let (headers, login) = headers(&options)?;
        let secrets = Secrets::of(&options);
        let timeout = Duration::from_millis(options.timeout_ms.clamp(100, 600_000));
        let tls = avowal_tls::client_config()
            .map_err(|error| wrong("TLS", &format!("cannot be set up: {error}. Install the system's root certificates (package ca-certificates)")))?;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(5)))
            .default_headers(headers)
            .user_agent(concat!("avowal/", env!("CARGO_PKG_VERSION")))
            // A redirect could lead our credentials and writes anywhere: it is an error that names the cure.
            .redirect(reqwest::redirect::Policy::none())
            // A proxy would resolve names on its own, past the check of addresses.
            .no_proxy();
        if !options.allow_private {
            builder = builder.dns_resolver(Arc::new(PublicOnly));
        }
        let http = builder.build().map_err(|error| wrong("the HTTP client", &reason(error)))?;
        Ok(Self {
            http,
            base,
            session: login.map(Session::new),
            pace: Pace::new(options.rate),
            places: Semaphore::new(options.concurrency.clamp(1, 64)),
            patience: Duration::from_millis(options.patience_ms),
            body_bytes_max: options.max_body_bytes.clamp(1024, 256 << 20),
            secrets,
        })
    }

    /// The service's host, for messages.
    pub(crate) fn host(&self) -> &str {
        self.base.host_str().unwrap_or("the service")
    }

    /// A text that may repeat what a service echoes, without our secrets.
    pub(crate) fn hide(&self, text: String) -> String {
        self.secrets.hide(text)
    }

    /// The address of `path` below the base.
    pub(crate) fn url(&self, path: &str) -> Result<Url, String> {
        let text = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        let url = Url::parse(&text).map_err(|error| format!("{path:?} is no path: {error}"))?;
        self.own(url)
    }

    /// The address that the service itself gave for the next page, if it is the service's own.
    pub(crate) fn link(&self, from: &Url, link: &str) -> Result<Url, String> {
        let url = from.join(link).map_err(|error| format!("the link to the next page is no URL: {error}"))?;
        self.own(url)
    }

    /// Sends a request and reads the answer. A refused token is fetched anew once.
    pub(crate) async fn send(&self, request: &Request) -> Result<Reply, Trouble> {
        let Ok(_place) = self.places.acquire().await else {
            return Err(Trouble::NotSent("the client is closed".to_owned()));
        };
        let Some(session) = &self.session else {
            return self.once(request, None).await;
        };
        let token = session.token(None, async |path, body| self.log_in(path, body).await).await?;
        let reply = self.once(request, Some((session, &token))).await?;
        if !matches!(reply.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Ok(reply);
        }
        let token = session.token(Some(&token), async |path, body| self.log_in(path, body).await).await?;
        self.once(request, Some((session, &token))).await
    }

    async fn log_in(&self, path: &str, body: Vec<u8>) -> Result<Reply, Trouble> {
        let url = self.url(path).map_err(Trouble::Refused)?;
        let request = Request { method: Method::POST, url, headers: HeaderMap::new(), body: Some(body) };
        self.once(&request, None).await
    }

    /// Sends a request that only reads. A service that asks us to come back later is waited for, as long as is declared.
    pub(crate) async fn send_patiently(&self, request: &Request) -> Result<Reply, Trouble> {
        let begun = Instant::now();
        let mut tries = 0;
        loop {
            let answer = self.send(request).await;
            let wait = match &answer {
                Ok(reply) if reply.asks_to_wait() => {
                    let backoff = BACKOFF_MS_MIN << tries.min(6);
                    Duration::from_millis(reply.retry_after_ms().unwrap_or(backoff).max(WAIT_MS_MIN))
                }
                Err(Trouble::Paced(ms)) => Duration::from_millis(*ms),
                Ok(_) | Err(_) => return answer,
            };
            if begun.elapsed() + wait > self.patience {
                return answer;
            }
            tries += 1;
            tokio::time::sleep(wait).await;
        }
    }

    fn own(&self, url: Url) -> Result<Url, String> {
        if url.origin() == self.base.origin() {
            Ok(url)
        } else {
            Err(format!("a link leads to another origin than {}; it is not followed", self.host()))
        }
    }

    async fn once(
        &self,
        request: &Request,
        token: Option<(&Session, &HeaderValue)>,
    ) -> Result<Reply, Trouble> {
        self.pace.turn().await.map_err(Trouble::Paced)?;
        let mut builder =
            self.http.request(request.method.clone(), request.url.clone()).headers(request.headers.clone());
        if let Some((session, token)) = token {
            token.to_str().into_iter().for_each(|token| self.secrets.add(token));
            builder = builder.header(session.header(), token.clone());
        }
        if let Some(body) = &request.body {
            builder = builder.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let response = builder.send().await.map_err(|error| {
            // Only a connection that was never made proves that nothing was sent.
            if error.is_connect() || error.is_builder() {
                Trouble::NotSent(reason(error))
            } else {
                Trouble::Lost(reason(error))
            }
        })?;
        let reply = self.read(response).await?;
        match reply.asks_to_wait() {
            true => self.pace.slow_down(reply.retry_after_ms()),
            false => self.pace.accepted(),
        }
        Ok(reply)
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Reply, Trouble> {
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| Trouble::Lost(reason(error)))? {
            if body.len() + chunk.len() > self.body_bytes_max {
                return Err(Trouble::Lost(format!(
                    "the answer is larger than {} bytes; ask for smaller pages or raise `max_body_bytes`",
                    self.body_bytes_max
                )));
            }
            body.extend_from_slice(&chunk);
        }
        // What explains a refusal is repeated to people; it may echo what we sent.
        let body = if status.is_success() { body } else { self.secrets.hide_bytes(body) };
        Ok(Reply { status, headers, body })
    }
}

/// A request for reading.
pub(crate) fn get(url: Url) -> Request {
    Request { method: Method::GET, url, headers: HeaderMap::new(), body: None }
}

fn base_url(options: &HttpOptions) -> Result<Url, ConnectorError> {
    let base = Url::parse(&options.url)
        .map_err(|error| wrong("url", &format!("{error}; expected as in https://api.example.com/v2")))?;
    if !matches!(base.scheme(), "http" | "https") {
        return Err(wrong("url", &format!("{:?} is not http or https", base.scheme())));
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err(wrong("url", "credentials belong into `auth`, where they stay secret"));
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(wrong("url", "a query belongs into the calls' `query`"));
    }
    // The resolver is not asked about literal addresses, so they are judged here. The URL parser has already
    // turned every spelling (decimal, octal, hexadecimal) into the address itself.
    let host = base.host_str().unwrap_or_default();
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().ok();
    match literal {
        Some(ip) if !options.allow_private && !guard::is_public(ip) => {
            Err(wrong("url", &guard::refusal(host, ip)))
        }
        Some(_) | None => Ok(base),
    }
}

/// The root of an error, without the address, whose query could hold values.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let timed_out = error.is_timeout();
    let mut root: &dyn std::error::Error = &error;
    while let Some(source) = root.source() {
        root = source;
    }
    let root = harmless(&root.to_string());
    if timed_out { format!("timed out ({root})") } else { root }
}
