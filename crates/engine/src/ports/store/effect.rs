//! What writes did and would do, counted: what guards and budgets ask.

use crate::ports::store::StoreError;
use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::outgoing::effects::Effect;
use std::collections::BTreeMap;

/// How long the slots of time are in which effects are counted, in milliseconds.
pub const SLOT_MS: i64 = 60_000;

/// How long writes that were sent are counted at least, in milliseconds: a budget may be for a day.
pub const SENT_KEPT_MS: i64 = 25 * 60 * 60 * 1000;

/// How long every other effect is counted at least, in milliseconds.
pub const EFFECTS_KEPT_MS: i64 = 2 * 60 * 60 * 1000;

/// Counting the effects of writes, over all processes that use the store and over restarts.
///
/// Counts are kept by slots of [`SLOT_MS`]. Older ones than [`SENT_KEPT_MS`] and [`EFFECTS_KEPT_MS`] may be forgotten.
#[async_trait]
pub trait CountEffects: Send + Sync {
    /// What the updates that are planned for a system, and not confirmed yet, would do, with the living copies that it
    /// holds: the entities of which there are some, in order. A value that a single one of them would set may be missing.
    /// May read through all that are planned.
    async fn planned_effects(&self, system: &SystemName) -> Result<Vec<PlannedEffects>, StoreError>;

    /// What was counted for a system in the slots that were not over at `since`, in order.
    async fn counted_effects(
        &self,
        system: &SystemName,
        since: Timestamp,
    ) -> Result<Vec<EffectCount>, StoreError>;

    /// Adds to what was counted, beside any commit ([`Commit::effects`] counts within one). A number below zero takes
    /// back.
    ///
    /// [`Commit::effects`]: crate::ports::store::Commit::effects
    async fn count_effects(&self, counts: &[EffectCount]) -> Result<(), StoreError>;
}

/// How often something was done to a system.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EffectCount {
    /// In which system.
    pub system: SystemName,
    /// Of which entity.
    pub entity: EntityName,
    /// What.
    pub effect: Effect,
    /// When. It is read back as the beginning of its slot.
    pub at: Timestamp,
    /// How often.
    pub count: i64,
}

/// What the planned updates of one entity in a system would do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlannedEffects {
    /// Of which entity.
    pub entity: EntityName,
    /// How many living copies the system holds.
    pub copies: u64,
    /// How many of the planned updates have each effect.
    pub effects: BTreeMap<Effect, u64>,
}

impl EffectCount {
    /// The number of the slot that a time falls into.
    pub fn slot_of(at: Timestamp) -> i64 {
        at.millis().div_euclid(SLOT_MS)
    }

    /// When a slot begins.
    pub fn slot_begins(slot: i64) -> Timestamp {
        Timestamp::from_millis(slot.saturating_mul(SLOT_MS))
    }
}
