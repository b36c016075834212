//! What the pieces that write hold: a worker's turn at one system, and within it one entity as the target of writes.

use crate::parts::assembly::Parts;
use crate::parts::budget::BudgetUse;
use crate::parts::error::EngineError;
use crate::parts::progress::Progress;
use crate::ports::bucket::Shares;
use crate::ports::connector::{Capabilities, Change, Connector};
use crate::ports::lanes::Claim;
use crate::ports::store::IntentDelay;
use avowal_core::data::ids::{EntityName, RecordId, RemoteId, SystemName};
use avowal_core::data::time::Timestamp;
use std::sync::Arc;

/// How long a worker keeps its share before it asks again, in milliseconds. Other workers may have come, and in a
/// database a claim delays others that wait for running transactions to end.
const TURN_MS_MAX: i64 = 2_000;

/// The most writes that one call carries, whatever a connector allows.
const BATCH_WRITES_MAX: usize = 500;

/// The longest pause that a system may ask for, in milliseconds.
pub(crate) const RETRY_AFTER_MS_MAX: u64 = 3_600_000;

/// A worker's right to send the intents to one system, for a while.
pub(crate) struct Turn<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) system: &'a SystemName,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) claim: Claim,
    /// The shares whose intents are sent.
    pub(crate) shares: Shares,
    pub(crate) began: Timestamp,
}

/// One entity of one system, as it is written to during a turn.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) turn: &'a Turn<'a>,
    pub(crate) parts: &'a Parts,
    pub(crate) system: &'a SystemName,
    pub(crate) entity: &'a EntityName,
    pub(crate) connector: &'a Arc<dyn Connector>,
}

/// What a turn did, or one piece of it.
#[derive(Debug, Default)]
pub(crate) struct Dispatched {
    /// Whether something is due that another worker is doing.
    pub(crate) elsewhere: bool,
    /// Intents that were worked on.
    pub(crate) tried: u64,
    pub(crate) written: u64,
    pub(crate) failed: u64,
    pub(crate) events: u64,
    pub(crate) quarantined: u64,
    /// Records whose intents wait for something that no retry brings about.
    pub(crate) put_off: Vec<RecordId>,
    /// Records that have moved on since the plan to which the run is held, in words.
    pub(crate) moved_on: Vec<(RecordId, String)>,
    /// The system's words where it refuses our credentials.
    pub(crate) refused: Option<String>,
    /// The write budget of the system, where it is used up.
    pub(crate) used_up: Option<BudgetUse>,
}

impl Turn<'_> {
    /// Whether the claim still holds. The next holder resolves what was not recorded by then.
    pub(crate) fn is_ours(&self) -> bool {
        self.claim.is_firm()
    }

    pub(crate) fn is_over(&self) -> bool {
        let now = self.parts.clock.now();
        !self.is_ours() || now.millis().saturating_sub(self.began.millis()) > TURN_MS_MAX
    }

    /// The delay of an intent that has failed `failures` times before; for as long as the system asks, up to a limit.
    pub(crate) fn delay(
        &self,
        record: &RecordId,
        failures: u32,
        after_ms: Option<u64>,
        reason: String,
    ) -> IntentDelay {
        let backoff = || self.parts.settings.backoff_ms(failures);
        let wait = after_ms.map_or_else(backoff, |ms| ms.min(RETRY_AFTER_MS_MAX));
        IntentDelay {
            record: record.clone(),
            system: self.system.clone(),
            not_before: self.parts.in_ms(wait),
            failures: failures.saturating_add(1),
            reason: Some(reason),
        }
    }

    /// Marks a try without an event as under way: if we stop now, its outcome is unknown.
    pub(crate) fn mark_of_try(&self, record: &RecordId, failures: u32) -> IntentDelay {
        IntentDelay {
            record: record.clone(),
            system: self.system.clone(),
            not_before: self.parts.clock.now(),
            failures,
            reason: None,
        }
    }
}

impl<'a> Target<'a> {
    /// `None` where the engine has no such system.
    pub(crate) fn new(turn: &'a Turn<'a>, entity: &'a EntityName) -> Option<Self> {
        let Turn { parts, system, .. } = *turn;
        Some(Self { turn, parts, system, entity, connector: parts.connector(system)? })
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        self.connector.capabilities(self.entity)
    }

    /// How many writes one call carries, at most.
    pub(crate) fn batch_writes_max(&self) -> usize {
        self.capabilities().batch_writes_max.clamp(1, BATCH_WRITES_MAX)
    }

    /// Reads copies directly, in the order asked.
    pub(crate) async fn read_copies(&self, ids: &[RemoteId]) -> Result<Vec<Change>, EngineError> {
        self.parts.read_copies(self.system, self.entity, ids).await
    }
}

impl Dispatched {
    pub(crate) fn join(&mut self, other: Dispatched) {
        let Dispatched {
            elsewhere,
            tried,
            written,
            failed,
            events,
            quarantined,
            put_off,
            moved_on,
            refused,
            used_up,
        } = other;
        self.elsewhere |= elsewhere;
        self.tried += tried;
        self.written += written;
        self.failed += failed;
        self.events += events;
        self.quarantined += quarantined;
        self.put_off.extend(put_off);
        self.moved_on.extend(moved_on);
        self.refused = self.refused.take().or(refused);
        self.used_up = self.used_up.take().or(used_up);
    }
}
