//! Requests without an answer.

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing was sent: no connection could be made.
    NotSent(String),
    /// Nothing was sent: it is not our turn for so many milliseconds.
    Paced(u64),
    /// Nothing was sent: no token was given to us.
    Refused(String),
    /// It was sent, and no complete answer came.
    Lost(String),
}
