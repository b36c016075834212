//! The states that were committed last. A record that changes is soon asked for again, once for every step of its
//! way out, and putting it together from its rows costs more than all that is then done with it.
//!
//! Only the writer enters and removes states: it removes one before it touches the rows, and enters those of its
//! whole transaction at once, after the flush. So what is in here is what the file holds, and one process holds
//! the file; states that are found in here at one moment belong to one state of the file.

use avowal_core::ids::RecordId;
use avowal_core::record::Record;
use avowal_core::value::Value;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many bytes of states are kept, roughly.
const BYTES_MAX: usize = 24 << 20;

/// The states that were committed last, up to a bound; the oldest go first.
#[derive(Default)]
pub(super) struct Recent(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    states: HashMap<RecordId, State>,
    /// In the order of their commits; a record that was entered again is in here twice.
    order: VecDeque<(RecordId, u64)>,
    bytes: usize,
    entered: u64,
}

struct State {
    record: Arc<Record>,
    bytes: usize,
    number: u64,
}

impl Recent {
    /// The states that are kept now, at one moment.
    pub(super) fn get(&self, ids: &[RecordId]) -> Vec<Option<Arc<Record>>> {
        let kept = self.lock();
        ids.iter().map(|id| kept.states.get(id).map(|state| state.record.clone())).collect()
    }

    /// Whether all these states were kept without a change since [`Recent::get`] gave them.
    pub(super) fn still_holds(&self, given: &[Option<Arc<Record>>]) -> bool {
        let kept = self.lock();
        let is_kept = |record: &Arc<Record>| {
            kept.states.get(&record.id).is_some_and(|state| Arc::ptr_eq(&state.record, record))
        };
        given.iter().flatten().all(is_kept)
    }

    /// Removes the state of a record that is about to change.
    pub(super) fn take(&self, id: &RecordId) -> Option<Arc<Record>> {
        self.lock().remove(id)
    }

    /// Enters the states that have become durable together.
    pub(super) fn enter(&self, records: impl Iterator<Item = Record>) {
        let records: Vec<_> = records.map(|record| (weight(&record), Arc::new(record))).collect();
        let mut kept = self.lock();
        for (bytes, record) in records {
            kept.insert(record, bytes);
        }
        kept.shrink();
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn insert(&mut self, record: Arc<Record>, bytes: usize) {
        self.remove(&record.id);
        self.entered += 1;
        self.order.push_back((record.id.clone(), self.entered));
        self.bytes += bytes;
        self.states.insert(record.id.clone(), State { record, bytes, number: self.entered });
    }

    fn remove(&mut self, id: &RecordId) -> Option<Arc<Record>> {
        let state = self.states.remove(id)?;
        self.bytes -= state.bytes;
        Some(state.record)
    }

    fn shrink(&mut self) {
        // Records that come again and again leave their earlier places behind; those count too.
        while self.bytes > BYTES_MAX || self.order.len() > 2 * self.states.len() + 1_000 {
            let Some((id, number)) = self.order.pop_front() else { return };
            match self.states.get(&id) {
                Some(state) if state.number == number && self.bytes > BYTES_MAX => drop(self.remove(&id)),
                Some(state) if state.number == number => self.order.push_back((id, number)),
                Some(_) | None => {}
            }
        }
    }
}

/// The memory that a state takes, roughly: the nodes of its maps, and its texts.
fn weight(record: &Record) -> usize {
    const RECORD: usize = 1_000;
    const ENTRY: usize = 200;
    let beliefs: usize = record.fields.values().map(|belief| ENTRY + size(&belief.value)).sum();
    let shadows = record.copies.values().flat_map(|copy| copy.fields.values());
    let shadows: usize = shadows
        .map(|shadow| {
            let sent_as = shadow.sent_as.as_ref().map_or(0, size);
            ENTRY + size(&shadow.content) + sent_as + shadow.older.len() * 32
        })
        .sum();
    let outgoing = record.intents.values().flat_map(|intent| intent.fields.values());
    let outgoing: usize = outgoing.map(|outgoing| ENTRY + size(&outgoing.value)).sum();
    let reviews: usize = record
        .reviews
        .values()
        .flat_map(|review| review.proposed.values().chain(&review.believed))
        .map(|side| ENTRY + size(&side.value))
        .sum();
    RECORD + beliefs + shadows + outgoing + reviews
}

fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => 0,
        Value::Text(text) => text.len() + 32,
        Value::List(items) => items.iter().map(|item| 32 + size(item)).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| 96 + key.len() + size(value)).sum(),
    }
}
