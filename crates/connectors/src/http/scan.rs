//! Listings and change queries, page by page, without loops and without gaps.
//!
//! Pages by number or offset move under the reader: when a row leaves the result, the rows behind it slide
//! to the front, and one slides past the reader unseen. So after each further page the page before it is
//! asked for again; if its end has changed, that page is taken once more instead. A row may so be shown
//! twice, but none is skipped.

use super::client::{Client, get};
use super::failure::{of_reply, of_trouble, protocol};
use super::object::Paging;
use super::record::{Object, Route};
use super::reply::{Reply, look};
use super::stamp::{self, Style};
use super::template::Filling;
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::Value;
use avowal_engine::ports::connector::{Change, ConnectorError, ConnectorErrorKind, Page};
use avowal_engine::ports::store::Cursor;
use reqwest::Url;
use serde::{Deserialize, Serialize};

/// How often a listing steps back before it goes on regardless; rows left in the gap show up as drift.
const STEPS_BACK_MAX: u32 = 100;
/// Before every change.
const BEGINNING: &str = "1970-01-01T00:00:00.000Z";

/// A place in a listing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Spot {
    at: At,
    /// Fixed at the start, because page numbers mean nothing without it.
    size: usize,
    /// The id at the end of the page before, and where that page began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<(String, u64)>,
    #[serde(default)]
    steps_back: u32,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum At {
    Page(u64),
    Offset(u64),
    Cursor(Option<String>),
    Link(Option<String>),
    AfterId(Option<String>),
    Whole,
}

/// A place in a change query.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct FeedPosition {
    /// The bound of the query, in the service's own spelling.
    since: String,
    /// How the service spells times, once a copy has shown it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    style: Option<Style>,
    /// What a scan in progress knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scan: Option<Scan>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Scan {
    spot: Spot,
    /// No change after this time can have been missed by this scan, in the service's clock.
    horizon: Option<Timestamp>,
    newest: Option<Timestamp>,
}

/// One page with the way on.
struct Fetched {
    changes: Vec<Change>,
    next: Option<Spot>,
    date: Option<Timestamp>,
    stamps: Vec<(Timestamp, Style)>,
}

/// The next page of a listing.
pub(super) async fn list(
    client: &Client,
    object: &Object,
    cursor: Option<&Cursor>,
    limit: usize,
) -> Result<Page, ConnectorError> {
    let spot = match cursor {
        None => first(object, limit),
        Some(cursor) => decode(cursor)?,
    };
    let fetched = fetch(client, object, &object.list, &spot, None).await?;
    Ok(match fetched.next {
        Some(next) => Page { changes: fetched.changes, next: encode(&next)?, more: true },
        // Nobody reads where a listing goes on that is at its end.
        None => Page { changes: fetched.changes, next: Cursor(String::new()), more: false },
    })
}

/// The position of the change query now.
pub(super) async fn position(client: &Client, object: &Object) -> Result<Cursor, ConnectorError> {
    let Some(call) = &object.spec.changes else {
        return Err(protocol(
            client,
            "changes",
            "no change query is declared, so there is no feed to follow",
        ));
    };
    let fetched = fetch(client, object, &object.list, &first(object, 1), None).await?;
    let style = fetched.stamps.last().map(|(_, style)| *style);
    // Without the service's clock, or without knowing its spelling of times, the feed begins at the beginning.
    let since = match (fetched.date, style) {
        (Some(date), Some(style)) => style.write(date.plus_millis(-call.overlap_ms)),
        (None, Some(style)) => style.write(Timestamp::from_millis(0)),
        (Some(_) | None, None) => BEGINNING.to_owned(),
    };
    encode(&FeedPosition { since, style, scan: None })
}

/// The next page of what has changed since the cursor. The bound moves only when a scan is complete.
pub(super) async fn changes(
    client: &Client,
    object: &Object,
    cursor: &Cursor,
    limit: usize,
) -> Result<Page, ConnectorError> {
    let (Some(call), Some(route)) = (&object.spec.changes, &object.changes) else {
        return Ok(Page { changes: Vec::new(), next: cursor.clone(), more: false });
    };
    let place: FeedPosition = decode(cursor)?;
    let spot = place.scan.as_ref().map_or_else(|| first(object, limit), |scan| scan.spot.clone());
    let fetched = fetch(client, object, route, &spot, Some(&place.since)).await?;

    let style = fetched.stamps.last().map(|(_, style)| *style).or(place.style);
    let newest_here = fetched.stamps.iter().map(|(at, _)| *at).max();
    let newest = place.scan.as_ref().and_then(|scan| scan.newest).max(newest_here);
    // What is seen on the first page was stamped before the scan began; the service's clock tells the same better.
    let horizon = match &place.scan {
        Some(scan) => scan.horizon,
        None => fetched.date.map(|date| date.plus_millis(-call.overlap_ms)).or(newest_here),
    };
    let next = match fetched.next {
        Some(spot) => FeedPosition { since: place.since, style, scan: Some(Scan { spot, horizon, newest }) },
        None => FeedPosition { since: bookmark(&place.since, style, newest, horizon), style, scan: None },
    };
    let more = next.scan.is_some();
    Ok(Page { changes: fetched.changes, next: encode(&next)?, more })
}

/// Where the next scan begins: behind the newest stamp seen, but never behind what may still appear.
fn bookmark(
    since: &str,
    style: Option<Style>,
    newest: Option<Timestamp>,
    horizon: Option<Timestamp>,
) -> String {
    let (Some(style), Some(newest), Some(horizon)) = (style, newest, horizon) else {
        return since.to_owned();
    };
    let next = newest.plus_millis(style.step_ms()).min(horizon);
    let present = since.parse::<i64>().map_or_else(|_| Value::text(since), Value::Int);
    match stamp::read(&present) {
        Some((present, _)) if present > next => since.to_owned(),
        Some(_) | None => style.write(next),
    }
}

fn first(object: &Object, limit: usize) -> Spot {
    let at = match &object.spec.paging {
        Paging::Page { first, .. } => At::Page(*first),
        Paging::Offset {} => At::Offset(0),
        Paging::Cursor { .. } => At::Cursor(None),
        Paging::Link { .. } => At::Link(None),
        Paging::AfterId {} => At::AfterId(None),
        Paging::None {} => At::Whole,
    };
    Spot { at, size: limit.clamp(1, object.page_size), before: None, steps_back: 0 }
}

async fn fetch(
    client: &Client,
    object: &Object,
    route: &Route,
    spot: &Spot,
    since: Option<&str>,
) -> Result<Fetched, ConnectorError> {
    let (url, reply) = ask(client, object, route, spot, since).await?;
    let fetched = page(client, object, spot, &url, &reply)?;
    let (Some((end, began)), true) = (&spot.before, spot.steps_back < STEPS_BACK_MAX) else {
        return Ok(fetched);
    };
    let back = Spot {
        at: match spot.at {
            At::Page(_) => At::Page(*began),
            At::Offset(_) => At::Offset(*began),
            At::Cursor(_) | At::Link(_) | At::AfterId(_) | At::Whole => return Ok(fetched),
        },
        before: None,
        steps_back: spot.steps_back + 1,
        size: spot.size,
    };
    let (url, reply) = ask(client, object, route, &back, since).await?;
    let again = page(client, object, &back, &url, &reply)?;
    let ids = |page: &Fetched| page.changes.iter().map(|change| change.id.clone()).collect::<Vec<_>>();
    if !again.changes.is_empty() && ids(&again) == ids(&fetched) {
        // The service does not cut its listing into pages: whatever the number, it shows everything.
        return Ok(Fetched { changes: Vec::new(), next: None, date: fetched.date, stamps: Vec::new() });
    }
    let unmoved = again.changes.last().is_some_and(|last| last.id.as_str() == end);
    // Rows have slid from this page onto the one before: that one is taken again, and this one after it.
    if unmoved { Ok(fetched) } else { Ok(again) }
}

async fn ask(
    client: &Client,
    object: &Object,
    route: &Route,
    spot: &Spot,
    since: Option<&str>,
) -> Result<(Url, Reply), ConnectorError> {
    let url = match &spot.at {
        At::Link(Some(link)) => {
            let base = client.url("/").map_err(|problem| protocol(client, "list", &problem))?;
            client.link(&base, link).map_err(|problem| protocol(client, "list", &problem))?
        }
        At::Page(_) | At::Offset(_) | At::Cursor(_) | At::Link(None) | At::AfterId(_) | At::Whole => route
            .address(&filling(object, spot, since), |path| client.url(path))
            .map_err(|problem| protocol(client, "list", &problem))?,
    };
    let place = format!("GET {}", url.path());
    let reply =
        client.send(&get(url.clone())).await.map_err(|trouble| of_trouble(client, &place, trouble))?;
    if !reply.status.is_success() {
        return Err(of_reply(client, &place, &reply, since.is_some()));
    }
    Ok((url, reply))
}

fn filling(object: &Object, spot: &Spot, since: Option<&str>) -> Filling {
    let mut filling = object.filling();
    filling.insert("limit", spot.size.to_string());
    filling.extend(since.map(|since| ("since", since.to_owned())));
    match &spot.at {
        At::Page(page) => filling.extend([("page", page.to_string())]),
        At::Offset(offset) => filling.extend([("offset", offset.to_string())]),
        At::Cursor(cursor) => filling.extend(cursor.clone().map(|cursor| ("cursor", cursor))),
        At::AfterId(id) => filling.extend(id.clone().map(|id| ("after_id", id))),
        At::Link(_) | At::Whole => {}
    }
    filling
}

fn page(
    client: &Client,
    object: &Object,
    spot: &Spot,
    url: &Url,
    reply: &Reply,
) -> Result<Fetched, ConnectorError> {
    let place = format!("GET {}", url.path());
    let items =
        reply.items(object.spec.items.as_deref()).map_err(|problem| protocol(client, &place, &problem))?;
    let pageless = matches!(spot.at, At::Whole);
    if !pageless && items.len() > spot.size {
        let problem =
            format!("{} copies came where {} were asked for; declare `paging`", items.len(), spot.size);
        return Err(protocol(client, &place, &problem));
    }
    let changes: Vec<Change> =
        items.iter().enumerate().map(|(n, raw)| object.change(raw.get(), None, n + 1)).collect();
    let stamps = items.iter().filter_map(|raw| {
        let item = Value::parse(raw.get().as_bytes()).ok()?;
        stamp::read(look(&item, object.spec.updated.as_deref()?)?)
    });
    let stamps = stamps.collect();
    let next = onward(client, object, spot, url, reply, &changes)?;
    Ok(Fetched { changes, next, date: reply.date(), stamps })
}

/// The place behind this page; `None` where the listing ends.
fn onward(
    client: &Client,
    object: &Object,
    spot: &Spot,
    url: &Url,
    reply: &Reply,
    changes: &[Change],
) -> Result<Option<Spot>, ConnectorError> {
    let go = |at: At, before: Option<(String, u64)>| {
        Ok(Some(Spot { at, before, size: spot.size, steps_back: spot.steps_back }))
    };
    let last = changes.last().map(|change| change.id.as_str().to_owned());
    let same_again = || {
        let problem = "the next page is this page again; check `paging`";
        protocol(client, &format!("GET {}", url.path()), problem)
    };
    match (&spot.at, &object.spec.paging, last) {
        (At::Page(_) | At::Offset(_) | At::AfterId(_), _, None) | (At::Whole, _, _) => Ok(None),
        (At::Page(_), Paging::Page { total_pages: Some(total), .. }, Some(_))
            if reply
                .text_at(total)
                .and_then(|text| text.parse().ok())
                .is_some_and(|total| page_of(spot) >= total) =>
        {
            Ok(None)
        }
        (At::Page(page), _, Some(last)) => go(At::Page(page + 1), Some((last, *page))),
        (At::Offset(offset), _, Some(last)) => {
            go(At::Offset(offset + changes.len() as u64), Some((last, *offset)))
        }
        (At::AfterId(after), _, Some(last)) => {
            if after.as_deref() == Some(&last) {
                return Err(same_again());
            }
            go(At::AfterId(Some(last)), None)
        }
        (At::Cursor(present), Paging::Cursor { next }, _) => {
            match reply.text_at(next).filter(|text| !text.is_empty()) {
                Some(next) if present.as_ref() == Some(&next) => Err(same_again()),
                Some(next) => go(At::Cursor(Some(next)), None),
                None => Ok(None),
            }
        }
        (At::Link(_), Paging::Link { next }, _) => {
            let link = match next {
                Some(pointer) => reply.text_at(pointer).filter(|text| !text.is_empty()),
                None => link_header(reply),
            };
            let Some(link) = link else { return Ok(None) };
            let target = client
                .link(url, &link)
                .map_err(|problem| protocol(client, &format!("GET {}", url.path()), &problem))?;
            if target == *url {
                return Err(same_again());
            }
            go(At::Link(Some(target.into())), None)
        }
        // The configuration changed its paging under a listing in progress.
        (At::Cursor(_) | At::Link(_), _, _) => Err(ConnectorError::new(
            ConnectorErrorKind::CursorExpired,
            "the listing was begun with another `paging`",
            None,
        )),
    }
}

fn page_of(spot: &Spot) -> u64 {
    match spot.at {
        At::Page(page) => page,
        At::Offset(_) | At::Cursor(_) | At::Link(_) | At::AfterId(_) | At::Whole => 0,
    }
}

/// The target of `rel="next"` in a `Link` header (RFC 8288).
fn link_header(reply: &Reply) -> Option<String> {
    reply.header("link")?.split(',').find_map(|link| {
        let (target, attributes) = link.split_once(';')?;
        let next = attributes.split(';').any(|a| matches!(a.trim(), "rel=\"next\"" | "rel=next"));
        let target = target.trim().strip_prefix('<')?.strip_suffix('>')?;
        next.then(|| target.to_owned())
    })
}

fn encode(place: &impl Serialize) -> Result<Cursor, ConnectorError> {
    serde_json::to_string(place)
        .map(Cursor)
        .map_err(|error| ConnectorError::new(ConnectorErrorKind::Protocol, error.to_string(), None))
}

fn decode<T: for<'de> Deserialize<'de>>(cursor: &Cursor) -> Result<T, ConnectorError> {
    serde_json::from_str(&cursor.0).map_err(|_| {
        ConnectorError::new(
            ConnectorErrorKind::CursorExpired,
            "the stored position is not one of this connector",
            None,
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(text: &str) -> Option<Timestamp> {
        Some(text.parse().unwrap())
    }

    #[track_caller]
    fn check(newest: Option<Timestamp>, horizon: Option<Timestamp>, expected: &str) {
        let style = Some(Style::Text { blank: false, zoned: true, decimals: 3 });
        assert_eq!(bookmark("2024-01-01T00:00:10.000Z", style, newest, horizon), expected);
    }

    #[test]
    fn the_bound_moves_only_over_what_cannot_appear_any_more() {
        let (early, late) = (at("2024-01-01T00:00:20Z"), at("2024-01-01T00:01:00Z"));
        check(early, late, "2024-01-01T00:00:20.001Z");
        check(late, early, "2024-01-01T00:00:20.000Z");
        check(None, late, "2024-01-01T00:00:10.000Z");
        check(early, None, "2024-01-01T00:00:10.000Z");
        check(at("2023-01-01T00:00:20Z"), late, "2024-01-01T00:00:10.000Z");
    }
}
