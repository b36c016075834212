//! The address of one copy.

use crate::data::ids::{EntityName, RemoteId, SystemName};

/// The address of one copy: it names the copy before we know to which record it belongs, and after its record has
/// been deleted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CopyKey {
    /// Which system.
    pub system: SystemName,
    /// What kind of record.
    pub entity: EntityName,
    /// The system's id.
    pub remote_id: RemoteId,
}
