//! Asking systems: the first listing, the change feed, a full listing against drift, and copies to be read.

use crate::inbound::batch::{Batch, Ingested};
use crate::inbound::ingest::may_be_late;
use crate::ports::bucket::Shares;
use crate::ports::connector::{Advice, Change, ConnectorError, Page, RemoteState};
use crate::ports::lanes::Claim;
use crate::ports::store::{
    Commit, CommitOutcome, Cursor, CursorKind, CursorMove, CursorName, Due, NewSignal, Position, Signal,
    SignalReason,
};
use crate::run::engine::{Engine, EngineError};
use crate::run::progress::{Progress, Step, SystemReport};
use crate::run::turns::Taken;
use avowal_core::data::ids::{EntityName, RemoteId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::planted::{Mistake, planted};
use avowal_core::record::CopyKey;
use avowal_core::record::observation::Channel;
use std::collections::{BTreeMap, BTreeSet};

/// What asking a system brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Pulled {
    pub(crate) events: u64,
    pub(crate) quarantined: u64,
    /// Another worker is doing it.
    pub(crate) elsewhere: bool,
}

/// Signals that are followed together.
struct Group<'a> {
    entity: &'a EntityName,
    first_look: bool,
    attempts: u32,
    signals: &'a [Signal],
}

/// How often a move of positions is tried while its outcome is unknown.
const MOVE_TRIES_MAX: u32 = 5;

impl Pulled {
    pub(crate) fn add(&mut self, ingested: Ingested) {
        self.events += ingested.events;
        self.quarantined += ingested.quarantined;
    }

    pub(crate) fn join(&mut self, other: Pulled) {
        self.events += other.events;
        self.quarantined += other.quarantined;
        self.elsewhere |= other.elsewhere;
    }
}

impl Engine {
    /// Brings one entity of one system up to date: its first listing if that is not done, then its feed. A system
    /// that has forgotten our place is listed again.
    pub(crate) async fn pull(
        &self,
        system: &SystemName,
        entity: &EntityName,
        report: &mut SystemReport,
        progress: &dyn Progress,
    ) -> Result<Pulled, EngineError> {
        let mut pulled = Pulled::default();
        let _writes_wait = self.hold_writes(system).await;
        let Some(claim) = self.claim_feed(system, entity).await? else {
            return Ok(Pulled { elsewhere: true, ..pulled });
        };
        match self.try_pull(system, entity, &claim, report, progress, &mut pulled).await {
            Err(EngineError::System { error, .. }) if error.kind.advice() == Advice::ListAgain => {
                self.begin_again(system, entity).await?;
                self.try_pull(system, entity, &claim, report, progress, &mut pulled).await?;
            }
            Ok(()) => {}
            Err(error) => return Err(error),
        }
        claim.release().await;
        Ok(pulled)
    }

    async fn try_pull(
        &self,
        system: &SystemName,
        entity: &EntityName,
        claim: &Claim,
        report: &mut SystemReport,
        progress: &dyn Progress,
        pulled: &mut Pulled,
    ) -> Result<(), EngineError> {
        pulled.join(self.first_listing(system, entity, claim, report, progress).await?);
        let Some(connector) = self.connector(system) else { return Ok(()) };
        pulled.join(if connector.capabilities(entity).feed {
            self.follow(system, entity, claim, report, progress).await?
        } else {
            self.list_claimed(system, entity, claim, false, report, progress).await?
        });
        Ok(())
    }

    /// Whether the first listing of an entity has been read to its end. Before that nobody knows what a system
    /// lacks, and nothing may be created there.
    pub(crate) async fn is_listed(
        &self,
        system: &SystemName,
        entity: &EntityName,
    ) -> Result<bool, EngineError> {
        let cursor = self.store.cursor(&name(system, entity, CursorKind::Listing)).await?;
        Ok(cursor.is_some_and(|position| position.is_complete()))
    }

    async fn first_listing(
        &self,
        system: &SystemName,
        entity: &EntityName,
        claim: &Claim,
        report: &mut SystemReport,
        progress: &dyn Progress,
    ) -> Result<Pulled, EngineError> {
        let mut pulled = Pulled::default();
        let Some(connector) = self.connector(system) else { return Ok(pulled) };
        let listing = name(system, entity, CursorKind::Listing);
        let mut at = self.store.cursor(&listing).await?;
        if at.as_ref().is_some_and(Position::is_complete) {
            return Ok(pulled);
        }
        self.anchor_feed(system, entity).await?;
        // Not the very first one: it was begun by another process, or the feed has lost our place since. Copies
        // may have gone meanwhile, and no feed will say so.
        let again = at.is_some();
        let mut present = BTreeSet::new();
        while !at.as_ref().is_some_and(Position::is_read_to_the_end) {
            let asked_at = self.clock.now();
            let page = connector
                .list(entity, at.as_ref().and_then(Position::cursor), self.settings.batch_records_max)
                .await
                .map_err(|error| self.failed(system, error))?;
            if !claim.is_firm() {
                return Ok(pulled);
            }
            let to = if page.more { Position::After(page.next.clone()) } else { Position::Planning };
            if page.more && at.as_ref() == Some(&to) {
                return Err(self.failed(system, stuck(entity)));
            }
            report.listed += page.changes.len() as u64;
            if again {
                present.extend(page.changes.iter().map(|change| change.id.clone()));
            }
            if again && !page.more {
                // Before the listing counts as done, or a crash in between would hide them for good.
                pulled.join(self.look_for_missing(system, entity, false, &present, report).await?);
            }
            let mut batch = self.batch(system, Channel::Listing, entity, page, asked_at);
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
        if at.as_ref().is_some_and(Position::is_complete) {
            return Ok(pulled);
        }
        pulled.join(self.sweep(entity).await?);
        self.move_cursors(vec![CursorMove { name: listing, from: at, to: Position::Complete }]).await?;
        Ok(pulled)
    }

    /// Remembers where the feed stands before the listing begins, so that nothing in between is missed.
    pub(crate) async fn anchor_feed(
        &self,
        system: &SystemName,
        entity: &EntityName,
    ) -> Result<(), EngineError> {
        let Some(connector) = self.connector(system) else { return Ok(()) };
        let feed = name(system, entity, CursorKind::Feed);
        if !connector.capabilities(entity).feed {
            return Ok(());
        }
        for _ in 0..MOVE_TRIES_MAX {
            if self.store.cursor(&feed).await?.is_some() {
                return Ok(());
            }
            let to = connector.feed_position(entity).await.map_err(|error| self.failed(system, error))?;
            self.move_cursors(vec![CursorMove { name: feed.clone(), from: None, to: Position::After(to) }])
                .await?;
        }
        Err(EngineError::Contended { system: system.clone() })
    }

    /// The feed has lost our place: everything is listed again, under the same rules.
    async fn begin_again(&self, system: &SystemName, entity: &EntityName) -> Result<(), EngineError> {
        let Some(connector) = self.connector(system) else { return Ok(()) };
        let (feed, listing) =
            (name(system, entity, CursorKind::Feed), name(system, entity, CursorKind::Listing));
        let from = self.store.cursor(&listing).await?;
        let mut moves = vec![CursorMove { name: listing, from, to: Position::Again }];
        if connector.capabilities(entity).feed {
            let to = connector.feed_position(entity).await.map_err(|error| self.failed(system, error))?;
            let from = self.store.cursor(&feed).await?;
            moves.push(CursorMove { name: feed, from, to: Position::After(to) });
        }
        self.move_cursors(moves).await
    }

    pub(crate) async fn move_cursors(&self, cursors: Vec<CursorMove>) -> Result<(), EngineError> {
        for _ in 0..MOVE_TRIES_MAX {
            match self.store.commit(Commit { cursors: cursors.clone(), ..Commit::default() }).await? {
                // Repeating it moves them if they have not been moved, and is a conflict if they have.
                CommitOutcome::Unknown { .. } => {}
                // A conflict means that another hand has moved them; the caller reads them again either way.
                CommitOutcome::Committed
                | CommitOutcome::Conflict { .. }
                | CommitOutcome::Duplicate { .. } => return Ok(()),
            }
        }
        Ok(())
    }

    /// Reads what the feed only names, so that an unchanged copy costs a read and nothing else. Answers which
    /// copies were read: a read may lag behind the feed, so they are looked at once more.
    pub(crate) async fn fill_in(
        &self,
        system: &SystemName,
        entity: &EntityName,
        page: &mut Page,
        report: &mut SystemReport,
    ) -> Result<Vec<CopyKey>, EngineError> {
        let named = page.changes.iter().filter(|change| change.shown == RemoteState::Unknown);
        let ids: BTreeSet<RemoteId> = named.map(|change| change.id.clone()).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<RemoteId> = ids.into_iter().collect();
        let read = self.read_copies(system, entity, &ids).await?;
        report.read += read.len() as u64;
        let found: BTreeMap<RemoteId, Change> =
            read.into_iter().map(|change| (change.id.clone(), change)).collect();
        for change in page.changes.iter_mut().filter(|change| change.shown == RemoteState::Unknown) {
            // That a copy is gone is not believed of a first read, which may lag.
            if let Some(read) = found.get(&change.id).filter(|read| read.shown != RemoteState::Gone) {
                *change = read.clone();
            }
        }
        let key = |remote_id| CopyKey { system: system.clone(), entity: entity.clone(), remote_id };
        Ok(ids.into_iter().map(key).collect())
    }

    /// Lists everything once more; not, while another worker reads that entity.
    pub(crate) async fn list_all(
        &self,
        system: &SystemName,
        entity: &EntityName,
        drift: bool,
        report: &mut SystemReport,
        progress: &dyn Progress,
    ) -> Result<Pulled, EngineError> {
        let Some(claim) = self.claim_feed(system, entity).await? else {
            return Ok(Pulled { elsewhere: true, ..Pulled::default() });
        };
        let pulled = self.list_claimed(system, entity, &claim, drift, report, progress).await?;
        claim.release().await;
        Ok(pulled)
    }

    /// Lists everything once more. Differences are drift; a linked copy that the complete listing lacks is read
    /// directly before it counts as gone.
    async fn list_claimed(
        &self,
        system: &SystemName,
        entity: &EntityName,
        claim: &Claim,
        drift: bool,
        report: &mut SystemReport,
        progress: &dyn Progress,
    ) -> Result<Pulled, EngineError> {
        let mut pulled = Pulled::default();
        let Some(connector) = self.connector(system) else { return Ok(pulled) };
        let most = self.settings.batch_records_max;
        let list = async |at: Option<Cursor>| {
            let asked_at = self.clock.now();
            let page = connector.list(entity, at.as_ref(), most).await;
            page.map(|page| (asked_at, page)).map_err(|error| self.failed(system, error))
        };
        let mut at: Option<Cursor> = None;
        let mut present = BTreeSet::new();
        let mut listed = Some(list(None).await?);
        while let Some((asked_at, page)) = listed.take() {
            let to = Some(page.next.clone());
            if !claim.is_firm() {
                return Ok(pulled);
            }
            if page.more && at == to {
                return Err(self.failed(system, stuck(entity)));
            }
            report.listed += page.changes.len() as u64;
            present.extend(page.changes.iter().map(|change| change.id.clone()));
            let more = page.more;
            let mut batch = self.batch(system, Channel::Listing, entity, page, asked_at);
            batch.drift = drift;
            // The system is asked for the next page while this one is looked through.
            let next = async { if more { list(to.clone()).await.map(Some) } else { Ok(None) } };
            let (ingested, next) = futures::join!(self.ingest(batch), next);
            pulled.add(ingested?);
            progress.tell(Step::Listed {
                system: system.clone(),
                entity: entity.clone(),
                rows: report.listed,
            });
            at = to;
            listed = next?;
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
            let most = self.settings.batch_records_max;
            let linked = self.store.scan_copies(system, entity, after, most).await?;
            let Some((last, _)) = linked.last() else { return Ok(pulled) };
            after = Some(last.clone());
            let missing: Vec<RemoteId> =
                linked.into_iter().map(|(_, copy)| copy).filter(|copy| !present.contains(copy)).collect();
            if missing.is_empty() {
                continue;
            }
            let asked_at = self.clock.now();
            let mut changes = self.read_copies(system, entity, &missing).await?;
            if planted(Mistake::DeleteOnAbsence) {
                changes.iter_mut().for_each(|change| change.shown = RemoteState::Gone);
            }
            report.read += changes.len() as u64;
            let mut batch = Batch::new(system, Channel::Read, asked_at);
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
        let _writes_wait = self.hold_writes(system).await;
        let (claim, shares) = match self.claim_work(system, Due::Signals).await? {
            Taken::Nothing => {
                self.forget_moot_waits(system).await?;
                return Ok((0, pulled));
            }
            Taken::Elsewhere => return Ok((0, Pulled { elsewhere: true, ..pulled })),
            Taken::Work(claim, shares) => (claim, shares),
        };
        let most = self.settings.batch_records_max;
        let due = self.store.due_signals(system, shares, self.clock.now(), most).await?;
        let mut groups: BTreeMap<(EntityName, bool, u32), Vec<Signal>> = BTreeMap::new();
        for signal in due {
            let first_look = signal.reason == SignalReason::Webhook;
            let group = (signal.copy.entity.clone(), first_look, signal.attempts);
            groups.entry(group).or_default().push(signal);
        }
        for ((entity, first_look, attempts), signals) in groups {
            followed += signals.len() as u64;
            if !claim.is_firm() {
                break;
            }
            let group = Group { entity: &entity, first_look, attempts, signals: &signals };
            pulled.join(self.follow_group(system, &claim, group, report).await?);
        }
        claim.release().await;
        Ok((followed, pulled))
    }

    /// A signal whose commit had no known outcome may not be there after all.
    async fn forget_moot_waits(&self, system: &SystemName) -> Result<(), EngineError> {
        if self.awaits_any(system) {
            let ever = Timestamp::from_millis(i64::MAX);
            if self.store.due_signals(system, Shares::ALL, ever, 1).await?.is_empty() {
                self.forget_awaited(system);
            }
        }
        Ok(())
    }

    async fn follow_group(
        &self,
        system: &SystemName,
        claim: &Claim,
        group: Group<'_>,
        report: &mut SystemReport,
    ) -> Result<Pulled, EngineError> {
        let Group { entity, first_look, attempts, signals } = group;
        let mut pulled = Pulled::default();
        let ids: BTreeSet<RemoteId> = signals.iter().map(|signal| signal.copy.remote_id.clone()).collect();
        let ids: Vec<RemoteId> = ids.into_iter().collect();
        self.begin_read(signals.iter().map(|signal| &signal.copy));
        let asked_at = self.clock.now();
        if planted(Mistake::ForgetHintEarly) {
            let signals_done = signals.iter().map(|signal| signal.id).collect();
            self.commit(Commit { signals_done, ..Commit::default() }).await?;
        }
        let changes = match self.read_copies(system, entity, &ids).await {
            Ok(changes) => changes,
            Err(error) if planted(Mistake::ForgetHintEarly) => return Err(error),
            Err(error) => {
                self.put_off(signals, attempts).await?;
                return Err(error);
            }
        };
        if !claim.is_firm() {
            // Whoever has claimed the signals since reads the copies anew.
            return Ok(pulled);
        }
        report.read += changes.len() as u64;
        let channel = if first_look { Channel::Signal } else { Channel::Read };
        let received_at = signals.iter().map(|signal| signal.received_at).max();
        let mut batch = Batch::new(system, channel, received_at.unwrap_or_else(|| self.clock.now()));
        batch.asked_at = asked_at;
        batch.items = changes.into_iter().map(|change| (entity.clone(), change)).collect();
        batch.signals_done = signals.iter().map(|signal| signal.id).collect();
        batch.confirmed = !first_look;
        batch.attempts = attempts;
        if first_look && self.may_lag_behind(system, entity, batch.received_at, asked_at) {
            batch.second_looks = signals.iter().map(|signal| signal.copy.clone()).collect();
        }
        pulled.add(self.ingest(batch).await?);
        Ok(pulled)
    }

    /// Whether a read may not show yet what it was asked for, and nothing would stop a write from covering it.
    fn may_lag_behind(
        &self,
        system: &SystemName,
        entity: &EntityName,
        heard_at: Timestamp,
        asked_at: Timestamp,
    ) -> bool {
        let is_guarded = self.checks_precondition(system, entity);
        let settle = i64::try_from(self.settings.settle_ms).unwrap_or(i64::MAX);
        let apart = asked_at.millis().saturating_sub(heard_at.millis());
        !is_guarded && !(settle..).contains(&apart) && !planted(Mistake::SkipSecondLook)
    }

    /// The system cannot be read now; the hints stay, for later.
    async fn put_off(&self, signals: &[Signal], attempts: u32) -> Result<(), EngineError> {
        let delay = i64::try_from(self.backoff_ms(attempts)).unwrap_or(i64::MAX);
        let not_before = self.clock.now().plus_millis(delay);
        let again = signals.iter().map(|signal| NewSignal {
            not_before,
            attempts: attempts + 1,
            ..signal.clone().into()
        });
        let commit = Commit {
            signals: again.collect(),
            signals_done: signals.iter().map(|signal| signal.id).collect(),
            ..Commit::default()
        };
        self.commit(commit).await?;
        Ok(())
    }

    pub(crate) fn batch(
        &self,
        system: &SystemName,
        channel: Channel,
        entity: &EntityName,
        page: Page,
        asked_at: Timestamp,
    ) -> Batch {
        let mut batch = Batch::new(system, channel, self.clock.now());
        batch.asked_at = asked_at;
        batch.items = page.changes.into_iter().map(|change| (entity.clone(), change)).collect();
        batch
    }
}

/// Contents that may be older than what a read has shown only tell that something has changed.
pub(crate) fn demote(page: &mut Page) {
    for change in &mut page.changes {
        let has_contents = matches!(change.shown, RemoteState::Present(_) | RemoteState::Gone);
        if has_contents && may_be_late(change) {
            *change = Change::bare(change.id.clone(), RemoteState::Unknown);
        }
    }
}

pub(crate) fn name(system: &SystemName, entity: &EntityName, kind: CursorKind) -> CursorName {
    CursorName { system: system.clone(), entity: entity.clone(), kind }
}

/// A page that leads nowhere would be asked for ever.
pub(crate) fn stuck(entity: &EntityName) -> ConnectorError {
    ConnectorError::new(
        crate::ports::connector::ConnectorErrorKind::Protocol,
        format!("the pages of {entity} lead nowhere: the same position came twice"),
        Some("Check the paging that is declared for it"),
    )
}
