//! Listing a system: the first listing of an entity, and a full listing that finds what no feed has reported.

use crate::inbound::batch::Batch;
use crate::inbound::ingest::ingest;
use crate::inbound::pulled::Pulled;
use crate::inbound::reading::{Reading, Source};
use crate::inbound::sweep::sweep;
use crate::parts::approvals::note_first_fill;
use crate::parts::error::EngineError;
use crate::parts::progress::Step;
use crate::ports::connector::Page;
use crate::ports::store::{Cursor, CursorKind, CursorMove, Position};
use avowal_core::data::ids::RemoteId;
use avowal_core::data::time::Timestamp;
use avowal_core::record::CopyKey;
use avowal_core::record::observation::Channel;
use std::collections::BTreeSet;

/// Reads the first listing to its end, if that is not done, and plans the copies that the system lacks.
pub(crate) async fn first_listing(reading: &mut Reading<'_>) -> Result<Pulled, EngineError> {
    let mut pulled = Pulled::default();
    let source = reading.source;
    let began = source.parts.clock.now();
    let listing = source.cursor_name(CursorKind::Listing);
    let mut at = source.parts.store.cursor(&listing).await?;
    if at.as_ref().is_some_and(Position::is_complete) {
        return Ok(pulled);
    }
    source.anchor_feed().await?;
    // A listing that begins again was begun by another process, or the feed has lost our place since. Copies may have
    // been deleted meanwhile, and no feed will report it.
    let again = at.is_some();
    if !again {
        // Before the first page is durable: a process that goes on with the listing cannot tell any more that it is the first.
        note_first_fill(source.parts, source.system).await?;
    }
    let mut present = BTreeSet::new();
    let mut has_rows = false;
    while !at.as_ref().is_some_and(Position::is_read_to_the_end) {
        let asked_at = source.parts.clock.now();
        let page = ask(source, at.as_ref().and_then(Position::cursor)).await?;
        if !reading.may_go_on().await? {
            return Ok(pulled);
        }
        let to = if page.more { Position::After(page.next.clone()) } else { Position::Planning };
        if page.more && at.as_ref() == Some(&to) {
            return Err(source.stuck());
        }
        reading.report.listed += page.changes.len() as u64;
        has_rows |= !page.changes.is_empty();
        if again {
            present.extend(page.changes.iter().map(|change| change.id.clone()));
        }
        if again && !page.more {
            // Before the listing counts as done, or a crash in between would hide the missing copies for good.
            pulled.join(look_for_missing(reading, false, &present).await?);
        }
        let mut batch = source.batch(Channel::Listing, page, asked_at);
        batch.cursors.push(CursorMove { name: listing.clone(), from: at.clone(), to: to.clone() });
        let ingested = ingest(source.parts, &batch).await?;
        pulled.add(ingested);
        tell_listed(reading);
        at = if ingested.moved { source.parts.store.cursor(&listing).await? } else { Some(to) };
    }
    if at.as_ref().is_some_and(Position::is_complete) {
        return Ok(pulled);
    }
    pulled.events += sweep(source.parts, source.entity).await?;
    source.move_cursors(vec![CursorMove { name: listing, from: at, to: Position::Complete }]).await?;
    if !again {
        // Of one that another process began, the first pages may be old.
        source.parts.listings().began(source.system, source.entity, began, has_rows);
    }
    Ok(pulled)
}

/// Lists everything. Differences are recorded as drift if `drift` says so; a linked copy that the complete listing
/// lacks is read directly before it counts as gone.
pub(crate) async fn list(reading: &mut Reading<'_>, drift: bool) -> Result<Pulled, EngineError> {
    let mut pulled = Pulled::default();
    let source = reading.source;
    let began = source.parts.clock.now();
    let ask_page = async |at: Option<Cursor>| -> Result<(Timestamp, Page), EngineError> {
        let asked_at = source.parts.clock.now();
        Ok((asked_at, ask(source, at.as_ref()).await?))
    };
    let mut at: Option<Cursor> = None;
    let mut present = BTreeSet::new();
    let mut listed = Some(ask_page(None).await?);
    while let Some((asked_at, page)) = listed.take() {
        let to = Some(page.next.clone());
        if !reading.may_go_on().await? {
            return Ok(pulled);
        }
        if page.more && at == to {
            return Err(source.stuck());
        }
        reading.report.listed += page.changes.len() as u64;
        present.extend(page.changes.iter().map(|change| change.id.clone()));
        let more = page.more;
        let mut batch = source.batch(Channel::Listing, page, asked_at);
        batch.drift = drift;
        // The system is asked for the next page while this one is taken in.
        let next = async { if more { ask_page(to.clone()).await.map(Some) } else { Ok(None) } };
        let (ingested, next) = futures::join!(ingest(source.parts, &batch), next);
        pulled.add(ingested?);
        tell_listed(reading);
        at = to;
        listed = next?;
    }
    pulled.join(look_for_missing(reading, drift, &present).await?);
    source.parts.listings().began(source.system, source.entity, began, !present.is_empty());
    Ok(pulled)
}

async fn ask(source: Source<'_>, at: Option<&Cursor>) -> Result<Page, EngineError> {
    let most = source.parts.settings.batch_records_max;
    source.page(source.connector.list(source.entity, at, most)).await.map_err(|error| source.failed(error))
}

fn tell_listed(reading: &Reading<'_>) {
    let (system, entity) = (reading.source.system.clone(), reading.source.entity.clone());
    reading.progress.tell(Step::Listed { system, entity, rows: reading.report.listed });
}

/// Reads the linked copies that a complete listing lacks, because a listing alone is no proof that they are gone.
async fn look_for_missing(
    reading: &mut Reading<'_>,
    drift: bool,
    present: &BTreeSet<RemoteId>,
) -> Result<Pulled, EngineError> {
    let source = reading.source;
    let (parts, system, entity) = (source.parts, source.system, source.entity);
    let mut pulled = Pulled::default();
    let mut after = None;
    loop {
        let most = parts.settings.batch_records_max;
        let linked = parts.store.scan_copies(system, entity, after, most).await?;
        let Some((last, _)) = linked.last() else { return Ok(pulled) };
        after = Some(last.clone());
        let key = |remote_id| CopyKey { system: system.clone(), entity: entity.clone(), remote_id };
        let missing: Vec<CopyKey> = linked
            .into_iter()
            .map(|(_, copy)| copy)
            .filter(|copy| !present.contains(copy))
            .map(key)
            .collect();
        // What a signal will have read has its own tries.
        let awaited = parts.awaited.among(&missing).await?;
        let missing: Vec<RemoteId> =
            missing.into_iter().filter(|copy| !awaited.contains(copy)).map(|copy| copy.remote_id).collect();
        if missing.is_empty() {
            continue;
        }
        let asked_at = parts.clock.now();
        let changes = parts.read_copies(system, entity, &missing).await?;
        reading.report.read += changes.len() as u64;
        let mut batch = Batch::new(system, Channel::Read, asked_at);
        batch.items = changes.into_iter().map(|change| (entity.clone(), change)).collect();
        batch.confirmed = true;
        batch.drift = drift;
        pulled.add(ingest(parts, &batch).await?);
    }
}
