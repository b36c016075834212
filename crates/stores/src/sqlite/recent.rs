//! The states that were committed last. A record that changes is soon asked for again, once for every step of its
//! way out, and putting it together from its rows costs more than all that is then done with it.
//!
//! Only the writer enters and removes states: it removes one before it touches the rows, and enters those of its
//! whole transaction at once, after the flush. So what is in here is what the file holds, and one process holds
//! the file; states that are found in here at one moment belong to one state of the file.

use super::records::Stored;
use avowal_core::data::ids::RecordId;
use avowal_core::data::value::Value;
use avowal_core::record::Record;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many bytes of committed states are kept, roughly.
const COMMITTED_BYTES_MAX: usize = 32 << 20;

/// How many bytes of states that were read are kept, roughly: those of the batches under way.
const READ_BYTES_MAX: usize = 16 << 20;

/// The states that were committed last, up to a bound; the oldest go first.
pub(super) struct Recent {
    committed: Mutex<Kept<Stored>>,
    /// What readers have found. It may be old by now, so it only saves the writer from putting together again a state
    /// whose sequence it finds unchanged.
    read: Mutex<Kept<Arc<Record>>>,
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            committed: Mutex::new(Kept::new(COMMITTED_BYTES_MAX)),
            read: Mutex::new(Kept::new(READ_BYTES_MAX)),
        }
    }
}

impl Recent {
    /// The committed states that are kept now, at one moment.
    pub(super) fn get(&self, ids: &[RecordId]) -> Vec<Option<Arc<Record>>> {
        let kept = lock(&self.committed);
        ids.iter().map(|id| kept.get(id).map(|stored| stored.state.clone())).collect()
    }

    /// Whether all these states were kept without a change since [`Recent::get`] gave them.
    pub(super) fn still_holds(&self, given: &[Option<Arc<Record>>]) -> bool {
        let kept = lock(&self.committed);
        let is_kept = |record: &Arc<Record>| {
            kept.get(&record.id).is_some_and(|stored| Arc::ptr_eq(&stored.state, record))
        };
        given.iter().flatten().all(is_kept)
    }

    /// Removes the state of a record that is about to change.
    pub(super) fn take(&self, id: &RecordId) -> Option<Stored> {
        lock(&self.committed).remove(id)
    }

    /// Enters the states that have become durable together.
    pub(super) fn enter(&self, records: impl Iterator<Item = Stored>) {
        keep(&self.committed, records.map(|stored| (stored.state.clone(), stored)));
    }

    /// Notes states that a reader has found.
    pub(super) fn note_read(&self, records: &[Option<Arc<Record>>]) {
        keep(&self.read, records.iter().flatten().map(|record| (record.clone(), record.clone())));
    }

    /// Forgets all that is kept of a record: its state is replaced beside its history.
    pub(super) fn forget(&self, id: &RecordId) {
        self.take(id);
        self.take_read(id);
    }

    /// What a reader has found of a record that is about to change. It may be old.
    pub(super) fn take_read(&self, id: &RecordId) -> Option<Arc<Record>> {
        lock(&self.read).remove(id)
    }
}

fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps these values of records, all at one moment. Weighing them and freeing what has to go needs no lock.
fn keep<V>(kept: &Mutex<Kept<V>>, values: impl Iterator<Item = (Arc<Record>, V)>) {
    let values: Vec<_> = values.map(|(state, value)| (state.id.clone(), value, weight(&state))).collect();
    let mut held = lock(kept);
    let gone: Vec<V> =
        values.into_iter().flat_map(|(id, value, weight)| held.insert(id, value, weight)).collect();
    drop(held);
    drop(gone);
}

/// Values by record, up to so much weight.
struct Kept<V> {
    values: HashMap<RecordId, Entry<V>>,
    /// In the order of their entering; a record that was entered again is in here twice.
    order: VecDeque<(RecordId, u64)>,
    weight: usize,
    weight_max: usize,
    entered: u64,
}

struct Entry<V> {
    value: V,
    weight: usize,
    number: u64,
}

impl<V> Kept<V> {
    fn new(weight_max: usize) -> Self {
        Self { values: HashMap::new(), order: VecDeque::new(), weight: 0, weight_max, entered: 0 }
    }

    fn get(&self, id: &RecordId) -> Option<&V> {
        self.values.get(id).map(|entry| &entry.value)
    }

    /// Enters a value. Answers those that had to go.
    fn insert(&mut self, id: RecordId, value: V, weight: usize) -> Vec<V> {
        let mut gone = Vec::from_iter(self.remove(&id));
        self.entered += 1;
        self.order.push_back((id.clone(), self.entered));
        self.weight += weight;
        self.values.insert(id, Entry { value, weight, number: self.entered });
        self.shrink(&mut gone);
        gone
    }

    fn remove(&mut self, id: &RecordId) -> Option<V> {
        let entry = self.values.remove(id)?;
        self.weight -= entry.weight;
        Some(entry.value)
    }

    fn shrink(&mut self, gone: &mut Vec<V>) {
        // Records that come again and again leave their earlier places behind; those count too.
        while self.weight > self.weight_max || self.order.len() > 2 * self.values.len() + 1_000 {
            let Some((id, number)) = self.order.pop_front() else { return };
            match self.values.get(&id) {
                Some(entry) if entry.number == number && self.weight > self.weight_max => {
                    gone.extend(self.remove(&id));
                }
                Some(entry) if entry.number == number => self.order.push_back((id, number)),
                Some(_) | None => {}
            }
        }
    }
}

/// The memory that a state takes, roughly: the nodes of its maps, which have room for eleven entries each, its entries
/// and their texts.
fn weight(record: &Record) -> usize {
    const RECORD: usize = 5_000;
    const COPY: usize = 2_000;
    const OTHER: usize = 2_000;
    const ENTRY: usize = 200;
    let entry = |value: &Value| ENTRY + size(value);
    let beliefs: usize = record.fields.values().map(|belief| entry(&belief.value)).sum();
    let shadows = record.copies.values().flat_map(|copy| copy.fields.values());
    let shadows: usize = shadows
        .map(|shadow| {
            let sent_as = shadow.sent_as.as_ref().map_or(0, size);
            entry(&shadow.content) + sent_as + shadow.older.len() * 32
        })
        .sum();
    let outgoing = record.intents.values().flat_map(|intent| intent.fields.values());
    let outgoing: usize = outgoing.map(|outgoing| entry(&outgoing.value)).sum();
    let reviews: usize = record
        .reviews
        .values()
        .flat_map(|review| review.proposed.values().chain(&review.believed))
        .map(|side| entry(&side.value))
        .sum();
    let others = record.intents.len() + record.reviews.len() + record.held.len();
    RECORD + record.copies.len() * COPY + others * OTHER + beliefs + shadows + outgoing + reviews
}

fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => 0,
        Value::Text(text) => text.len() + 32,
        Value::List(items) => items.iter().map(|item| 32 + size(item)).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| 96 + key.len() + size(value)).sum(),
    }
}
