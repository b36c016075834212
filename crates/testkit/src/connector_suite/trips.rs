//! One value for each type of column: written by us, read back by the application as the column spells it, and shown to us
//! with the same meaning by the receipt, a read, a listing and the feed.

use super::{canonical_of, create, drain_of, entity, present, update};
use async_trait::async_trait;
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_core::policy::schema::FieldType;
use avowal_engine::ports::connector::{Binding, Change, Column, Connector, Fields, WriteOutcome};

/// The name of the one mapped column, `v`.
pub const COLUMN: &str = "v";

/// A value that goes out and comes back.
pub struct Trip {
    /// The column's type, as the system's own language declares it.
    pub declared: &'static str,
    /// What it is mapped as.
    pub field_type: FieldType,
    /// What stood in the column, in the system's own language; it shows how the column spells its values.
    pub stands: &'static str,
    /// What is written.
    pub sent: Value,
    /// What the application reads back, as text.
    pub stored: &'static str,
}

/// A value for a column in which nothing stands.
pub fn trip(
    declared: &'static str,
    field_type: FieldType,
    sent: impl Into<Value>,
    stored: &'static str,
) -> Trip {
    Trip { declared, field_type, stands: "NULL", sent: sent.into(), stored }
}

impl Trip {
    /// The same where this stands in the column already.
    pub fn beside(self, stands: &'static str) -> Self {
        Self { stands, ..self }
    }
}

/// The binding of a collection with the one column.
pub fn binding(object: &str, id: &str, trip: &Trip) -> Binding {
    let column = Column { name: COLUMN.to_owned(), field_type: trip.field_type.clone(), writable: true };
    Binding { columns: vec![column], ..super::binding(object, id) }
}

/// A collection with a single mapped column of the trip's type.
#[async_trait]
pub trait Cell: Send + Sync {
    /// The connector, installed.
    fn connector(&self) -> &dyn Connector;

    /// Adds a record that holds what a trip says, as another person, and returns its id.
    async fn insert(&self, stands: &str) -> RemoteId;

    /// What the application reads in a record.
    async fn stored(&self, id: &RemoteId) -> String;
}

/// Plays every trip, each in a fresh collection: by an update of what stands there, and by a create beside it.
pub async fn run<C: Cell>(trips: &[Trip], fresh: impl AsyncFn(&Trip) -> C) {
    for (n, trip) in trips.iter().enumerate() {
        let cell = fresh(trip).await;
        let told = format!("{} as {:?}: {}", trip.declared, trip.field_type, trip.sent);
        let findings = cell.connector().check().await.expect("check");
        assert_eq!(findings, vec![], "{told}: what is carried is not warned of");
        let id = cell.insert(trip.stands).await;
        let from = cell.connector().feed_position(&entity()).await.expect("position");
        let fields = Fields::from([(COLUMN.to_owned(), trip.sent.clone())]);
        for write in
            [update(&format!("update {n}"), &id, fields.clone()), create(&format!("create {n}"), fields)]
        {
            let outcomes = cell.connector().write(&entity(), &[write]).await;
            let [WriteOutcome::Confirmed { id, after }] = &outcomes[..] else {
                panic!("{told}: {outcomes:?}")
            };
            assert_eq!(cell.stored(id).await, trip.stored, "{told}: as the application reads it");
            let read = cell.connector().read(&entity(), std::slice::from_ref(id)).await.expect("read");
            means(trip, &read[0], &told);
            if let Some(after) = after {
                means(trip, after, &told);
            }
        }
        for change in drain_of(cell.connector(), &from).await {
            means(trip, &change, &told);
        }
        for change in cell.connector().list(&entity(), None, 10).await.expect("list").changes {
            means(trip, &change, &told);
        }
    }
}

#[track_caller]
fn means(trip: &Trip, change: &Change, told: &str) {
    let shown = canonical_of(&trip.field_type, &present(change)[COLUMN]);
    assert_eq!(shown, canonical_of(&trip.field_type, &trip.sent), "{told}");
}
