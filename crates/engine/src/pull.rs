//! Asking systems: the first listing, the change feed, a full listing against drift, and copies to be read.

use crate::connector::{Advice, Change, ConnectorError, Page};
use crate::engine::{Engine, EngineError};
use crate::ingest::{Batch, Ingested};
use crate::progress::{Progress, Step, SystemReport};
use crate::readiness::{is_read_to_the_end, sweeping};
use crate::store::{Commit, CommitOutcome, Cursor, CursorKind, CursorMove, CursorName, Signal, SignalReason};
use avowal_core::ids::{EntityName, RemoteId, SystemName};
use avowal_core::observation::Channel;
use std::collections::{BTreeMap, BTreeSet};

/// What asking a system brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Pulled {
    pub(crate) events: u64,
    pub(crate) quarantined: u64,
}

impl Pulled {
    fn add(&mut self, ingested: Ingested) {
        self.events += ingested.events;
        self.quarantined += ingested.quarantined;
    }

    pub(crate) fn join(&mut self, other: Pulled) {
        self.events += other.events;
        self.quarantined += other.quarantined;
    }
}

impl Engine {
    /// Brings one entity of one system up to date: its first listing if that is not done, then its feed.
    pub(crate) async fn pull(
        &self,
        system: &SystemName,
        entity: &EntityName,
        report: &mut SystemReport,
        progress: &dyn Progress,
    ) -> Result<Pulled, EngineError> {
        let mut pulled = self.first_listing(system, entity, report, progress).await?;
        let Some(connector) = self.connector(system) else { return Ok(pulled) };
        if connector.capabilities(entity).feed {
            match self.follow(system, entity, report, progress).await {
                Ok(more) => pulled.join(more),
                Err(EngineError::System { error, .. }) if error.kind.advice() == Advice::ListAgain => {
                    self.begin_again(system, entity).await?;
                    pulled.join(self.first_listing(system, entity, report, progress).await?);
                }
                Err(error) => return Err(error),
            }
        } else {
            pulled.join(self.list_all(system, entity, false, report, progress).await?);
        }
        Ok(pulled)
    }

    /// Whether the first listing of an entity has been read to its end. Before that nobody knows what a system
    /// lacks, and nothing may be created there.
    pub(crate) async fn is_listed(
        &self,
        system: &SystemName,
        entity: &EntityName,
    ) -> Result<bool, EngineError> {
        let cursor = self.store.cursor(&name(system, entity, CursorKind::Listing)).await?;
        Ok(cursor.is_some_and(|cursor| cursor.is_done()))
    }

    async fn first_listing(
        &self,
        system: &SystemName,
        entity: &EntityName,
        report: &mut SystemReport,
        progress: &dyn Progress,
    ) -> Result<Pulled, EngineError> {
        let mut pulled = Pulled::default();
        let Some(connector) = self.connector(system) else { return Ok(pulled) };
        let listing = name(system, entity, CursorKind::Listing);
        let mut at = self.store.cursor(&listing).await?;
        if at.as_ref().is_some_and(Cursor::is_done) {
            return Ok(pulled);
        }
        self.anchor_feed(system, entity).await?;
        while !at.as_ref().is_some_and(is_read_to_the_end) {
            let page = connector
                .list(
                    entity,
                    at.as_ref().filter(|cursor| !cursor.0.is_empty()),
                    self.settings.batch_records_max,
                )
                .await
                .map_err(|error| self.failed(system, error))?;
            let to = if page.more { page.next.clone() } else { sweeping() };
            if page.more && at.as_ref() == Some(&to) {
                return Err(self.failed(system, stuck(entity)));
            }
            report.listed += page.changes.len() as u64;
            let mut batch = self.batch(system, Channel::Listing, entity, page);
            batch.cursors.push(CursorMove { name: listing.clone(), from: at.clone(), to: to.clone() });
            let ingested = self.ingest(batch).await?;
            pulled.add(ingested);
            progress.tell(Step::Listed {
                system: system.clone(),
                entity: entity.clone(),
                rows: report.listed,
            });
            at = if ingested.moved { self.store.cursor(&listing).await? } else { Some(to) };
        }
        if at.as_ref().is_some_and(Cursor::is_done) {
            return Ok(pulled);
        }
        pulled.join(self.sweep(entity).await?);
        self.move_cursors(vec![CursorMove { name: listing, from: at, to: Cursor::done() }]).await?;
        Ok(pulled)
    }

    /// Remembers where the feed stands before the listing begins, so that nothing in between is missed.
    async fn anchor_feed(&self, system: &SystemName, entity: &EntityName) -> Result<(), EngineError> {
        let Some(connector) = self.connector(system) else { return Ok(()) };
        let feed = name(system, entity, CursorKind::Feed);
        if !connector.capabilities(entity).feed || self.store.cursor(&feed).await?.is_some() {
            return Ok(());
        }
        let to = connector.feed_position(entity).await.map_err(|error| self.failed(system, error))?;
        self.move_cursors(vec![CursorMove { name: feed, from: None, to }]).await
    }

    /// The feed has lost our place: everything is listed again, under the same rules.
    async fn begin_again(&self, system: &SystemName, entity: &EntityName) -> Result<(), EngineError> {
        let Some(connector) = self.connector(system) else { return Ok(()) };
        let to = connector.feed_position(entity).await.map_err(|error| self.failed(system, error))?;
        let (feed, listing) =
            (name(system, entity, CursorKind::Feed), name(system, entity, CursorKind::Listing));
        let moves = vec![
            CursorMove { from: self.store.cursor(&feed).await?, name: feed, to },
            CursorMove { from: self.store.cursor(&listing).await?, name: listing, to: Cursor(String::new()) },
        ];
        self.move_cursors(moves).await
    }

    async fn move_cursors(&self, cursors: Vec<CursorMove>) -> Result<(), EngineError> {
        // A conflict means that another hand has moved them; the caller reads them again either way.
        match self.store.commit(Commit { cursors, ..Commit::default() }).await? {
            CommitOutcome::Committed
            | CommitOutcome::Conflict { .. }
            | CommitOutcome::Duplicate { .. }
            | CommitOutcome::Unknown { .. } => Ok(()),
        }
    }

    async fn follow(
        &self,
        system: &SystemName,
        entity: &EntityName,
        report: &mut SystemReport,
        progress: &dyn Progress,
    ) -> Result<Pulled, EngineError> {
        let mut pulled = Pulled::default();
        let Some(connector) = self.connector(system) else { return Ok(pulled) };
        let feed = name(system, entity, CursorKind::Feed);
        let Some(mut at) = self.store.cursor(&feed).await? else {
            self.anchor_feed(system, entity).await?;
            return Ok(pulled);
        };
        loop {
            let page = connector
                .changes(entity, &at, self.settings.batch_records_max)
                .await
                .map_err(|error| self.failed(system, error))?;
            let (more, to, changes) = (page.more, page.next.clone(), page.changes.len() as u64);
            if more && to == at && changes == 0 {
                return Err(self.failed(system, stuck(entity)));
            }
            if changes > 0 {
                report.followed += changes;
                progress.tell(Step::Followed { system: system.clone(), entity: entity.clone(), changes });
            }
            let mut batch = self.batch(system, Channel::Feed, entity, page);
            batch.cursors.push(CursorMove { name: feed.clone(), from: Some(at.clone()), to: to.clone() });
            let ingested = self.ingest(batch).await?;
            pulled.add(ingested);
            if ingested.moved {
                let Some(stored) = self.store.cursor(&feed).await? else { return Ok(pulled) };
                at = stored;
            } else {
                at = to;
                if !more {
                    return Ok(pulled);
                }
            }
        }
    }

    /// Lists everything once more. Differences are drift; a linked copy that the complete listing lacks is read
    /// directly before it counts as gone.
    pub(crate) async fn list_all(
        &self,
        system: &SystemName,
        entity: &EntityName,
        drift: bool,
        report: &mut SystemReport,
        progress: &dyn Progress,
    ) -> Result<Pulled, EngineError> {
        let mut pulled = Pulled::default();
        let Some(connector) = self.connector(system) else { return Ok(pulled) };
        let mut at: Option<Cursor> = None;
        let mut present = BTreeSet::new();
        loop {
            let page = connector
                .list(entity, at.as_ref(), self.settings.batch_records_max)
                .await
                .map_err(|error| self.failed(system, error))?;
            let (more, to) = (page.more, page.next.clone());
            if more && at.as_ref() == Some(&to) {
                return Err(self.failed(system, stuck(entity)));
            }
            report.listed += page.changes.len() as u64;
            present.extend(page.changes.iter().map(|change| change.id.clone()));
            let mut batch = self.batch(system, Channel::Listing, entity, page);
            batch.drift = drift;
            pulled.add(self.ingest(batch).await?);
            progress.tell(Step::Listed {
                system: system.clone(),
                entity: entity.clone(),
                rows: report.listed,
            });
            at = Some(to);
            if !more {
                break;
            }
        }
        pulled.join(self.look_for_missing(system, entity, drift, &present, report).await?);
        Ok(pulled)
    }

    async fn look_for_missing(
        &self,
        system: &SystemName,
        entity: &EntityName,
        drift: bool,
        present: &BTreeSet<RemoteId>,
        report: &mut SystemReport,
    ) -> Result<Pulled, EngineError> {
        let mut pulled = Pulled::default();
        let mut after = None;
        loop {
            let records = self.store.scan_records(after.clone(), self.settings.batch_records_max).await?;
            let Some(last) = records.last() else { return Ok(pulled) };
            after = Some(last.id.clone());
            let missing: Vec<RemoteId> = records
                .iter()
                .filter(|record| record.entity == *entity)
                .filter_map(|record| record.live_copy(system))
                .filter(|copy| !present.contains(&copy.remote_id))
                .map(|copy| copy.remote_id.clone())
                .collect();
            if missing.is_empty() {
                continue;
            }
            let changes = self.read_copies(system, entity, &missing).await?;
            report.read += changes.len() as u64;
            let mut batch = Batch::new(system, Channel::Read, self.clock.now());
            batch.items = changes.into_iter().map(|change| (entity.clone(), change)).collect();
            batch.confirmed = true;
            batch.drift = drift;
            pulled.add(self.ingest(batch).await?);
        }
    }

    pub(crate) async fn read_copies(
        &self,
        system: &SystemName,
        entity: &EntityName,
        ids: &[RemoteId],
    ) -> Result<Vec<Change>, EngineError> {
        let Some(connector) = self.connector(system) else { return Ok(Vec::new()) };
        connector.read(entity, ids).await.map_err(|error| self.failed(system, error))
    }

    /// Follows the hints that are due for one system.
    pub(crate) async fn follow_signals(
        &self,
        system: &SystemName,
        report: &mut SystemReport,
    ) -> Result<(u64, Pulled), EngineError> {
        let mut pulled = Pulled::default();
        let mut followed = 0;
        let due = self.store.due_signals(self.clock.now(), self.settings.batch_records_max).await?;
        let mut groups: BTreeMap<(EntityName, bool, u32), Vec<Signal>> = BTreeMap::new();
        for signal in due.into_iter().filter(|signal| signal.copy.system == *system) {
            let first_look = signal.reason == SignalReason::Webhook;
            let group = (signal.copy.entity.clone(), first_look, signal.attempts);
            groups.entry(group).or_default().push(signal);
        }
        for ((entity, first_look, attempts), signals) in groups {
            followed += signals.len() as u64;
            pulled.join(self.follow_group(system, &entity, first_look, attempts, &signals, report).await?);
        }
        Ok((followed, pulled))
    }

    async fn follow_group(
        &self,
        system: &SystemName,
        entity: &EntityName,
        first_look: bool,
        attempts: u32,
        signals: &[Signal],
        report: &mut SystemReport,
    ) -> Result<Pulled, EngineError> {
        let mut pulled = Pulled::default();
        let ids: BTreeSet<RemoteId> = signals.iter().map(|signal| signal.copy.remote_id.clone()).collect();
        let ids: Vec<RemoteId> = ids.into_iter().collect();
        let changes = match self.read_copies(system, entity, &ids).await {
            Ok(changes) => changes,
            Err(error) => {
                self.put_off(signals, attempts).await?;
                return Err(error);
            }
        };
        report.read += changes.len() as u64;
        let channel = if first_look { Channel::Signal } else { Channel::Read };
        let received_at = signals.iter().map(|signal| signal.received_at).max();
        let mut batch = Batch::new(system, channel, received_at.unwrap_or_else(|| self.clock.now()));
        batch.items = changes.into_iter().map(|change| (entity.clone(), change)).collect();
        batch.signals_done = signals.iter().map(|signal| signal.id).collect();
        batch.confirmed = !first_look;
        batch.attempts = attempts;
        pulled.add(self.ingest(batch).await?);
        Ok(pulled)
    }

    /// The system cannot be read now; the hints stay, for later.
    async fn put_off(&self, signals: &[Signal], attempts: u32) -> Result<(), EngineError> {
        let delay = i64::try_from(self.backoff_ms(attempts)).unwrap_or(i64::MAX);
        let not_before = self.clock.now().plus_millis(delay);
        let again =
            signals.iter().map(|signal| Signal { not_before, attempts: attempts + 1, ..signal.clone() });
        let commit = Commit {
            signals: again.collect(),
            signals_done: signals.iter().map(|signal| signal.id).collect(),
            ..Commit::default()
        };
        self.store.commit(commit).await?;
        Ok(())
    }

    fn batch(&self, system: &SystemName, channel: Channel, entity: &EntityName, page: Page) -> Batch {
        let mut batch = Batch::new(system, channel, self.clock.now());
        batch.items = page.changes.into_iter().map(|change| (entity.clone(), change)).collect();
        batch
    }
}

fn name(system: &SystemName, entity: &EntityName, kind: CursorKind) -> CursorName {
    CursorName { system: system.clone(), entity: entity.clone(), kind }
}

/// A page that leads nowhere would be asked for ever.
fn stuck(entity: &EntityName) -> ConnectorError {
    ConnectorError::new(
        crate::connector::ConnectorErrorKind::Protocol,
        format!("the pages of {entity} lead nowhere: the same position came twice"),
        Some("Check the paging that is declared for it"),
    )
}
