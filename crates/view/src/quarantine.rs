//! What could not be understood or accepted, and trying it again.

use crate::reader::Reader;
use crate::refusal::Refusal;
use avowal_engine::OPEN_ITEMS_MAX;
use avowal_engine::ports::store::QuarantineItem;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A wish to try items again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// Who asks for it; the history shows the name.
    pub by: String,
}

/// What became of items that were to be tried again.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Replayed {
    /// Those that cannot be, with the reason.
    pub refused: Vec<RefusedReplay>,
    /// The numbers of those that are tried again.
    pub replayed: Vec<i64>,
}

/// An item that cannot be tried again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RefusedReplay {
    /// The item's number.
    pub id: i64,
    /// Why, and what to do.
    pub reason: String,
}

impl Reader<'_> {
    /// The open items, oldest first.
    pub async fn quarantine(&self) -> Result<Vec<QuarantineItem>, Refusal> {
        Ok(self.store.quarantined(OPEN_ITEMS_MAX).await?)
    }

    /// The open item of this number.
    pub async fn quarantined(&self, id: i64) -> Result<QuarantineItem, Refusal> {
        let items = self.store.quarantined(OPEN_ITEMS_MAX).await?;
        items.into_iter().find(|item| item.id == id).ok_or_else(|| {
            Refusal::unknown_name(format!(
                "no open item has the number {id}. `avowal quarantine list` shows them"
            ))
        })
    }
}

/// One item in one line, without its number.
pub struct QuarantineLine<'a>(pub &'a QuarantineItem);

impl fmt::Display for QuarantineLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let item = self.0;
        let way = if item.record.is_some() { "to" } else { "from" };
        let copy = item.remote_id.as_ref().map(|id| format!(" {}", plain(id.as_str()))).unwrap_or_default();
        write!(f, "{}{copy} {way} {}: {}", item.entity, item.system, plain(&item.reason))
    }
}

/// Foreign text whole, but without anything that moves a terminal's cursor.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() { out.extend(char.escape_default()) } else { out.push(char) }
    }
    out
}
