//! A page of one record's history.

use crate::reader::Reader;
use crate::refusal::Refusal;
use avowal_core::data::ids::RecordId;
use avowal_core::history::IntegrationEvent;

/// The most events of a page.
const PAGE_EVENTS_MAX: usize = 1000;

/// Some events of a record, in order.
#[derive(Clone, PartialEq, Debug)]
pub struct TimelinePage {
    /// The record's id, under which the next page is asked.
    pub record: RecordId,
    /// The events in wire form v1.
    pub events: Vec<IntegrationEvent>,
    /// The sequence at which the next page begins; `None` at the end.
    pub next: Option<u64>,
}

impl Reader<'_> {
    /// Where the last `last` events of a record begin; its first event if none are asked for.
    pub async fn timeline_begin(
        &self,
        entity: &str,
        key: &str,
        last: Option<u64>,
    ) -> Result<(RecordId, u64), Refusal> {
        let (_, record) = self.find_in(entity, key).await?;
        let from = last.map_or(1, |last| record.seq.saturating_sub(last).saturating_add(1));
        Ok((record.id, from))
    }

    /// The page of a record's history that begins at a sequence, with at most `limit` events.
    pub async fn timeline(
        &self,
        record: RecordId,
        from: u64,
        limit: Option<usize>,
    ) -> Result<TimelinePage, Refusal> {
        let limit = limit.unwrap_or(PAGE_EVENTS_MAX).clamp(1, PAGE_EVENTS_MAX);
        let events = self.store.events(&record, from, limit).await?;
        let next = events.last().filter(|_| events.len() == limit).map(|last| last.seq.saturating_add(1));
        Ok(TimelinePage { record, events, next })
    }
}
