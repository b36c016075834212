//! Webhooks: a verified delivery becomes durable facts, or hints, before it is answered.

use crate::inbound::batch::Batch;
use crate::ports::connector::{Change, Delivery};
use crate::ports::store::{DedupeKey, StoreError};
use crate::run::engine::{Engine, EngineError};
use avowal_core::data::ids::SystemName;
use avowal_core::planted::{Mistake, planted};
use avowal_core::record::observation::Channel;

/// What became of a delivery. Everything but the first two asks the sender to act.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DeliveryOutcome {
    /// Durable.
    Accepted,
    /// It was durable before.
    Duplicate,
    /// It cannot be understood; nothing was stored.
    Refused {
        /// Why, in words.
        reason: String,
    },
    /// Nothing was stored for now; deliver it again.
    Busy {
        /// Why, in words.
        reason: String,
    },
}

impl Engine {
    /// Takes a verified delivery. Answers only when it is durable, or certainly not.
    pub async fn receive_delivery(&self, system: &SystemName, delivery: &Delivery) -> DeliveryOutcome {
        match self.try_receive_delivery(system, delivery).await {
            Ok(delivered) => delivered,
            Err(error @ EngineError::Store(StoreError::Full(_))) => {
                DeliveryOutcome::Busy { reason: error.to_string() }
            }
            Err(error) => DeliveryOutcome::Busy { reason: error.to_string() },
        }
    }

    async fn try_receive_delivery(
        &self,
        system: &SystemName,
        delivery: &Delivery,
    ) -> Result<DeliveryOutcome, EngineError> {
        let Some(connector) = self.connector(system) else {
            return Ok(DeliveryOutcome::Refused { reason: format!("no system is named {system}") });
        };
        let remembers = !planted(Mistake::MissDedupeKey);
        if remembers && self.store.seen_before(system, std::slice::from_ref(&delivery.id)).await? == [true] {
            return Ok(DeliveryOutcome::Duplicate);
        }
        let items = match connector.decode(delivery) {
            Ok(items) => items,
            Err(error) => return Ok(DeliveryOutcome::Refused { reason: error.to_string() }),
        };
        let mut batch = Batch::new(system, Channel::Webhook, delivery.received_at);
        batch.items = items
            .into_iter()
            .filter(|(entity, _)| self.policies.contains_key(entity))
            .collect::<Vec<(_, Change)>>();
        batch.dedupe = Some(DedupeKey {
            system: system.clone(),
            key: delivery.id.clone(),
            received_at: delivery.received_at,
        });
        batch.dedupe = batch.dedupe.filter(|_| remembers);
        let ingested = self.ingest(batch).await?;
        self.wake(system);
        Ok(if ingested.duplicate { DeliveryOutcome::Duplicate } else { DeliveryOutcome::Accepted })
    }
}
