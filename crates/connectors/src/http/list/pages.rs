//! One page with the way on.
//!
//! Pages by number or offset move under the reader: when a row leaves the result, the rows behind it slide
//! to the front, and one slides past the reader unseen. So after each further page the page before it is
//! asked for again; if its end has changed, that page is taken once more instead. A row may so be shown
//! twice, but none is skipped.

use super::onward::onward;
use super::past::past_the_end;
use super::query::{Answer, Query, Sheet};
use super::spot::{At, Spot};
use crate::http::answer::stamp::Style;
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::connector::{Change, ConnectorError};

/// How often a listing steps back before it goes on regardless; rows left in the gap show up as drift.
const STEPS_BACK_MAX: u32 = 100;
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

/// What comes behind a page.
pub(super) enum Next {
    /// Another page.
    Page(Spot),
    /// Nothing: the service said so in a way that was understood.
    End,
    /// More than the service shows of one listing. The text says how that was recognised.
    Cut(String),
}

impl Fetched {
    /// A page of nothing, behind which `next` comes.
    pub(super) fn nothing(date: Option<Timestamp>, next: Next) -> Self {
        Self { changes: Vec::new(), digests: Vec::new(), stamps: Vec::new(), date, next }
    }
}

/// Asks for the page at `spot`.
pub(super) async fn fetch(query: &Query<'_>, spot: &Spot) -> Result<Fetched, ConnectorError> {
    let sheet = match query.ask(spot).await? {
        Answer::Sheet(sheet) => sheet,
        Answer::Refused(url, reply) => return past_the_end(query, spot, &url, &reply).await,
    };
    let Some((at, end)) = spot.back().filter(|_| spot.steps_back < STEPS_BACK_MAX) else {
        return take(query, spot, sheet).await;
    };
    let mut back = spot.beside(at, spot.size);
    let again = query.sheet(&back).await?;
    if !again.changes.is_empty() && again.ids().eq(sheet.ids()) {
        return same_again(query, spot, &sheet).await;
    }
    if again.changes.last().is_some_and(|last| last.id.as_str() == end) {
        return take(query, spot, sheet).await;
    }
    // Rows have slid from this page onto the one before: that one is taken again, and this one after it.
    back.steps_back += 1;
    back.shown = back.shown.saturating_sub(again.changes.len() as u64);
    take(query, &back, again).await
}

/// Takes a page that has come, and finds what is behind it.
pub(super) async fn take(query: &Query<'_>, spot: &Spot, sheet: Sheet) -> Result<Fetched, ConnectorError> {
    let count = sheet.changes.len();
    let added = query.memory().add(spot.run, spot.position(), sheet.ids());
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
        query.memory().end(spot.run);
    }
    let Sheet { changes, digests, stamps, date, .. } = sheet;
    Ok(Fetched { changes, digests, stamps, date, next })
}

/// The service shows the same page whatever the place. That is the whole collection only if it is less than asked for,
/// and the service gives as many as it is asked for.
async fn same_again(query: &Query<'_>, spot: &Spot, sheet: &Sheet) -> Result<Fetched, ConnectorError> {
    let count = sheet.changes.len();
    if count < spot.size {
        let fewer = (count / 2).max(1);
        let first = Spot::first(query.object, fewer, spot.run);
        if count == 1 || query.sheet(&spot.beside(first.at, fewer)).await?.changes.len() <= fewer {
            query.memory().end(spot.run);
            return Ok(Fetched::nothing(sheet.date, Next::End));
        }
    }
    let problem = "the next page is this page again: the service does not know the parameter of the page. \
                   If it always shows everything, declare `paging = { style = \"none\" }`";
    Err(query.incomplete(&sheet.url, problem))
}

/// The number of the page, from 0, of a listing by number.
pub(super) fn pages_before(query: &Query<'_>, at: &At) -> u64 {
    let first = match &Spot::first(query.object, 1, 0).at {
        At::Page(first) => *first,
        At::Offset(_) | At::Cursor(_) | At::Link(_) | At::AfterId(_) | At::Whole => 0,
    };
    match at {
        At::Page(page) => page.saturating_sub(first),
        At::Offset(_) | At::Cursor(_) | At::Link(_) | At::AfterId(_) | At::Whole => 0,
    }
}
