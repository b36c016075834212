//! Mistakes that are made by other rules and bounds than those of the scenario. The oracle keeps to the scenario's.

use super::Mistake;
use avowal_core::data::ids::SystemName;
use avowal_core::policy::{EditAgainstDelete, EntityPolicy, OnRefused};
use avowal_engine::{Guards, WriteRate};

/// The rules that the engine decides by instead of these.
pub fn policy(mistake: Option<Mistake>, mut policy: EntityPolicy) -> EntityPolicy {
    let everybody: Vec<SystemName> = policy.systems.keys().cloned().collect();
    if mistake == Some(Mistake::CompareAcrossClocks) {
        policy.systems.values_mut().for_each(|traits| traits.clock_skew_ms = Some(0));
    }
    if mistake == Some(Mistake::DeleteOverEdits) {
        policy.deletes.edit_against_delete = EditAgainstDelete::DeleteWins;
    }
    if mistake == Some(Mistake::IgnoreOwner) {
        policy.fields.values_mut().for_each(|field| field.proposals.extend(everybody.iter().cloned()));
    }
    if mistake == Some(Mistake::SkipRevert) {
        policy.fields.values_mut().for_each(|field| field.on_refused = OnRefused::Ignore);
    }
    policy
}

/// The bound on writes that the engine keeps instead of this one.
pub fn rate(mistake: Option<Mistake>, rate: Option<WriteRate>) -> Option<WriteRate> {
    rate.filter(|_| mistake != Some(Mistake::IgnoreRate))
}

/// The guards that the engine asks instead of these.
pub fn guards(
    mistake: Option<Mistake>,
    mut guards: Guards,
    everybody: impl Iterator<Item = SystemName>,
) -> Guards {
    if mistake == Some(Mistake::IgnoreGuard) {
        guards.deletes_approved.extend(everybody);
    }
    guards
}
