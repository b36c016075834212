//! Writes are counted against the budget of their system before they are sent, over restarts and all workers.

use crate::parts::assembly::Parts;
use crate::parts::budget::BudgetUse;
use crate::parts::error::EngineError;
use crate::ports::store::EffectCount;
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::outgoing::effects::Effect;

/// How many of these writes may be sent now: they are counted as sent. With the use where none may.
///
/// Each worker first adds what it wants and then looks, so two of them never send more than is allowed together.
pub(crate) async fn reserve(
    parts: &Parts,
    system: &SystemName,
    entity: &EntityName,
    wanted: usize,
) -> Result<(usize, Option<BudgetUse>), EngineError> {
    let guards = &parts.settings.guards;
    let (per_hour, per_day) = (guards.writes_per_hour, guards.writes_per_day);
    if (per_hour, per_day) == (None, None) || wanted == 0 {
        return Ok((wanted, None));
    }
    let now = parts.clock.now();
    let count = |count: i64| EffectCount {
        system: system.clone(),
        entity: entity.clone(),
        effect: Effect::Sent,
        at: now,
        count,
    };
    let store = parts.store.as_ref();
    store.count_effects(&[count(i64::try_from(wanted).unwrap_or(i64::MAX))]).await?;
    let used = BudgetUse::of(store, system, per_hour, per_day, now).await?;
    let excess = usize::try_from(used.excess()).unwrap_or(usize::MAX).min(wanted);
    if excess == 0 {
        return Ok((wanted, None));
    }
    store.count_effects(&[count(-i64::try_from(excess).unwrap_or(i64::MAX))]).await?;
    if excess < wanted {
        return Ok((wanted - excess, None));
    }
    Ok((0, Some(BudgetUse::of(store, system, per_hour, per_day, now).await?)))
}
