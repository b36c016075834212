//! A page that has come: it is remembered, listings without end are recognised, and the way on is found.

use super::onward::onward;
use super::query::{Query, Sheet};
use super::spot::{Next, Spot};
use crate::http::answer::stamp::Style;
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::connector::{Change, ConnectorError};

/// How many pages in a row may bring nothing at all.
const EMPTY_PAGES_MAX: u32 = 50;
/// How many pages in a row may bring only what was shown before.
const REPEATED_PAGES_MAX: u32 = 3;

/// One page with the way on.
pub(super) struct Fetched {
    pub(super) changes: Vec<Change>,
    /// The digest of what was received, of each change.
    pub(super) digests: Vec<u64>,
    /// The time stamp of each change.
    pub(super) stamps: Vec<Option<(Timestamp, Style)>>,
    pub(super) date: Option<Timestamp>,
    pub(super) next: Next,
}

impl Fetched {
    /// A page of nothing, behind which `next` comes.
    pub(super) fn nothing(date: Option<Timestamp>, next: Next) -> Self {
        Self { changes: Vec::new(), digests: Vec::new(), stamps: Vec::new(), date, next }
    }
}

/// Takes a page that has come, and finds what is behind it.
pub(super) async fn take(query: &Query<'_>, spot: &Spot, sheet: Sheet) -> Result<Fetched, ConnectorError> {
    let count = sheet.changes.len();
    let added = query.memory.add(spot.run, spot.position(), sheet.ids());
    let mut after = spot.clone();
    after.before = None;
    after.shown += count as u64;
    after.largest = after.largest.max(count);
    after.empty = if count == 0 { spot.empty + 1 } else { 0 };
    // A page that is taken again after a step back shows little that is new.
    let is_old = count > 0 && added.new == 0 && spot.steps_back == 0;
    after.repeated = if is_old { spot.repeated + 1 } else { 0 };
    let endless = if added.is_circle {
        Some("the pages go in a circle: this one was asked for before".to_owned())
    } else if after.repeated >= REPEATED_PAGES_MAX {
        Some(format!("{REPEATED_PAGES_MAX} pages in a row showed only what was shown before"))
    } else if after.empty >= EMPTY_PAGES_MAX {
        Some(format!("{EMPTY_PAGES_MAX} pages in a row were empty, and the service always names a next one"))
    } else if after.shown > query.object.rows_max() {
        Some(format!(
            "the listing has shown {} copies and goes on; raise `rows_max` if there are so many",
            after.shown
        ))
    } else {
        None
    };
    if let Some(problem) = endless {
        return Err(query.incomplete(&sheet.url, &problem));
    }
    let next = onward(query, &after, &sheet, added.distinct).await?;
    if !matches!(next, Next::Page(_)) {
        query.memory.end(spot.run);
    }
    let Sheet { changes, digests, stamps, date, .. } = sheet;
    Ok(Fetched { changes, digests, stamps, date, next })
}
