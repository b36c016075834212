//! Two writers that keep undoing each other: after `CORRECTIONS_MAX` corrections the write is quarantined until a
//! person resolves the loop.

use avowal_core::data::ids::{RecordId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::Digest;
use std::collections::BTreeMap;

/// How often the same content may be written to the same copy, each time after the system had changed it back.
const CORRECTIONS_MAX: u32 = 5;

/// How long a correction counts, in milliseconds.
const WINDOW_MS: i64 = 600_000;

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

/// Recent corrections. They are kept in memory only, so a restart begins the count again.
#[derive(Debug, Default)]
pub(crate) struct Flapping(BTreeMap<WrittenContent, FlapCount>);

impl Flapping {
    /// Counts a written content; `changes_seen` is how many changes the system itself has made to its copy. Only a
    /// write after a new change of the system is a correction: edits that a person makes back and forth in another
    /// system are not.
    pub(crate) fn wrote(&mut self, what: WrittenContent, changes_seen: u64, now: Timestamp) {
        if self.0.len() >= REMEMBERED_MAX {
            self.0.retain(|_, count| !is_over(count, now));
        }
        if self.0.len() >= REMEMBERED_MAX {
            self.0.clear();
        }
        let fresh = FlapCount { corrections: 0, began: now, changes_seen };
        let count = self.0.entry(what).or_insert(fresh);
        if is_over(count, now) {
            *count = fresh;
        } else if changes_seen > count.changes_seen {
            *count = FlapCount { corrections: count.corrections + 1, changes_seen, ..*count };
        }
    }

    /// Whether the limit of corrections is reached.
    pub(crate) fn is_flapping(&self, what: &WrittenContent, now: Timestamp) -> bool {
        self.0.get(what).is_some_and(|count| count.corrections >= CORRECTIONS_MAX && !is_over(count, now))
    }

    /// Clears the counts after a person handled the record.
    pub(crate) fn forget(&mut self, record: &RecordId) {
        self.0.retain(|what, _| what.record != *record);
    }
}

fn is_over(count: &FlapCount, now: Timestamp) -> bool {
    now.millis().saturating_sub(count.began.millis()) > WINDOW_MS
}
