//! What comes in together, and what became of it.

use crate::ports::connector::Change;
use crate::ports::store::{CursorMove, DedupeKey};
use avowal_core::data::ids::{EntityName, RunId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::record::CopyKey;
use avowal_core::record::observation::Channel;

/// Facts from one system that become durable together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The system that shows them.
    pub system: SystemName,
    /// The channel through which they came.
    pub channel: Channel,
    /// The facts, in the system's order.
    pub items: Vec<(EntityName, Change)>,
    /// The cursors that move with them.
    pub cursors: Vec<CursorMove>,
    /// The delivery they came with.
    pub dedupe: Option<DedupeKey>,
    /// Copies that were just read and are read once more later, because reads may lag behind the feed.
    pub second_looks: Vec<CopyKey>,
    /// The signals that are followed with them, by id.
    pub signals_done: Vec<i64>,
    /// Whether this is a second look, so that another read adds nothing.
    pub confirmed: bool,
    /// How often these copies have been read without success before.
    pub attempts: u32,
    /// Whether a difference found here is drift, because no feed had reported it.
    pub drift: bool,
    /// The run that found the differences which this batch repairs, where it does.
    pub repairs: Option<RunId>,
    /// Whether a person has said that the rows are the copies that they were, although they carry another key.
    pub trusts_ids: bool,
    /// The run that asked for them, where it is another one than the engine's.
    pub run: Option<RunId>,
    /// When they reached us.
    pub received_at: Timestamp,
    /// When the system was asked. What it shows is at most a read lag older than that.
    pub asked_at: Timestamp,
}

/// What became of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ingested {
    /// Events appended.
    pub events: u64,
    /// Items quarantined.
    pub quarantined: u64,
    /// Whether the delivery had been taken in before.
    pub duplicate: bool,
    /// Whether another worker moved a cursor of the batch, so that it must be read again.
    pub moved: bool,
}

impl Batch {
    /// A batch of no facts yet, without cursors or signals.
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
            repairs: None,
            trusts_ids: false,
            run: None,
            received_at,
            asked_at: received_at,
        }
    }
}
