//! Asks a daemon over its local socket.

use crate::problem::Problem;
use async_trait::async_trait;
use avowal_core::data::ids::SystemName;
use avowal_view::{
    AnswerRequest, Decide, Refusal, RefusalKind, ReplayRequest, Replayed, Resolved, ResumeRequest, Stop,
    SyncReport, SyncRequest,
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a decision may take: longer than a daemon lets one take.
const DECISION_TIMEOUT: Duration = Duration::from_secs(150);
/// No bound: a sync takes as long as it takes.
const UNBOUNDED: Duration = Duration::from_secs(u32::MAX as u64);

/// One who asks a daemon.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
}

impl Client {
    /// The daemon that listens at `path`; `None` if none does.
    pub async fn connect(path: &Path) -> Option<Self> {
        let reached = tokio::time::timeout(CONNECT_TIMEOUT, UnixStream::connect(path)).await;
        matches!(reached, Ok(Ok(_))).then(|| Self { path: path.to_owned() })
    }

    /// Has the daemon bring all systems into agreement now, and waits for the end.
    pub async fn sync(&self, request: &SyncRequest) -> Result<SyncReport, Refusal> {
        self.post("/api/v1/sync", request, UNBOUNDED).await
    }

    /// Asks for what is at a path.
    pub async fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, Refusal> {
        self.ask(Method::GET, path, Bytes::new(), DECISION_TIMEOUT).await
    }

    async fn post<A: DeserializeOwned>(
        &self,
        path: &str,
        request: &impl Serialize,
        within: Duration,
    ) -> Result<A, Refusal> {
        let body = serde_json::to_vec(request)
            .map_err(|error| self.lost(format!("the request cannot be written as JSON: {error}")))?;
        self.ask(Method::POST, path, body.into(), within).await
    }

    async fn ask<A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        within: Duration,
    ) -> Result<A, Refusal> {
        let (status, answer) = tokio::time::timeout(within, self.exchange(method, path, body))
            .await
            .unwrap_or_else(|_| Err(self.lost("its answer takes too long".to_owned())))?;
        if status.is_success() {
            return serde_json::from_slice(&answer).map_err(|error| {
                self.lost(format!("its answer is not understood ({error}); is it of another version?"))
            });
        }
        match serde_json::from_slice::<Problem>(&answer) {
            Ok(problem) => Err(problem.into_refusal()),
            Err(_) => Err(self.lost(format!("it answers {status}; is it of another version?"))),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Refusal> {
        let lost = |error: &dyn std::fmt::Display| self.lost(error.to_string());
        let response = self.send(method, path, body).await.map_err(|error| lost(&error))?;
        let status = response.status();
        let answer = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        Ok((status, answer.map_err(|error| lost(&error))?.to_bytes()))
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> io::Result<Response<Incoming>> {
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, UnixStream::connect(&self.path)).await??;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(io::Error::other)?;
        // It ends with the answer, or when this side goes away.
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(io::Error::other)
    }

    /// Nobody knows whether the daemon has done it.
    fn lost(&self, why: String) -> Refusal {
        Refusal::new(
            RefusalKind::StoreFailed,
            format!(
                "the daemon at {} did not answer: {why}. Look whether it still runs and whether it was done, then run the \
                 command again",
                self.path.display()
            ),
        )
    }
}

#[async_trait]
impl Decide for Client {
    async fn resolve(&self, review: &str, request: &AnswerRequest) -> Result<Resolved, Refusal> {
        let path = format!("/api/v1/reviews/{}/resolve", segment(review));
        self.post(&path, request, DECISION_TIMEOUT).await
    }

    async fn replay(&self, item: Option<i64>, request: &ReplayRequest) -> Result<Replayed, Refusal> {
        let path = match item {
            Some(id) => format!("/api/v1/quarantine/{id}/replay"),
            None => "/api/v1/quarantine/replay".to_owned(),
        };
        self.post(&path, request, DECISION_TIMEOUT).await
    }

    async fn resume(&self, system: &SystemName, request: &ResumeRequest) -> Result<Vec<Stop>, Refusal> {
        let path = format!("/api/v1/systems/{}/resume", segment(system.as_str()));
        self.post(&path, request, DECISION_TIMEOUT).await
    }
}

/// A text as one part of a path.
fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
