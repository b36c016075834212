//! An answer of a service, which is looked into without being trusted.

use super::look::{array, descend, scalar_text};
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::Value;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// A complete answer, at most as large as the cap.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// A header's text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let name = HeaderName::try_from(name).ok()?;
        self.headers.get(name)?.to_str().ok()
    }

    /// The service's clock when it answered.
    pub(crate) fn date(&self) -> Option<Timestamp> {
        let at = httpdate::parse_http_date(self.header("date")?).ok()?;
        let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(Timestamp::from_millis(i64::try_from(since.as_millis()).ok()?))
    }

    /// The part of the body at `pointer`, unparsed; the whole body for `""`.
    pub(crate) fn at(&self, pointer: &str) -> Option<&RawValue> {
        descend(serde_json::from_slice(&self.body).ok()?, pointer)
    }

    /// The text or number at `pointer`, as text.
    pub(crate) fn text_at(&self, pointer: &str) -> Option<String> {
        scalar_text(&Value::parse(self.at(pointer)?.get().as_bytes()).ok()?)
    }

    /// The array of a listing: at `pointer`, or the body itself or its only array.
    pub(crate) fn items(&self, pointer: Option<&str>) -> Result<Vec<&RawValue>, String> {
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
}
