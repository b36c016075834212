//! What a system showed us of one copy, already in canonical names and types.

use crate::data::ids::{EntityName, FieldName, RemoteId, SystemName};
use crate::data::time::Timestamp;
use crate::data::value::Value;
use crate::record::Misread;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The channel through which a fact arrived.
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

/// A system's own statement about the order of its states of one copy.
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

/// The observed state of a copy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyState {
    /// These fields with these contents. A field that is not here is absent: its content is not known.
    Present(BTreeMap<FieldName, Value>),
    /// The system reported, or a direct read confirmed, that the copy is gone.
    Gone,
}

/// What is known of an observation's place among the states of its copy: the strongest proof that there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// It comes from a change log that shows our own writes too, in true order.
    InLog,
    /// The system gives a true order (a sequence), which need not include our own writes.
    OrderedBySource,
    /// Nothing but time tells: the copy last changed so long before that even a lagging read shows that change.
    Quiescent,
    /// The copy has just changed, as far as we know: a lagging read may show the state before.
    TooEarly,
}

impl Place {
    /// All of them, strongest first.
    pub const ALL: [Place; 4] = [Place::InLog, Place::OrderedBySource, Place::Quiescent, Place::TooEarly];

    /// The strongest that holds.
    pub fn of(is_in_log: bool, order: Option<&OrderToken>, is_quiescent: bool) -> Self {
        if is_in_log {
            Place::InLog
        } else if order.is_some_and(OrderToken::is_true_order) {
            Place::OrderedBySource
        } else if is_quiescent {
            Place::Quiescent
        } else {
            Place::TooEarly
        }
    }

    /// Whether the system itself gives the order, so that no time has to pass.
    pub fn is_proven(self) -> bool {
        match self {
            Place::InLog | Place::OrderedBySource => true,
            Place::Quiescent | Place::TooEarly => false,
        }
    }
}

/// How often the copy has been looked at, and whether another look could tell more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// Nobody has asked for it: the system showed the copy by itself, or in passing.
    First,
    /// The copy was read again because of a doubt, but has changed so lately that this read may lag too.
    Second,
    /// The copy was read again, and is quiescent: no further look can tell more.
    Final,
}

impl Look {
    /// All of them, in order.
    pub const ALL: [Look; 3] = [Look::First, Look::Second, Look::Final];

    /// The look at a copy that is or is not read again, and is or is not quiescent.
    pub fn of(is_second: bool, is_quiescent: bool) -> Self {
        match (is_second, is_quiescent) {
            (false, _) => Look::First,
            (true, false) => Look::Second,
            (true, true) => Look::Final,
        }
    }
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
    /// The observed state.
    pub shown: CopyState,
    /// What stood in fields that could not be understood; those are absent from `shown`.
    pub aside: BTreeMap<FieldName, Misread>,
    /// The channel through which it arrived.
    pub channel: Channel,
    /// The system's statement about order, if it gives one.
    pub order: Option<OrderToken>,
    /// The copy's opaque version (an etag), if the system gives one.
    pub version: Option<String>,
    /// The idempotency key or operation id of ours that the system attached to this state: proof of an echo.
    pub correlation: Option<String>,
    /// Who did it, as the source names them.
    pub actor: Option<String>,
    /// When it happened, as the source reports. Never decides between two systems unless both clocks are trusted.
    pub occurred_at: Option<Timestamp>,
    /// When it reached us.
    pub received_at: Timestamp,
    /// What is known of its place among the states of the copy.
    pub place: Place,
    /// Whether it is a first look at the copy, a second, or the final one.
    pub look: Look,
    /// Whether it is taken in to repair what a reconciliation has found, as far as the rules let a repair go.
    pub is_repair: bool,
    /// Whether the system's reads may be so late that this is what stood there before the copy's last change.
    pub lags: bool,
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
            aside: BTreeMap::new(),
            channel,
            order: None,
            version: None,
            correlation: None,
            actor: None,
            occurred_at: None,
            received_at,
            place: Place::TooEarly,
            look: Look::First,
            is_repair: false,
            lags: false,
        }
    }
}
