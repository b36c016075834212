//! Writes whose outcome nobody knows are settled: sent again where a key makes that harmless, otherwise read back or
//! looked up.

use crate::outbound::dispatch::{Dispatched, OutgoingWrite, Turn};
use crate::outbound::ending::Ending;
use crate::outbound::endings::Ended;
use crate::outbound::send::BatchOrder;
use crate::ports::connector::{Change, RemoteState, Write};
use crate::run::engine::{Engine, EngineError};
use avowal_core::data::ids::{EntityName, RemoteId, SystemName};
use avowal_core::planted::{Mistake, planted};
use avowal_core::record::intent::{IntentStatus, Operation};
use avowal_core::record::reason::FailureReason;

impl Engine {
    /// Learns the outcome of writes that nobody knows: by sending them again where a key makes that harmless,
    /// otherwise by reading or looking up what stands there.
    pub(crate) async fn resolve_unknown(
        &self,
        system: &SystemName,
        entity: &EntityName,
        items: Vec<OutgoingWrite>,
        turn: &Turn,
        done: &mut Dispatched,
    ) -> Result<(), EngineError> {
        let Some(connector) = self.connector(system) else { return Ok(()) };
        if items.is_empty() {
            return Ok(());
        }
        let capabilities = connector.capabilities(entity);
        let (moot, items): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| item.linked.is_some());
        self.close_linked_creates(system, entity, moot, turn, done).await?;
        if items.is_empty() {
            return Ok(());
        }
        // What was planned before the system's last change would be sent over that change now.
        let can_repeat = |item: &OutgoingWrite| {
            (capabilities.idempotent && !(item.is_overtaken && item.write.operation != Operation::Create))
                || planted(Mistake::ResendWithoutLook)
        };
        let (mut rest, items): (Vec<_>, Vec<_>) = items.into_iter().partition(can_repeat);
        let most = capabilities.batch_writes_max.clamp(1, 500);
        while !rest.is_empty() && !self.is_paused(system) && !turn.is_over(self.clock.now()) {
            let room = self.admit(system, rest.len().min(most)).await;
            let batch: Vec<OutgoingWrite> = rest.drain(..room).collect();
            let batch = self.take_over(system, batch, done).await?;
            self.write_batch(system, entity, (batch, BatchOrder::default()), turn, done).await?;
        }
        if items.is_empty() {
            return Ok(());
        }
        done.tried += items.len() as u64;
        let asked_at = self.clock.now();
        let mut endings = Vec::new();
        for item in &items {
            endings.push(match item.status {
                IntentStatus::Planned | IntentStatus::Unknown => {
                    self.look_up(system, entity, &item.write).await?
                }
                // Whoever sent it is gone, but the request may still be under way: it gets time to arrive.
                IntentStatus::Sent => Ending::StillUnknown { reason: FailureReason::RunEnded },
            });
        }
        self.end_all(system, entity, Ended { items: &items, endings, asked_at }, turn, done).await
    }

    /// Creates whose record has been linked with a copy meanwhile: whether they made that one or none, nothing is
    /// left to create. Sent again, they might make another.
    async fn close_linked_creates(
        &self,
        system: &SystemName,
        entity: &EntityName,
        items: Vec<OutgoingWrite>,
        turn: &Turn,
        done: &mut Dispatched,
    ) -> Result<(), EngineError> {
        let ids: Vec<RemoteId> = items.iter().filter_map(|item| item.linked.clone()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        done.tried += items.len() as u64;
        let asked_at = self.clock.now();
        let copies = self.read_copies(system, entity, &ids).await?;
        let endings = copies.into_iter().map(|copy| Ending::ReadBack { copy }).collect();
        self.end_all(system, entity, Ended { items: &items, endings, asked_at }, turn, done).await
    }

    /// Whoever sent these is gone, or was stopped and may come back: a new attempt is recorded before anything is
    /// sent again, so that a late finisher has no say in how it ends. Where the outcome is recorded as unknown, its
    /// sender has said all it knows.
    async fn take_over(
        &self,
        system: &SystemName,
        items: Vec<OutgoingWrite>,
        done: &mut Dispatched,
    ) -> Result<Vec<OutgoingWrite>, EngineError> {
        let (left, mut open): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|item| item.status == IntentStatus::Sent);
        open.extend(self.mark_sent(system, left, done).await?);
        Ok(open)
    }

    async fn look_up(
        &self,
        system: &SystemName,
        entity: &EntityName,
        write: &Write,
    ) -> Result<Ending, EngineError> {
        let Some(connector) = self.connector(system) else { return Ok(Ending::NotDone) };
        if let (Operation::Update | Operation::Delete, Some(id)) = (write.operation, &write.id) {
            let copy = self.read_copies(system, entity, std::slice::from_ref(id)).await?.pop();
            return Ok(copy.map_or(Ending::NotDone, |copy| Ending::ReadBack { copy }));
        }
        if planted(Mistake::DoubleCreateAfterTimeout) {
            return Ok(Ending::NotDone);
        }
        if !connector.capabilities(entity).searchable || write.lookup.is_empty() {
            return Ok(Ending::StillUnknown { reason: FailureReason::NotSearchable });
        }
        for fields in &write.lookup {
            let found = connector.find(entity, fields).await.map_err(|error| self.failed(system, error))?;
            let present: Vec<Change> =
                found.into_iter().filter(|copy| matches!(copy.shown, RemoteState::Present(_))).collect();
            if let Some(copy) = present.into_iter().next() {
                return Ok(Ending::Found { copy });
            }
        }
        Ok(Ending::NotDone)
    }
}
