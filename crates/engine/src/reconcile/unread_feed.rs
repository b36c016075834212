//! What a change feed reports that was not taken in yet: looked at without moving anything.

use crate::inbound::reading::Source;
use crate::parts::error::EngineError;
use crate::ports::store::{CursorKind, Position};
use avowal_core::data::ids::RemoteId;
use std::collections::HashSet;

/// The most pages that are looked at.
const PAGES_MAX: u32 = 200;

/// The copies that the feed reports beyond the place up to which it was taken in.
pub(super) enum Unread {
    /// These, and no others.
    Copies(HashSet<RemoteId>),
    /// The feed is so far ahead that it was not read to its end.
    TooMany,
}

impl Unread {
    /// Whether the feed reports a copy.
    pub(super) fn holds(&self, id: &RemoteId) -> bool {
        match self {
            Unread::Copies(copies) => copies.contains(id),
            Unread::TooMany => true,
        }
    }
}

/// Looks from where the feed was taken in to its end. Nothing where the system has no feed, or none was followed yet.
pub(super) async fn unread(source: Source<'_>) -> Result<Unread, EngineError> {
    let mut copies = HashSet::new();
    if !source.connector.capabilities(source.entity).feed {
        return Ok(Unread::Copies(copies));
    }
    let Some(mut at) = source.cursor(CursorKind::Feed).await?.as_ref().and_then(Position::cursor).cloned()
    else {
        return Ok(Unread::Copies(copies));
    };
    let most = source.parts.settings.batch_records_max;
    for _ in 0..PAGES_MAX {
        let page = source.connector.peek(source.entity, &at, most).await;
        let page = page.map_err(|error| source.failed(error))?;
        copies.extend(page.changes.into_iter().map(|change| change.id));
        if !page.more {
            return Ok(Unread::Copies(copies));
        }
        at = page.next;
    }
    Ok(Unread::TooMany)
}
