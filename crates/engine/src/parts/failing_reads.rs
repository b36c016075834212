//! The copies whose own read failed last, although their system answered.

use avowal_core::record::CopyKey;
use std::collections::BTreeSet;

/// The most copies that are remembered.
const REMEMBERED_MAX: usize = 10_000;

/// Those copies, in memory only: after a restart the next read tells again.
#[derive(Debug, Default)]
pub(crate) struct FailingReads(BTreeSet<CopyKey>);

impl FailingReads {
    pub(crate) fn failed(&mut self, copy: &CopyKey) {
        if self.0.len() < REMEMBERED_MAX {
            self.0.insert(copy.clone());
        }
    }

    pub(crate) fn succeeded(&mut self, copy: &CopyKey) {
        // Asked for every read, and usually none has failed.
        if !self.0.is_empty() {
            self.0.remove(copy);
        }
    }

    pub(crate) fn contains(&self, copy: &CopyKey) -> bool {
        !self.0.is_empty() && self.0.contains(copy)
    }
}
