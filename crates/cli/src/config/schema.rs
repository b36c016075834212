//! The JSON Schema of the configuration, from the structs that are decoded.
//!
//! What a struct cannot say by itself is joined here: which keys `[systems.NAME]` has depends on its connector, and a
//! mapping may hold a table of its system's connector.

use super::Sections;
use super::entities::MappingKeys;
use super::systems::SystemKeys;
use crate::connectors::KINDS;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema as _, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

/// The schema of the whole configuration (draft 2020-12).
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Sections>().to_value();
    suit_toml(&mut schema);
    schema
}

/// `[systems.NAME]`: one alternative for each connector, with the common keys and its own.
pub(super) fn systems(generator: &mut SchemaGenerator) -> Schema {
    let alternatives: Vec<Value> = KINDS
        .iter()
        .map(|kind| {
            let common = SystemKeys::json_schema(generator).to_value();
            let own = (kind.system_schema)(generator).to_value();
            let mut merged = merge(common, own);
            merged["properties"]["connector"]["const"] = json!(kind.name);
            merged["properties"]["connector"]["examples"] = json!([kind.name]);
            set_default(&mut merged, "poll_ms", json!(kind.poll_ms));
            if !kind.webhooks {
                remove(&mut merged, "webhook");
            }
            merged["title"] = json!(format!("A system with connector = {:?}", kind.name));
            define(generator, &format!("system_{}", kind.name), merged)
        })
        .collect();
    json_schema!({ "type": "object", "minProperties": 1, "additionalProperties": { "oneOf": alternatives } })
}

/// `[entities.NAME.systems.SYSTEM]`: a mapping, with a table for each connector that has one.
pub(super) fn mappings(generator: &mut SchemaGenerator) -> Schema {
    let mut mapping = MappingKeys::json_schema(generator).to_value();
    for kind in KINDS.iter().filter(|kind| kind.has_object_table()) {
        let mut table = (kind.object_schema)(generator).to_value();
        table["description"] = json!(format!("Only for systems with `connector = {:?}`.", kind.name));
        mapping["properties"][kind.name] = table;
    }
    let mapping = define(generator, "mapping", mapping);
    json_schema!({ "type": "object", "additionalProperties": mapping })
}

/// Gives a schema a name, and returns a reference to it.
fn define(generator: &mut SchemaGenerator, name: &str, schema: Value) -> Value {
    generator.definitions_mut().insert(name.to_owned(), schema);
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// Two object schemas as one; where both have a key, the second prevails.
fn merge(first: Value, second: Value) -> Value {
    let (mut merged, second) = (object(first), object(second));
    let mut required: Vec<Value> = Vec::new();
    for part in [merged.remove("required"), second.get("required").cloned()].into_iter().flatten() {
        required.extend(part.as_array().into_iter().flatten().cloned());
    }
    let mut properties = object(merged.remove("properties").unwrap_or_default());
    for (key, value) in second {
        match key.as_str() {
            "properties" => properties.extend(object(value)),
            "required" => {}
            _ => drop(merged.insert(key, value)),
        }
    }
    merged.insert("properties".to_owned(), properties.into());
    merged.insert("required".to_owned(), required.into());
    merged.into()
}

fn object(schema: Value) -> Map<String, Value> {
    match schema {
        Value::Object(object) => object,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

fn set_default(schema: &mut Value, key: &str, default: Value) {
    if let Some(property) = schema.pointer_mut(&format!("/properties/{key}")) {
        property["default"] = default;
    }
}

fn remove(schema: &mut Value, key: &str) {
    if let Some(properties) = schema.pointer_mut("/properties").and_then(Value::as_object_mut) {
        properties.remove(key);
    }
}

/// Removes what TOML does not have: `null`, and the sizes of numbers in Rust.
fn suit_toml(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.retain(|key, value| !(key == "default" && value.is_null()));
            let is_number_size = |format: &Value| {
                format.as_str().is_some_and(|format| {
                    format.starts_with("uint") || format.starts_with("int") || format == "double"
                })
            };
            if object.get("format").is_some_and(is_number_size) {
                object.remove("format");
            }
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(alternatives)) = object.get_mut("anyOf") {
                alternatives.retain(|alternative| alternative["type"] != "null");
                if let [Value::Object(only)] = alternatives.as_slice() {
                    let only = only.clone();
                    object.remove("anyOf");
                    object.extend(only);
                }
            }
            object.values_mut().for_each(suit_toml);
        }
        Value::Array(items) => items.iter_mut().for_each(suit_toml),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
