//! Reading one copy by its id.

use crate::http::answer::fault::{declared_fault, envelope_fault};
use crate::http::answer::reply::Reply;
use crate::http::answer::trouble::Trouble;
use crate::http::answer::words::harmless;
use crate::http::call::client::{Client, get};
use crate::http::declare::prepared::Object;
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_engine::ports::connector::{Change, RemoteState};

/// The copy `id` as it is now. Errors are outcomes of the write that wanted to know.
pub(crate) async fn read(client: &Client, object: &Object, id: &RemoteId) -> Result<Change, ReadTrouble> {
    read_whole(client, object, id).await.map(|(copy, _)| copy)
}

/// The copy `id`, and the answer that shows it.
pub(crate) async fn read_whole(
    client: &Client,
    object: &Object,
    id: &RemoteId,
) -> Result<(Change, Option<Reply>), ReadTrouble> {
    let gone = || (Change::bare(id.clone(), RemoteState::Gone), None);
    let Ok(url) = object.read.address(&object.filling_for(id), |path| client.url(path)) else {
        // An id that fits into no path can belong to no copy of this service.
        return Ok(gone());
    };
    let place = format!("GET {}", url.path());
    let reply = client.send(&get(url)).await.map_err(|trouble| ReadTrouble::None(place.clone(), trouble))?;
    match reply.status {
        status if object.says_gone(status) => Ok(gone()),
        status if status.is_success() => match fault(object, &reply) {
            Some(fault) => Err(ReadTrouble::Fault(place, fault)),
            None => Ok((single(object, id, &reply), Some(reply))),
        },
        _ => Err(ReadTrouble::Unfriendly(place, reply)),
    }
}

/// Why a read has no usable answer, with its place.
pub(crate) enum ReadTrouble {
    /// No answer.
    None(String, Trouble),
    /// An answer that is no copy.
    Unfriendly(String, Reply),
    /// An answer with a successful status in which the service reports a fault.
    Fault(String, String),
}

/// The fault that an answer with a successful status reports instead of showing a copy.
fn fault(object: &Object, reply: &Reply) -> Option<String> {
    declared_fault(reply, object.spec.failure.as_deref()).or_else(|| {
        let has_id = |raw: &serde_json::value::RawValue| {
            Value::parse(raw.get().as_bytes()).is_ok_and(|item| object.id_of(&item).is_some())
        };
        // A copy may have a field called `error`; an answer without any copy has not.
        let shows_copy = reply.at(&object.record_at()).is_some_and(has_id);
        if shows_copy { None } else { envelope_fault(reply) }
    })
}

/// The copy in an answer that concerns one copy.
pub(crate) fn single(object: &Object, id: &RemoteId, reply: &Reply) -> Change {
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
        RemoteState::Present(_) | RemoteState::Gone | RemoteState::Unknown | RemoteState::Unread { .. }
            if copy.id != *id =>
        {
            let reason =
                format!("the service answered with the copy {}; was this one merged into it?", copy.id);
            Change::bare(id.clone(), RemoteState::Unreadable { reason, payload: harmless(raw.get()) })
        }
        RemoteState::Present(_) | RemoteState::Gone | RemoteState::Unknown | RemoteState::Unread { .. } => {
            copy
        }
    }
}
