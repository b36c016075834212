//! Copies that must be read.

use avowal_core::data::time::Timestamp;
use avowal_core::history::Doubt;
use avowal_core::record::CopyKey;

/// A note that a copy must be read, because something suggests that it changed. It is not stored yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewSignal {
    /// Which copy.
    pub copy: CopyKey,
    /// Not before this time.
    pub not_before: Timestamp,
    /// Why: shown in the history with what the read finds.
    pub reason: SignalReason,
    /// When the hint reached us.
    pub received_at: Timestamp,
    /// How often following it has failed.
    pub attempts: u32,
}

/// A signal that waits to be followed, with the number that the store gave it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signal {
    /// The store's number.
    pub id: i64,
    /// Which copy.
    pub copy: CopyKey,
    /// Not before this time.
    pub not_before: Timestamp,
    /// Why: shown in the history with what the read finds.
    pub reason: SignalReason,
    /// When the hint reached us.
    pub received_at: Timestamp,
    /// How often following it has failed.
    pub attempts: u32,
}

impl NewSignal {
    /// The signal under the number that a store gives it.
    pub fn stored(self, id: i64) -> Signal {
        let Self { copy, not_before, reason, received_at, attempts } = self;
        Signal { id, copy, not_before, reason, received_at, attempts }
    }
}

impl From<Signal> for NewSignal {
    fn from(signal: Signal) -> Self {
        let Signal { id: _, copy, not_before, reason, received_at, attempts } = signal;
        Self { copy, not_before, reason, received_at, attempts }
    }
}

/// Why a copy shall be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignalReason {
    /// A webhook named it.
    Webhook,
    /// What was shown of it is in doubt: look twice.
    SecondLook(Doubt),
    /// A write of ours is confirmed, and nothing has shown yet what the system made of it.
    UnseenWrite,
    /// It came before some system was listed: once that is done, what the system lacks is planned.
    BeforeListing,
    /// A write's outcome is unknown.
    UnknownOutcome,
    /// It was quarantined and shall be tried again.
    Replay,
    /// Its read failed although the system answered.
    ReadFailed,
}

impl SignalReason {
    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            SignalReason::Webhook => "webhook",
            SignalReason::SecondLook(doubt) => doubt.as_str(),
            SignalReason::UnseenWrite => "unseen_write",
            SignalReason::BeforeListing => "before_listing",
            SignalReason::UnknownOutcome => "unknown_outcome",
            SignalReason::Replay => "replay",
            SignalReason::ReadFailed => "read_failed",
        }
    }

    /// The reason of a name in tables.
    pub fn parse(name: &str) -> Option<Self> {
        let plain = [
            Self::Webhook,
            Self::UnseenWrite,
            Self::BeforeListing,
            Self::UnknownOutcome,
            Self::Replay,
            Self::ReadFailed,
        ];
        let doubts = Doubt::ALL.into_iter().map(Self::SecondLook);
        plain.into_iter().chain(doubts).find(|reason| reason.as_str() == name)
    }
}
