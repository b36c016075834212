//! Writes: what is sent, and how each write ended.

use super::client::{Client, Request, Trouble, get};
use super::record::{Object, Route};
use super::reply::{Reply, harmless, scalar_text};
use super::template::Filling;
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{Change, Fields, RemoteState, Write, WriteOutcome};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, IF_MATCH, LOCATION};

/// The most copies that a search answers.
const FOUND_MAX: usize = 10;

/// A step of a write: its result, or the outcome with which the write ends early.
type Step<T> = Result<T, Box<WriteOutcome>>;

/// Carries out one write.
pub(super) async fn write(client: &Client, object: &Object, write: &Write) -> WriteOutcome {
    let done: Step<WriteOutcome> = match (write.operation, &write.id) {
        (Operation::Create, _) => create(client, object, write).await,
        (Operation::Update, Some(id)) => change(client, object, write, id, &object.update).await,
        (Operation::Delete, Some(id)) => change(client, object, write, id, &object.delete).await,
        (Operation::Update | Operation::Delete, None) => {
            stop(WriteOutcome::Rejected { reason: format!("the {} names no copy", write.operation) })
        }
    };
    done.unwrap_or_else(|outcome| *outcome)
}

/// The copy `id` as it is now. Errors are outcomes of the write that wanted to know.
pub(super) async fn read(client: &Client, object: &Object, id: &RemoteId) -> Result<Change, ReadTrouble> {
    let Ok(url) = object.read.address(&object.filling_for(id), |path| client.url(path)) else {
        // An id that fits into no path can belong to no copy of this service.
        return Ok(Change::bare(id.clone(), RemoteState::Gone));
    };
    let place = format!("GET {}", url.path());
    let reply = client.send(&get(url)).await.map_err(|trouble| ReadTrouble::None(place.clone(), trouble))?;
    match reply.status {
        StatusCode::NOT_FOUND | StatusCode::GONE => Ok(Change::bare(id.clone(), RemoteState::Gone)),
        status if status.is_success() => Ok(single(object, id, &reply)),
        _ => Err(ReadTrouble::Unfriendly(place, reply)),
    }
}

/// Why a read has no usable answer, with its place.
pub(super) enum ReadTrouble {
    /// No answer.
    None(String, Trouble),
    /// An answer that is no copy.
    Unfriendly(String, Reply),
}

/// The copies whose `fields` equal these, as far as the service's search shows them.
pub(super) async fn find(
    client: &Client,
    object: &Object,
    fields: &Fields,
) -> Result<Vec<Change>, ReadTrouble> {
    let searchable = fields.iter().find_map(|(name, value)| Some((name, scalar_text(value)?)));
    let (Some(route), Some((name, value))) = (&object.find, searchable) else {
        return Ok(Vec::new());
    };
    let mut filling = object.filling();
    filling.extend([("field", name.clone()), ("value", value)]);
    filling.extend([("page", "1".to_owned()), ("limit", object.page_size.to_string())]);
    let trouble = |problem: String| ReadTrouble::None("search".to_owned(), Trouble::NotSent(problem));
    let url = route.address(&filling, |path| client.url(path)).map_err(trouble)?;
    let place = format!("GET {}", url.path());
    let reply = client.send(&get(url)).await.map_err(|trouble| ReadTrouble::None(place.clone(), trouble))?;
    if !reply.status.is_success() {
        return Err(ReadTrouble::Unfriendly(place, reply));
    }
    let items = reply
        .items(object.spec.items.as_deref())
        .map_err(|problem| ReadTrouble::None(place, Trouble::Lost(problem)))?;
    let copies = items.iter().enumerate().map(|(n, raw)| object.change(raw.get(), None, n + 1));
    // A search may ignore a parameter that it does not know and show everything.
    Ok(copies.filter(|copy| carries(copy, fields)).take(FOUND_MAX).collect())
}

fn stop<T>(outcome: WriteOutcome) -> Step<T> {
    Err(Box::new(outcome))
}

async fn create(client: &Client, object: &Object, write: &Write) -> Step<WriteOutcome> {
    for fields in &write.lookup {
        let found = find(client, object, fields).await.map_err(|trouble| Box::new(before_write(trouble)))?;
        if let Some(copy) = found.into_iter().next() {
            return stop(WriteOutcome::Exists { copy });
        }
    }
    let request = request(client, object, write, &object.create, &object.filling(), None)?;
    let place = place(&request);
    let reply = client.send(&request).await.map_err(|trouble| Box::new(of_trouble(&place, trouble)))?;
    judge(object, &request, &reply)?;
    let Some(id) = created_id(object, &reply) else {
        // It was probably made, but nobody can say which one it is: a look-up has to find it.
        return stop(WriteOutcome::Unknown { reason: format!("{place}: {}, without an id", reply.words()) });
    };
    Ok(confirmed(object, id, &reply, write))
}

async fn change(
    client: &Client,
    object: &Object,
    write: &Write,
    id: &RemoteId,
    route: &Route,
) -> Step<WriteOutcome> {
    let version = match &write.version {
        // The service itself compares the version that we have judged already.
        Some(version) if object.precondition() => Some(version.clone()),
        Some(_) | None => present(client, object, write, id).await?,
    };
    let filling = object.filling_for(id);
    let request = request(client, object, write, route, &filling, version.filter(|_| object.precondition()))?;
    let place = place(&request);
    let reply = client.send(&request).await.map_err(|trouble| Box::new(of_trouble(&place, trouble)))?;
    if matches!(reply.status, StatusCode::NOT_FOUND | StatusCode::GONE) {
        return stop(WriteOutcome::Missing);
    }
    judge(object, &request, &reply)?;
    Ok(confirmed(object, id.clone(), &reply, write))
}

/// Looks at the copy before it is changed: the best that can be done where no version is known.
async fn present(client: &Client, object: &Object, write: &Write, id: &RemoteId) -> Step<Option<String>> {
    let copy = read(client, object, id).await.map_err(|trouble| Box::new(before_write(trouble)))?;
    match &copy.shown {
        RemoteState::Gone => stop(WriteOutcome::Missing),
        RemoteState::Present(fields) if write.expected.holds(fields) => Ok(copy.version),
        RemoteState::Present(_) => {
            stop(WriteOutcome::Conflict { reason: "the copy is not as expected any more".to_owned() })
        }
        RemoteState::Unreadable { reason, .. } => {
            stop(WriteOutcome::Conflict { reason: format!("the copy cannot be read: {reason}") })
        }
        RemoteState::Unknown => stop(WriteOutcome::Conflict { reason: "the copy cannot be read".to_owned() }),
    }
}

fn request(
    client: &Client,
    object: &Object,
    write: &Write,
    route: &Route,
    filling: &Filling,
    version: Option<String>,
) -> Step<Request> {
    let rejected = |reason: String| Box::new(WriteOutcome::Rejected { reason });
    let url = route.address(filling, |path| client.url(path)).map_err(rejected)?;
    let mut headers = HeaderMap::new();
    if let Some(name) = &object.spec.idempotency {
        let name = HeaderName::try_from(name.as_str())
            .map_err(|_| rejected(format!("`idempotency = {name:?}` is no header name")))?;
        let value = HeaderValue::from_str(&write.key)
            .map_err(|_| rejected("the idempotency key fits no header".to_owned()))?;
        headers.insert(name, value);
    }
    if let Some(version) = version {
        let value = HeaderValue::from_str(&version)
            .map_err(|_| rejected("the version that the service gave fits no header".to_owned()))?;
        headers.insert(IF_MATCH, value);
    }
    let body = match write.operation {
        Operation::Create | Operation::Update => Some(object.body(&write.fields).map_err(rejected)?),
        Operation::Delete => None,
    };
    Ok(Request { method: route.method.clone(), url, headers, body })
}

fn place(request: &Request) -> String {
    format!("{} {}", request.method, harmless(request.url.path()))
}

/// Passes on an answer of success; any other answer becomes the outcome of the write.
fn judge(object: &Object, request: &Request, reply: &Reply) -> Step<()> {
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
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => stop(WriteOutcome::Retry {
            after_ms: None,
            reason: format!("{reason}; check `auth` and its rights"),
        }),
        StatusCode::REQUEST_TIMEOUT
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

fn confirmed(object: &Object, id: RemoteId, reply: &Reply, write: &Write) -> WriteOutcome {
    let after = match write.operation {
        Operation::Create | Operation::Update => {
            let copy = single(object, &id, reply);
            // An answer that does not show what was written does not show the copy.
            let complete = matches!(&copy.shown, RemoteState::Present(fields)
                if write.fields.keys().all(|name| fields.contains_key(name)));
            complete.then_some(copy)
        }
        Operation::Delete => None,
    };
    WriteOutcome::Confirmed { id, after }
}

/// The copy in an answer that concerns one copy.
fn single(object: &Object, id: &RemoteId, reply: &Reply) -> Change {
    let version = object.version_header().and_then(|name| reply.header(name));
    let Some(raw) = reply.at(&object.record_at()) else {
        let reason = format!("no copy is at `record = {:?}` of the answer", object.record_at());
        let payload = harmless(&String::from_utf8_lossy(&reply.body));
        return Change::bare(id.clone(), RemoteState::Unreadable { reason, payload });
    };
    let copy = object.change(raw.get(), version, 1);
    match copy.shown {
        RemoteState::Unreadable { reason, payload } => {
            Change::bare(id.clone(), RemoteState::Unreadable { reason, payload })
        }
        RemoteState::Present(_) | RemoteState::Gone | RemoteState::Unknown if copy.id != *id => {
            let reason =
                format!("the service answered with the copy {}; was this one merged into it?", copy.id);
            Change::bare(id.clone(), RemoteState::Unreadable { reason, payload: harmless(raw.get()) })
        }
        RemoteState::Present(_) | RemoteState::Gone | RemoteState::Unknown => copy,
    }
}

/// The id of a new copy: in the answer, or at the end of its `Location`.
fn created_id(object: &Object, reply: &Reply) -> Option<RemoteId> {
    let from_body =
        reply.at(&object.record_at()).and_then(|raw| object.id_of(&Value::parse(raw.get().as_bytes()).ok()?));
    from_body.or_else(|| {
        let location = reply.header(LOCATION.as_str())?;
        let path = location.split(['?', '#']).next()?;
        let last = path.trim_end_matches('/').rsplit('/').next()?;
        (!last.is_empty() && !last.contains('%')).then(|| RemoteId::new(last))
    })
}

/// Whether a copy really has what was searched. Letter case and padding may differ: services compare texts in their own way.
fn carries(copy: &Change, fields: &Fields) -> bool {
    let RemoteState::Present(present) = &copy.shown else {
        return false;
    };
    fields.iter().all(|(name, wanted)| {
        let Some(held) = present.get(name) else { return false };
        match (scalar_text(held), scalar_text(wanted)) {
            (Some(held), Some(wanted)) => held.trim().to_lowercase() == wanted.trim().to_lowercase(),
            (None, None) => held == wanted,
            (Some(_), None) | (None, Some(_)) => false,
        }
    })
}

/// A read that had to come before the write failed, so nothing was written.
fn before_write(trouble: ReadTrouble) -> WriteOutcome {
    match trouble {
        ReadTrouble::None(place, trouble) => match of_trouble(&place, trouble) {
            WriteOutcome::Unknown { reason } => WriteOutcome::Retry { after_ms: None, reason },
            outcome => outcome,
        },
        ReadTrouble::Unfriendly(place, reply) => WriteOutcome::Retry {
            after_ms: reply.retry_after_ms(),
            reason: format!("{place}: {}", reply.words()),
        },
    }
}

fn of_trouble(place: &str, trouble: Trouble) -> WriteOutcome {
    match trouble {
        Trouble::NotSent(reason) => {
            WriteOutcome::Retry { after_ms: None, reason: format!("{place}: {reason}") }
        }
        Trouble::Refused(reason) => WriteOutcome::Retry { after_ms: None, reason },
        Trouble::Paced(ms) => {
            WriteOutcome::Retry { after_ms: Some(ms), reason: "the service asked us to wait".to_owned() }
        }
        Trouble::Lost(reason) => WriteOutcome::Unknown { reason: format!("{place}: {reason}") },
    }
}
