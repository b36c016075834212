//! Rows of a system that have no key, counted before they are synced, because they go nowhere.

use crate::ports::connector::{Connector, ConnectorError, Finding, RemoteState};
use avowal_core::data::ids::SystemName;
use avowal_core::decide::identity::{has_no_key, key_words};
use avowal_core::policy::{EntityPolicy, NoKey};

/// The most pages that are read: each may be a call of a service.
const PAGES_MAX: usize = 10;
/// The rows of a page.
const PAGE_ROWS: usize = 500;

/// Says how many rows of an entity in a system have no key, if there are some and the rules give them nowhere to go. Large
/// collections are read in part, and the words say so.
pub async fn rows_without_key(
    connector: &dyn Connector,
    system: &SystemName,
    policy: &EntityPolicy,
) -> Result<Option<Finding>, ConnectorError> {
    let Some(mapping) = policy.mappings.get(system) else { return Ok(None) };
    let becomes = match policy.no_key {
        NoKey::Create => return Ok(None),
        NoKey::Wait => "are made in no other system until they have one",
        NoKey::Review => "wait in quarantine until a person has looked at them",
    };
    // A system that carries no whole key is not asked: its rows have theirs from another system's copy.
    if !policy.match_on.iter().any(|key| key.iter().all(|field| mapping.columns.contains_key(field))) {
        return Ok(None);
    }
    let (mut rows, mut keyless, mut cursor, mut more) = (0_usize, 0_usize, None, true);
    for _ in 0..PAGES_MAX {
        let page = connector.list(&policy.entity, cursor.as_ref(), PAGE_ROWS).await?;
        for change in &page.changes {
            let RemoteState::Present(fields) = &change.shown else { continue };
            rows += 1;
            keyless += usize::from(has_no_key(policy, &mapping.understand(&policy.fields, fields).fields));
        }
        (more, cursor) = (page.more, Some(page.next));
        if !more {
            break;
        }
    }
    if keyless == 0 {
        return Ok(None);
    }
    let of = if more {
        format!("of the first {rows} rows {keyless}")
    } else {
        format!("{keyless} of {rows} rows")
    };
    let keys = key_words(policy);
    Ok(Some(Finding::note(
        format!("entity {}", policy.entity),
        format!("{of} have no key, because {keys} is empty, and {becomes}"),
        "Fill it in, or declare `no_key = \"create\"`",
    )))
}
