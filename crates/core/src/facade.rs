//! The façade: each step of a record's life as one call, for programs that embed the core and keep the records themselves.
//!
//! Each call takes the record and gives it back with the events that led there. Store both in one transaction, and only if
//! the stored record still has the sequence that you began with. Nothing here reads a clock: every time is an argument.

use crate::data::ids::{RemoteId, SystemName};
use crate::data::time::Timestamp;
use crate::decide::lifecycle::link;
use crate::decide::{Decision, decide};
use crate::history::chronicle::Chronicle;
use crate::history::{
    Basis, Classification, Context, Doubt, Evidence, Failure, IntegrationEvent, LinkReason,
};
use crate::outgoing::confirm::{Receipt, confirm, fail, send};
use crate::outgoing::plan::plan;
use crate::policy::EntityPolicy;
use crate::record::Record;
use crate::record::intent::Intent;
use crate::record::observation::Observation;
use crate::record::reason::FailureReason;

/// A record after one step, and what happened in it.
#[derive(Clone, PartialEq, Debug)]
pub struct Recorded {
    /// The record; the fold of its whole history.
    pub record: Record,
    /// What happened, in order, sealed into the record's hash chain. Empty if nothing did.
    pub events: Vec<IntegrationEvent>,
}

/// What one observation led to.
#[derive(Clone, PartialEq, Debug)]
pub struct Decided {
    /// The record; the fold of its whole history.
    pub record: Record,
    /// What happened, in order, sealed into the record's hash chain. Empty if nothing did.
    pub events: Vec<IntegrationEvent>,
    /// What became of the observation.
    pub decision: Decision,
}

impl Decided {
    /// The one word for the observation.
    pub fn class(&self) -> Classification {
        self.decision.class()
    }

    /// Why the observation alone would be a guess, so that nothing was decided; `None` if it was not. Read the copy again
    /// after a while, and call [`observe`] with [`Look::Final`](crate::record::observation::Look::Final).
    pub fn doubt(&self) -> Option<Doubt> {
        self.decision.doubt()
    }

    /// The changes that are waiting to be written, with the system that each is for.
    pub fn intents(&self) -> impl Iterator<Item = (&SystemName, &Intent)> {
        self.record.intents.iter().filter(|(_, intent)| !intent.is_open())
    }
}

/// Decides what a copy's state means for the record, and which writes follow from it.
///
/// A copy of a system that has none yet is linked to the record. If the record is linked with another copy of that system, nothing
/// changes.
///
/// ```
/// use avowal_core::{
///     Channel, Classification, CopyState, DomainRules, EntitySpec, FieldSpec, MappingSpec, Observation, Place, Record,
///     SystemTraits, Timestamp, Value, observe,
/// };
/// use std::collections::{BTreeMap, BTreeSet};
///
/// // The policy: the app owns the e-mail address, and a CRM holds a copy.
/// let spec = EntitySpec {
///     fields: BTreeMap::from([("email".into(), FieldSpec::new("string", "app"))]),
///     systems: BTreeMap::from([
///         ("app".into(), MappingSpec::new("customers", "id", [("email", "email")])),
///         ("crm".into(), MappingSpec::new("contacts", "id", [("email", "mail")])),
///     ]),
///     ..EntitySpec::default()
/// };
/// let systems = BTreeMap::from([
///     ("app".into(), SystemTraits { local: true, ..SystemTraits::default() }),
///     ("crm".into(), SystemTraits::default()),
/// ]);
/// let entities = BTreeSet::from(["customer".into()]);
/// let policy = spec.build_with(&"customer".into(), &systems, &entities, &DomainRules::new()).unwrap();
///
/// // The app shows a customer.
/// let shown = CopyState::Present(BTreeMap::from([("email".into(), Value::from("ann@example.org"))]));
/// let at = Timestamp::from_millis(1_767_261_600_000);
/// let seen = Observation::new("app", "customer", "1", Channel::Read, shown, at);
/// let decided = observe(&policy, Record::new("r1".into(), "customer".into()), &Observation { place: Place::Quiescent, ..seen });
///
/// // It is believed, and the CRM shall get a copy.
/// assert_eq!(decided.class(), Classification::New);
/// assert_eq!(decided.record.fields["email"].value, Value::from("ann@example.org"));
/// let (system, intent) = decided.intents().next().unwrap();
/// assert_eq!((system.as_str(), intent.operation.as_str()), ("crm", "create"));
/// ```
pub fn observe(policy: &EntityPolicy, record: Record, observation: &Observation) -> Decided {
    let system = &observation.system;
    let is_another = record.copies.get(system).is_some_and(|copy| copy.remote_id != observation.remote_id);
    if is_another {
        return Decided { record, events: Vec::new(), decision: Decision::Recorded(Classification::Stale) };
    }
    let context = Context {
        source: Some(system.clone()),
        actor: observation.actor.clone(),
        policy: Some(policy.short_digest()),
        run: None,
        correlation: observation.correlation.clone(),
        occurred_at: observation.occurred_at,
        received_at: observation.received_at,
    };
    let is_unlinked = !record.copies.contains_key(system);
    let reason = if record.copies.is_empty() { LinkReason::FirstSeen } else { LinkReason::Decided };
    let mut chronicle = Chronicle::new(record, context, observation.received_at);
    if is_unlinked {
        link(&mut chronicle, system, &observation.remote_id, reason);
    }
    let decision = decide(policy, &mut chronicle, observation);
    let Recorded { record, events } = finish(chronicle);
    Decided { record, events, decision }
}

/// Records that the planned change of a system is about to be written. Store the result before you write: if the program
/// dies in between, the record says that the outcome is unknown.
pub fn sent(policy: &EntityPolicy, record: Record, system: &SystemName, at: Timestamp) -> Recorded {
    step(policy, record, system, at, |chronicle| {
        send(chronicle, system);
    })
}

/// Records that a write has arrived, and what the copy holds since. Plans what has come to differ meanwhile.
///
/// `remote_id` is the id of the copy, which a create has only now. An answer to another write than the one under way changes
/// nothing.
pub fn confirmed(
    policy: &EntityPolicy,
    record: Record,
    remote_id: &RemoteId,
    receipt: &Receipt<'_>,
    at: Timestamp,
) -> Recorded {
    let is_ours = record.intents.get(receipt.system).is_some_and(|intent| intent.key == receipt.key);
    step(policy, record, receipt.system, at, |chronicle| {
        if !is_ours {
            return;
        }
        let linked = chronicle.record().live_copy(receipt.system).is_some();
        if !linked {
            link(chronicle, receipt.system, remote_id, LinkReason::Created);
        }
        let evidence = Evidence::proven(Basis::Confirmed { by: receipt.by });
        confirm(chronicle, receipt, evidence);
        plan(policy, chronicle, None);
    })
}

/// Records that a write did not come to a confirmed end, and plans it again where that is right.
pub fn failed(
    policy: &EntityPolicy,
    record: Record,
    system: &SystemName,
    failure: Failure,
    reason: &str,
    at: Timestamp,
) -> Recorded {
    step(policy, record, system, at, |chronicle| {
        let Some(key) = chronicle.record().intents.get(system).map(|intent| intent.key.clone()) else {
            return;
        };
        fail(chronicle, system, &key, failure, FailureReason::Told(reason.to_owned()));
        plan(policy, chronicle, None);
    })
}

fn step(
    policy: &EntityPolicy,
    record: Record,
    system: &SystemName,
    at: Timestamp,
    act: impl FnOnce(&mut Chronicle),
) -> Recorded {
    let context = Context {
        source: Some(system.clone()),
        policy: Some(policy.short_digest()),
        received_at: at,
        ..Context::default()
    };
    let mut chronicle = Chronicle::new(record, context, at);
    act(&mut chronicle);
    finish(chronicle)
}

fn finish(chronicle: Chronicle) -> Recorded {
    let (_, record, events) = chronicle.finish();
    Recorded { record, events }
}
