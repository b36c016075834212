//! What a run found to have moved on since the plan that it was held to.

use crate::parts::assembly::Parts;
use crate::parts::settings::FirstWrites;
use avowal_core::data::ids::{RecordId, SystemName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Up to this many are few, whatever share of the plan they are.
const FEW: u64 = 5;

/// The most records that are named.
const NAMED_MAX: usize = 20;

/// Records whose writes to one system were held, because they are not what was planned.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MovedOn {
    /// How many.
    pub records: u64,
    /// How many writes the plan holds for the system.
    pub planned: u64,
    /// Whether that is more than the share which the guard on deletes lets pass, so that the plan is out of date.
    pub are_many: bool,
    /// Some of them, by their copies.
    pub examples: Vec<String>,
}

impl MovedOn {
    /// What moved on, by system; nothing for systems in which all is as planned.
    pub(crate) fn of(
        parts: &Parts,
        found: BTreeMap<SystemName, BTreeMap<RecordId, String>>,
    ) -> BTreeMap<SystemName, Self> {
        let plan = match &parts.settings.first_writes {
            FirstWrites::Planned { plan, .. } => plan,
            FirstWrites::Ask | FirstWrites::Agreed { .. } => return BTreeMap::new(),
        };
        let share = parts.settings.guards.deletes_max_share.clamp(0.0, 1.0);
        let told = |(system, records): (SystemName, BTreeMap<RecordId, String>)| {
            let (planned, count) = (plan.count(&system), records.len() as u64);
            let are_many = count > FEW && count as f64 > planned as f64 * share;
            let examples = records.into_values().take(NAMED_MAX).collect();
            (system, Self { records: count, planned, are_many, examples })
        };
        found.into_iter().filter(|(_, records)| !records.is_empty()).map(told).collect()
    }
}
