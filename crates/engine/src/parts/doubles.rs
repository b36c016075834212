//! Rows of one system that carry the key of a record which has another copy there: found while copies are linked.

use avowal_core::data::ids::{EntityName, RemoteId, SystemName};
use avowal_core::record::CopyKey;
use std::collections::BTreeMap;

/// The most ids that are kept. Beyond it, keys are only counted where they are known already.
const IDS_MAX: usize = 20_000;

/// Rows with one key, in memory only: what became of each stands in quarantine.
#[derive(Debug, Default)]
pub(crate) struct Doubles {
    found: BTreeMap<DoubledKey, Vec<RemoteId>>,
    ids: usize,
}

/// A key that several rows of one system carry.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct DoubledKey {
    pub(crate) entity: EntityName,
    pub(crate) system: SystemName,
    pub(crate) key: String,
}

impl Doubles {
    /// A copy carries the key of a record to which `linked` belongs in the same system.
    pub(crate) fn note(&mut self, copy: &CopyKey, key: &str, linked: &RemoteId) {
        if self.ids >= IDS_MAX {
            return;
        }
        let CopyKey { entity, system, remote_id } = copy.clone();
        let ids = self.found.entry(DoubledKey { entity, system, key: key.to_owned() }).or_default();
        for id in [linked, &remote_id] {
            if !ids.contains(id) {
                ids.push(id.clone());
                self.ids += 1;
            }
        }
    }

    /// What was found, in order.
    pub(crate) fn found(&self) -> impl Iterator<Item = (&DoubledKey, &Vec<RemoteId>)> {
        self.found.iter()
    }
}
