//! Which error the engine gets where a read has no usable answer.

use super::client::Client;
use crate::http::answer::reply::Reply;
use crate::http::answer::trouble::Trouble;
use avowal_engine::ports::connector::{ConnectorError, ConnectorErrorKind};
use reqwest::StatusCode;

/// No answer.
pub(crate) fn of_trouble(client: &Client, place: &str, trouble: Trouble) -> ConnectorError {
    let host = client.host();
    match trouble {
        Trouble::NotSent(reason) | Trouble::Lost(reason) => ConnectorError::new(
            ConnectorErrorKind::Unreachable,
            format!("{host}: {place}: {reason}"),
            Some("Check that the service runs and that `url` is right"),
        ),
        Trouble::Paced(ms) => ConnectorError::new(
            ConnectorErrorKind::RateLimited { after_ms: Some(ms) },
            format!("{host} asked us to wait"),
            None,
        ),
        Trouble::Refused(reason) => ConnectorError::new(
            ConnectorErrorKind::Unauthorised,
            format!("{host}: {reason}"),
            Some("Check `auth`"),
        ),
    }
}

/// An answer whose status is no success. `since` says that a position was sent.
pub(crate) fn of_reply(client: &Client, place: &str, reply: &Reply, since: bool) -> ConnectorError {
    let message = format!("{}: {place}: {}", client.host(), reply.words());
    let (kind, cure) = match reply.status {
        _ if reply.asks_to_wait() => {
            (ConnectorErrorKind::RateLimited { after_ms: reply.retry_after_ms() }, None)
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            (ConnectorErrorKind::Unauthorised, Some("Check `auth` and what its user may do"))
        }
        StatusCode::GONE if since => (ConnectorErrorKind::CursorExpired, None),
        StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::METHOD_NOT_ALLOWED => {
            (ConnectorErrorKind::SchemaDrift, Some("Check `object` and the paths of its `http` table"))
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => (ConnectorErrorKind::Unreachable, None),
        status if status.is_server_error() => (ConnectorErrorKind::Unreachable, None),
        status if status.is_redirection() => {
            (ConnectorErrorKind::Protocol, Some("Redirects are not followed: set `url` to the final address"))
        }
        _ => (ConnectorErrorKind::Protocol, Some("Check the query of this call in its `http` table")),
    };
    ConnectorError::new(kind, message, cure)
}

/// Whether an answer to the read of one copy may concern this copy alone: its rights, its contents, a fault of the service
/// in showing it. Refused credentials, a limit, or a service that is down concern all copies.
pub(crate) fn is_of_one_copy(reply: &Reply) -> bool {
    match reply.status {
        _ if reply.asks_to_wait() => false,
        StatusCode::UNAUTHORIZED
        | StatusCode::PROXY_AUTHENTICATION_REQUIRED
        | StatusCode::METHOD_NOT_ALLOWED
        | StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_EARLY
        | StatusCode::TOO_MANY_REQUESTS => false,
        status => status.is_client_error() || status == StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An answer with a successful status in which the service reports a fault. It may pass.
pub(crate) fn of_fault(client: &Client, place: &str, fault: &str) -> ConnectorError {
    ConnectorError::new(
        ConnectorErrorKind::Unreachable,
        format!("{}: {place}: the answer reports a fault: {fault}", client.host()),
        Some("Nothing is concluded from such an answer. If it is no fault, correct `failure` and `items`"),
    )
}

/// An answer that is not what was declared.
pub(crate) fn protocol(client: &Client, place: &str, problem: &str) -> ConnectorError {
    let message = format!("{}: {place}: {problem}", client.host());
    ConnectorError::new(ConnectorErrorKind::Protocol, message, None)
}
