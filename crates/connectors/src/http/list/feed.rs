//! Following what has changed since a time, page by page. The bound moves only over what cannot appear any more.

use super::pages::fetch;
use super::spot::{Spot, decode, encode, first};
use crate::http::answer::stamp::{self, Style};
use crate::http::call::client::Client;
use crate::http::call::failure::protocol;
use crate::http::declare::prepared::Object;
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::Value;
use avowal_engine::ports::connector::{ConnectorError, Page};
use avowal_engine::ports::store::Cursor;
use serde::{Deserialize, Serialize};

/// Before every change.
const BEGINNING: &str = "1970-01-01T00:00:00.000Z";

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

/// The position of the change query now.
pub(crate) async fn position(client: &Client, object: &Object) -> Result<Cursor, ConnectorError> {
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
pub(crate) async fn changes(
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
