//! What goes wrong. Each fault is decided by hash(seed, effect, attempt), so that taking a step out of a trace
//! does not move the faults of the others, and each is counted, so that a run can show that it has fired.

use avowal_fakes::dice::hash;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The kinds of things that go wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A webhook comes long after the change.
    LateWebhook,
    /// A webhook comes twice.
    DuplicateWebhook,
    /// A webhook overtakes an earlier one.
    ReorderedWebhook,
    /// A webhook never comes.
    LostWebhook,
    /// A webhook shows only some of the fields.
    PartialWebhook,
    /// A read shows what stood there before.
    StaleRead,
    /// A write's answer is lost, and the write never arrived.
    TimeoutBeforeEffect,
    /// A write's answer is lost, but it took effect.
    TimeoutAfterSuccess,
    /// Too many requests.
    TooManyRequests,
    /// An error of the system's own.
    ServerError,
    /// The system stores something else than was sent.
    Normalised,
    /// A listing ends early and claims to be complete.
    TruncatedPage,
    /// The feed has forgotten our position.
    ExpiredCursor,
    /// The process dies before a commit.
    CrashBeforeCommit,
    /// The process dies while a write is under way.
    CrashDuringWrite,
    /// The process dies after a commit, before it hears of it.
    CrashAfterCommit,
    /// The disk is full.
    DiskFull,
    /// Nobody can tell whether a commit took effect.
    CommitUnknown,
    /// The store cannot be reached.
    StoreLost,
    /// The clock jumps forward.
    ClockForward,
    /// The clock jumps back.
    ClockBack,
    /// Two workers work on the same things.
    WorkersRacing,
    /// A worker stands still so long that its claims are given to others.
    WorkerPaused,
    /// A copy, or a delivery, that cannot be understood.
    PoisonPayload,
    /// A column is missing.
    SchemaDrift,
    /// A person edits while a write of ours is under way.
    ConcurrentEdit,
    /// Every row is touched without a change.
    BulkTouch,
    /// Many rows are deleted at once.
    BulkDelete,
    /// The credentials do not work any more.
    RevokedCredential,
    /// The provider merges two of its rows into one.
    ProviderMerge,
    /// A row is deleted and made again under another id.
    DeleteAndRecreate,
    /// Two people edit the same field in two systems in the same second.
    SameSecond,
    /// A person puts back a value that stood there before.
    RestoredValue,
    /// A system answers as if it held nothing, and takes writes all the same.
    Blind,
    /// A create is accepted, and its row is shown only later.
    ShownLate,
    /// The read of one row fails, and the system answers otherwise.
    ReadOfOneFails,
    /// A search shows rows later than reads do.
    IndexLag,
}

impl Fault {
    /// All of them, but the [`Self::LIES`].
    pub const ALL: [Fault; 33] = [
        Fault::LateWebhook,
        Fault::DuplicateWebhook,
        Fault::ReorderedWebhook,
        Fault::LostWebhook,
        Fault::PartialWebhook,
        Fault::StaleRead,
        Fault::TimeoutBeforeEffect,
        Fault::TimeoutAfterSuccess,
        Fault::TooManyRequests,
        Fault::ServerError,
        Fault::Normalised,
        Fault::TruncatedPage,
        Fault::ExpiredCursor,
        Fault::CrashBeforeCommit,
        Fault::CrashDuringWrite,
        Fault::CrashAfterCommit,
        Fault::DiskFull,
        Fault::CommitUnknown,
        Fault::StoreLost,
        Fault::ClockForward,
        Fault::ClockBack,
        Fault::WorkersRacing,
        Fault::WorkerPaused,
        Fault::PoisonPayload,
        Fault::SchemaDrift,
        Fault::ConcurrentEdit,
        Fault::BulkTouch,
        Fault::BulkDelete,
        Fault::RevokedCredential,
        Fault::ProviderMerge,
        Fault::DeleteAndRecreate,
        Fault::SameSecond,
        Fault::RestoredValue,
    ];

    /// The ways in which a system lies although it answers. Dice of their own choose them, so that the other faults of a
    /// seed stay as they are.
    pub const LIES: [Fault; 4] = [Fault::Blind, Fault::ShownLate, Fault::ReadOfOneFails, Fault::IndexLag];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = serde_json::to_value(self).ok();
        f.write_str(name.as_ref().and_then(|name| name.as_str()).unwrap_or("fault"))
    }
}

/// How often each kind strikes, of a thousand chances. A kind that is not here never does.
pub type Rates = BTreeMap<Fault, u32>;

#[derive(Debug, Default)]
struct Book {
    attempts: BTreeMap<(Fault, u64), u32>,
    fired: BTreeMap<Fault, u64>,
    at_peace: bool,
}

/// The faults of one run.
#[derive(Debug)]
pub struct Faults {
    seed: u64,
    rates: Rates,
    book: Mutex<Book>,
}

impl Faults {
    /// The faults of a seed, at these rates.
    pub fn new(seed: u64, rates: Rates) -> Self {
        Self { seed, rates, book: Mutex::default() }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this kind can strike at all in this run.
    pub fn is_possible(&self, fault: Fault) -> bool {
        self.rates.contains_key(&fault)
    }

    /// Whether the fault strikes this attempt at the effect. Counts it if so.
    pub fn strikes(&self, fault: Fault, effect: &str) -> bool {
        let Some(rate) = self.rates.get(&fault) else { return false };
        let mut book = self.book();
        if book.at_peace {
            return false;
        }
        let named = hash(self.seed ^ (fault as u64), effect);
        let attempt = book.attempts.entry((fault, named)).or_default();
        *attempt += 1;
        let strikes =
            avowal_fakes::dice::mix(named.wrapping_add(u64::from(*attempt))) % 1000 < u64::from(*rate);
        if strikes {
            *book.fired.entry(fault).or_default() += 1;
        }
        strikes
    }

    /// A number from 0 to `sides - 1` that belongs to the effect.
    pub fn amount(&self, effect: &str, sides: u64) -> u64 {
        hash(self.seed ^ 0x5eed, effect).checked_rem(sides).unwrap_or(0)
    }

    /// A fault has happened that the trace itself contains.
    pub fn note(&self, fault: Fault) {
        *self.book().fired.entry(fault).or_default() += 1;
    }

    /// Nothing goes wrong from here on.
    pub fn make_peace(&self) {
        self.book().at_peace = true;
    }

    /// How often each kind has fired.
    pub fn fired(&self) -> BTreeMap<Fault, u64> {
        self.book().fired.clone()
    }
}
