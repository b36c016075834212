//! Before the first turn: what is durable is learned, and the rules that decide from here on are recorded. A change
//! of an entity's policy is an event in a stream of its own.

use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::parts::first_write::lift_agreed;
use crate::ports::bucket::Shares;
use crate::ports::store::{Commit, CommitOutcome, SignalReason};
use avowal_core::data::ids::{EntityName, RecordId};
use avowal_core::data::time::Timestamp;
use avowal_core::history::chronicle::Chronicle;
use avowal_core::history::{Body, IntegrationEvent};
use avowal_core::policy::EntityPolicy;
use avowal_core::record::Record;

/// The entity under which streams are kept that belong to no record. No configured name begins with `@`.
pub const OWN_ENTITY: &str = "@policy";

/// The most signals that are looked through.
const SIGNALS_MAX: usize = 10_000;

/// Learns what is durable, and records the policies that decide from here on.
pub(crate) async fn prepare(parts: &Parts) -> Result<(), EngineError> {
    parts.quarantined.load().await?;
    parts.awaited.load(parts.systems.names()).await?;
    note_failing_reads(parts).await?;
    lift_agreed(parts).await?;
    for policy in parts.policies.values() {
        note_policy(parts, policy).await?;
    }
    Ok(())
}

/// Learns which copies could not be read by themselves when they were read last.
async fn note_failing_reads(parts: &Parts) -> Result<(), EngineError> {
    let ever = Timestamp::from_millis(i64::MAX);
    for system in parts.systems.names() {
        let signals = parts.store.due_signals(system, Shares::ALL, ever, SIGNALS_MAX).await?;
        let failed = signals.iter().filter(|signal| signal.reason == SignalReason::ReadFailed);
        failed.for_each(|signal| parts.failing_reads().failed(&signal.copy));
    }
    Ok(())
}

/// Records the policy of an entity, where it differs from the one before.
async fn note_policy(parts: &Parts, policy: &EntityPolicy) -> Result<(), EngineError> {
    let stream = RecordId::new(format!("@policy.{}", policy.entity));
    let stored = parts.store.load(std::slice::from_ref(&stream)).await?.pop().flatten();
    let to = policy.digest.to_string();
    let from = match &stored {
        None => None,
        Some(record) => parts.store.events(&stream, record.seq, 1).await?.pop().and_then(policy_of),
    };
    if from.as_ref() == Some(&to) {
        return Ok(());
    }
    let now = parts.clock.now();
    let context = parts.own_context(policy.short_digest(), now);
    let record = stored.unwrap_or_else(|| Record::new(stream, EntityName::new(OWN_ENTITY)));
    let mut chronicle = Chronicle::new(record, context, now);
    chronicle.push(Body::PolicyChanged { from, to });
    let commit = Commit { records: vec![parts.record_commit(chronicle)], ..Commit::default() };
    match parts.commit_plainly(commit).await? {
        // A conflict means that another process has recorded it.
        CommitOutcome::Committed
        | CommitOutcome::Conflict { .. }
        | CommitOutcome::Duplicate { .. }
        | CommitOutcome::Unknown { .. } => {}
    }
    Ok(())
}

/// The digest of the policy that an event introduces.
fn policy_of(event: IntegrationEvent) -> Option<String> {
    if let Body::PolicyChanged { to, .. } = event.body { Some(to) } else { None }
}
