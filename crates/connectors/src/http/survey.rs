//! `check`: whether the service is there and looks as declared.

use super::call::client::Client;
use super::declare::object::HttpObject;
use super::declare::prepared::Object;
use super::list::listing;
use super::list::memory::Memory;
use super::list::probe::{Idle, idle_parameters};
use avowal_core::data::ids::EntityName;
use avowal_engine::ports::connector::{ConnectorError, ConnectorErrorKind, Finding, RemoteState};
use std::collections::BTreeSet;

/// So few copies may all lack a field that the service leaves out where it is empty.
const FEW: usize = 3;
/// How many copies are looked at.
const SAMPLE: usize = 20;

/// Reads a small sample of one object and compares it with its mapping.
pub(super) async fn survey(
    client: &Client,
    entity: &EntityName,
    object: &Object,
    memory: &Memory,
) -> Result<Vec<Finding>, ConnectorError> {
    let place = format!("{} of {}", object.binding.object, client.host());
    let page = match listing::list(client, object, memory, None, SAMPLE).await {
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
    if readable > 0 {
        findings.extend(
            object
                .binding
                .columns
                .iter()
                .filter(|column| !shown.contains(&column.name))
                .map(|column| absent(&place, entity, &column.name, readable)),
        );
    }
    let timeless = page.changes.iter().all(|change| change.occurred_at.is_none());
    if let (HttpObject { changes: Some(_), updated: Some(updated), .. }, true, true) =
        (&object.spec, readable > 0, timeless)
    {
        findings.push(Finding::problem(
            place.clone(),
            format!("no time is at `updated = {updated:?}` in the first copies"),
            "Name the time of a copy's last change, or leave out `changes`",
        ));
    }
    if readable > 0 {
        let idle = idle_parameters(client, object, memory).await?;
        findings.extend(idle.into_iter().map(|idle| without_effect(&place, idle)));
    }
    Ok(findings)
}

/// A mapped name that no sampled copy has.
fn absent(place: &str, entity: &EntityName, name: &str, readable: usize) -> Finding {
    let problem = format!("none of the first {readable} copies has {name:?}");
    let cure = if name.contains(['.', '/']) {
        format!(
            "{name:?} looks like a path, and the mapping of {entity} takes names only. Name a member of the copy, and say \
             with `fields_at` where the fields are"
        )
    } else {
        format!(
            "Correct the name in the mapping of {entity}. If the service leaves out empty fields, check again when a copy \
             has this one"
        )
    };
    if readable < FEW {
        return Finding::note(place, problem, cure);
    }
    Finding::problem(place, problem, cure)
}

/// A parameter that the service does not know.
fn without_effect(place: &str, idle: Idle) -> Finding {
    match idle {
        Idle::Place => Finding::problem(
            place,
            "the parameter of the page has no effect: the first copies come again",
            "Declare `paging` and `list.query` with the parameter that the service knows, or `paging = { style = \"none\" }` \
             if it always shows everything",
        ),
        Idle::Size => Finding::note(
            place,
            "the parameter of the page's size has no effect: the service gives pages of its own size",
            "Nothing has to be done. Declare that size as `page_size`, so that it is known",
        ),
        Idle::Since => Finding::problem(
            place,
            "the change query has no effect: old copies come where only future changes are asked for",
            "Declare `changes.query` with the parameter that the service knows, or leave out `changes`",
        ),
    }
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
