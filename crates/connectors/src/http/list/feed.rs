//! Following what has changed since a time, page by page. The bound moves only over what cannot appear any more.

use super::horizon::Learned;
use super::memory::Memory;
use super::onward::is_at_a_window;
use super::pages::fetch;
use super::query::Query;
use super::spot::{Next, Spot, decode, encode};
use crate::http::answer::stamp::{self, Style};
use crate::http::call::client::Client;
use crate::http::call::failure::protocol;
use crate::http::declare::object::ChangesCall;
use crate::http::declare::prepared::Object;
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::Value;
use avowal_engine::ports::connector::{ConnectorError, ConnectorErrorKind, Page};
use avowal_engine::ports::store::Cursor;
use serde::{Deserialize, Serialize};

/// How many copies are looked at for the first position.
const SAMPLE: usize = 20;

/// A place in a change query.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct FeedPosition {
    /// The bound of the query, in the service's own spelling. Without one everything is asked for: nobody knows yet how the
    /// service spells a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    /// How the service spells times, once a copy has shown it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    style: Option<Style>,
    /// What a scan in progress knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scan: Option<Scan>,
    #[serde(default)]
    learned: Learned,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Scan {
    spot: Spot,
    /// When it began, in the service's clock.
    #[serde(default)]
    began: Option<Timestamp>,
    /// The newest stamp on its first page, for a service that shows no clock.
    #[serde(default)]
    first_newest: Option<Timestamp>,
    newest: Option<Timestamp>,
    /// Whether the stamps have come in ascending order so far.
    #[serde(default)]
    is_ascending: bool,
}

/// The position of the change query now.
pub(crate) async fn position(
    client: &Client,
    object: &Object,
    memory: &Memory,
) -> Result<Cursor, ConnectorError> {
    let Some(call) = &object.spec.changes else {
        return Err(protocol(
            client,
            "changes",
            "no change query is declared, so there is no feed to follow",
        ));
    };
    let query = Query { client, object, route: &object.list, since: None, memory };
    let run = memory.begin();
    let fetched = fetch(&query, &Spot::first(object, SAMPLE, run)).await?;
    memory.end(run);
    let mut learned = Learned::default();
    learned.see(&fetched.stamps, fetched.date);
    let style = fetched.stamps.iter().flatten().last().map(|(_, style)| *style);
    // Without the service's clock, or without knowing its spelling of times, the first question has no time in it.
    let since = match (fetched.date, style) {
        (Some(date), Some(style)) => Some(style.write(learned.horizon(date, style, call.overlap_ms))),
        (Some(_) | None, _) => None,
    };
    encode(&FeedPosition { since, style, scan: None, learned })
}

/// The next page of what has changed since the cursor. The bound moves only when a scan is complete.
pub(crate) async fn changes(
    client: &Client,
    object: &Object,
    memory: &Memory,
    cursor: &Cursor,
    limit: usize,
) -> Result<Page, ConnectorError> {
    let (Some(call), Some(route)) = (&object.spec.changes, &object.changes) else {
        return Ok(Page { changes: Vec::new(), next: cursor.clone(), more: false });
    };
    let mut place: FeedPosition = decode(cursor)?;
    let spot = match &place.scan {
        Some(scan) => scan.spot.clone(),
        None => Spot::first(object, limit, memory.begin()),
    };
    let since = place.since.clone();
    let route = if since.is_some() { route } else { &object.list };
    let query = Query { client, object, route, since: since.as_deref(), memory };
    let fetched = fetch(&query, &spot).await?;

    place.style = fetched.stamps.iter().flatten().last().map(|(_, style)| *style).or(place.style);
    place.learned.see(&fetched.stamps, fetched.date);
    let count = fetched.changes.len() as u64;
    let scan = scan_with(place.scan.take(), spot, &fetched.stamps, fetched.date);
    let changes = place.learned.only_news(fetched.changes, &fetched.digests, &fetched.stamps);
    let more = match fetched.next {
        Next::Page(spot) => {
            place.scan = Some(Scan { spot, ..scan });
            true
        }
        // Services that limit what they show may show an empty page there; nothing is lost by asking from there on.
        Next::End if is_at_a_window(scan.spot.shown + count) && place.narrow(&scan).is_ok() => true,
        Next::End => {
            place.end(&scan, call);
            false
        }
        Next::Cut(how) => {
            place.narrow(&scan).map_err(|problem| cut(client, object, &how, problem))?;
            true
        }
    };
    Ok(Page { changes, next: encode(&place)?, more })
}

/// The scan with what a page adds.
fn scan_with(
    before: Option<Scan>,
    spot: Spot,
    stamps: &[Option<(Timestamp, Style)>],
    date: Option<Timestamp>,
) -> Scan {
    let times: Vec<Timestamp> = stamps.iter().flatten().map(|(at, _)| *at).collect();
    let newest_here = times.iter().max().copied();
    let mut scan = before.unwrap_or(Scan {
        spot,
        began: date,
        first_newest: newest_here,
        newest: None,
        is_ascending: true,
    });
    let is_sorted = times.is_sorted() && stamps.iter().all(Option::is_some);
    // A page that is taken again after a step back begins before the end of the one before.
    let follows = times.first().is_none_or(|first| scan.newest.is_none_or(|newest| *first >= newest));
    scan.is_ascending &= is_sorted && (follows || scan.spot.steps_back > 0);
    scan.newest = scan.newest.max(newest_here);
    scan
}

fn cut(client: &Client, object: &Object, how: &str, problem: &str) -> ConnectorError {
    ConnectorError::new(
        ConnectorErrorKind::Protocol,
        format!(
            "{}: the changes of {} are not all shown: {how}; {problem}",
            client.host(),
            object.binding.object
        ),
        Some("Let `changes.query` sort by time of change, ascending, or run `avowal sync --full`"),
    )
}

impl FeedPosition {
    /// A scan is complete: the next one begins behind the newest stamp seen, but never behind what may still appear.
    fn end(&mut self, scan: &Scan, call: &ChangesCall) {
        if let Some(style) = self.style {
            let horizon = match scan.began {
                Some(began) => Some(self.learned.horizon(began, style, call.overlap_ms)),
                // What is seen on the first page was stamped before the scan began.
                None => scan.first_newest,
            };
            let step = self.learned.step_ms(style);
            self.since = bookmark(self.since.as_deref(), style, step, scan.newest, horizon);
        }
        let bound = self.since.as_deref().and_then(time_of);
        self.learned.scanned(scan.began, bound);
    }

    /// The service does not show more of this question: the next one begins at the newest stamp, if all before it were seen.
    fn narrow(&mut self, scan: &Scan) -> Result<(), &'static str> {
        let (Some(style), Some(newest), true) = (self.style, scan.newest, scan.is_ascending) else {
            return Err("they do not come in the order of their times, so the rest cannot be asked for");
        };
        let since = style.write(newest);
        if self.since.as_deref() == Some(&since) {
            return Err("all of them have one and the same time, so the rest cannot be asked for");
        }
        self.since = Some(since);
        Ok(())
    }
}

/// Where the next scan begins.
fn bookmark(
    since: Option<&str>,
    style: Style,
    step_ms: i64,
    newest: Option<Timestamp>,
    horizon: Option<Timestamp>,
) -> Option<String> {
    let (Some(newest), Some(horizon)) = (newest, horizon) else {
        return since.map(str::to_owned);
    };
    let next = newest.plus_millis(step_ms).min(horizon);
    match since.and_then(|since| Some((since, time_of(since)?))) {
        Some((since, present)) if present > next => Some(since.to_owned()),
        Some(_) | None => Some(style.write(next)),
    }
}

/// The time of a bound as it is written.
fn time_of(since: &str) -> Option<Timestamp> {
    let present = since.parse::<i64>().map_or_else(|_| Value::text(since), Value::Int);
    stamp::read(&present).map(|(at, _)| at)
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
        let (_, style) = stamp::read(&Value::text("2024-01-01T00:00:10.000Z")).unwrap();
        let since = Some("2024-01-01T00:00:10.000Z");
        assert_eq!(bookmark(since, style, 1, newest, horizon).as_deref(), Some(expected));
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
