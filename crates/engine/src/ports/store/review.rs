//! Questions that wait for a person.

use avowal_core::data::ids::{EntityName, RecordId};
use avowal_core::record::{Review, Subject};
use serde::Serialize;

/// An open review with its place.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct OpenReview {
    /// Of which entity.
    pub entity: EntityName,
    /// Of which record.
    pub record: RecordId,
    /// About what.
    pub subject: Subject,
    /// The question.
    pub review: Review,
}
