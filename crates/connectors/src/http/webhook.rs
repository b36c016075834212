//! What a verified delivery says.

use super::answer::look::{look, scalar_text};
use super::answer::stamp;
use super::answer::words::harmless;
use super::declare::object::Trust;
use super::declare::prepared::Object;
use avowal_core::data::ids::{EntityName, RemoteId};
use avowal_core::data::value::Value;
use avowal_core::record::observation::OrderToken;
use avowal_engine::ports::connector::{Change, ConnectorError, ConnectorErrorKind, Delivery, RemoteState};

/// The most events that one delivery may carry.
const EVENTS_MAX: usize = 1000;

/// The changes that a delivery names. Events of other objects are skipped.
pub(super) fn decode<'a>(
    objects: impl Iterator<Item = (&'a EntityName, &'a Object)>,
    delivery: &Delivery,
) -> Result<Vec<(EntityName, Change)>, ConnectorError> {
    let body = Value::parse(&delivery.body).map_err(|error| refuse(&harmless(&error.to_string())))?;
    let mut found = Vec::new();
    for (entity, object) in objects {
        for event in events(object, &body)? {
            if let Some(change) = change(object, event)? {
                found.push((entity.clone(), change));
            }
        }
    }
    Ok(found)
}

fn events<'a>(object: &Object, body: &'a Value) -> Result<Vec<&'a Value>, ConnectorError> {
    let Some(batch) = &object.spec.webhook.batch else {
        return Ok(vec![body]);
    };
    match look(body, batch) {
        Some(Value::List(events)) if events.len() <= EVENTS_MAX => Ok(events.iter().collect()),
        Some(Value::List(_)) => Err(refuse(&format!("more than {EVENTS_MAX} events in one delivery"))),
        Some(_) | None => Err(refuse(&format!("no array is at `webhook.batch = {batch:?}`"))),
    }
}

fn change(object: &Object, event: &Value) -> Result<Option<Change>, ConnectorError> {
    let shape = &object.spec.webhook;
    let kind = look(event, &shape.event).and_then(scalar_text).unwrap_or_default();
    if !shape.events.is_empty() && !shape.events.iter().any(|pattern| fits(pattern, &kind)) {
        return Ok(None);
    }
    let record = look(event, &shape.record);
    let id = match &shape.id {
        Some(place) => look(event, place).and_then(scalar_text).map(RemoteId::new),
        None => record.and_then(|record| object.id_of(record)),
    };
    let Some(id) = id.filter(|id| !id.as_str().is_empty()) else {
        let cure = "declare `webhook.id`, and `webhook.events` if this event concerns another object";
        return Err(refuse(&format!("the event {:?} names no copy; {cure}", harmless(&kind))));
    };
    let gone = shape.deleted.iter().any(|pattern| fits(pattern, &kind));
    let shown = match (object.spec.trust, record) {
        (Trust::Signal, _) | (Trust::Body, None) if !(gone && object.spec.trust == Trust::Body) => {
            RemoteState::Unknown
        }
        (Trust::Body | Trust::Signal, _) if gone => RemoteState::Gone,
        (Trust::Body | Trust::Signal, Some(record)) => match object.shown(record) {
            Ok(shown) => shown,
            Err(_) => RemoteState::Unknown,
        },
        (Trust::Body | Trust::Signal, None) => RemoteState::Unknown,
    };
    Ok(Some(with_evidence(object, event, record, id, shown)))
}

fn with_evidence(
    object: &Object,
    event: &Value,
    record: Option<&Value>,
    id: RemoteId,
    shown: RemoteState,
) -> Change {
    let shape = &object.spec.webhook;
    let mut change = match record {
        Some(record) => object.with_evidence(id, shown, record, None),
        None => Change::bare(id, shown),
    };
    if let Some(order) = shape.order.as_deref().and_then(|place| look(event, place)).and_then(scalar_text) {
        change.order = order.parse().ok().map(OrderToken::Sequence).or(change.order);
    }
    if let Some((at, _)) = look(event, &shape.occurred_at).and_then(stamp::read) {
        change.occurred_at = Some(at);
    }
    if let Some(actor) = shape.actor.as_deref().and_then(|place| look(event, place)).and_then(scalar_text) {
        change.actor = Some(actor);
    }
    if change.shown == RemoteState::Unknown {
        // The body is not believed, so its order proves nothing about what the read will find.
        (change.order, change.version, change.correlation) = (None, None, None);
    }
    change
}

/// Whether a type fits a pattern with `*` at either end.
fn fits(pattern: &str, kind: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(rest), Some(_)) => kind.contains(rest.trim_end_matches('*')),
        (Some(end), None) => kind.ends_with(end),
        (None, Some(start)) => kind.starts_with(start),
        (None, None) => kind == pattern,
    }
}

fn refuse(problem: &str) -> ConnectorError {
    ConnectorError::new(ConnectorErrorKind::Protocol, format!("webhook: {problem}"), None)
}
