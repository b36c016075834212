//! The state of one record: what we believe, and what each system's copy holds.

use crate::data::ids::{EntityName, FieldName, RecordId, RemoteId, SystemName};
use crate::data::spelling::is_spelling_of;
use crate::data::time::Timestamp;
use crate::data::value::{Digest, Value};
use crate::data::version::{Dot, VersionVector};
use crate::record::intent::Intent;
use crate::record::observation::OrderToken;
use crate::record::reason::{FailureReason, ReviewReason};
use crate::record::{Misread, Subject};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything known of one record: always the fold of its history.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Our own id.
    pub id: RecordId,
    /// The kind of record.
    pub entity: EntityName,
    /// The sequence of the last event folded in; also the revision for compare-and-set. 0 for none.
    pub seq: u64,
    /// The hash of that event; [`Digest::ZERO`] for none.
    pub head: Digest,
    /// All changes seen so far.
    pub vector: VersionVector,
    /// What we hold to be true, per field.
    pub fields: BTreeMap<FieldName, Belief>,
    /// The linked copies.
    pub copies: BTreeMap<SystemName, Copy>,
    /// The outgoing changes, at most one per system.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub intents: BTreeMap<SystemName, Intent>,
    /// Writes that a system refused for good: not planned again until their content changes, or the system has taken
    /// another.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<SystemName, Held>,
    /// The open reviews, by what they are about.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reviews: BTreeMap<Subject, Review>,
    /// Set by an accepted delete, cleared by a restore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Tombstone>,
}

/// A value held to be true, the change that made it so, and since when.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Belief {
    /// The canonical value; `null` only where a clear was accepted.
    pub value: Value,
    /// The change that made it so.
    pub dot: Dot,
    /// The event that recorded it.
    pub seq: u64,
    /// When that event was recorded.
    pub since: Timestamp,
    /// When it happened, as the source reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Timestamp>,
}

/// One system's copy of the record.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Copy {
    /// The system's id of it.
    pub remote_id: RemoteId,
    /// Whether it exists there, as far as proven.
    pub alive: bool,
    /// Whether it is gone and will be created again, because an edit prevailed over its delete. Its id stays known, so
    /// that a read that lags is not taken for a new copy.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wanted: bool,
    /// Whether its system has given its id to another row, so that nothing that is shown under that id is this copy.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_replaced: bool,
    /// Its shadows, per field.
    pub fields: BTreeMap<FieldName, Shadow>,
    /// What stands in the fields that could not be understood, until they are. Nothing is written over it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aside: BTreeMap<FieldName, Misread>,
    /// The digest of what it showed last that looks like an older state, until it shows something that is believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspected: Option<Digest>,
    /// The changes that it provably includes: a lower bound.
    pub seen: VersionVector,
    /// The changes that it may include: an upper bound, raised by every send.
    pub sent: VersionVector,
    /// When it last changed, by its system or by us: a read that lags may show an older state for a while. The
    /// beginning of time before its first change.
    #[serde(default)]
    pub changed_at: Timestamp,
    /// The newest order token seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderToken>,
    /// The newest opaque version (etag) seen; the precondition of the next write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// The last content proven to be in one field of one copy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Shadow {
    /// The content, canonical.
    pub content: Value,
    /// The newest belief that this copy has provably seen; `None` before the first agreement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Dot>,
    /// What we wrote when the system stored `content` instead: the two are equivalent. Equal to `content` while
    /// the system has not shown yet in which form it stored it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::data::value::present"
    )]
    pub sent_as: Option<Value>,
    /// The ledger: the digest of the last value that we wrote in this direction, and that was confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrote: Option<Digest>,
    /// Whether the difference from the belief is tolerated (`on_refused = "ignore"`) until the content changes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tolerated: bool,
    /// Digests of earlier contents, newest last, at most [`Shadow::OLDER_MAX`]: an equal value may be stale.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub older: Vec<Digest>,
}

/// A write that a system refused for good.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Held {
    /// The digest of the outgoing content that was refused.
    pub content: Digest,
    /// Why it was refused.
    pub reason: FailureReason,
}

/// The mark of an accepted delete.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tombstone {
    /// The change that deleted it.
    pub dot: Dot,
    /// When it was recorded.
    pub since: Timestamp,
}

/// A question that only a person may answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Review {
    /// `{record}-{sequence of the event that opened it}`.
    pub id: String,
    /// Why it was opened.
    pub reason: ReviewReason,
    /// What we believed when it was opened.
    pub believed: Option<Side>,
    /// What a system showed instead, by system; refreshed by later observations.
    pub proposed: BTreeMap<SystemName, Side>,
    /// When it was opened.
    pub opened_at: Timestamp,
}

/// One side of a disagreement.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Side {
    /// Its value; `null` also for a deleted copy.
    pub value: Value,
    /// The change that carries it.
    pub dot: Dot,
    /// The changes that its holder had seen.
    pub vector: VersionVector,
}

impl Record {
    /// A record without history.
    pub fn new(id: RecordId, entity: EntityName) -> Self {
        Self {
            id,
            entity,
            seq: 0,
            head: Digest::ZERO,
            vector: VersionVector::new(),
            fields: BTreeMap::new(),
            copies: BTreeMap::new(),
            intents: BTreeMap::new(),
            held: BTreeMap::new(),
            reviews: BTreeMap::new(),
            deleted: None,
        }
    }

    /// Whether a review holds this field.
    pub fn is_contested(&self, field: &FieldName) -> bool {
        self.review_of(field).is_some()
    }

    /// The open review of this field.
    pub fn review_of(&self, field: &FieldName) -> Option<&Review> {
        // Most records have no review, and then no key is made.
        if self.reviews.is_empty() {
            return None;
        }
        self.reviews.get(&Subject::Field(field.clone()))
    }

    /// Whether a review holds the record's existence.
    pub fn existence_contested(&self) -> bool {
        self.reviews.contains_key(&Subject::Existence)
    }

    /// The copies that are found by their ids: all but those whose id another row has now.
    pub fn links(&self) -> impl Iterator<Item = (&SystemName, &Copy)> {
        self.copies.iter().filter(|(_, copy)| !copy.is_replaced)
    }

    /// The copy of a system, if it is linked and alive.
    pub fn live_copy(&self, system: &SystemName) -> Option<&Copy> {
        self.copies.get(system).filter(|copy| copy.alive)
    }
}

impl Copy {
    /// Whether the copy is the row with this id: no other row has got the id, and no other copy was made in its place.
    pub fn is_found_by(&self, id: &RemoteId) -> bool {
        self.remote_id == *id && !self.is_replaced
    }

    /// A copy that has just been linked and was not observed yet.
    pub fn new(remote_id: RemoteId) -> Self {
        Self {
            remote_id,
            alive: true,
            wanted: false,
            is_replaced: false,
            fields: BTreeMap::new(),
            aside: BTreeMap::new(),
            suspected: None,
            seen: VersionVector::new(),
            sent: VersionVector::new(),
            changed_at: Timestamp::default(),
            order: None,
            version: None,
        }
    }

    /// Whether it was not observed yet.
    pub fn is_unseen(&self) -> bool {
        self.fields.is_empty()
    }

    /// The digest of the contents, equal to that of a complete row that shows the same.
    pub fn content_digest(&self) -> Digest {
        let understood = self.fields.iter().filter(|(field, _)| !self.aside.contains_key(*field));
        let fields = understood.map(|(field, shadow)| (field.as_str(), &shadow.content));
        Digest::of_contents(
            fields,
            self.aside.iter().map(|(field, aside)| (field.as_str(), aside.found.as_str())),
        )
    }
}

impl Shadow {
    /// How many earlier contents are remembered.
    pub const OLDER_MAX: usize = 4;

    /// This content, of which nothing else is known than which belief the copy has seen.
    pub fn of(content: Value, base: Option<Dot>) -> Self {
        Self { content, base, sent_as: None, wrote: None, tolerated: false, older: Vec::new() }
    }

    /// Whether the copy's content is equivalent to `value`: equal, or the form in which the system stored it.
    pub fn is_equivalent_to(&self, value: &Value) -> bool {
        self.content == *value || self.sent_as.as_ref() == Some(value)
    }

    /// Whether the content is presumed from our write, and the system has not shown yet in which form it stored it.
    pub fn is_presumed(&self) -> bool {
        self.sent_as.as_ref() == Some(&self.content)
    }

    /// Whether `shown` is the form in which the system stored our write, shown for the first time.
    pub fn is_first_spelled(&self, shown: &Value) -> bool {
        self.is_presumed() && is_spelling_of(shown, &self.content)
    }

    /// The digest of what we would have sent for this content: the value as we spelled it.
    pub fn sent_digest(&self) -> Digest {
        self.sent_as.as_ref().unwrap_or(&self.content).digest()
    }

    /// Whether the content is what we wrote last, not what the system showed since.
    pub fn is_our_write(&self) -> bool {
        self.wrote.is_some() && self.wrote == Some(self.sent_digest())
    }
}
