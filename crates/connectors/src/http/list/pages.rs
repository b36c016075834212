//! One page with the way on.
//!
//! Pages by number or offset move under the reader: when a row leaves the result, the rows behind it slide
//! to the front, and one slides past the reader unseen. So after each further page the page before it is
//! asked for again; if its end has changed, that page is taken once more instead. A row may so be shown
//! twice, but none is skipped.

use super::link::link_header;
use super::spot::{At, Spot, filling, page_of};
use crate::http::answer::look::look;
use crate::http::answer::reply::Reply;
use crate::http::answer::stamp::{self, Style};
use crate::http::call::client::{Client, get};
use crate::http::call::failure::{of_reply, of_trouble, protocol};
use crate::http::declare::paging::Paging;
use crate::http::declare::prepared::Object;
use crate::http::declare::route::Route;
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::Value;
use avowal_engine::ports::connector::{Change, ConnectorError, ConnectorErrorKind};
use reqwest::Url;

/// How often a listing steps back before it goes on regardless; rows left in the gap show up as drift.
const STEPS_BACK_MAX: u32 = 100;

/// One page with the way on.
pub(crate) struct Fetched {
    pub(crate) changes: Vec<Change>,
    pub(crate) next: Option<Spot>,
    pub(crate) date: Option<Timestamp>,
    pub(crate) stamps: Vec<(Timestamp, Style)>,
}

pub(crate) async fn fetch(
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
