//! What the answer to a write means, before it is recorded.

use crate::ports::connector::{Change, RemoteState, WriteOutcome};
use avowal_core::data::ids::RemoteId;
use avowal_core::record::intent::Operation;
use avowal_core::record::reason::FailureReason;

/// How a write ended, or the attempt to resolve its unknown outcome.
pub(crate) enum Ending {
    /// The system confirmed it; with the copy as its answer showed it, or as a read showed it afterwards, if either
    /// did.
    Confirmed { id: RemoteId, copy: Option<Change>, was_read: bool },
    /// The copy was read after an unknown outcome.
    ReadBack { copy: Change },
    /// A copy was found by its key after an unknown create, or instead of a new one.
    Found { copy: Change },
    /// The copy was not what the precondition expects; with the copy as it is now, if it could be read.
    Conflict { reason: FailureReason, copy: Option<Change> },
    /// The copy does not exist.
    Missing,
    /// Refused for good.
    Rejected { reason: FailureReason },
    /// Provably without effect, as things stand there: it is tried again after the other writes that wait.
    Blocked { reason: FailureReason },
    /// Provably without effect, so that it may be tried again.
    Retry { after_ms: Option<u64>, reason: FailureReason },
    /// Looked up and not found, so that it had no effect.
    NotDone,
    /// The outcome is unknown still.
    StillUnknown { reason: FailureReason },
}

impl Ending {
    /// What a connector's answer to an operation means.
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
            WriteOutcome::Blocked { reason } => Ending::Blocked { reason: FailureReason::Told(reason) },
            WriteOutcome::Rejected { reason } => Ending::Rejected { reason: FailureReason::Told(reason) },
            WriteOutcome::Retry { after_ms, reason } => {
                Ending::Retry { after_ms, reason: FailureReason::Told(reason) }
            }
            // It was not carried out, and may be when the credentials are right again.
            WriteOutcome::Unauthorised { reason } => {
                Ending::Retry { after_ms: None, reason: FailureReason::Told(reason) }
            }
            WriteOutcome::Unknown { reason } => Ending::StillUnknown { reason: FailureReason::Told(reason) },
        }
    }

    /// The ending without a copy that may be out of date: a system that knows the key repeats its answer to the first
    /// attempt, which shows the copy as it was then.
    pub(crate) fn without_old_copy(self, is_repeated: bool) -> Self {
        match self {
            Ending::Confirmed { id, .. } if is_repeated => {
                Ending::Confirmed { id, copy: None, was_read: false }
            }
            ending @ (Ending::Confirmed { .. }
            | Ending::ReadBack { .. }
            | Ending::Found { .. }
            | Ending::Conflict { .. }
            | Ending::Missing
            | Ending::Rejected { .. }
            | Ending::Blocked { .. }
            | Ending::Retry { .. }
            | Ending::NotDone
            | Ending::StillUnknown { .. }) => ending,
        }
    }

    /// Whether the copy has to be read before the ending can be recorded.
    pub(crate) fn wants_read(&self, operation: Operation) -> bool {
        match self {
            Ending::Confirmed { copy, .. } => copy.is_none() && operation != Operation::Delete,
            Ending::Conflict { copy, .. } => copy.is_none(),
            // A system may say so of a copy that it shows all the same.
            Ending::Missing => operation == Operation::Update,
            Ending::ReadBack { .. }
            | Ending::Found { .. }
            | Ending::Rejected { .. }
            | Ending::Blocked { .. }
            | Ending::Retry { .. }
            | Ending::NotDone
            | Ending::StillUnknown { .. } => false,
        }
    }

    /// The copy's id, where the outcome tells it.
    pub(crate) fn copy_id(&self) -> Option<&RemoteId> {
        match self {
            Ending::Confirmed { id, .. } => Some(id),
            Ending::Conflict { copy, .. } => copy.as_ref().map(|copy| &copy.id),
            Ending::ReadBack { copy } | Ending::Found { copy } => Some(&copy.id),
            Ending::Missing
            | Ending::Rejected { .. }
            | Ending::Blocked { .. }
            | Ending::Retry { .. }
            | Ending::NotDone
            | Ending::StillUnknown { .. } => None,
        }
    }

    /// Whether a first attempt with this ending has provably made no copy.
    pub(crate) fn made_nothing(&self) -> bool {
        match self {
            Ending::Found { .. }
            | Ending::Conflict { .. }
            | Ending::Missing
            | Ending::Rejected { .. }
            | Ending::Blocked { .. }
            | Ending::Retry { .. }
            | Ending::NotDone => true,
            Ending::Confirmed { .. } | Ending::ReadBack { .. } | Ending::StillUnknown { .. } => false,
        }
    }

    /// The copy that was found instead of being created.
    pub(crate) fn found(&self) -> Option<&Change> {
        match self {
            Ending::Found { copy } => Some(copy),
            Ending::Confirmed { .. }
            | Ending::ReadBack { .. }
            | Ending::Conflict { .. }
            | Ending::Missing
            | Ending::Rejected { .. }
            | Ending::Blocked { .. }
            | Ending::Retry { .. }
            | Ending::NotDone
            | Ending::StillUnknown { .. } => None,
        }
    }

    /// Adds the copy as a read has shown it.
    pub(crate) fn set_copy(&mut self, change: Change) {
        match self {
            Ending::Confirmed { copy, was_read, .. } => {
                *copy = Some(change);
                *was_read = true;
            }
            Ending::Conflict { copy, .. } => *copy = Some(change),
            Ending::Missing if matches!(change.shown, RemoteState::Present(_)) => {
                *self = Ending::Retry { after_ms: None, reason: FailureReason::MissingButShown };
            }
            Ending::Missing
            | Ending::ReadBack { .. }
            | Ending::Found { .. }
            | Ending::Rejected { .. }
            | Ending::Blocked { .. }
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
            | Ending::Blocked { .. }
            | Ending::Retry { .. }
            | Ending::NotDone
            | Ending::StillUnknown { .. } => None,
        }
    }
}
