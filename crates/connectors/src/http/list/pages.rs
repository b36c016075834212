//! One page with the way on.
//!
//! Pages by number or offset move under the reader: when a row leaves the result, the rows behind it slide
//! to the front, and one slides past the reader unseen. So after each further page the page before it is
//! asked for again; if its end has changed, that page is taken once more instead. A row may so be shown
//! twice, but none is skipped.

use super::past::past_the_end;
use super::query::{Answer, Query, Sheet};
use super::spot::{Next, Spot};
use super::taken::{Fetched, take};
use avowal_engine::ports::connector::ConnectorError;

/// How often a listing steps back before it goes on regardless; rows left in the gap show up as drift.
const STEPS_BACK_MAX: u32 = 100;
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

/// The service shows the same page whatever the place. That is the whole collection only if it is less than asked for,
/// and the service gives as many as it is asked for.
async fn same_again(query: &Query<'_>, spot: &Spot, sheet: &Sheet) -> Result<Fetched, ConnectorError> {
    let count = sheet.changes.len();
    if count < spot.size {
        let fewer = (count / 2).max(1);
        let first = Spot::first(query.object, fewer, spot.run);
        if count == 1 || query.sheet(&spot.beside(first.at, fewer)).await?.changes.len() <= fewer {
            query.memory.end(spot.run);
            return Ok(Fetched::nothing(sheet.date, Next::End));
        }
    }
    let problem = "the next page is this page again: the service does not know the parameter of the page. \
                   If it always shows everything, declare `paging = { style = \"none\" }`";
    Err(query.incomplete(&sheet.url, problem))
}
