//! Remote names and values to canonical ones, and back.

use crate::data::ids::FieldName;
use crate::data::left_join::left_join;
use crate::data::value::{Digest, Value};
use crate::policy::FieldOwnershipPolicy;
use crate::policy::mapping::{ColumnMapping, Empty, Mapping};
use crate::policy::schema::{FieldType, TypeError};
use crate::record::Misread;
use std::collections::BTreeMap;

/// A row in canonical terms, with the fields that could not be understood set aside.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Understood {
    /// The fields that could be understood. Names that are missing stay absent.
    pub fields: BTreeMap<FieldName, Value>,
    /// What stands in the others.
    pub aside: BTreeMap<FieldName, Misread>,
}

impl Understood {
    /// The digest of all of it, equal to that of a copy that holds the same.
    pub fn digest(&self) -> Digest {
        let fields = self.fields.iter().map(|(field, value)| (field.as_str(), value));
        let aside = self.aside.iter().map(|(field, aside)| (field.as_str(), aside.found.as_str()));
        Digest::of_contents(fields, aside)
    }
}

impl Mapping {
    /// Reads raw contents into canonical fields, each by itself.
    pub fn understand(
        &self,
        policies: &BTreeMap<FieldName, FieldOwnershipPolicy>,
        raw: &BTreeMap<String, Value>,
    ) -> Understood {
        let mut fields = Vec::with_capacity(self.columns.len());
        let mut aside = BTreeMap::new();
        for (field, column, policy) in left_join(&self.columns, policies) {
            let (Some(policy), Some(value)) = (policy, raw.get(&column.name)) else { continue };
            match column.read(policy, value) {
                Ok(Some(value)) => fields.push((field.clone(), value)),
                Ok(None) => {}
                Err(TypeError { found, expected, hint }) => {
                    aside.insert(field.clone(), Misread { found, expected, hint });
                }
            }
        }
        // Built from fields in order, the map is filled without a search.
        Understood { fields: fields.into_iter().collect(), aside }
    }

    /// Why each field that was set aside could not be understood, as `field (remote name): why`.
    pub fn problems(&self, aside: &BTreeMap<FieldName, Misread>) -> Vec<String> {
        let name = |field| self.columns.get(field).map_or("", |column: &ColumnMapping| column.name.as_str());
        aside.iter().map(|(field, why)| format!("{field} (`{}`): {why}", name(field))).collect()
    }

    /// Reads raw contents into canonical fields. Names that are missing stay absent. Every unreadable field is
    /// reported, as `field (remote name): why`.
    pub fn read(
        &self,
        policies: &BTreeMap<FieldName, FieldOwnershipPolicy>,
        raw: &BTreeMap<String, Value>,
    ) -> Result<BTreeMap<FieldName, Value>, Vec<String>> {
        let Understood { fields, aside } = self.understand(policies, raw);
        if aside.is_empty() { Ok(fields) } else { Err(self.problems(&aside)) }
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
            (true, Empty::LikeNull | Empty::Value | Empty::Null | Empty::Absent) => Value::Null,
            (false, Empty::LikeNull | Empty::Value | Empty::Null | Empty::Absent) => {
                policy.field_type.export(value)
            }
        };
        Some((column.name.clone(), raw))
    }
}

impl ColumnMapping {
    /// The canonical value, `None` for absent.
    fn read(&self, policy: &FieldOwnershipPolicy, raw: &Value) -> Result<Option<Value>, TypeError> {
        if raw.is_null() {
            return Ok(Some(Value::Null));
        }
        if raw.as_text() == Some("") {
            let is_string = policy.field_type == FieldType::String;
            match self.empty {
                Empty::Absent => return Ok(None),
                Empty::LikeNull | Empty::Null => return Ok(Some(Value::Null)),
                Empty::Value if !is_string => return Ok(Some(Value::Null)),
                Empty::Value => {}
            }
        }
        let value = policy.field_type.accept(raw, self.zone_utc)?;
        let normalised = value.as_text().and_then(|text| policy.normalize.apply(text));
        Ok(Some(normalised.map_or(value, Value::text)))
    }
}
