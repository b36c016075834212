//! A simulated system: one fake for each entity, because what a system proves is declared by entity.

use super::{Participant, Plan};
use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RemoteId, SystemName};
use avowal_engine::ports::connector::{
    Capabilities, Change, Connector, ConnectorError, ConnectorErrorKind, Delivery, Fields, Finding,
    OrderKind, Page, Write, WriteOutcome,
};
use avowal_engine::ports::store::Cursor;
use avowal_fakes::dice::Dice;
use avowal_fakes::fake::{FakeSystem, Fate, Fault, FeedKind, Kind, ManualClock, Profile};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Of so many thousand writes, one answer is lost: half of them after the effect.
const LOST_ANSWERS_PER_MILLE: u64 = 10;

/// Of so many thousand calls, one is refused because the system is busy.
const BUSY_PER_MILLE: u64 = 5;

/// A system with all its entities.
pub(super) struct SimulatedSystem {
    pub(super) fakes: BTreeMap<EntityName, Arc<FakeSystem>>,
}

impl SimulatedSystem {
    /// The system as it is declared, empty.
    pub(super) fn new(
        plan: &Plan,
        name: &SystemName,
        participant: &Participant,
        clock: &Arc<ManualClock>,
        weather: &Arc<Weather>,
    ) -> Self {
        let held = plan.policies.values().filter(|policy| policy.mappings.contains_key(name));
        let fakes = held.filter_map(|policy| {
            let capabilities = participant.capabilities.get(&policy.entity)?;
            let profile = profile(participant, &policy.entity, capabilities);
            let fake = FakeSystem::new(&format!("{name}.{}", policy.entity), profile, clock.clone());
            fake.set_fate(weather.clone());
            Some((policy.entity.clone(), Arc::new(fake)))
        });
        Self { fakes: fakes.collect() }
    }

    fn fake(&self, entity: &EntityName) -> Result<&FakeSystem, ConnectorError> {
        self.fakes.get(entity).map(Arc::as_ref).ok_or_else(|| {
            let message = format!("{entity} is not declared here");
            ConnectorError::new(ConnectorErrorKind::SchemaDrift, message, None)
        })
    }
}

fn profile(participant: &Participant, entity: &EntityName, capabilities: &Capabilities) -> Profile {
    let ordered = match capabilities.order {
        OrderKind::CommitLog => true,
        OrderKind::Counter | OrderKind::Time | OrderKind::None => false,
    };
    Profile {
        capabilities: capabilities.clone(),
        feed: if capabilities.images { FeedKind::Images } else { FeedKind::Present },
        etags: capabilities.precondition && !ordered,
        webhooks: participant.webhooks,
        bodies: participant.bodies.contains(entity),
    }
}

#[async_trait]
impl Connector for SimulatedSystem {
    fn capabilities(&self, entity: &EntityName) -> Capabilities {
        let declared = self.fakes.get(entity).map(|fake| fake.profile().capabilities.clone());
        declared.unwrap_or_else(|| Profile::bare().capabilities)
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        Ok(Vec::new())
    }

    async fn install(&self) -> Result<Vec<String>, ConnectorError> {
        Ok(Vec::new())
    }

    async fn uninstall(&self) -> Result<Vec<String>, ConnectorError> {
        Ok(Vec::new())
    }

    async fn feed_position(&self, entity: &EntityName) -> Result<Cursor, ConnectorError> {
        self.fake(entity)?.feed_position(entity).await
    }

    async fn list(
        &self,
        entity: &EntityName,
        at: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, ConnectorError> {
        self.fake(entity)?.list(entity, at, limit).await
    }

    async fn changes(&self, entity: &EntityName, at: &Cursor, limit: usize) -> Result<Page, ConnectorError> {
        self.fake(entity)?.changes(entity, at, limit).await
    }

    async fn read(&self, entity: &EntityName, ids: &[RemoteId]) -> Result<Vec<Change>, ConnectorError> {
        self.fake(entity)?.read(entity, ids).await
    }

    async fn find(&self, entity: &EntityName, fields: &Fields) -> Result<Vec<Change>, ConnectorError> {
        self.fake(entity)?.find(entity, fields).await
    }

    async fn write(&self, entity: &EntityName, writes: &[Write]) -> Vec<WriteOutcome> {
        match self.fake(entity) {
            Ok(fake) => fake.write(entity, writes).await,
            Err(error) => {
                let reason = error.to_string();
                writes.iter().map(|_| WriteOutcome::Rejected { reason: reason.clone() }).collect()
            }
        }
    }

    fn decode(&self, delivery: &Delivery) -> Result<Vec<(EntityName, Change)>, ConnectorError> {
        let decoded =
            self.fakes.values().next().map(|fake| fake.decode(delivery)).unwrap_or_else(|| Ok(Vec::new()))?;
        // Which entity it is stands in the body; what may be believed of it is that entity's affair.
        match decoded.first().and_then(|(entity, _)| self.fakes.get(entity)) {
            Some(fake) => fake.decode(delivery),
            None => Ok(decoded),
        }
    }
}

/// Bad weather: what befalls calls, as the dice fall.
pub(super) struct Weather {
    dice: Mutex<Dice>,
    calm: AtomicBool,
}

impl Weather {
    /// The weather of a seed, calm to begin with.
    pub(super) fn new(seed: u64) -> Self {
        Self { dice: Mutex::new(Dice::new(seed)), calm: AtomicBool::new(true) }
    }

    /// Nothing, or something again, goes wrong from now on.
    pub(super) fn set_calm(&self, calm: bool) {
        self.calm.store(calm, Ordering::Relaxed);
    }

    fn roll(&self, sides: u64) -> Option<u64> {
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        (!self.calm.load(Ordering::Relaxed)).then(|| dice.roll(sides))
    }
}

impl Fate for Weather {
    fn write(&self, _: &str, _: &Write) -> Option<Fault> {
        let roll = self.roll(1_000)?;
        if roll < LOST_ANSWERS_PER_MILLE / 2 {
            return Some(Fault::TimeoutBefore);
        }
        if roll < LOST_ANSWERS_PER_MILLE {
            return Some(Fault::TimeoutAfter);
        }
        (roll < LOST_ANSWERS_PER_MILLE + BUSY_PER_MILLE).then_some(Fault::Unavailable)
    }

    fn call(&self, _: &str, kind: Kind) -> Option<ConnectorError> {
        let busy = || ConnectorError::new(ConnectorErrorKind::Unreachable, "503 service unavailable", None);
        match kind {
            Kind::Install | Kind::Position => None,
            Kind::List | Kind::Changes | Kind::Read | Kind::Find => {
                self.roll(1_000).filter(|roll| *roll < BUSY_PER_MILLE).map(|_| busy())
            }
        }
    }

    fn lag_ms(&self, _: &str, _: &RemoteId) -> i64 {
        0
    }

    fn listing_max(&self, _: &str, _: usize) -> Option<usize> {
        None
    }
}
