//! What both stores write into text columns: JSON for structures, and an event's payload as the wire form has it.

use avowal_core::history::Body;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value that this store cannot have written like this.
#[derive(Debug)]
pub(crate) struct Damage {
    /// Which table, row and column.
    pub(crate) place: String,
    /// What is wrong.
    pub(crate) what: String,
}

impl Damage {
    /// Something unreadable at a place.
    pub(crate) fn new(place: impl Into<String>, what: impl ToString) -> Self {
        Self { place: place.into(), what: what.to_string() }
    }
}

/// The JSON text of a structure.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String, Damage> {
    to_json_of(value, 128)
}

/// The JSON text of a structure that takes about so many bytes: room that is made at once need not be moved.
pub(crate) fn to_json_of<T: Serialize>(value: &T, bytes: usize) -> Result<String, Damage> {
    let damage = |error: &dyn std::fmt::Display| Damage::new("a value to be written", error);
    let mut text = Vec::with_capacity(bytes);
    serde_json::to_writer(&mut text, value).map_err(|error| damage(&error))?;
    String::from_utf8(text).map_err(|error| damage(&error))
}

/// The structure of a JSON text that a store wrote. `place` names table, row and column.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str, place: impl Fn() -> String) -> Result<T, Damage> {
    let mut reader = serde_json::Deserializer::from_str(text);
    // The edge bounds the depth of values; in here they lie some levels deeper, so its bound cannot be repeated.
    reader.disable_recursion_limit();
    let value = T::deserialize(&mut reader).map_err(|error| Damage::new(place(), error))?;
    reader.end().map_err(|error| Damage::new(place(), error))?;
    Ok(value)
}

/// The payload of the wire form, cut out of the body's own serialisation so that the two never differ.
pub(crate) fn payload(body: &Body) -> Result<String, Damage> {
    let json = to_json(body)?;
    let head = head(body.kind())?;
    json.strip_prefix(&head)
        .and_then(|rest| rest.strip_suffix('}'))
        .map(str::to_owned)
        .ok_or_else(|| Damage::new(format!("an event of type {}", body.kind()), "it has no payload"))
}

/// The body of a type and a payload.
pub(crate) fn body(kind: &str, payload: &str, place: impl Fn() -> String) -> Result<Body, Damage> {
    from_json(&format!("{}{payload}}}", head(kind)?), place)
}

fn head(kind: &str) -> Result<String, Damage> {
    Ok(format!(r#"{{"type":{},"payload":"#, to_json(&kind)?))
}
