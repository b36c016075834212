//! A commit with its texts, made by its caller, so that the one thread that writes has only to write.

use super::column;
use super::error::Fault;
use crate::codec;
use avowal_core::history::IntegrationEvent;
use avowal_core::record::Record;
use avowal_engine::ports::store::Commit;

/// What most states take.
const STATE_BYTES: usize = 3_000;

/// A commit and what its records and events are in columns, in its order.
pub(super) struct Encoded {
    pub(super) commit: Commit,
    pub(super) records: Vec<RecordTexts>,
}

/// The texts of one record's part.
pub(super) struct RecordTexts {
    pub(super) row: RowTexts,
    pub(super) events: Vec<EventTexts>,
}

/// The texts of a record's row.
pub(super) struct RowTexts {
    pub(super) match_keys: String,
    pub(super) state: String,
}

/// The texts of an event's row.
pub(super) struct EventTexts {
    pub(super) payload: String,
    pub(super) vector: String,
    pub(super) evidence: Option<String>,
    pub(super) occurred_at: Option<String>,
    pub(super) received_at: String,
    pub(super) recorded_at: String,
    pub(super) prev: String,
    pub(super) hash: String,
}

impl Encoded {
    /// Spells a commit.
    pub(super) fn new(commit: Commit) -> Result<Self, Fault> {
        let mut records = Vec::with_capacity(commit.records.len());
        for record in &commit.records {
            let events = record.events.iter().map(EventTexts::new).collect::<Result<_, _>>()?;
            records.push(RecordTexts { row: RowTexts::new(&record.state, &record.match_keys)?, events });
        }
        Ok(Self { commit, records })
    }
}

impl RowTexts {
    /// Spells a state and its keys.
    pub(super) fn new(state: &Record, match_keys: &[String]) -> Result<Self, Fault> {
        Ok(Self { match_keys: column::to_json(&match_keys)?, state: codec::to_json_of(state, STATE_BYTES)? })
    }
}

impl EventTexts {
    fn new(event: &IntegrationEvent) -> Result<Self, Fault> {
        Ok(Self {
            payload: codec::payload(&event.body)?,
            vector: column::to_json(&event.vector)?,
            evidence: event.evidence.as_ref().map(column::to_json).transpose()?,
            occurred_at: event.occurred_at.map(|at| at.to_string()),
            received_at: event.received_at.to_string(),
            recorded_at: event.recorded_at.to_string(),
            prev: event.prev.to_string(),
            hash: event.hash.to_string(),
        })
    }
}
