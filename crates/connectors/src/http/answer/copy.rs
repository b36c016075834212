//! One copy as an answer shows it.

use super::look::{look, scalar_text};
use super::stamp;
use super::words::harmless;
use crate::http::declare::object::{Deleted, Etag};
use crate::http::declare::prepared::Object;
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::{Value, ValueError};
use avowal_core::record::observation::OrderToken;
use avowal_engine::ports::connector::{Change, RemoteState};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The most characters of an unreadable copy that are kept.
const PAYLOAD_CHARS_MAX: usize = 2000;

/// How the stand-in for the id of a copy without one begins.
const NAMELESS: &str = "(no id: item ";

/// Whether a copy has no id of its own.
pub(crate) fn is_nameless(change: &Change) -> bool {
    change.id.as_str().starts_with(NAMELESS)
}

impl Object {
    /// The id of a copy.
    pub(crate) fn id_of(&self, item: &Value) -> Option<RemoteId> {
        let text = scalar_text(look(item, &self.binding.id)?)?;
        (!text.is_empty()).then(|| RemoteId::new(text))
    }

    /// Reads one copy; one that makes no sense is shown as unreadable, under its number if it has no id.
    pub(crate) fn change(&self, raw: &str, version_header: Option<&str>, number: usize) -> Change {
        self.change_of(raw, &Value::parse(raw.as_bytes()), version_header, number)
    }

    /// The same of a copy that has been parsed already.
    pub(crate) fn change_of(
        &self,
        raw: &str,
        parsed: &Result<Value, ValueError>,
        version_header: Option<&str>,
        number: usize,
    ) -> Change {
        let nameless = || RemoteId::new(format!("{NAMELESS}{number})"));
        let unreadable = |id: RemoteId, reason: String| {
            Change::bare(id, RemoteState::Unreadable { reason, payload: shorten(raw) })
        };
        let item = match parsed {
            Ok(item) => item,
            Err(error) => {
                // The rest of it may still tell whose copy it is.
                let id = serde_json::from_str::<BTreeMap<String, &RawValue>>(raw).ok().and_then(|members| {
                    let id = Value::parse(members.get(&self.binding.id)?.get().as_bytes()).ok()?;
                    scalar_text(&id).map(RemoteId::new)
                });
                return unreadable(id.unwrap_or_else(nameless), harmless(&error.to_string()));
            }
        };
        let Some(id) = self.id_of(item) else {
            return unreadable(nameless(), format!("no id is at {:?}", self.binding.id));
        };
        match self.shown(item) {
            Ok(shown) => self.with_evidence(id, shown, item, version_header),
            Err(reason) => unreadable(id, reason),
        }
    }

    /// A copy with the service's word on order, version, key, actor and time.
    pub(crate) fn with_evidence(
        &self,
        id: RemoteId,
        shown: RemoteState,
        item: &Value,
        version_header: Option<&str>,
    ) -> Change {
        let text = |place: &Option<String>| scalar_text(look(item, place.as_deref()?)?);
        let time =
            self.spec.updated.as_deref().and_then(|place| stamp::read(look(item, place)?)).map(|(at, _)| at);
        let count = text(&self.spec.counter).and_then(|text| text.parse().ok());
        let version = match &self.spec.etag {
            Some(Etag::Header(_)) => version_header.map(str::to_owned),
            Some(Etag::Field(place)) => look(item, place).and_then(scalar_text),
            None => None,
        };
        Change {
            id,
            shown,
            order: count.map(OrderToken::Sequence).or(time.map(OrderToken::Time)),
            version,
            correlation: text(&self.spec.correlation),
            actor: text(&self.spec.actor),
            occurred_at: time,
        }
    }

    /// The mapped fields of a copy; what is not there is absent.
    pub(crate) fn shown(&self, item: &Value) -> Result<RemoteState, String> {
        if !matches!(item, Value::Object(_)) {
            return Err("it is no JSON object".to_owned());
        }
        if self.spec.deleted.as_ref().is_some_and(|deleted| says_deleted(deleted, item)) {
            return Ok(RemoteState::Gone);
        }
        let at = self.spec.fields_at.as_deref().unwrap_or("");
        let Some(Value::Object(held)) = look(item, at) else {
            return Err(format!("no object is at `fields_at = {at:?}`"));
        };
        let mapped =
            self.binding.columns.iter().filter_map(|column| {
                held.get(&column.name).map(|value| (column.name.clone(), value.clone()))
            });
        Ok(RemoteState::Present(mapped.collect()))
    }
}

/// Whether a copy says that it is gone.
fn says_deleted(deleted: &Deleted, item: &Value) -> bool {
    match deleted {
        Deleted::Flag(place) => look(item, place).is_some_and(is_set),
        Deleted::Values(values) => {
            let shown = look(item, &values.at).and_then(scalar_text);
            shown.is_some_and(|shown| values.equals.contains(&shown))
        }
    }
}

/// Whether a flag or time is set. Services write "not set" in many ways.
fn is_set(flag: &Value) -> bool {
    match flag {
        Value::Null => false,
        Value::Bool(set) => *set,
        Value::Int(number) => *number != 0,
        Value::Float(number) => number.whole().as_deref() != Some("0"),
        Value::List(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Text(text) => {
            let text = text.trim().to_ascii_lowercase();
            let unset = ["", "false", "f", "no", "n", "off", "null", "none", "nil"].contains(&text.as_str());
            // A date of zeros, as in 0000-00-00, and a zero in any spelling.
            let zeros = text.bytes().filter(u8::is_ascii_digit).all(|digit| digit == b'0')
                && text.bytes().any(|byte| byte.is_ascii_digit())
                && !text.bytes().any(|byte| byte.is_ascii_alphabetic() && !matches!(byte, b't' | b'z'));
            let time = if text.len() == 10 { format!("{text}t00:00:00z") } else { text.clone() };
            let beginning =
                stamp::read(&Value::text(time.to_ascii_uppercase())).is_some_and(|(at, _)| at.millis() <= 0);
            !(unset || zeros || beginning)
        }
    }
}

fn shorten(raw: &str) -> String {
    match raw.char_indices().nth(PAYLOAD_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &raw[..at]),
        None => raw.to_owned(),
    }
}
