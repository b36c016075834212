//! Questions that wait for a person.

use avowal_core::data::ids::{EntityName, FieldName, RecordId};
use avowal_core::record::Review;
use serde::Serialize;

/// An open review with its place.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct OpenReview {
    /// Of which entity.
    pub entity: EntityName,
    /// Of which record.
    pub record: RecordId,
    /// Of which field.
    pub field: FieldName,
    /// The question.
    pub review: Review,
}
