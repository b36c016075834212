//! Sending requests: authorised, paced, bounded; a failure says whether the request went out.

use super::guard::{self, PublicOnly};
use super::options::{Auth, HttpOptions, Login, Secret};
use super::pace::Pace;
use super::reply::{Reply, harmless};
use avowal_engine::ports::connector::{ConnectorError, ConnectorErrorKind};
use base64::Engine as _;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

/// One service behind one address.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    login: Option<Login>,
    /// The present token. The lock is held while a new one is fetched, so that only one caller does.
    token: Mutex<Option<Token>>,
    pace: Pace,
    places: Semaphore,
    body_bytes_max: usize,
}

struct Token {
    header: HeaderValue,
    fetched_at: Instant,
}

/// A request without its authorisation.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Vec<u8>>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing was sent: no connection could be made.
    NotSent(String),
    /// Nothing was sent: it is not our turn for so many milliseconds.
    Paced(u64),
    /// Nothing was sent: no token was given to us.
    Refused(String),
    /// It was sent, and no complete answer came.
    Lost(String),
}

impl Client {
    /// Checks the options; nothing is sent yet.
    pub(super) fn new(options: HttpOptions) -> Result<Self, ConnectorError> {
        let base = base_url(&options)?;
        let (headers, login) = headers(&options)?;
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
            login,
            token: Mutex::new(None),
            pace: Pace::new(options.rate),
            places: Semaphore::new(options.concurrency.clamp(1, 64)),
            body_bytes_max: options.max_body_bytes.clamp(1024, 256 << 20),
        })
    }

    /// The service's host, for messages.
    pub(super) fn host(&self) -> &str {
        self.base.host_str().unwrap_or("the service")
    }

    /// The address of `path` below the base.
    pub(super) fn url(&self, path: &str) -> Result<Url, String> {
        let text = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        let url = Url::parse(&text).map_err(|error| format!("{path:?} is no path: {error}"))?;
        self.own(url)
    }

    /// The address that the service itself gave for the next page, if it is the service's own.
    pub(super) fn link(&self, from: &Url, link: &str) -> Result<Url, String> {
        let url = from.join(link).map_err(|error| format!("the link to the next page is no URL: {error}"))?;
        self.own(url)
    }

    /// Sends a request and reads the answer. A refused token is fetched anew once.
    pub(super) async fn send(&self, request: &Request) -> Result<Reply, Trouble> {
        let Ok(_place) = self.places.acquire().await else {
            return Err(Trouble::NotSent("the client is closed".to_owned()));
        };
        let token = self.token(None).await?;
        let reply = self.once(request, token.as_ref()).await?;
        let refused = matches!(reply.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if token.is_none() || !refused {
            return Ok(reply);
        }
        let token = self.token(token).await?;
        self.once(request, token.as_ref()).await
    }

    fn own(&self, url: Url) -> Result<Url, String> {
        if url.origin() == self.base.origin() {
            Ok(url)
        } else {
            Err(format!("a link leads to another origin than {}; it is not followed", self.host()))
        }
    }

    async fn once(&self, request: &Request, token: Option<&HeaderValue>) -> Result<Reply, Trouble> {
        self.pace.turn().await.map_err(Trouble::Paced)?;
        let mut builder =
            self.http.request(request.method.clone(), request.url.clone()).headers(request.headers.clone());
        if let (Some(token), Some(login)) = (token, &self.login) {
            builder = builder.header(login.header.as_str(), token.clone());
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
        match reply.status {
            StatusCode::TOO_MANY_REQUESTS => self.pace.slow_down(reply.retry_after_ms()),
            StatusCode::SERVICE_UNAVAILABLE if reply.retry_after_ms().is_some() => {
                self.pace.slow_down(reply.retry_after_ms());
            }
            _ => self.pace.accepted(),
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
        Ok(Reply { status, headers, body })
    }

    /// The present token, unless it is `refused` or old; then a new one.
    async fn token(&self, refused: Option<HeaderValue>) -> Result<Option<HeaderValue>, Trouble> {
        let Some(login) = &self.login else {
            return Ok(None);
        };
        let mut present = self.token.lock().await;
        if let Some(token) = present.as_ref()
            && token.fetched_at.elapsed() < Duration::from_secs(login.max_age_s)
            && refused.as_ref() != Some(&token.header)
        {
            return Ok(Some(token.header.clone()));
        }
        let header = self.log_in(login).await?;
        *present = Some(Token { header: header.clone(), fetched_at: Instant::now() });
        Ok(Some(header))
    }

    async fn log_in(&self, login: &Login) -> Result<HeaderValue, Trouble> {
        let body = serde_json::to_vec(&login.body).map_err(|error| Trouble::Refused(error.to_string()))?;
        let request = Request {
            method: Method::POST,
            url: self.url(&login.path).map_err(Trouble::Refused)?,
            headers: HeaderMap::new(),
            body: Some(body),
        };
        let reply = self.once(&request, None).await.map_err(|trouble| match trouble {
            // A login changes nothing in the service, and the request that needs the token has not gone out.
            Trouble::Lost(reason) | Trouble::NotSent(reason) => Trouble::NotSent(format!("login: {reason}")),
            Trouble::Paced(ms) => Trouble::Paced(ms),
            Trouble::Refused(reason) => Trouble::Refused(reason),
        })?;
        if reply.status.is_server_error() || reply.status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Trouble::NotSent(format!("POST {}: {}", login.path, reply.words())));
        }
        if !reply.status.is_success() {
            return Err(Trouble::Refused(format!("POST {}: {}", login.path, reply.words())));
        }
        let token = reply.text_at(&login.token).ok_or_else(|| {
            Trouble::Refused(format!("POST {}: no token is at `token = {:?}`", login.path, login.token))
        })?;
        secret_header(&format!("{}{token}", login.prefix))
            .ok_or_else(|| Trouble::Refused(format!("POST {}: the token fits no header", login.path)))
    }
}

/// A request for reading.
pub(super) fn get(url: Url) -> Request {
    Request { method: Method::GET, url, headers: HeaderMap::new(), body: None }
}

/// An error in the configuration.
pub(super) fn wrong(place: &str, problem: &str) -> ConnectorError {
    ConnectorError::new(
        ConnectorErrorKind::SchemaDrift,
        format!("{place}: {problem}"),
        Some("Correct the configuration"),
    )
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

fn headers(options: &HttpOptions) -> Result<(HeaderMap, Option<Login>), ConnectorError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &options.headers {
        insert(&mut headers, "headers", name, value.reveal())?;
    }
    match &options.auth {
        None => Ok((headers, None)),
        Some(Auth::Bearer(token)) => {
            insert(
                &mut headers,
                "auth.bearer",
                AUTHORIZATION.as_str(),
                &format!("Bearer {}", token.reveal()),
            )?;
            Ok((headers, None))
        }
        Some(Auth::Basic { user, password }) => {
            let pair = Secret::new(format!("{user}:{}", password.reveal()));
            let value = base64::engine::general_purpose::STANDARD.encode(pair.reveal());
            insert(&mut headers, "auth.basic", AUTHORIZATION.as_str(), &format!("Basic {value}"))?;
            Ok((headers, None))
        }
        Some(Auth::Header { name, value }) => {
            insert(&mut headers, "auth.header", name, value.reveal())?;
            Ok((headers, None))
        }
        Some(Auth::Login(login)) => {
            HeaderName::try_from(login.header.as_str())
                .map_err(|_| wrong("auth.login.header", &format!("{:?} is no header name", login.header)))?;
            Ok((headers, Some(login.clone())))
        }
    }
}

fn insert(headers: &mut HeaderMap, place: &str, name: &str, value: &str) -> Result<(), ConnectorError> {
    let key = HeaderName::try_from(name).map_err(|_| wrong(place, &format!("{name:?} is no header name")))?;
    let value =
        secret_header(value).ok_or_else(|| wrong(place, &format!("the value of {name} fits no header")))?;
    headers.insert(key, value);
    Ok(())
}

fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
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
