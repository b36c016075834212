//! What an answer to a write means.

use super::written::is_another;
use crate::http::answer::reply::Reply;
use crate::http::answer::trouble::Trouble;
use crate::http::answer::words::harmless;
use crate::http::call::client::Request;
use crate::http::declare::prepared::Object;
use crate::http::read::one::{ReadTrouble, single};
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{RemoteState, Write, WriteOutcome};
use reqwest::StatusCode;
use reqwest::header::{IF_MATCH, LOCATION};

/// A step of a write: its result, or the outcome with which the write ends early.
pub(crate) type Step<T> = Result<T, Box<WriteOutcome>>;

pub(crate) fn stop<T>(outcome: WriteOutcome) -> Step<T> {
    Err(Box::new(outcome))
}

pub(crate) fn place(request: &Request) -> String {
    format!("{} {}", request.method, harmless(request.url.path()))
}

/// Passes on an answer of success; any other answer becomes the outcome of the write.
pub(crate) fn judge(object: &Object, request: &Request, reply: &Reply) -> Step<()> {
    let place = place(request);
    let reason = format!("{place}: {}", reply.words());
    match reply.status {
        StatusCode::ACCEPTED => {
            stop(WriteOutcome::Unknown { reason: format!("{place}: accepted, not yet done") })
        }
        status if status.is_success() => match fault(object, reply) {
            Some(fault) => stop(WriteOutcome::Rejected { reason: format!("{place}: {fault}") }),
            None => Ok(()),
        },
        StatusCode::PRECONDITION_FAILED | StatusCode::PRECONDITION_REQUIRED => {
            stop(WriteOutcome::Conflict { reason })
        }
        // Some services answer so when the version is another one by now.
        StatusCode::CONFLICT if request.headers.contains_key(IF_MATCH) => {
            stop(WriteOutcome::Conflict { reason })
        }
        // Something else there stands in its way: a value that must be unique, a copy that refers to this one.
        StatusCode::CONFLICT => stop(WriteOutcome::Blocked { reason }),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            stop(WriteOutcome::Unauthorised { reason: format!("{reason}; check `auth` and its rights") })
        }
        // A lock goes away.
        StatusCode::LOCKED
        | StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_EARLY
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::SERVICE_UNAVAILABLE => {
            stop(WriteOutcome::Retry { after_ms: reply.retry_after_ms(), reason })
        }
        // The service failed at some point between our request and its answer.
        status if status.is_server_error() => stop(WriteOutcome::Unknown { reason }),
        status if status.is_redirection() => stop(WriteOutcome::Rejected {
            reason: format!("{reason}; redirects are not followed: set `url` to the final address"),
        }),
        _ => stop(WriteOutcome::Rejected { reason }),
    }
}

/// What a service says is wrong in an answer that looks like a success.
fn fault(object: &Object, reply: &Reply) -> Option<String> {
    let found = reply.at(object.spec.failure.as_deref()?)?.get();
    (!matches!(found, "null" | "false" | "[]" | "{}" | "\"\"" | "0")).then(|| harmless(found))
}

/// What an answer of success proves. One that shows another copy proves nothing: a look-up has to find ours.
pub(crate) fn confirmed(
    object: &Object,
    id: RemoteId,
    reply: &Reply,
    write: &Write,
    place: &str,
) -> Step<WriteOutcome> {
    if write.operation == Operation::Delete {
        return Ok(WriteOutcome::Confirmed { id, after: None });
    }
    let copy = single(object, &id, reply);
    let other = reply
        .at(&object.record_at())
        .and_then(|raw| object.id_of(&Value::parse(raw.get().as_bytes()).ok()?))
        .filter(|shown| *shown != id);
    if other.is_some() || is_another(object, write, &copy) {
        let shown = other.unwrap_or(copy.id);
        let reason =
            format!("{place}: the answer shows another copy than the one that was written ({shown})");
        return stop(WriteOutcome::Unknown { reason });
    }
    // An answer that does not show what was written does not show the copy.
    let complete = matches!(&copy.shown, RemoteState::Present(fields)
        if write.fields.keys().all(|name| fields.contains_key(name)));
    Ok(WriteOutcome::Confirmed { id, after: complete.then_some(copy) })
}

/// The id of a new copy: in the answer, or at the end of its `Location`.
pub(crate) fn created_id(object: &Object, reply: &Reply) -> Option<RemoteId> {
    let from_body =
        reply.at(&object.record_at()).and_then(|raw| object.id_of(&Value::parse(raw.get().as_bytes()).ok()?));
    from_body.or_else(|| {
        let location = reply.header(LOCATION.as_str())?;
        let path = location.split(['?', '#']).next()?;
        let last = path.trim_end_matches('/').rsplit('/').next()?;
        (!last.is_empty() && !last.contains('%')).then(|| RemoteId::new(last))
    })
}

/// A read that had to come before the write failed, so nothing was written.
pub(crate) fn before_write(trouble: ReadTrouble) -> WriteOutcome {
    match trouble {
        ReadTrouble::None(place, trouble) => match of_trouble(&place, trouble) {
            WriteOutcome::Unknown { reason } => WriteOutcome::Retry { after_ms: None, reason },
            outcome => outcome,
        },
        ReadTrouble::Unfriendly(place, reply) if reply.status == StatusCode::UNAUTHORIZED => {
            WriteOutcome::Unauthorised { reason: format!("{place}: {}; check `auth`", reply.words()) }
        }
        ReadTrouble::Fault(place, fault) => WriteOutcome::Retry {
            after_ms: None,
            reason: format!("{place}: the answer reports a fault: {fault}"),
        },
        ReadTrouble::Unfriendly(place, reply) => WriteOutcome::Retry {
            after_ms: reply.retry_after_ms(),
            reason: format!("{place}: {}", reply.words()),
        },
    }
}

pub(crate) fn of_trouble(place: &str, trouble: Trouble) -> WriteOutcome {
    match trouble {
        Trouble::NotSent(reason) => {
            WriteOutcome::Retry { after_ms: None, reason: format!("{place}: {reason}") }
        }
        Trouble::Refused(reason) => WriteOutcome::Unauthorised { reason },
        Trouble::Paced(ms) => {
            WriteOutcome::Retry { after_ms: Some(ms), reason: "the service asked us to wait".to_owned() }
        }
        Trouble::Lost(reason) => WriteOutcome::Unknown { reason: format!("{place}: {reason}") },
    }
}
