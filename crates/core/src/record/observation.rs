//! What a system showed us of one copy, already in canonical names and types.

use crate::data::ids::{EntityName, FieldName, RemoteId, SystemName};
use crate::data::time::Timestamp;
use crate::data::value::Value;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// By which road a fact came to us.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A delivery pushed by the system, believed by its body.
    Webhook,
    /// A read of the copy that a webhook asked for.
    Signal,
    /// The system's change feed: a log or an "updated since" listing.
    Feed,
    /// A listing of the whole collection.
    Listing,
    /// A direct read of one copy.
    Read,
    /// The answer to a write of ours.
    Receipt,
    /// A named person, through a command.
    Manual,
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Channel::Webhook => "webhook",
            Channel::Signal => "read after a webhook",
            Channel::Feed => "change feed",
            Channel::Listing => "listing",
            Channel::Read => "read-back",
            Channel::Receipt => "receipt",
            Channel::Manual => "person",
        })
    }
}

/// A system's own word on the order of its states of one copy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderToken {
    /// A true order (log position, per-record counter): a smaller number is an older state.
    Sequence(u64),
    /// The source's own clock, ms: a hint for that source alone. Equal times prove nothing.
    Time(Timestamp),
}

impl OrderToken {
    /// Whether it is a true order, not a clock.
    pub fn is_true_order(&self) -> bool {
        match self {
            OrderToken::Sequence(_) => true,
            OrderToken::Time(_) => false,
        }
    }

    /// Whether `self` is proven, by a true order, to be an older state than `other`.
    pub fn proven_older_than(&self, other: &OrderToken) -> bool {
        matches!((self, other), (OrderToken::Sequence(a), OrderToken::Sequence(b)) if a < b)
    }

    /// Whether `self` is the same state as `other` in a true order.
    pub fn proven_same_as(&self, other: &OrderToken) -> bool {
        matches!((self, other), (OrderToken::Sequence(a), OrderToken::Sequence(b)) if a == b)
    }

    /// Whether `self` is proven, by a true order, to be a newer state than `other`.
    pub fn proven_newer_than(&self, other: &OrderToken) -> bool {
        other.proven_older_than(self)
    }

    /// Whether the source's clock suggests that `self` is older than `other`.
    pub fn suspected_older_than(&self, other: &OrderToken) -> bool {
        matches!((self, other), (OrderToken::Time(a), OrderToken::Time(b)) if a < b)
    }
}

impl fmt::Display for OrderToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OrderToken::Sequence(n) => write!(f, "#{n}"),
            OrderToken::Time(at) => write!(f, "{at}"),
        }
    }
}

/// What the copy was shown to be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyState {
    /// These fields with these contents; a field that is not here is absent, which says nothing about it.
    Present(BTreeMap<FieldName, Value>),
    /// The system reported, or a direct read confirmed, that the copy is gone.
    Gone,
}

/// One incoming fact about one copy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Observation {
    /// Who showed it.
    pub system: SystemName,
    /// What kind of record it is.
    pub entity: EntityName,
    /// Which copy.
    pub remote_id: RemoteId,
    /// What was shown.
    pub shown: CopyState,
    /// By which road.
    pub channel: Channel,
    /// The system's word on order, if it gives one.
    pub order: Option<OrderToken>,
    /// The copy's opaque version (an etag), if the system gives one.
    pub version: Option<String>,
    /// The idempotency key or operation id of ours that the system attached to this state: proof of an echo.
    pub correlation: Option<String>,
    /// Who did it, in the source's words.
    pub actor: Option<String>,
    /// When it happened, in the source's words. Never decides between two systems unless both clocks are trusted.
    pub occurred_at: Option<Timestamp>,
    /// When it reached us.
    pub received_at: Timestamp,
    /// Whether a second look has confirmed it: no further read can tell more.
    pub confirmed: bool,
    /// Whether the copy last changed, as far as we know, so long before this was shown that even a lagging read
    /// shows at least that state. Without it a difference may be an older state, unless the source gives a true order.
    pub quiescent: bool,
    /// Whether it comes from a change log that shows our own writes too, in true order.
    pub in_log: bool,
}

impl Observation {
    /// A fact of which nothing is known beside what was shown: no order, no version, no time of its source. The other
    /// members say what else is known.
    pub fn new(
        system: impl Into<SystemName>,
        entity: impl Into<EntityName>,
        remote_id: impl Into<RemoteId>,
        channel: Channel,
        shown: CopyState,
        received_at: Timestamp,
    ) -> Self {
        Self {
            system: system.into(),
            entity: entity.into(),
            remote_id: remote_id.into(),
            shown,
            channel,
            order: None,
            version: None,
            correlation: None,
            actor: None,
            occurred_at: None,
            received_at,
            confirmed: false,
            quiescent: false,
            in_log: false,
        }
    }

    /// Whether its place among the states of the copy is proven, or time enough has passed that it cannot be an
    /// older one than is known.
    pub fn is_in_place(&self) -> bool {
        self.quiescent || self.in_log || self.order.as_ref().is_some_and(OrderToken::is_true_order)
    }
}
