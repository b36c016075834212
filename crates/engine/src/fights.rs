//! Two writers that keep undoing each other: after a few rounds a person has to part them.

use avowal_core::data::ids::{RecordId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::Digest;
use std::collections::BTreeMap;

/// How often the same content may be written to the same copy, each time after the system had changed it back.
const CORRECTIONS_MAX: u32 = 5;

/// How long a correction counts, in milliseconds.
const WINDOW_MS: i64 = 600_000;

/// The most contents that are remembered; beyond that the old ones are forgotten together.
const REMEMBERED_MAX: usize = 100_000;

/// Which content of which copy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Contested {
    pub(crate) record: RecordId,
    pub(crate) system: SystemName,
    pub(crate) content: Digest,
}

#[derive(Clone, Copy, Debug)]
struct Bout {
    corrections: u32,
    began: Timestamp,
    /// How many changes the system had made when the content was last written.
    changes_seen: u64,
}

/// The corrections of late. Lost at a restart, which begins the count anew.
#[derive(Debug, Default)]
pub(crate) struct Fights(BTreeMap<Contested, Bout>);

impl Fights {
    /// The content was written; `changes_seen` is how many changes the system itself has made to its copy. Only a
    /// write after a new change of the system is a correction: a person who goes back and forth elsewhere fights nobody.
    pub(crate) fn wrote(&mut self, what: Contested, changes_seen: u64, now: Timestamp) {
        if self.0.len() >= REMEMBERED_MAX {
            self.0.retain(|_, bout| !is_over(bout, now));
        }
        if self.0.len() >= REMEMBERED_MAX {
            self.0.clear();
        }
        let fresh = Bout { corrections: 0, began: now, changes_seen };
        let bout = self.0.entry(what).or_insert(fresh);
        if is_over(bout, now) {
            *bout = fresh;
        } else if changes_seen > bout.changes_seen {
            *bout = Bout { corrections: bout.corrections + 1, changes_seen, ..*bout };
        }
    }

    /// Whether writing it once more would go on for ever.
    pub(crate) fn is_hopeless(&self, what: &Contested, now: Timestamp) -> bool {
        self.0.get(what).is_some_and(|bout| bout.corrections >= CORRECTIONS_MAX && !is_over(bout, now))
    }

    /// A person has looked at the record.
    pub(crate) fn forget(&mut self, record: &RecordId) {
        self.0.retain(|what, _| what.record != *record);
    }
}

fn is_over(bout: &Bout, now: Timestamp) -> bool {
    now.millis().saturating_sub(bout.began.millis()) > WINDOW_MS
}
