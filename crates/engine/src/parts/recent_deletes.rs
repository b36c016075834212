//! The deletes that went out lately, so that a guard counts them together with those that follow.

use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::data::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// How long a delete counts, in milliseconds.
const WINDOW_MS: i64 = 60_000;

/// The confirmed deletes by system and entity, in memory only: a restart begins the count again.
#[derive(Debug, Default)]
pub(crate) struct RecentDeletes(BTreeMap<(SystemName, EntityName), VecDeque<(Timestamp, u64)>>);

impl RecentDeletes {
    /// Counts deletes that were confirmed now.
    pub(crate) fn add(&mut self, system: &SystemName, entity: &EntityName, count: u64, now: Timestamp) {
        if count > 0 {
            self.0.entry((system.clone(), entity.clone())).or_default().push_back((now, count));
        }
    }

    /// How many were confirmed within the window.
    pub(crate) fn count(&mut self, system: &SystemName, entity: &EntityName, now: Timestamp) -> u64 {
        let Some(deletes) = self.0.get_mut(&(system.clone(), entity.clone())) else { return 0 };
        let is_over = |(at, _): &(Timestamp, u64)| now.millis().saturating_sub(at.millis()) > WINDOW_MS;
        while deletes.front().is_some_and(is_over) {
            deletes.pop_front();
        }
        deletes.iter().map(|(_, count)| count).sum()
    }
}
