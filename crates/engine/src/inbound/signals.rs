//! Following signals: the copies that they name are read, and what the reads show is taken in.

use crate::inbound::batch::Batch;
use crate::inbound::ingest::ingest;
use crate::inbound::pulled::Pulled;
use crate::inbound::unread::note_read;
use crate::parts::assembly::Parts;
use crate::parts::claims::{Taken, claim_work};
use crate::parts::error::EngineError;
use crate::parts::progress::SystemReport;
use crate::parts::stops::is_stopped;
use crate::ports::bucket::Shares;
use crate::ports::connector::{Change, RemoteState};
use crate::ports::lanes::Claim;
use crate::ports::store::{Commit, Direction, Due, NewSignal, Signal, SignalReason};
use avowal_core::data::ids::{EntityName, RemoteId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::record::CopyKey;
use avowal_core::record::observation::Channel;
use std::collections::{BTreeMap, BTreeSet};

/// Follows the signals that are due for one system, and answers how many.
pub(crate) async fn follow_signals(
    parts: &Parts,
    system: &SystemName,
    report: &mut SystemReport,
) -> Result<(u64, Pulled), EngineError> {
    let mut pulled = Pulled::default();
    let mut followed = 0;
    if is_stopped(parts, system, Direction::In).await? {
        return Ok((0, pulled));
    }
    let _writes_wait = parts.systems.hold_writes(system).await;
    let (claim, shares) = match claim_work(parts, system, Due::Signals).await? {
        Taken::Nothing => {
            forget_moot_waits(parts, system).await?;
            return Ok((0, pulled));
        }
        Taken::Elsewhere => return Ok((0, Pulled::elsewhere())),
        Taken::Work(claim, shares) => (claim, shares),
    };
    let most = parts.settings.batch_records_max;
    let due = parts.store.due_signals(system, shares, parts.clock.now(), most).await?;
    let mut groups: BTreeMap<(EntityName, bool, u32), Vec<Signal>> = BTreeMap::new();
    for signal in due {
        let is_first_look = signal.reason == SignalReason::Webhook;
        let group = (signal.copy.entity.clone(), is_first_look, signal.attempts);
        groups.entry(group).or_default().push(signal);
    }
    for ((entity, is_first_look, attempts), signals) in groups {
        followed += signals.len() as u64;
        if !claim.is_firm() {
            break;
        }
        let group = Group {
            parts,
            system,
            claim: &claim,
            entity: &entity,
            is_first_look,
            attempts,
            signals: &signals,
        };
        pulled.join(group.follow(report).await?);
    }
    claim.release().await;
    Ok((followed, pulled))
}

/// Forgets the awaited reads of a system without signals: the commit of a signal with an unknown outcome may have
/// failed.
async fn forget_moot_waits(parts: &Parts, system: &SystemName) -> Result<(), EngineError> {
    if parts.awaited.has_any_of(system) {
        let ever = Timestamp::from_millis(i64::MAX);
        if parts.store.due_signals(system, Shares::ALL, ever, 1).await?.is_empty() {
            parts.awaited.forget(system);
        }
    }
    Ok(())
}

/// Signals that are followed together.
struct Group<'a> {
    parts: &'a Parts,
    system: &'a SystemName,
    claim: &'a Claim,
    entity: &'a EntityName,
    /// Whether a webhook asked for the read, so that no earlier read has been made.
    is_first_look: bool,
    attempts: u32,
    signals: &'a [Signal],
}

impl Group<'_> {
    async fn follow(&self, report: &mut SystemReport) -> Result<Pulled, EngineError> {
        let Self { parts, system, entity, signals, .. } = *self;
        let mut pulled = Pulled::default();
        let ids: BTreeSet<RemoteId> = signals.iter().map(|signal| signal.copy.remote_id.clone()).collect();
        let ids: Vec<RemoteId> = ids.into_iter().collect();
        parts.awaited.remove(signals.iter().map(|signal| &signal.copy));
        let asked_at = parts.clock.now();
        let changes = match parts.read_copies(system, entity, &ids).await {
            Ok(changes) => changes,
            Err(error) => {
                self.put_off().await?;
                return Err(error);
            }
        };
        if !self.claim.is_firm() {
            // The worker that has claimed the signals since reads the copies again.
            return Ok(pulled);
        }
        report.read += changes.len() as u64;
        let is_read = |change: &&Change| !matches!(change.shown, RemoteState::Unread { .. });
        let key =
            |id: &RemoteId| CopyKey { system: system.clone(), entity: entity.clone(), remote_id: id.clone() };
        let read: Vec<CopyKey> = changes.iter().filter(is_read).map(|change| key(&change.id)).collect();
        note_read(parts, read.iter().cloned());
        let channel = if self.is_first_look { Channel::Signal } else { Channel::Read };
        let received_at = signals.iter().map(|signal| signal.received_at).max();
        let mut batch = Batch::new(system, channel, received_at.unwrap_or_else(|| parts.clock.now()));
        batch.asked_at = asked_at;
        batch.items = changes.into_iter().map(|change| (entity.clone(), change)).collect();
        batch.signals_done = signals.iter().map(|signal| signal.id).collect();
        batch.confirmed = !self.is_first_look;
        batch.attempts = self.attempts;
        if self.is_first_look && self.may_lag_behind(batch.received_at, asked_at) {
            batch.second_looks = read;
        }
        pulled.add(ingest(parts, &batch).await?);
        Ok(pulled)
    }

    /// Whether a read may not show yet what the webhook reported, and no precondition would stop a write from
    /// overwriting that.
    fn may_lag_behind(&self, heard_at: Timestamp, asked_at: Timestamp) -> bool {
        let is_guarded = self.parts.systems.checks_precondition(self.system, self.entity);
        let settle = i64::try_from(self.parts.settings.settle_ms).unwrap_or(i64::MAX);
        let apart = asked_at.millis().saturating_sub(heard_at.millis());
        !is_guarded && !(settle..).contains(&apart)
    }

    /// Keeps the signals for later, because the system cannot be read now.
    async fn put_off(&self) -> Result<(), EngineError> {
        let (parts, attempts) = (self.parts, self.attempts);
        let not_before = parts.in_ms(parts.settings.backoff_ms(attempts));
        let again = self.signals.iter().map(|signal| NewSignal {
            not_before,
            attempts: attempts + 1,
            ..signal.clone().into()
        });
        let commit = Commit {
            signals: again.collect(),
            signals_done: self.signals.iter().map(|signal| signal.id).collect(),
            ..Commit::default()
        };
        parts.commit(commit).await?;
        Ok(())
    }
}
