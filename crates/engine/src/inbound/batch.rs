//! What comes in together, and what became of it.

use crate::ports::connector::Change;
use crate::ports::store::{CursorMove, DedupeKey};
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::record::CopyKey;
use avowal_core::record::observation::Channel;

/// Facts from one system that become durable together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Who shows them.
    pub system: SystemName,
    /// By which road.
    pub channel: Channel,
    /// The facts, in the system's order.
    pub items: Vec<(EntityName, Change)>,
    /// Positions that move with them.
    pub cursors: Vec<CursorMove>,
    /// The delivery they came with.
    pub dedupe: Option<DedupeKey>,
    /// Copies that were just read but may have to be read once more: reads may lag behind the feed.
    pub second_looks: Vec<CopyKey>,
    /// Signals that they answer.
    pub signals_done: Vec<i64>,
    /// Whether this is a second look: nothing can tell more.
    pub confirmed: bool,
    /// How often the copies have been looked at in vain before.
    pub attempts: u32,
    /// Whether a difference found here is drift: no feed had reported it.
    pub drift: bool,
    /// When they reached us.
    pub received_at: Timestamp,
    /// When the system was asked: what it shows is not older than a moment before.
    pub asked_at: Timestamp,
}

/// What became of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ingested {
    /// Events appended.
    pub events: u64,
    /// Items set aside.
    pub quarantined: u64,
    /// The delivery had been taken before.
    pub duplicate: bool,
    /// Somebody else moved the position: read it again.
    pub moved: bool,
}

impl Batch {
    /// A batch without anything beside its facts.
    pub fn new(system: &SystemName, channel: Channel, received_at: Timestamp) -> Self {
        Self {
            system: system.clone(),
            channel,
            items: Vec::new(),
            cursors: Vec::new(),
            dedupe: None,
            second_looks: Vec::new(),
            signals_done: Vec::new(),
            confirmed: false,
            attempts: 0,
            drift: false,
            received_at,
            asked_at: received_at,
        }
    }
}
