//! How a write ended, before it is recorded.

use crate::ports::connector::{Change, WriteOutcome};
use avowal_core::data::ids::RemoteId;
use avowal_core::record::intent::{IntentStatus, Operation};
use avowal_core::record::reason::FailureReason;

/// How a write, or the search for its outcome, ended.
pub(crate) enum Ending {
    /// The system confirmed it; with the copy as its answer showed it, or as a read showed it afterwards.
    Confirmed { id: RemoteId, copy: Option<Change>, was_read: bool },
    /// The copy was read after an unknown outcome.
    ReadBack { copy: Change },
    /// A copy was found by its key after an unknown create, or instead of a new one.
    Found { copy: Change },
    /// Something came between; the copy as it is now, if it could be read.
    Conflict { reason: FailureReason, copy: Option<Change> },
    /// The copy does not exist.
    Missing,
    /// Refused for good.
    Rejected { reason: FailureReason },
    /// Provably without effect, try again.
    Retry { after_ms: Option<u64>, reason: FailureReason },
    /// Looked for in vain: it had no effect.
    NotDone,
    /// Nobody knows.
    StillUnknown { reason: FailureReason },
}

impl Ending {
    pub(crate) fn of(outcome: WriteOutcome, operation: Operation) -> Self {
        match outcome {
            WriteOutcome::Confirmed { id, after } => Ending::Confirmed { id, copy: after, was_read: false },
            WriteOutcome::Conflict { reason } => {
                Ending::Conflict { reason: FailureReason::Told(reason), copy: None }
            }
            WriteOutcome::Exists { copy } => Ending::Found { copy },
            WriteOutcome::Missing => match operation {
                Operation::Create => Ending::Rejected { reason: FailureReason::PlaceMissing },
                Operation::Update | Operation::Delete => Ending::Missing,
            },
            WriteOutcome::Rejected { reason } => Ending::Rejected { reason: FailureReason::Told(reason) },
            WriteOutcome::Retry { after_ms, reason } => {
                Ending::Retry { after_ms, reason: FailureReason::Told(reason) }
            }
            WriteOutcome::Unknown { reason } => Ending::StillUnknown { reason: FailureReason::Told(reason) },
        }
    }

    /// The answer to a write that had been sent before may be the one to the first: it shows what stood there then.
    pub(crate) fn heard(self, status: IntentStatus) -> Self {
        match self {
            Ending::Confirmed { id, .. } if status.is_open() => {
                Ending::Confirmed { id, copy: None, was_read: false }
            }
            ending => ending,
        }
    }

    /// Whether the copy has to be read before the ending can be recorded.
    pub(crate) fn wants_read(&self, operation: Operation) -> bool {
        match self {
            Ending::Confirmed { copy, .. } => copy.is_none() && operation != Operation::Delete,
            Ending::Conflict { copy, .. } => copy.is_none(),
            Ending::ReadBack { .. }
            | Ending::Found { .. }
            | Ending::Missing
            | Ending::Rejected { .. }
            | Ending::Retry { .. }
            | Ending::NotDone
            | Ending::StillUnknown { .. } => false,
        }
    }

    /// The copy's id, where the outcome tells it.
    pub(crate) fn copy_id(&self) -> Option<&RemoteId> {
        match self {
            Ending::Confirmed { id, .. } => Some(id),
            other => other.copy().map(|copy| &copy.id),
        }
    }

    /// Whether a first attempt with this ending has made no copy.
    pub(crate) fn made_nothing(&self) -> bool {
        match self {
            Ending::Found { .. }
            | Ending::Conflict { .. }
            | Ending::Missing
            | Ending::Rejected { .. }
            | Ending::Retry { .. }
            | Ending::NotDone => true,
            Ending::Confirmed { .. } | Ending::ReadBack { .. } | Ending::StillUnknown { .. } => false,
        }
    }

    /// Puts in what a read has shown.
    pub(crate) fn set_copy(&mut self, change: Change) {
        match self {
            Ending::Confirmed { copy, was_read, .. } => {
                *copy = Some(change);
                *was_read = true;
            }
            Ending::Conflict { copy, .. } => *copy = Some(change),
            Ending::ReadBack { .. }
            | Ending::Found { .. }
            | Ending::Missing
            | Ending::Rejected { .. }
            | Ending::Retry { .. }
            | Ending::NotDone
            | Ending::StillUnknown { .. } => {}
        }
    }

    /// The copy, where the outcome or a read has shown it.
    pub(crate) fn copy(&self) -> Option<&Change> {
        match self {
            Ending::Confirmed { copy, .. } | Ending::Conflict { copy, .. } => copy.as_ref(),
            Ending::ReadBack { copy } | Ending::Found { copy } => Some(copy),
            Ending::Missing
            | Ending::Rejected { .. }
            | Ending::Retry { .. }
            | Ending::NotDone
            | Ending::StillUnknown { .. } => None,
        }
    }
}
