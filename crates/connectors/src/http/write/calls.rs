//! What is sent for a write, in which order.

use super::outcome::{Step, before_write, confirmed, created_id, judge, of_trouble, place, stop};
use super::whole::whole_body;
use crate::http::answer::reply::Reply;
use crate::http::call::client::{Client, Request};
use crate::http::declare::prepared::Object;
use crate::http::declare::route::Route;
use crate::http::declare::template::Filling;
use crate::http::read::find::find;
use crate::http::read::one::read_whole;
use avowal_core::data::ids::RemoteId;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{Change, RemoteState, Write, WriteOutcome};
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
    confirmed(object, id, &reply, write, &place)
}

async fn change(
    client: &Client,
    object: &Object,
    write: &Write,
    id: &RemoteId,
    route: &Route,
) -> Step<WriteOutcome> {
    let replaces = write.operation == Operation::Update && object.replaces_whole();
    let (version, whole) = match &write.version {
        // The service itself compares the version that we have judged already.
        Some(version) if object.precondition() && !replaces => (Some(version.clone()), None),
        Some(_) | None => {
            let (copy, reply) = look(client, object, id).await?;
            as_expected(write, &copy)?;
            (copy.version, reply.filter(|_| replaces))
        }
    };
    let body = whole.map(|reply| whole_body(object, &reply, &write.fields)).transpose();
    let body = body.map_err(|reason| Box::new(WriteOutcome::Rejected { reason }))?;
    let filling = object.filling_for(id);
    let mut request =
        request(client, object, write, route, &filling, version.filter(|_| object.precondition()))?;
    request.body = body.or(request.body);
    let place = place(&request);
    let reply = client.send(&request).await.map_err(|trouble| Box::new(of_trouble(&place, trouble)))?;
    if object.says_gone(reply.status) {
        return stop(WriteOutcome::Missing);
    }
    judge(object, &request, &reply)?;
    confirmed(object, id.clone(), &reply, write, &place)
}

/// Looks at the copy before it is changed: the best that can be done where no version is known.
fn as_expected(write: &Write, copy: &Change) -> Step<()> {
    match &copy.shown {
        RemoteState::Gone => stop(WriteOutcome::Missing),
        RemoteState::Present(fields) if write.expected.holds(fields) => Ok(()),
        RemoteState::Present(_) => {
            stop(WriteOutcome::Conflict { reason: "the copy is not as expected any more".to_owned() })
        }
        RemoteState::Unreadable { reason, .. } => {
            stop(WriteOutcome::Conflict { reason: format!("the copy cannot be read: {reason}") })
        }
        RemoteState::Unknown | RemoteState::Unread { .. } => {
            stop(WriteOutcome::Conflict { reason: "the copy cannot be read".to_owned() })
        }
    }
}

async fn look(client: &Client, object: &Object, id: &RemoteId) -> Step<(Change, Option<Reply>)> {
    read_whole(client, object, id).await.map_err(|trouble| Box::new(before_write(trouble)))
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
