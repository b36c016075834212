//! A page behind the last one is asked for, and the service refuses it instead of showing an empty one.

use super::onward::is_at_a_window;
use super::query::{Answer, Query};
use super::spot::{At, Next, Spot};
use super::taken::{Fetched, take};
use crate::http::answer::reply::Reply;
use avowal_engine::ports::connector::ConnectorError;
use reqwest::Url;

/// How many other sizes of pages are considered for a look at the end.
const SIZES_MAX: usize = 16;

/// Judges a refused page. It is the end if the page before was not full, or if a page of another size proves that nothing is
/// behind; it is the limit of what is shown if that much was shown; else it is an error.
pub(super) async fn past_the_end(
    query: &Query<'_>,
    spot: &Spot,
    url: &Url,
    refusal: &Reply,
) -> Result<Fetched, ConnectorError> {
    if spot.shown == 0 {
        return Err(query.refused(url, refusal));
    }
    let window = || Next::Cut(format!("after {} copies it answers {}", spot.shown, refusal.words()));
    let Some((at, end)) = spot.back() else {
        // A cursor or link of the service's own is refused.
        return match is_at_a_window(spot.shown) {
            true => Ok(Fetched::nothing(refusal.date(), window())),
            false => Err(query.refused(url, refusal)),
        };
    };
    let back = spot.beside(at, spot.size);
    let again = query.sheet(&back).await?;
    if again.changes.last().is_none_or(|last| last.id.as_str() != end) {
        // Rows have slid from behind onto the page before: it is taken again.
        let back = Spot { steps_back: spot.steps_back + 1, ..back };
        return take(query, &back, again).await;
    }
    let full = if spot.largest > again.changes.len() { spot.largest } else { spot.size };
    let is_short = again.changes.len() < full && !is_at_a_window(spot.shown);
    if spot.said_end || is_short || is_proven(query, spot, end).await? {
        query.memory.end(spot.run);
        return Ok(Fetched::nothing(refusal.date(), Next::End));
    }
    if is_at_a_window(spot.shown) {
        return Ok(Fetched::nothing(refusal.date(), window()));
    }
    let problem = format!(
        "the page behind {} copies is refused ({}), and the page before it is full",
        spot.shown,
        refusal.words()
    );
    Err(query.incomplete(url, &problem))
}

/// Whether a page that would have room for one more copy behind the last one ends with that last one.
async fn is_proven(query: &Query<'_>, spot: &Spot, end: &str) -> Result<bool, ConnectorError> {
    let shown = spot.shown;
    let (at, size, expected) = match &spot.at {
        At::Offset(_) => (At::Offset(shown.saturating_sub(1)), 2, 1),
        At::Page(page) => {
            let pages = spot.pages_before(query.object);
            if pages.saturating_mul(spot.size as u64) != shown {
                return Ok(false);
            }
            let sizes = (1..spot.size).rev().take(SIZES_MAX).chain([spot.size + 1]);
            let Some(size) = sizes.into_iter().find(|size| !shown.is_multiple_of(*size as u64)) else {
                return Ok(false);
            };
            let (per_page, first) = (size as u64, page - pages);
            (At::Page(first + shown / per_page), size, usize::try_from(shown % per_page).unwrap_or(0))
        }
        At::Cursor(_) | At::Link(_) | At::AfterId(_) | At::Whole => return Ok(false),
    };
    Ok(match query.ask(&spot.beside(at, size)).await? {
        Answer::Sheet(sheet) => {
            sheet.changes.len() == expected
                && sheet.changes.last().is_some_and(|last| last.id.as_str() == end)
        }
        Answer::Refused(..) => false,
    })
}
