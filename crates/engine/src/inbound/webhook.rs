//! Webhooks: a verified delivery is stored as facts or signals before it is answered.

use crate::inbound::batch::Batch;
use crate::inbound::ingest::ingest;
use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::parts::stops::is_stopped;
use crate::ports::connector::{Change, Delivery, RemoteState};
use crate::ports::store::{DedupeKey, Direction};
use avowal_core::data::ids::SystemName;
use avowal_core::record::observation::Channel;

/// What became of a delivery. `Refused` and `Busy` ask the sender to act.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DeliveryOutcome {
    /// It is durable.
    Accepted,
    /// It was durable before.
    Duplicate,
    /// It cannot be understood, and nothing was stored.
    Refused {
        /// Why, in words.
        reason: String,
    },
    /// Nothing was stored for now; the sender must deliver it again.
    Busy {
        /// Why, in words.
        reason: String,
    },
}

/// Takes a verified delivery in. Answers only when it is durable, or certainly not.
pub(crate) async fn receive(parts: &Parts, system: &SystemName, delivery: &Delivery) -> DeliveryOutcome {
    match try_receive(parts, system, delivery).await {
        Ok(outcome) => outcome,
        Err(error) => DeliveryOutcome::Busy { reason: error.to_string() },
    }
}

async fn try_receive(
    parts: &Parts,
    system: &SystemName,
    delivery: &Delivery,
) -> Result<DeliveryOutcome, EngineError> {
    let Some(connector) = parts.connector(system) else {
        return Ok(DeliveryOutcome::Refused { reason: format!("no system is named {system}") });
    };
    if parts.store.seen_before(system, std::slice::from_ref(&delivery.id)).await? == [true] {
        return Ok(DeliveryOutcome::Duplicate);
    }
    let items = match connector.decode(delivery) {
        Ok(items) => items,
        Err(error) => return Ok(DeliveryOutcome::Refused { reason: error.to_string() }),
    };
    let mut batch = Batch::new(system, Channel::Webhook, delivery.received_at);
    batch.items = items.into_iter().filter(|(entity, _)| parts.policies.contains_key(entity)).collect();
    // What is not signed is not believed; what a stopped system shows is not taken in. Both are kept as the news that the
    // copies have changed: they are read, now or when the system goes on.
    if !delivery.signed || is_stopped(parts, system, Direction::In).await? {
        for (_, change) in &mut batch.items {
            *change = Change::bare(change.id.clone(), RemoteState::Unknown);
        }
    }
    batch.dedupe = Some(DedupeKey {
        system: system.clone(),
        key: delivery.id.clone(),
        received_at: delivery.received_at,
    });
    let ingested = ingest(parts, &batch).await?;
    parts.systems.wake(system);
    Ok(if ingested.duplicate { DeliveryOutcome::Duplicate } else { DeliveryOutcome::Accepted })
}
