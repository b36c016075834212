//! Remote names and values to canonical ones, and back.

use crate::data::ids::FieldName;
use crate::data::left_join::left_join;
use crate::data::value::Value;
use crate::policy::FieldOwnershipPolicy;
use crate::policy::mapping::{ColumnMapping, Empty, Mapping};
use crate::policy::schema::FieldType;
use std::collections::BTreeMap;

impl Mapping {
    /// Reads raw contents into canonical fields. Names that are missing stay absent. Every unreadable field is
    /// reported, as `field (remote name): why`.
    pub fn read(
        &self,
        policies: &BTreeMap<FieldName, FieldOwnershipPolicy>,
        raw: &BTreeMap<String, Value>,
    ) -> Result<BTreeMap<FieldName, Value>, Vec<String>> {
        let mut fields = Vec::with_capacity(self.columns.len());
        let mut problems = Vec::new();
        for (field, column, policy) in left_join(&self.columns, policies) {
            let (Some(policy), Some(value)) = (policy, raw.get(&column.name)) else { continue };
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
    pub fn write(
        &self,
        field: &FieldName,
        policy: &FieldOwnershipPolicy,
        value: &Value,
    ) -> Option<(String, Value)> {
        let column = self.columns.get(field).filter(|column| !column.read_only)?;
        let raw = match (value.is_null(), column.empty) {
            (true, Empty::Null) if policy.field_type == FieldType::String => Value::text(""),
            (true, Empty::Value | Empty::Null | Empty::Absent) => Value::Null,
            (false, Empty::Value | Empty::Null | Empty::Absent) => policy.field_type.export(value),
        };
        Some((column.name.clone(), raw))
    }
}

impl ColumnMapping {
    /// The canonical value, `None` for absent.
    fn read(&self, policy: &FieldOwnershipPolicy, raw: &Value) -> Result<Option<Value>, String> {
        if raw.is_null() {
            return Ok(Some(Value::Null));
        }
        if raw.as_text() == Some("") {
            let is_string = policy.field_type == FieldType::String;
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
