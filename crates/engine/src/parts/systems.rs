//! The systems by name: how each is reached, which entities it holds, what it can prove, and what holds writes to it.

use crate::parts::limiter::{Limiter, WriteRate};
use crate::ports::connector::{Connector, OrderKind};
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::policy::EntityPolicy;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{MutexGuard, Notify};

/// One system as it is handed to the engine.
pub struct SystemPort {
    /// The connector that reaches it.
    pub connector: Arc<dyn Connector>,
    /// How often its feed is asked while the daemon runs, if it does not report changes itself; milliseconds.
    pub poll_ms: u64,
    /// The most writes a second and at once; `None` where the engine sets no limit.
    pub rate: Option<WriteRate>,
    /// How late at most a read shows a change, in milliseconds, where that is declared.
    pub lag_ms: Option<u64>,
}

/// One system as the engine uses it.
struct System {
    port: SystemPort,
    /// The entities that it holds, those first to which others refer.
    entities: Vec<EntityName>,
    /// One dispatcher a system: at most one write in flight per copy.
    dispatching: tokio::sync::Mutex<()>,
    limiter: Option<Mutex<Limiter>>,
    /// Wakes the task that attends to the system.
    work: Notify,
    /// Until when the system has asked for no more writes. Not kept over a restart.
    paused_until: Mutex<Option<Timestamp>>,
}

/// All systems by name.
pub(crate) struct Systems(BTreeMap<SystemName, System>);

impl Systems {
    pub(crate) fn new(
        ports: BTreeMap<SystemName, SystemPort>,
        policies: &BTreeMap<EntityName, Arc<EntityPolicy>>,
    ) -> Self {
        let system = |name: &SystemName, port: SystemPort| System {
            entities: entities_of(policies, name),
            dispatching: tokio::sync::Mutex::default(),
            limiter: port.rate.map(|rate| Mutex::new(Limiter::new(rate))),
            work: Notify::new(),
            paused_until: Mutex::default(),
            port,
        };
        Self(ports.into_iter().map(|(name, port)| (name.clone(), system(&name, port))).collect())
    }

    /// The names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &SystemName> {
        self.0.keys()
    }

    pub(crate) fn contains(&self, system: &SystemName) -> bool {
        self.0.contains_key(system)
    }

    pub(crate) fn connector(&self, system: &SystemName) -> Option<&Arc<dyn Connector>> {
        self.0.get(system).map(|system| &system.port.connector)
    }

    /// How often the feed of a system is asked, in milliseconds.
    pub(crate) fn poll_ms(&self, system: &SystemName) -> Option<u64> {
        self.0.get(system).map(|system| system.port.poll_ms)
    }

    /// The entities that a system holds, those first to which others refer.
    pub(crate) fn entities(&self, system: &SystemName) -> &[EntityName] {
        self.0.get(system).map_or(&[], |system| &system.entities)
    }

    /// Whether a system refuses every write to a copy that has changed since we saw it.
    pub(crate) fn checks_preconditions(&self, system: &SystemName) -> bool {
        self.entities(system).iter().all(|entity| self.checks_precondition(system, entity))
    }

    /// Whether a system refuses such writes to the copies of one entity.
    pub(crate) fn checks_precondition(&self, system: &SystemName, entity: &EntityName) -> bool {
        self.connector(system).is_none_or(|connector| connector.capabilities(entity).precondition)
    }

    /// Whether the system's feed is a log in which our own writes appear, named and in order.
    pub(crate) fn has_log(&self, system: &SystemName, entity: &EntityName) -> bool {
        self.connector(system).is_some_and(|connector| {
            let capabilities = connector.capabilities(entity);
            capabilities.order == OrderKind::CommitLog && capabilities.correlation
        })
    }

    /// How late at most a read of a system shows a change, where that is declared.
    pub(crate) fn lag_ms(&self, system: &SystemName) -> Option<u64> {
        self.0.get(system)?.port.lag_ms
    }

    /// The lock that the one dispatcher of a system holds.
    pub(crate) fn dispatching(&self, system: &SystemName) -> Option<&tokio::sync::Mutex<()>> {
        self.0.get(system).map(|system| &system.dispatching)
    }

    /// Holds writes to a system that checks no precondition, while it is asked and its answer is taken in: a write in
    /// between would overwrite what the answer shows before that has been judged.
    pub(crate) async fn hold_writes(&self, system: &SystemName) -> Option<MutexGuard<'_, ()>> {
        match self.dispatching(system).filter(|_| !self.checks_preconditions(system)) {
            Some(lock) => Some(lock.lock().await),
            None => None,
        }
    }

    /// The limiter of a system whose writes are limited.
    pub(crate) fn limiter(&self, system: &SystemName) -> Option<&Mutex<Limiter>> {
        self.0.get(system)?.limiter.as_ref()
    }

    /// Wakes the task that attends to the system.
    pub(crate) fn wake(&self, system: &SystemName) {
        if let Some(system) = self.0.get(system) {
            system.work.notify_one();
        }
    }

    /// Notified when another task of this process has left work for the system.
    pub(crate) fn work(&self, system: &SystemName) -> Option<&Notify> {
        self.0.get(system).map(|system| &system.work)
    }

    /// Pauses writes to a system that has asked for it. A longer pause that it asked for before remains.
    pub(crate) fn pause(&self, system: &SystemName, until: Timestamp) {
        let Some(system) = self.0.get(system) else { return };
        let mut paused = system.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        *paused = Some(paused.map_or(until, |before| before.max(until)));
    }

    /// Until when writes to a system are paused, which may be past.
    pub(crate) fn paused_until(&self, system: &SystemName) -> Option<Timestamp> {
        *self.0.get(system)?.paused_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entities that a system holds, those first to which others refer.
fn entities_of(policies: &BTreeMap<EntityName, Arc<EntityPolicy>>, system: &SystemName) -> Vec<EntityName> {
    let mapped = policies.values().filter(|policy| policy.mappings.contains_key(system));
    let mut names: Vec<EntityName> = mapped.map(|policy| policy.entity.clone()).collect();
    names.sort_by_key(|name| reference_depth(policies, name, 0));
    names
}

/// How many references lie below an entity; cycles end at the number of entities.
fn reference_depth(
    policies: &BTreeMap<EntityName, Arc<EntityPolicy>>,
    entity: &EntityName,
    depth: usize,
) -> usize {
    if depth > policies.len() {
        return depth;
    }
    let Some(policy) = policies.get(entity) else { return depth };
    let referred = policy.fields.values().filter_map(|field| field.field_type.reference());
    let below = referred.filter(|to| *to != entity).map(|to| reference_depth(policies, to, depth + 1));
    below.max().unwrap_or(depth)
}
