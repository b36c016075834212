//! What could not be understood or accepted.

use avowal_core::data::ids::{EntityName, RecordId, RemoteId, SystemName};
use avowal_core::data::time::Timestamp;
use serde::Serialize;

/// Something that could not be understood or accepted, kept whole with its reason. It is not stored yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewQuarantineItem {
    /// From or to which system.
    pub system: SystemName,
    /// Of which entity.
    pub entity: EntityName,
    /// Which copy, if that much could be read.
    pub remote_id: Option<RemoteId>,
    /// Which record, if it is an outgoing change that was refused.
    pub record: Option<RecordId>,
    /// Why, in words, with the place.
    pub reason: String,
    /// What came, or what should have gone out, as JSON text.
    pub payload: String,
    /// When.
    pub at: Timestamp,
}

/// An item in quarantine, with the number that the store gave it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct QuarantineItem {
    /// The store's number.
    pub id: i64,
    /// From or to which system.
    pub system: SystemName,
    /// Of which entity.
    pub entity: EntityName,
    /// Which copy, if that much could be read.
    pub remote_id: Option<RemoteId>,
    /// Which record, if it is an outgoing change that was refused.
    pub record: Option<RecordId>,
    /// Why, in words, with the place.
    pub reason: String,
    /// What came, or what should have gone out, as JSON text.
    pub payload: String,
    /// When.
    pub at: Timestamp,
}

impl NewQuarantineItem {
    /// The item under the number that a store gives it.
    pub fn stored(self, id: i64) -> QuarantineItem {
        let Self { system, entity, remote_id, record, reason, payload, at } = self;
        QuarantineItem { id, system, entity, remote_id, record, reason, payload, at }
    }
}

impl From<QuarantineItem> for NewQuarantineItem {
    fn from(item: QuarantineItem) -> Self {
        let QuarantineItem { id: _, system, entity, remote_id, record, reason, payload, at } = item;
        Self { system, entity, remote_id, record, reason, payload, at }
    }
}
