//! How one system spells an entity, as declared.

use crate::data::ids::FieldName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One system's spelling of an entity.
#[derive(Clone, PartialEq, Debug)]
pub struct Mapping {
    /// The table, collection or path.
    pub object: String,
    /// The remote name of the id.
    pub id: String,
    /// The mapped fields.
    pub columns: BTreeMap<FieldName, ColumnMapping>,
    /// Whether records that the system lacks are created there.
    pub create: bool,
    /// Whether nobody knows yet what the system lacks, because it has not been listed to its end: no create is planned,
    /// and one that was planned by somebody who knew stays planned.
    pub is_unlisted: bool,
    /// Whether deleted records are deleted there.
    pub delete: bool,
}

/// One field's spelling.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ColumnMapping {
    /// The remote name.
    pub name: String,
    /// What `null` means.
    pub nulls: Nulls,
    /// What the empty string means.
    pub empty: Empty,
    /// Whether it is never written.
    pub read_only: bool,
    /// Whether times without an offset are in UTC.
    pub zone_utc: bool,
}

/// What `null` in a system's copy means.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Nulls {
    /// The system does not know the value, so it never clears the belief.
    #[default]
    Ignore,
    /// The field was cleared, which is a change like any other.
    Clear,
}

/// What the empty string in a system's copy means.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Empty {
    /// It says what `null` says, and `null` is written as `null`.
    #[default]
    LikeNull,
    /// It is a value, for string fields; for other types it is `null`.
    Value,
    /// It is `null`, and the `null` of a string is written as the empty string.
    Null,
    /// It is absent.
    Absent,
}

impl Mapping {
    /// Whether the system's copy has this field and it may be written.
    pub fn is_writable(&self, field: &FieldName) -> bool {
        self.columns.get(field).is_some_and(|column| !column.read_only)
    }
}

impl ColumnMapping {
    /// A column of the same name as its field, with the defaults.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            nulls: Nulls::default(),
            empty: Empty::default(),
            read_only: false,
            zone_utc: false,
        }
    }
}
