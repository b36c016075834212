//! For `check`: whether the parameters of the pages and of the change query have an effect, found by two more questions.

use super::memory::Memory;
use super::query::{Answer, Query, Sheet};
use super::spot::{At, Spot};
use crate::http::call::client::Client;
use crate::http::declare::prepared::Object;
use avowal_engine::ports::connector::ConnectorError;

/// How many copies are looked at.
const SAMPLE: usize = 20;
/// How far behind the newest stamp nothing can have changed yet.
const FUTURE_MS: i64 = 2 * 86_400_000;

/// A parameter that has no effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Idle {
    /// The place of the page: the first copies come wherever is asked for.
    Place,
    /// The size of the page: more come than are asked for.
    Size,
    /// The time of the change query: old copies come where only future ones are asked for.
    Since,
}

/// The parameters without effect. A question that is refused tells nothing.
pub(crate) async fn idle_parameters(
    client: &Client,
    object: &Object,
    memory: &Memory,
) -> Result<Vec<Idle>, ConnectorError> {
    let query = Query { client, object, route: &object.list, since: None, memory };
    let first = Spot::first(object, SAMPLE, 0);
    let sample = query.sheet(&first).await?;
    let mut idle = Vec::new();
    if let Some(second) = second(&first.at, &sample)
        && let Ok(Answer::Sheet(sheet)) = query.ask(&first.beside(second, 1)).await
    {
        if sheet.changes.len() > 1 {
            idle.push(Idle::Size);
        }
        if sheet.ids().next().is_some_and(|id| Some(id) == sample.ids().next()) {
            idle.push(Idle::Place);
        }
    }
    let newest = sample.stamps.iter().flatten().max_by_key(|(at, _)| *at);
    if let (Some((at, style)), Some(route)) = (newest, &object.changes) {
        let latest = sample.date.map_or(*at, |date| date.max(*at));
        let since = style.write(latest.plus_millis(FUTURE_MS));
        let query = Query { route, since: Some(&since), ..query };
        if let Ok(Answer::Sheet(sheet)) = query.ask(&first).await
            && !sheet.changes.is_empty()
        {
            idle.push(Idle::Since);
        }
    }
    Ok(idle)
}

/// The place of the second copy, where we count the places ourselves.
fn second(first: &At, sample: &Sheet) -> Option<At> {
    if sample.changes.len() < 2 {
        return None;
    }
    match first {
        At::Page(page) => Some(At::Page(page + 1)),
        At::Offset(offset) => Some(At::Offset(offset + 1)),
        At::AfterId(_) => Some(At::AfterId(sample.ids().next().map(str::to_owned))),
        At::Cursor(_) | At::Link(_) | At::Whole => None,
    }
}
