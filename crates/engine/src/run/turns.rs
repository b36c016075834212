//! Taking one's share of the work: what is due for a system is claimed before it is done, and given back after.

use crate::ports::bucket::{Share, Shares};
use crate::ports::lanes::{Claim, Lane};
use crate::ports::store::Due;
use crate::run::engine::{Engine, EngineError};
use avowal_core::data::ids::{EntityName, SystemName};

/// What came of asking for work.
pub(crate) enum Taken {
    /// Nothing is due.
    Nothing,
    /// Something is due, and others are doing it.
    Elsewhere,
    /// Ours to do, as long as the claim is held.
    Work(Claim, Shares),
}

impl Engine {
    /// Claims the listing and the feed of an entity; `None` while another worker reads them.
    pub(crate) async fn claim_feed(
        &self,
        system: &SystemName,
        entity: &EntityName,
    ) -> Result<Option<Claim>, EngineError> {
        let lane = if self.checks_preconditions(system) {
            Lane::Feed { system: system.clone(), entity: entity.clone() }
        } else {
            whole(system)
        };
        let claim = self.store.claim(&[lane]).await?;
        Ok((!claim.is_empty()).then_some(claim))
    }

    /// Claims shares in which something is due.
    pub(crate) async fn claim_work(&self, system: &SystemName, due: Due) -> Result<Taken, EngineError> {
        let shares = self.store.due_shares(system, due, self.clock.now()).await?;
        if shares.is_empty() {
            return Ok(Taken::Nothing);
        }
        // A bound on the rate holds for all workers together, so one of them does everything.
        let is_rated = due == Due::Intents && self.limiters.contains_key(system);
        let is_whole = is_rated || !self.checks_preconditions(system);
        let lane = |share: Share| match due {
            Due::Intents => Lane::Deliver { system: system.clone(), share },
            Due::Signals => Lane::Read { system: system.clone(), share },
        };
        let lanes: Vec<Lane> = if is_whole { vec![whole(system)] } else { shares.iter().map(lane).collect() };
        let claim = self.store.claim(&lanes).await?;
        if claim.is_empty() {
            return Ok(Taken::Elsewhere);
        }
        let shares = if is_whole { Shares::ALL } else { claim.shares() };
        Ok(Taken::Work(claim, shares))
    }
}

/// The lane of a system that is worked on by one worker at a time as a whole. One that checks no precondition is:
/// a write of one worker would cover what another is just reading there.
fn whole(system: &SystemName) -> Lane {
    Lane::Deliver { system: system.clone(), share: Share::new(0) }
}
