//! The verification of a history: a dense sequence and a chain of hashes, event by event.

use crate::data::ids::RecordId;
use crate::data::value::Digest;
use crate::history::IntegrationEvent;

/// Where a history differs from what was written, and how.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HistoryError {
    /// A sequence is missing or doubled.
    #[error("record {record}: expected event {expected}, found {found}: an event is missing or doubled")]
    Gap {
        /// Which stream.
        record: RecordId,
        /// The sequence that should come.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// An event does not follow the one before.
    #[error("record {record}, event {seq}: it does not follow the event before it (hash chain broken)")]
    Chain {
        /// Which stream.
        record: RecordId,
        /// Where.
        seq: u64,
    },
    /// An event's contents were changed.
    #[error(
        "record {record}, event {seq}: its contents do not match its hash: it was changed after it was written"
    )]
    Changed {
        /// Which stream.
        record: RecordId,
        /// Where.
        seq: u64,
    },
    /// The stream ends before the record's state does.
    #[error(
        "record {record}: the history ends at event {found} but the record's state is at {expected}: the tail was cut"
    )]
    Cut {
        /// Which stream.
        record: RecordId,
        /// The sequence of the state.
        expected: u64,
        /// The last event.
        found: u64,
    },
    /// The state is not the fold of its history.
    #[error("record {record}: its state differs from the fold of its history at {place}")]
    State {
        /// Which record.
        record: RecordId,
        /// The first difference.
        place: String,
    },
}

/// Verifies one stream, event by event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChainVerifier {
    record: RecordId,
    seq: u64,
    head: Digest,
}

impl ChainVerifier {
    /// Begins before the first event of the stream.
    pub fn new(record: RecordId) -> Self {
        Self { record, seq: 0, head: Digest::ZERO }
    }

    /// Checks the next event.
    pub fn push(&mut self, event: &IntegrationEvent) -> Result<(), HistoryError> {
        let record = || self.record.clone();
        if event.seq != self.seq + 1 {
            return Err(HistoryError::Gap { record: record(), expected: self.seq + 1, found: event.seq });
        }
        if event.prev != self.head {
            return Err(HistoryError::Chain { record: record(), seq: event.seq });
        }
        if event.hash != event.expected_hash() {
            return Err(HistoryError::Changed { record: record(), seq: event.seq });
        }
        self.seq = event.seq;
        self.head = event.hash;
        Ok(())
    }

    /// Checks that the stream ends at the sequence and hash that the record's state carries.
    pub fn finish(&self, seq: u64, head: Digest) -> Result<(), HistoryError> {
        if self.seq != seq {
            return Err(HistoryError::Cut { record: self.record.clone(), expected: seq, found: self.seq });
        }
        if self.head != head {
            return Err(HistoryError::Chain { record: self.record.clone(), seq });
        }
        Ok(())
    }
}
