//! Dividing the work among workers: what is due for a system is claimed before it is done, and released after.

use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::ports::bucket::{Share, Shares};
use crate::ports::lanes::{Claim, Lane};
use crate::ports::store::Due;
use avowal_core::data::ids::{EntityName, SystemName};

/// What came of asking for work.
pub(crate) enum Taken {
    /// Nothing is due.
    Nothing,
    /// Something is due, and other workers are doing it.
    Elsewhere,
    /// The due work of these shares is ours to do, as long as the claim is held.
    Work(Claim, Shares),
}

/// Claims the listing and the feed of an entity; `None` while another worker reads them.
pub(crate) async fn claim_feed(
    parts: &Parts,
    system: &SystemName,
    entity: &EntityName,
) -> Result<Option<Claim>, EngineError> {
    let lane = if parts.systems.checks_preconditions(system) {
        Lane::Feed { system: system.clone(), entity: entity.clone() }
    } else {
        whole(system)
    };
    let claim = parts.store.claim(&[lane]).await?;
    Ok((!claim.is_empty()).then_some(claim))
}

/// Claims shares in which something is due.
pub(crate) async fn claim_work(parts: &Parts, system: &SystemName, due: Due) -> Result<Taken, EngineError> {
    let shares = parts.store.due_shares(system, due, parts.clock.now()).await?;
    if shares.is_empty() {
        return Ok(Taken::Nothing);
    }
    // A limit on the rate holds for all workers together, so one of them sends everything.
    let is_rated = due == Due::Intents && parts.systems.limiter(system).is_some();
    let is_whole = is_rated || !parts.systems.checks_preconditions(system);
    let lane = |share: Share| match due {
        Due::Intents => Lane::Deliver { system: system.clone(), share },
        Due::Signals => Lane::Read { system: system.clone(), share },
    };
    let lanes: Vec<Lane> = if is_whole { vec![whole(system)] } else { shares.iter().map(lane).collect() };
    let claim = parts.store.claim(&lanes).await?;
    if claim.is_empty() {
        return Ok(Taken::Elsewhere);
    }
    let shares = if is_whole { Shares::ALL } else { claim.shares() };
    Ok(Taken::Work(claim, shares))
}

/// The one lane of a system that only one worker at a time may use. It is used where the system checks no
/// precondition: a write of one worker would overwrite what another worker is just reading there.
fn whole(system: &SystemName) -> Lane {
    Lane::Deliver { system: system.clone(), share: Share::new(0) }
}
