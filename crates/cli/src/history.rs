//! Walks states and their event streams side by side, in order of record id, without holding more than a page.

use crate::failure::Failure;
use avowal_core::data::ids::RecordId;
use avowal_core::history::fold::apply;
use avowal_core::history::{ChainVerifier, HistoryError, IntegrationEvent};
use avowal_core::record::Record;
use avowal_engine::ports::store::{BATCH_RECORDS_MAX, Store};
use serde::Serialize;
use std::collections::VecDeque;

/// How many events are read at once.
const PAGE_EVENTS: usize = 1000;

/// How often a stream that another process writes is read again.
const AGAIN_MAX: u32 = 10;

/// A stream with its state: what the chain says, and what its fold is.
pub struct Stream {
    /// Which record.
    pub id: RecordId,
    /// The stored state; `None` if there are events without one.
    pub stored: Option<Record>,
    /// The fold of the events; `None` if there are none.
    pub folded: Option<Record>,
    /// The first break of the chain.
    pub broken: Option<HistoryError>,
    /// How many events there are.
    pub events: u64,
}

impl Stream {
    /// Why this history is not what was written, judged by its chain and the head that the state carries.
    pub fn fault(&self) -> Option<HistoryError> {
        self.broken.clone().or_else(|| match (&self.stored, &self.folded) {
            (Some(stored), None) if stored.seq == 0 => None,
            (Some(stored), None) => {
                Some(HistoryError::Cut { record: self.id.clone(), expected: stored.seq, found: 0 })
            }
            (Some(stored), Some(folded)) if folded.seq != stored.seq => {
                Some(HistoryError::Cut { record: self.id.clone(), expected: stored.seq, found: folded.seq })
            }
            (Some(stored), Some(folded)) if folded.head != stored.head => {
                Some(HistoryError::Chain { record: self.id.clone(), seq: stored.seq })
            }
            (Some(_), Some(_)) | (None, None) => None,
            (None, Some(_)) => Some(HistoryError::State {
                record: self.id.clone(),
                place: "the record, which has no state".into(),
            }),
        })
    }

    /// Where the stored state differs from the fold of its history, byte for byte; `None` if nowhere.
    pub fn difference(&self) -> Option<String> {
        let (stored, folded) = (as_json(self.stored.as_ref()), as_json(self.folded.as_ref()));
        let (stored_bytes, folded_bytes) = (stored.to_string(), folded.to_string());
        if stored_bytes == folded_bytes {
            return None;
        }
        let mut place = Vec::new();
        first_difference(&stored, &folded, &mut place);
        Some(if place.is_empty() { "the whole record".to_owned() } else { place.join(".") })
    }
}

impl Stream {
    fn push(&mut self, event: &IntegrationEvent, verifier: &mut ChainVerifier) {
        self.events += 1;
        if self.broken.is_none() {
            self.broken = verifier.push(event).err();
        }
        let folded = self.folded.get_or_insert_with(|| Record::new(self.id.clone(), event.entity.clone()));
        apply(folded, event);
    }
}

/// One fault of a history, as it is reported.
#[derive(Clone, Debug, Serialize)]
pub struct Fault {
    /// Which record.
    pub record: RecordId,
    /// The sequence of the event at fault, where it is one event.
    pub seq: Option<u64>,
    /// What is wrong.
    pub fault: String,
}

impl From<&HistoryError> for Fault {
    fn from(error: &HistoryError) -> Self {
        let (record, seq) = match error {
            HistoryError::Gap { record, expected, .. } => (record, Some(*expected)),
            HistoryError::Chain { record, seq } | HistoryError::Changed { record, seq } => {
                (record, Some(*seq))
            }
            HistoryError::Cut { record, found, .. } => (record, Some(found + 1)),
            HistoryError::State { record, .. } => (record, None),
        };
        Self { record: record.clone(), seq, fault: error.to_string() }
    }
}

/// Reads every stream of a store once.
pub struct Walk<'s> {
    store: &'s dyn Store,
    records: VecDeque<Record>,
    records_after: Option<RecordId>,
    records_done: bool,
    events: VecDeque<IntegrationEvent>,
    events_after: Option<(RecordId, u64)>,
    events_done: bool,
}

impl<'s> Walk<'s> {
    /// Begins at the first record.
    pub fn new(store: &'s dyn Store) -> Self {
        Self {
            store,
            records: VecDeque::new(),
            records_after: None,
            records_done: false,
            events: VecDeque::new(),
            events_after: None,
            events_done: false,
        }
    }

    /// The next stream in order of record id.
    pub async fn next(&mut self) -> Result<Option<Stream>, Failure> {
        self.fill_records().await?;
        self.fill_events().await?;
        let of_record = self.records.front().map(|record| record.id.clone());
        let of_event = self.events.front().map(|event| event.record.clone());
        let id = match (of_record, of_event) {
            (None, None) => return Ok(None),
            (Some(record), None) => record,
            (None, Some(event)) => event,
            (Some(record), Some(event)) => record.min(event),
        };
        let stored = match self.records.front() {
            Some(record) if record.id == id => self.records.pop_front(),
            Some(_) | None => None,
        };
        self.stream(id, stored).await.map(Some)
    }

    /// The stream read once more, state and events of one moment: while another process writes, a walk may see a
    /// state that is older than its events.
    pub async fn again(&self, id: &RecordId) -> Result<Stream, Failure> {
        let mut stream = self.read_alone(id).await?;
        for _ in 0..AGAIN_MAX {
            let now = self.load(id).await?;
            if now.as_ref().map(|record| record.seq) == stream.stored.as_ref().map(|record| record.seq) {
                break;
            }
            stream = self.read_alone(id).await?;
        }
        Ok(stream)
    }

    /// The state first, then its events. If the state is the same afterwards, both are of one moment: a commit
    /// moves them together.
    async fn read_alone(&self, id: &RecordId) -> Result<Stream, Failure> {
        let stored = self.load(id).await?;
        let mut stream = Stream { id: id.clone(), stored, folded: None, broken: None, events: 0 };
        let mut verifier = ChainVerifier::new(id.clone());
        let mut from_seq = 1;
        loop {
            let page = self.store.events(id, from_seq, PAGE_EVENTS).await?;
            let Some(last) = page.last() else { return Ok(stream) };
            from_seq = last.seq + 1;
            page.iter().for_each(|event| stream.push(event, &mut verifier));
        }
    }

    async fn load(&self, id: &RecordId) -> Result<Option<Record>, Failure> {
        Ok(self.store.load(std::slice::from_ref(id)).await?.pop().flatten())
    }

    async fn stream(&mut self, id: RecordId, stored: Option<Record>) -> Result<Stream, Failure> {
        let mut stream = Stream { id: id.clone(), stored, folded: None, broken: None, events: 0 };
        let mut verifier = ChainVerifier::new(id.clone());
        while let Some(event) = self.next_event_of(&id).await? {
            stream.push(&event, &mut verifier);
        }
        Ok(stream)
    }

    async fn next_event_of(&mut self, id: &RecordId) -> Result<Option<IntegrationEvent>, Failure> {
        self.fill_events().await?;
        match self.events.front() {
            Some(event) if event.record == *id => Ok(self.events.pop_front()),
            Some(_) | None => Ok(None),
        }
    }

    async fn fill_records(&mut self) -> Result<(), Failure> {
        if self.records.is_empty() && !self.records_done {
            let page = self.store.scan_records(self.records_after.clone(), BATCH_RECORDS_MAX).await?;
            self.records_after = page.last().map(|record| record.id.clone()).or(self.records_after.take());
            self.records_done = page.is_empty();
            self.records.extend(page);
        }
        Ok(())
    }

    async fn fill_events(&mut self) -> Result<(), Failure> {
        if self.events.is_empty() && !self.events_done {
            let page = self.store.scan_events(self.events_after.clone(), PAGE_EVENTS).await?;
            let last = page.last().map(|event| (event.record.clone(), event.seq));
            self.events_after = last.or(self.events_after.take());
            self.events_done = page.is_empty();
            self.events.extend(page);
        }
        Ok(())
    }
}

fn as_json(record: Option<&Record>) -> serde_json::Value {
    // A record is made of maps with text keys and exact numbers, which always serialise.
    record.and_then(|record| serde_json::to_value(record).ok()).unwrap_or_default()
}

fn first_difference(stored: &serde_json::Value, folded: &serde_json::Value, place: &mut Vec<String>) {
    let (Some(left), Some(right)) = (stored.as_object(), folded.as_object()) else { return };
    let differs = |key: &&String| left.get(*key) != right.get(*key);
    if let Some(key) = left.keys().chain(right.keys()).find(differs) {
        place.push(key.clone());
        if let (Some(left), Some(right)) = (left.get(key), right.get(key)) {
            first_difference(left, right, place);
        }
    }
}
