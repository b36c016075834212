//! How one system spells an entity: remote names and values to canonical ones, and back.

use crate::beside::beside;
use crate::ids::FieldName;
use crate::planted::{Mistake, planted};
use crate::policy::FieldPolicy;
use crate::value::Value;
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
    /// Whether deleted records are deleted there.
    pub delete: bool,
}

/// One field's spelling.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ColumnMapping {
    /// The remote name.
    pub name: String,
    /// What `null` says.
    pub nulls: Nulls,
    /// What the empty string says.
    pub empty: Empty,
    /// Whether it is never written.
    pub read_only: bool,
    /// Whether times without an offset are in UTC.
    pub zone_utc: bool,
}

/// What `null` in a system's copy says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nulls {
    /// Nothing: the system does not know. It never clears what others know.
    #[default]
    Ignore,
    /// Somebody cleared the field: a change like any other.
    Clear,
}

/// What the empty string in a system's copy says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Empty {
    /// It is a value, for string fields; for other types it is `null`.
    #[default]
    Value,
    /// It is `null`.
    Null,
    /// It is absent.
    Absent,
}

impl Mapping {
    /// Reads raw contents into canonical fields. Names that are missing stay absent. Every unreadable field is
    /// reported, as `field (remote name): why`.
    pub fn read(
        &self,
        policies: &BTreeMap<FieldName, FieldPolicy>,
        raw: &BTreeMap<String, Value>,
    ) -> Result<BTreeMap<FieldName, Value>, Vec<String>> {
        let mut fields = Vec::with_capacity(self.columns.len());
        let mut problems = Vec::new();
        for (field, column, policy) in beside(&self.columns, policies) {
            let absent = planted(Mistake::AbsentAsNull).then_some(&Value::Null);
            let (Some(policy), Some(value)) = (policy, raw.get(&column.name).or(absent)) else { continue };
            match column.read(policy, value) {
                Ok(Some(value)) => fields.push((field.clone(), value)),
                Ok(None) => {}
                Err(why) => problems.push(format!("{field} (`{}`): {why}", column.name)),
            }
        }
        // Built from fields in order, the map is filled without a search.
        if problems.is_empty() { Ok(fields.into_iter().collect()) } else { Err(problems) }
    }

    /// A canonical value under its remote name, for writing.
    pub fn write(&self, field: &FieldName, policy: &FieldPolicy, value: &Value) -> Option<(String, Value)> {
        let column = self.columns.get(field).filter(|column| !column.read_only)?;
        let raw = match (value.is_null(), column.empty) {
            (true, Empty::Null) if policy.field_type == crate::schema::FieldType::String => Value::text(""),
            (true, Empty::Value | Empty::Null | Empty::Absent) => Value::Null,
            (false, Empty::Value | Empty::Null | Empty::Absent) => policy.field_type.export(value),
        };
        Some((column.name.clone(), raw))
    }

    /// Whether the system's copy has this field and may be told its value.
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

    /// The canonical value, `None` for absent.
    fn read(&self, policy: &FieldPolicy, raw: &Value) -> Result<Option<Value>, String> {
        if raw.is_null() {
            return Ok((!planted(Mistake::NullAsAbsent)).then_some(Value::Null));
        }
        if raw.as_text() == Some("") {
            let is_string = policy.field_type == crate::schema::FieldType::String;
            match self.empty {
                Empty::Absent => return Ok(None),
                Empty::Null => return Ok(Some(Value::Null)),
                Empty::Value if !is_string => return Ok(Some(Value::Null)),
                Empty::Value => {}
            }
        }
        let value = policy.field_type.accept(raw, self.zone_utc).map_err(|error| error.to_string())?;
        let normalised = value.as_text().and_then(|text| policy.normalize.apply(text));
        Ok(Some(normalised.map_or(value, Value::text)))
    }
}
