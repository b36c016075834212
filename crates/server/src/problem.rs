//! Why a request was not answered: `application/problem+json` (RFC 9457), whose detail says what to do.

use avowal_view::{Refusal, RefusalKind};
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was not answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// The kind as a URI: `urn:avowal:problem:KIND`, or `about:blank` where the status says it all.
    #[serde(rename = "type")]
    pub uri: String,
    /// The kind in words.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// What is wrong and what to do.
    pub detail: String,
    /// The kind for programs, where a desk has refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<RefusalKind>,
}

impl Problem {
    /// A problem of the request itself.
    pub fn of_request(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            uri: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or("Problem").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            kind: None,
        }
    }

    /// What was refused, as whoever asked had it refused by a desk of their own.
    pub fn into_refusal(self) -> Refusal {
        Refusal::new(self.kind.unwrap_or(RefusalKind::Usage), self.detail)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (name, title, status) = words(refusal.kind);
        Self {
            uri: format!("urn:avowal:problem:{name}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: refusal.message,
            kind: Some(refusal.kind),
        }
    }
}

/// Name, title and status of a kind.
fn words(kind: RefusalKind) -> (&'static str, &'static str, StatusCode) {
    match kind {
        RefusalKind::UnknownName => ("unknown_name", "What is named does not exist", StatusCode::NOT_FOUND),
        RefusalKind::NothingThere => ("nothing_there", "Nothing is there yet", StatusCode::NOT_FOUND),
        RefusalKind::Ambiguous => ("ambiguous", "Several records answer to the key", StatusCode::CONFLICT),
        RefusalKind::Usage => ("usage", "The request makes no sense", StatusCode::BAD_REQUEST),
        RefusalKind::Busy => ("busy", "Ask again", StatusCode::CONFLICT),
        RefusalKind::Held => ("held", "A stop or a guard holds it", StatusCode::CONFLICT),
        RefusalKind::CredentialsRefused => {
            ("credentials_refused", "A system refuses our credentials", StatusCode::BAD_GATEWAY)
        }
        RefusalKind::SystemFailed => ("system_failed", "A system could not be used", StatusCode::BAD_GATEWAY),
        RefusalKind::StoreFailed => {
            ("store_failed", "The store could not do its work", StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let text = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(Body::from(text));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response
    }
}
