//! Two writers that keep undoing each other: after some corrections the write is quarantined until a person resolves the
//! loop.

use crate::parts::settings::Flap;
use avowal_core::data::ids::{RecordId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::Digest;
use std::collections::BTreeMap;

/// The most contents that are remembered. Beyond that the expired ones are forgotten, and all of them if none has.
const REMEMBERED_MAX: usize = 100_000;

/// One content that was written to one copy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct WrittenContent {
    pub(crate) record: RecordId,
    pub(crate) system: SystemName,
    pub(crate) content: Digest,
}

/// How often one content was written as a correction.
#[derive(Clone, Copy, Debug)]
struct FlapCount {
    corrections: u32,
    began: Timestamp,
    /// How many changes the system had made when the content was last written.
    changes_seen: u64,
}

/// The corrections that this process has made lately. The history tells those of all processes, where a copy's earlier
/// contents show that it has to be read.
#[derive(Debug)]
pub(crate) struct Flapping {
    limit: Flap,
    counts: BTreeMap<WrittenContent, FlapCount>,
}

impl Flapping {
    /// No corrections so far.
    pub(crate) fn within(limit: Flap) -> Self {
        Self { limit, counts: BTreeMap::new() }
    }

    /// Counts a written content; `changes_seen` is how many changes the system itself has made to its copy. Only a
    /// write after a new change of the system is a correction: edits that a person makes back and forth in another
    /// system are not.
    pub(crate) fn wrote(&mut self, what: WrittenContent, changes_seen: u64, now: Timestamp) {
        let limit = self.limit;
        if self.counts.len() >= REMEMBERED_MAX {
            self.counts.retain(|_, count| !is_over(limit, count, now));
        }
        if self.counts.len() >= REMEMBERED_MAX {
            self.counts.clear();
        }
        let fresh = FlapCount { corrections: 0, began: now, changes_seen };
        let count = self.counts.entry(what).or_insert(fresh);
        if is_over(limit, count, now) {
            *count = fresh;
        } else if changes_seen > count.changes_seen {
            *count = FlapCount { corrections: count.corrections + 1, changes_seen, ..*count };
        }
    }

    /// Whether the limit of corrections is reached.
    pub(crate) fn is_flapping(&self, what: &WrittenContent, now: Timestamp) -> bool {
        let limit = self.limit;
        let count = self.counts.get(what);
        count.is_some_and(|count| count.corrections >= limit.times && !is_over(limit, count, now))
    }

    /// Clears the counts after a person handled the record.
    pub(crate) fn forget(&mut self, record: &RecordId) {
        self.counts.retain(|what, _| what.record != *record);
    }
}

fn is_over(limit: Flap, count: &FlapCount, now: Timestamp) -> bool {
    let age_ms = now.millis().saturating_sub(count.began.millis());
    age_ms > i64::try_from(limit.within_ms).unwrap_or(i64::MAX)
}
