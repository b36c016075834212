//! Why an inference is made, and how strong it is.

use super::body::ConfirmedBy;
use crate::data::version::Dot;
use serde::{Deserialize, Serialize};

/// How strong an inference is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// There is no evidence.
    Unknown,
    /// By shadow and dots, or by an equal value: a presumption.
    Inferred,
    /// By an order token, a precondition, a receipt or a correlation.
    Proven,
}

/// Why an inference is made, and how strong it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Evidence {
    /// How strong.
    pub strength: Strength,
    /// By what.
    pub by: Basis,
}

/// What an inference rests on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// No system had shown the field before.
    NothingBelieved,
    /// The value equals the belief.
    EqualsBelief,
    /// The system's copy carried the belief when it changed.
    BeliefSeen {
        /// The change that made the belief.
        belief: Dot,
    },
    /// The system's copy carried another belief when it changed.
    OtherBeliefSeen {
        /// The belief that the copy carried.
        base: Dot,
        /// The change that made the present belief.
        belief: Dot,
    },
    /// The system's copy had not seen the belief when it was first shown.
    BeliefNotSeen {
        /// The change that made the belief.
        belief: Dot,
    },
    /// The change log shows the change before our write arrived.
    LogBeforeWrite {
        /// The change that the write carries.
        belief: Dot,
    },
    /// Our write was in flight, so the change may be older or newer than its arrival.
    WriteInFlight {
        /// The change that the write carries.
        belief: Dot,
    },
    /// The system's own order says that the state is older than the known one.
    OlderOrder,
    /// The state carries the key of our write.
    WriteKey,
    /// The copy holds every value that we sent.
    SentValues,
    /// The copy holds most values that our create sent.
    MostSentValues,
    /// The copy holds what we wrote last, as the ledger says.
    LastWrite,
    /// The value stood in the copy before.
    EarlierValue,
    /// The copy exists again.
    CopyExistsAgain,
    /// The system reports that the copy does not exist.
    CopyMissing,
    /// The write was confirmed in this way.
    Confirmed {
        /// How.
        by: ConfirmedBy,
    },
}

impl Evidence {
    /// Evidence that proves.
    pub fn proven(by: Basis) -> Self {
        Self { strength: Strength::Proven, by }
    }

    /// Evidence from shadows, dots or equal values.
    pub fn inferred(by: Basis) -> Self {
        Self { strength: Strength::Inferred, by }
    }

    /// No evidence.
    pub fn unknown(by: Basis) -> Self {
        Self { strength: Strength::Unknown, by }
    }
}
