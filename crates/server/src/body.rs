//! The body of a delivery whose sender is not known yet: read within bounds of size, time and number.

use crate::crowd::{Crowd, Place};
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use std::sync::Arc;
use std::time::Duration;

/// The largest body of a delivery.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// As much is read of everybody, so that all connections together cost a bounded amount of memory.
const SMALL_BYTES_MAX: usize = 64 << 10;
/// How many larger bodies are read at once; another one takes the place of the one that has dawdled longest.
const LARGE_MAX: usize = 32;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a body was not read: a status and words.
pub(crate) type Refusal = (StatusCode, &'static str);

const TOO_LARGE: Refusal = (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large");
const SENT_AWAY: Refusal = (StatusCode::TOO_MANY_REQUESTS, "too many large bodies at once; come again");

/// The large bodies that are under way.
pub(crate) struct LargeBodies(Arc<Crowd>);

impl LargeBodies {
    pub(crate) fn new() -> Self {
        Self(Crowd::new(LARGE_MAX))
    }

    /// Reads a body to its end.
    pub(crate) async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Refusal> {
        let announced =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: usize| length > BODY_BYTES_MAX) {
            return Err(TOO_LARGE);
        }
        tokio::time::timeout(BODY_TIMEOUT, self.collect(body))
            .await
            .unwrap_or(Err((StatusCode::REQUEST_TIMEOUT, "the body took too long")))
    }

    async fn collect(&self, mut body: Body) -> Result<Vec<u8>, Refusal> {
        let (mut bytes, mut place) = (Vec::new(), None::<Place>);
        loop {
            let frame = tokio::select! {
                biased;
                () = sent_away(place.as_ref()) => return Err(SENT_AWAY),
                frame = body.frame() => frame,
            };
            let Some(frame) = frame else { return Ok(bytes) };
            let frame = frame.map_err(|_| (StatusCode::BAD_REQUEST, "the body is incomplete"))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > BODY_BYTES_MAX {
                return Err(TOO_LARGE);
            }
            bytes.extend_from_slice(&data);
            if place.is_none() && bytes.len() > SMALL_BYTES_MAX {
                place = Some(self.0.enter().ok_or(SENT_AWAY)?);
            }
        }
    }
}

async fn sent_away(place: Option<&Place>) {
    match place {
        Some(place) => place.sent_away().await,
        None => std::future::pending().await,
    }
}
