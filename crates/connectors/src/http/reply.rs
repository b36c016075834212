//! An answer of a service, which is looked into without being trusted.

use super::HOSTILE_TEXT_CHARS_MAX;
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::Value;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// A complete answer, at most as large as the cap.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// A header's text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let name = HeaderName::try_from(name).ok()?;
        self.headers.get(name)?.to_str().ok()
    }

    /// The service's clock when it answered.
    pub(super) fn date(&self) -> Option<Timestamp> {
        let at = httpdate::parse_http_date(self.header("date")?).ok()?;
        let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(Timestamp::from_millis(i64::try_from(since.as_millis()).ok()?))
    }

    /// How long the service asks us to wait, from seconds or from a date of its own clock.
    pub(super) fn retry_after_ms(&self) -> Option<u64> {
        let text = self.header("retry-after")?.trim();
        if let Ok(seconds) = text.parse::<u64>() {
            return Some(seconds.saturating_mul(1000));
        }
        let until = httpdate::parse_http_date(text).ok()?;
        let now = self.header("date").and_then(|date| httpdate::parse_http_date(date).ok())?;
        let wait = until.duration_since(now).unwrap_or(Duration::ZERO);
        u64::try_from(wait.as_millis()).ok()
    }

    /// The part of the body at `pointer`, unparsed; the whole body for `""`.
    pub(super) fn at(&self, pointer: &str) -> Option<&RawValue> {
        descend(serde_json::from_slice(&self.body).ok()?, pointer)
    }

    /// The text or number at `pointer`, as text.
    pub(super) fn text_at(&self, pointer: &str) -> Option<String> {
        scalar_text(&Value::parse(self.at(pointer)?.get().as_bytes()).ok()?)
    }

    /// The array of a listing: at `pointer`, or the body itself or its only array.
    pub(super) fn items(&self, pointer: Option<&str>) -> Result<Vec<&RawValue>, String> {
        if let Some(pointer) = pointer {
            let found = self.at(pointer).ok_or_else(|| format!("nothing is at `items = {pointer:?}`"))?;
            return array(found).ok_or_else(|| format!("what is at `items = {pointer:?}` is no array"));
        }
        let whole: &RawValue =
            serde_json::from_slice(&self.body).map_err(|error| format!("no JSON: {error}"))?;
        if let Some(items) = array(whole) {
            return Ok(items);
        }
        let members: BTreeMap<String, &RawValue> =
            serde_json::from_str(whole.get()).map_err(|_| "neither an array nor an object".to_owned())?;
        let mut arrays = members.values().filter_map(|member| array(member));
        match (arrays.next(), arrays.next()) {
            (Some(only), None) => Ok(only),
            (None, None) | (Some(_), Some(_)) | (None, Some(_)) => {
                Err("it is not clear which array lists the copies; declare `items`".to_owned())
            }
        }
    }

    /// What a person needs to know of a refusal: the status and the service's own words, shortened.
    pub(super) fn words(&self) -> String {
        let mut found = Vec::new();
        if let Ok(body) = serde_json::from_slice::<serde_json::Value>(&self.body) {
            collect_words(&body, 0, &mut found);
        }
        let status = match self.status.canonical_reason() {
            Some(reason) => format!("{} {reason}", self.status.as_u16()),
            None => self.status.as_u16().to_string(),
        };
        if found.is_empty() { status } else { format!("{status}: {}", harmless(&found.join("; "))) }
    }
}

/// The value behind a name, or behind a JSON pointer if it begins with `/`.
pub(super) fn look<'a>(item: &'a Value, place: &str) -> Option<&'a Value> {
    if place.is_empty() {
        return Some(item);
    }
    match place.strip_prefix('/') {
        Some(pointer) => pointer.split('/').try_fold(item, |at, step| member(at, &unescape(step))),
        None => member(item, place),
    }
}

/// A text, number or boolean as text.
pub(super) fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.to_string()),
        Value::Int(int) => Some(int.to_string()),
        Value::Bool(bool) => Some(bool.to_string()),
        Value::Float(number) => Some(number.whole().unwrap_or_else(|| number.to_string())),
        Value::Null | Value::List(_) | Value::Object(_) => None,
    }
}

/// Foreign text that is fit for a log line: short, and without control characters.
pub(super) fn harmless(text: &str) -> String {
    let mut out = String::new();
    for (n, char) in text.chars().enumerate() {
        if n == HOSTILE_TEXT_CHARS_MAX {
            out.push('…');
            break;
        }
        if char.is_control() { out.extend(char.escape_default()) } else { out.push(char) }
    }
    out
}

fn member<'a>(value: &'a Value, step: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => map.get(step),
        Value::List(items) => items.get(step.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => None,
    }
}

fn unescape(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

fn descend<'a>(from: &'a RawValue, pointer: &str) -> Option<&'a RawValue> {
    let Some(steps) = pointer.strip_prefix('/') else {
        return pointer.is_empty().then_some(from);
    };
    steps.split('/').try_fold(from, |at, step| {
        if let Some(items) = array(at) {
            return items.get(step.parse::<usize>().ok()?).copied();
        }
        let mut members: BTreeMap<String, &'a RawValue> = serde_json::from_str(at.get()).ok()?;
        members.remove(&unescape(step))
    })
}

fn array(raw: &RawValue) -> Option<Vec<&RawValue>> {
    if raw.get().starts_with('[') { serde_json::from_str(raw.get()).ok() } else { None }
}

/// Collects the texts under the keys that services use for explanations.
fn collect_words(json: &serde_json::Value, depth: usize, found: &mut Vec<String>) {
    const KEYS: [&str; 5] = ["message", "error", "detail", "title", "error_description"];
    if depth > 4 || found.len() >= 4 {
        return;
    }
    match json {
        serde_json::Value::Object(map) => {
            let texts = KEYS.iter().filter_map(|key| map.get(*key)?.as_str());
            found.extend(texts.map(str::to_owned));
            map.iter().for_each(|(_, inner)| collect_words(inner, depth + 1, found));
        }
        serde_json::Value::Array(items) => {
            items.iter().take(8).for_each(|inner| collect_words(inner, depth + 1, found));
        }
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => {}
    }
}
