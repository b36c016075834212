//! The store port: where records, history, outgoing work, quarantine and cursors live together.
//!
//! Never in here: a concrete store, or a decision about what is stored.
//! Begin with [`Store`] below and its guarantees; then `commit.rs`, which says what becomes durable together.

mod commit;
mod counts;
mod cursor;
mod effect;
mod error;
mod lag;
mod quarantine;
mod read;
mod reconciliation;
mod review;
mod run;
mod schedule;
mod shared;
mod signal;
mod stop;

pub use commit::{
    BATCH_RECORDS_MAX, Commit, CommitChanges, CommitOutcome, DedupeKey, MatchKey, RecordCommit,
};
pub use counts::{Counts, OpenCounts, PlannedCreates, PlannedDeletes};
pub use cursor::{Cursor, CursorKind, CursorMove, CursorName, Position};
pub use effect::{CountEffects, EFFECTS_KEPT_MS, EffectCount, PlannedEffects, SENT_KEPT_MS, SLOT_MS};
pub use error::StoreError;
pub use lag::KeepLags;
pub use quarantine::{NewQuarantineItem, QuarantineItem};
pub use read::{Located, ReadHistory, ReadOverview, ReadRecords};
pub use reconciliation::{
    EntitySnapshot, FieldAgreement, KeepReconciliations, RECONCILIATIONS_KEPT, Reconciliation,
    ReconciliationDifference, ReconciliationSummary, UnsettledCopy,
};
pub use review::OpenReview;
pub use run::{KeepRuns, NewRun, QUIET_RUNS_KEPT, RUN_SILENT_MS, Run, RunCounts, RunEnd, RunFigure, RunKind};
pub use schedule::{Due, DueIntent, IntentDelay, ScheduleWork, WaitingIntent};
pub use shared::{ShareStore, SharedStore};
pub use signal::{NewSignal, Signal, SignalReason};
pub use stop::{ControlStops, Direction, Stop, StopCause};

/// A durable home for everything that the engine knows: the sum of the narrow traits. Whoever needs one part of it
/// takes that trait alone.
///
/// The store guarantees:
/// - `commit` is atomic: all of it is durable when `Committed` is answered, none of it after `Conflict` or
///   `Duplicate`. `Unknown` says that nobody can tell; the caller loads again and finds out.
/// - A record is written only if its stored sequence equals `expected_seq` (0 for a new one), a cursor only if
///   it still stands at `from`, a dedupe key only if it is new. Links are a partial bijection: a second record
///   for one (system, entity, remote id) is a `Conflict`.
/// - `load` gives back, field for field, what was committed.
/// - Methods may be called from many tasks at once; concurrent commits may share one flush (group commit).
/// - A claim is exclusive among all processes that use the store, and ends with its process.
///
/// The engine guarantees: events of a record continue its stored stream (dense sequence, chained hashes), the
/// state is their fold, and no batch is larger than [`BATCH_RECORDS_MAX`].
pub trait Store:
    ReadRecords
    + ReadHistory
    + ReadOverview
    + CommitChanges
    + ScheduleWork
    + ShareStore
    + ControlStops
    + KeepLags
    + KeepRuns
    + CountEffects
    + KeepReconciliations
{
}

impl<S> Store for S where
    S: ReadRecords
        + ReadHistory
        + ReadOverview
        + CommitChanges
        + ScheduleWork
        + ShareStore
        + ControlStops
        + KeepLags
        + KeepRuns
        + CountEffects
        + KeepReconciliations
        + ?Sized
{
}
