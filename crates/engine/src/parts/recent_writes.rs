//! The writes of one kind that went out lately, so that a guard counts them together with those that follow.

use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::data::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// When writes were confirmed and how many, oldest first.
type Confirmed = VecDeque<(Timestamp, u64)>;

/// The confirmed writes by system and entity, in memory only: a restart begins the count again.
#[derive(Debug)]
pub(crate) struct RecentWrites {
    /// How long a write counts, in milliseconds.
    window_ms: i64,
    writes: BTreeMap<(SystemName, EntityName), Confirmed>,
}

impl RecentWrites {
    /// None so far, of which each counts for so long.
    pub(crate) fn within(window_ms: i64) -> Self {
        Self { window_ms, writes: BTreeMap::new() }
    }

    /// Counts writes that were confirmed now.
    pub(crate) fn add(&mut self, system: &SystemName, entity: &EntityName, count: u64, now: Timestamp) {
        if count > 0 {
            self.writes.entry((system.clone(), entity.clone())).or_default().push_back((now, count));
        }
    }

    /// How many were confirmed within the window.
    pub(crate) fn count(&mut self, system: &SystemName, entity: &EntityName, now: Timestamp) -> u64 {
        let window_ms = self.window_ms;
        let Some(writes) = self.writes.get_mut(&(system.clone(), entity.clone())) else { return 0 };
        let is_over = |(at, _): &(Timestamp, u64)| now.millis().saturating_sub(at.millis()) > window_ms;
        while writes.front().is_some_and(is_over) {
            writes.pop_front();
        }
        writes.iter().map(|(_, count)| count).sum()
    }
}
