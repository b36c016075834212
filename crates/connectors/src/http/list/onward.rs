//! What comes behind a page: another one, the end, or the limit of what the service shows.

use super::link::{Links, links};
use super::query::{Query, Sheet};
use super::spot::{At, Next, Spot};
use crate::http::answer::reply::Reply;
use crate::http::declare::paging::{Paging, Signs};
use avowal_engine::ports::connector::{ConnectorError, ConnectorErrorKind};
use serde_json::Value as Json;

/// Services that limit what a listing shows cut it at a multiple of this.
const WINDOW: u64 = 1000;

/// Whether so much has been shown that the service may show no more.
pub(super) fn is_at_a_window(shown: u64) -> bool {
    shown >= WINDOW && shown.is_multiple_of(WINDOW)
}

/// What the declared signs of a page say of the end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    /// Another page follows.
    More,
    /// This page is the last.
    Last,
    /// The pages so far hold as many as a declared number says.
    Enough,
    Nothing,
}

/// What is behind a page, where `after` already counts it. `distinct` is how many different copies the listing has shown.
pub(super) async fn onward(
    query: &Query<'_>,
    after: &Spot,
    sheet: &Sheet,
    distinct: Option<u64>,
) -> Result<Next, ConnectorError> {
    let said = said(query, after, sheet);
    let next = match (&after.at, &query.object.spec.paging) {
        (At::Whole, _) => Next::End,
        (At::Page(_) | At::Offset(_) | At::AfterId(_), _) => by_place(query, after, sheet, said)?,
        (At::Cursor(_), Paging::Cursor { next, .. }) => by_cursor(query, after, sheet, said, next).await?,
        (At::Link(_), Paging::Link { next, .. }) => {
            by_link(query, after, sheet, said, next.as_deref()).await?
        }
        // The configuration changed its paging under a listing in progress.
        (At::Cursor(_) | At::Link(_), _) => {
            return Err(ConnectorError::new(
                ConnectorErrorKind::CursorExpired,
                "the listing was begun with another `paging`",
                None,
            ));
        }
    };
    match next {
        Next::End => end(query, after, sheet, distinct),
        Next::Page(_) | Next::Cut(_) => Ok(next),
    }
}

/// An end is believed unless a number of the service contradicts it.
fn end(
    query: &Query<'_>,
    after: &Spot,
    sheet: &Sheet,
    distinct: Option<u64>,
) -> Result<Next, ConnectorError> {
    let declared = query.object.spec.paging.signs().total.and_then(|place| number(&sheet.reply, place));
    if let (Some(total), Some(distinct)) = (declared, distinct)
        && distinct < total
    {
        let problem = format!("the listing ends after {distinct} copies, and `total` says {total}");
        return match is_at_a_window(after.shown) {
            true => Ok(Next::Cut(problem)),
            false => Err(query.incomplete(&sheet.url, &problem)),
        };
    }
    if is_at_a_window(after.shown) {
        let shown = distinct.unwrap_or(after.shown);
        if let Some(total) = told_total(&sheet.reply).filter(|total| *total > shown) {
            return Ok(Next::Cut(format!("it ends after {shown} copies, and the service tells of {total}")));
        }
    }
    Ok(Next::End)
}

fn said(query: &Query<'_>, after: &Spot, sheet: &Sheet) -> Said {
    let Signs { total_pages, total, more, last, .. } = query.object.spec.paging.signs();
    let flag = |place: Option<&str>| place.and_then(|place| flag(&sheet.reply, place));
    match (flag(more), flag(last)) {
        (Some(false), _) | (_, Some(true)) => return Said::Last,
        (Some(true), _) | (_, Some(false)) => return Said::More,
        (None, None) => {}
    }
    let pages = total_pages.and_then(|place| number(&sheet.reply, place));
    let copies = total.and_then(|place| number(&sheet.reply, place));
    let is_empty = sheet.changes.is_empty();
    match (pages, copies) {
        (Some(pages), _) if after.pages_before(query.object) + u64::from(!is_empty) < pages => Said::More,
        (_, Some(copies)) if after.shown < copies => Said::More,
        (Some(_), _) | (_, Some(_)) => Said::Enough,
        (None, None) => Said::Nothing,
    }
}

/// By number, offset or last id: the next place is counted by us, and an empty page ends the listing.
fn by_place(query: &Query<'_>, after: &Spot, sheet: &Sheet, said: Said) -> Result<Next, ConnectorError> {
    let count = sheet.changes.len();
    let is_short = count < after.largest || after.largest < after.size;
    let Some(last) = sheet.changes.last().map(|change| change.id.as_str().to_owned()) else {
        return match said {
            Said::More if !after.said_end => {
                Err(query.incomplete(&sheet.url, "a page is empty, and the service says that there are more"))
            }
            Said::More | Said::Last | Said::Enough | Said::Nothing => Ok(Next::End),
        };
    };
    match said {
        Said::Last => return Ok(Next::End),
        // A full page may have another one behind it whatever the number says; the numbers of services are often old.
        Said::Enough if is_short => return Ok(Next::End),
        Said::Nothing if query.object.spec.paging.signs().short_page_ends && count < after.size => {
            return Ok(Next::End);
        }
        Said::More | Said::Enough | Said::Nothing => {}
    }
    let (at, before) = match &after.at {
        At::Page(page) => (At::Page(page + 1), Some((last, *page))),
        At::Offset(offset) => (At::Offset(offset + count as u64), Some((last, *offset))),
        At::AfterId(present) if present.as_deref() == Some(&last) => {
            return Err(query.incomplete(&sheet.url, "the next page is this page again"));
        }
        At::AfterId(_) | At::Cursor(_) | At::Link(_) | At::Whole => (At::AfterId(Some(last)), None),
    };
    let said_end = said == Said::Enough;
    Ok(Next::Page(Spot {
        at,
        before,
        said_end,
        was_led: after.was_led || said == Said::More,
        ..after.clone()
    }))
}

async fn by_cursor(
    query: &Query<'_>,
    after: &Spot,
    sheet: &Sheet,
    said: Said,
    pointer: &str,
) -> Result<Next, ConnectorError> {
    if said == Said::Last {
        return Ok(Next::End);
    }
    match sheet.reply.text_at(pointer).filter(|text| !text.is_empty() && text != "false") {
        Some(next) if after.position() == Some(&next) => {
            Err(query.incomplete(&sheet.url, "the next page is this page again"))
        }
        Some(next) => Ok(on(after, At::Cursor(Some(next)))),
        None => {
            let is_told = sheet.reply.at(pointer).is_some();
            unled(query, after, sheet, said, Way { pointer: Some(pointer), is_told }).await
        }
    }
}

async fn by_link(
    query: &Query<'_>,
    after: &Spot,
    sheet: &Sheet,
    said: Said,
    pointer: Option<&str>,
) -> Result<Next, ConnectorError> {
    if said == Said::Last {
        return Ok(Next::End);
    }
    let (link, is_told) = match pointer {
        Some(pointer) => {
            let link = sheet.reply.text_at(pointer).filter(|text| !text.is_empty() && text != "false");
            (link, sheet.reply.at(pointer).is_some())
        }
        None => match links(&sheet.reply) {
            Links::Next(link) => (Some(link), true),
            Links::NoNext => (None, true),
            Links::None => (None, false),
        },
    };
    let Some(link) = link else { return unled(query, after, sheet, said, Way { pointer, is_told }).await };
    let target =
        query.client.link(&sheet.url, &link).map_err(|problem| query.incomplete(&sheet.url, &problem))?;
    if target == sheet.url {
        return Err(query.incomplete(&sheet.url, "the next page is this page again"));
    }
    Ok(on(after, At::Link(Some(target.into()))))
}

fn on(after: &Spot, at: At) -> Next {
    Next::Page(Spot { at, was_led: true, ..after.clone() })
}

/// Where the way on is declared to be, and whether there is anything.
struct Way<'a> {
    /// In the body; in the `Link` header if not said.
    pointer: Option<&'a str>,
    is_told: bool,
}

/// No way on is named. That is the end if the service has named one before, or named that there is none; else the declared
/// place may be wrong, and the service is asked for a page of one, behind which there must be another.
async fn unled(
    query: &Query<'_>,
    after: &Spot,
    sheet: &Sheet,
    said: Said,
    way: Way<'_>,
) -> Result<Next, ConnectorError> {
    if said == Said::More {
        let problem = "the service says that there are more, and names no next page";
        return Err(query.incomplete(&sheet.url, problem));
    }
    let count = sheet.changes.len();
    if way.is_told || after.was_led || count <= 1 {
        return Ok(Next::End);
    }
    let single = query.sheet(&Spot::first(query.object, 1, after.run)).await?;
    let names_next = match way.pointer {
        Some(pointer) => single.reply.at(pointer).is_some(),
        None => links(&single.reply) != Links::None,
    };
    // A service that gives pages of its own size shows the same page again; a full one proves nothing.
    let is_small = single.changes.len() > 1 && count < after.size;
    if names_next || is_small {
        return Ok(Next::End);
    }
    let place = match way.pointer {
        Some(pointer) => format!("`next = {pointer:?}`"),
        None => "a `Link` header".to_owned(),
    };
    let problem = format!("{count} copies came, and no way to a next page is at {place}");
    Err(query.incomplete(&sheet.url, &problem))
}

/// The flag at a pointer; `None` if there is nothing that is a flag.
fn flag(reply: &Reply, place: &str) -> Option<bool> {
    match reply.text_at(place)?.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Some(true),
        "false" | "0" | "no" => Some(false),
        _ => None,
    }
}

/// The number at a pointer; `None` if there is none, as a negative one that stands for "not counted".
fn number(reply: &Reply, place: &str) -> Option<u64> {
    reply.text_at(place)?.parse().ok()
}

/// The largest number in the object around the copies, or in an object in it, whose name speaks of a total of copies.
fn told_total(reply: &Reply) -> Option<u64> {
    let Ok(Json::Object(body)) = serde_json::from_slice::<Json>(&reply.body) else { return None };
    let inner = body.values().filter_map(Json::as_object).flatten();
    let is_total = |name: &str| {
        let name = name.to_ascii_lowercase();
        (name.contains("total") || name == "count") && !name.contains("page")
    };
    body.iter().chain(inner).filter(|(name, _)| is_total(name)).filter_map(|(_, value)| value.as_u64()).max()
}
