//! `check`: whether the service is there and looks as declared.

use super::call::client::Client;
use super::declare::object::HttpObject;
use super::declare::prepared::Object;
use super::list::listing;
use avowal_core::data::ids::EntityName;
use avowal_engine::ports::connector::{ConnectorError, ConnectorErrorKind, Finding, RemoteState};
use std::collections::BTreeSet;

/// How many copies are looked at.
const SAMPLE: usize = 20;

/// Reads a small sample of one object and compares it with its mapping.
pub(super) async fn survey(
    client: &Client,
    entity: &EntityName,
    object: &Object,
) -> Result<Vec<Finding>, ConnectorError> {
    let place = format!("{} of {}", object.binding.object, client.host());
    let page = match listing::list(client, object, None, SAMPLE).await {
        Ok(page) => page,
        Err(error) => return declared_wrong(&place, error),
    };
    let mut findings = Vec::new();
    let mut shown = BTreeSet::new();
    let mut readable = 0_usize;
    for change in &page.changes {
        match &change.shown {
            RemoteState::Present(fields) => {
                readable += 1;
                shown.extend(fields.keys().cloned());
            }
            RemoteState::Unreadable { reason, .. } if findings.is_empty() => findings.push(Finding::problem(
                place.clone(),
                format!("a copy cannot be read: {reason}"),
                format!("Check `id`, `items` and `fields_at` in the mapping of {entity}"),
            )),
            RemoteState::Unreadable { .. }
            | RemoteState::Gone
            | RemoteState::Unknown
            | RemoteState::Unread { .. } => {}
        }
    }
    // Services leave out empty fields, so only a mapping of which nothing at all is shown is surely wrong.
    let names = object.binding.columns.iter().map(|column| column.name.as_str());
    if readable > 0 && shown.is_empty() && names.clone().next().is_some() {
        findings.push(Finding::problem(
            place.clone(),
            format!("none of {} is in the first copies", names.collect::<Vec<_>>().join(", ")),
            "Check the remote names in the mapping, and `fields_at`",
        ));
    }
    let timeless = page.changes.iter().all(|change| change.occurred_at.is_none());
    if let (HttpObject { changes: Some(_), updated: Some(updated), .. }, true, true) =
        (&object.spec, readable > 0, timeless)
    {
        findings.push(Finding::problem(
            place,
            format!("no time is at `updated = {updated:?}` in the first copies"),
            "Name the time of a copy's last change, or leave out `changes`",
        ));
    }
    Ok(findings)
}

/// A service that answers, but not as declared, is a finding; one that does not answer is an error.
fn declared_wrong(place: &str, error: ConnectorError) -> Result<Vec<Finding>, ConnectorError> {
    match error.kind {
        ConnectorErrorKind::SchemaDrift | ConnectorErrorKind::Protocol => Ok(vec![Finding::problem(
            place,
            error.message,
            error.cure.unwrap_or_else(|| "Check the mapping's `http` table".to_owned()),
        )]),
        ConnectorErrorKind::Unreachable
        | ConnectorErrorKind::Unauthorised
        | ConnectorErrorKind::RateLimited { .. }
        | ConnectorErrorKind::CursorExpired
        | ConnectorErrorKind::IdentityChanged => Err(error),
    }
}
