//! An intent in its system's names, ready to be sent.

use crate::outbound::turn::Target;
use crate::parts::error::EngineError;
use crate::parts::flapping::WrittenContent;
use crate::ports::connector::Write;
use avowal_core::data::ids::{RecordId, RemoteId, SystemName};
use avowal_core::history::Context;
use avowal_core::outgoing::effects::{Effect, effects_of};
use avowal_core::outgoing::fights::is_return;
use avowal_core::outgoing::plan::is_still_wanted;
use avowal_core::record::Record;
use avowal_core::record::intent::{Intent, IntentStatus, Operation, content_digest};

/// What the schedule says of an intent that is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Due {
    /// How often it has failed without effect.
    pub(crate) failures: u32,
    /// Whether it was delayed for a reason. A try without an event takes the reason away while it is under way.
    pub(crate) is_delayed: bool,
}

impl Due {
    /// Whether the last try of the intent provably had no effect.
    pub(crate) fn is_waiting(self, intent: &Intent) -> bool {
        intent.status == IntentStatus::Waiting && self.is_delayed
    }
}

/// An intent that is ready to be sent, or whose unknown outcome is to be resolved.
pub(crate) struct OutgoingWrite {
    pub(crate) record: RecordId,
    /// How often it has failed without effect.
    pub(crate) failures: u32,
    /// The status in the record's state.
    pub(crate) status: IntentStatus,
    /// Whether its last try has ended, and its next one was scheduled: nobody left while it was under way.
    pub(crate) is_scheduled: bool,
    pub(crate) write: Write,
    /// The content that the write would leave in the copy.
    pub(crate) written_content: WrittenContent,
    /// For a create: the copy with which the record has been linked since.
    pub(crate) linked: Option<RemoteId>,
    /// How many changes the system had made to the record when the write was prepared.
    pub(crate) changes_seen: u64,
    /// What it does, as guards count it.
    pub(crate) effects: Vec<Effect>,
    /// Whether a value that it carries stood in its field before.
    pub(crate) is_return: bool,
    /// The last event of the record when the write was prepared.
    pub(crate) seq: u64,
    /// The attempt number. Only the worker that made the attempt records its outcome.
    pub(crate) attempt: u32,
    /// Whether the system has changed the record since the intent was planned.
    pub(crate) is_overtaken: bool,
    /// Whether an earlier attempt may have had an effect and something else is to be written by now.
    pub(crate) is_outdated: bool,
}

impl OutgoingWrite {
    pub(crate) fn new(target: Target<'_>, record: &Record, intent: &Intent, due: &Due, write: Write) -> Self {
        let system = target.system;
        let policy = target.parts.policies.get(target.entity);
        Self {
            record: record.id.clone(),
            failures: due.failures,
            status: intent.status,
            is_scheduled: due.is_delayed,
            write,
            written_content: WrittenContent {
                record: record.id.clone(),
                system: system.clone(),
                content: content_digest(intent.operation, &intent.fields),
            },
            linked: record
                .live_copy(system)
                .filter(|_| intent.operation == Operation::Create)
                .map(|copy| copy.remote_id.clone()),
            changes_seen: record.vector.get(system),
            effects: all_effects(record, system, intent),
            is_return: is_return(record, system),
            seq: record.seq,
            attempt: intent.attempt,
            is_overtaken: record.vector.get(system) > intent.vector.get(system),
            is_outdated: intent.status.is_open()
                && policy.is_some_and(|policy| !is_still_wanted(policy, record, system)),
        }
    }

    /// Whether an earlier attempt may have had an effect.
    pub(crate) fn is_open(&self) -> bool {
        self.status.is_open() && !self.is_waiting()
    }

    /// Whether its last try provably had no effect, so that the next one leaves no event.
    pub(crate) fn is_waiting(&self) -> bool {
        self.status == IntentStatus::Waiting && self.is_scheduled
    }

    /// The metadata of the events of this write.
    pub(crate) fn context(&self, target: Target<'_>) -> Context {
        let policy = target.parts.policies.get(target.entity);
        Context {
            source: None,
            actor: None,
            policy: policy.map(|policy| policy.short_digest()),
            run: target.parts.run,
            correlation: Some(self.write.key.clone()),
            occurred_at: None,
            received_at: target.parts.clock.now(),
        }
    }
}

/// What the write of an intent does, as guards count it.
fn all_effects(record: &Record, system: &SystemName, intent: &Intent) -> Vec<Effect> {
    match intent.operation {
        Operation::Update => effects_of(record, system),
        Operation::Create if record.copies.contains_key(system) => vec![Effect::MadeAgain],
        Operation::Create => Vec::new(),
        Operation::Delete => vec![Effect::Deleted],
    }
}

/// The present states of the records of these writes, in order.
pub(crate) async fn states(
    target: Target<'_>,
    items: &[OutgoingWrite],
) -> Result<Vec<Option<Record>>, EngineError> {
    let ids: Vec<RecordId> = items.iter().map(|item| item.record.clone()).collect();
    Ok(target.parts.store.load(&ids).await?)
}
