//! What is sent for a write, in which order.

use super::outcome::{Step, before_write, confirmed, created_id, judge, of_trouble, place, stop};
use crate::http::call::client::{Client, Request};
use crate::http::declare::prepared::Object;
use crate::http::declare::route::Route;
use crate::http::declare::template::Filling;
use crate::http::read::find::find;
use crate::http::read::one::read;
use avowal_core::data::ids::RemoteId;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{RemoteState, Write, WriteOutcome};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, IF_MATCH};

/// Carries out one write.
pub(crate) async fn write(client: &Client, object: &Object, write: &Write) -> WriteOutcome {
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
