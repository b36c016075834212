//! When each system without a change feed was listed last, so that it is listed as often as declared and no more.

use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::data::time::Timestamp;
use std::collections::BTreeMap;

/// The beginnings of the last listings, in memory only: after a restart everything is listed again.
#[derive(Debug, Default)]
pub(crate) struct Listings(BTreeMap<(SystemName, EntityName), Listing>);

#[derive(Clone, Copy, Debug)]
struct Listing {
    began: Timestamp,
    /// Whether it showed anything.
    has_rows: bool,
}

impl Listings {
    /// A listing that is complete by now began at this time.
    pub(crate) fn began(
        &mut self,
        system: &SystemName,
        entity: &EntityName,
        began: Timestamp,
        has_rows: bool,
    ) {
        self.0.insert((system.clone(), entity.clone()), Listing { began, has_rows });
    }

    /// Whether so much time has passed since the last listing, or nothing is known of one.
    pub(crate) fn is_due(
        &self,
        system: &SystemName,
        entity: &EntityName,
        every_ms: u64,
        now: Timestamp,
    ) -> bool {
        let every = i64::try_from(every_ms).unwrap_or(i64::MAX);
        let last = self.0.get(&(system.clone(), entity.clone()));
        // A clock that was set back says nothing.
        last.is_none_or(|last| !(0..every).contains(&now.millis().saturating_sub(last.began.millis())))
    }

    /// Whether a listing that is complete began at this time or later.
    pub(crate) fn has_begun_since(&self, system: &SystemName, entity: &EntityName, since: Timestamp) -> bool {
        self.0.get(&(system.clone(), entity.clone())).is_some_and(|last| last.began >= since)
    }

    /// Whether the last complete listing showed nothing at all.
    pub(crate) fn is_empty(&self, system: &SystemName, entity: &EntityName) -> bool {
        self.0.get(&(system.clone(), entity.clone())).is_some_and(|last| !last.has_rows)
    }

    /// Everything is to be listed again: a run begins.
    pub(crate) fn forget_all(&mut self) {
        self.0.clear();
    }
}
