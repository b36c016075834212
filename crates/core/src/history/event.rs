//! One event of the history, wire form v1: its body and its metadata.

use super::body::Body;
use super::evidence::Evidence;
use crate::data::ids::{EntityName, RecordId, RunId, SystemName};
use crate::data::time::Timestamp;
use crate::data::value::Digest;
use crate::data::version::VersionVector;
use serde::{Deserialize, Serialize};

/// The metadata shared by all events of one decision.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Context {
    /// The system whose fact or answer caused the events.
    pub source: Option<SystemName>,
    /// Who did it, as the source names them, or the named person.
    pub actor: Option<String>,
    /// The short digest of the policy that decided.
    pub policy: Option<String>,
    /// The run that makes the events; `None` for an engine that works without one.
    pub run: Option<RunId>,
    /// The idempotency key, delivery id or operation id that ties the events to a call.
    pub correlation: Option<String>,
    /// When it happened, as the source reports.
    pub occurred_at: Option<Timestamp>,
    /// When it reached us.
    pub received_at: Timestamp,
}

/// An event that has not been given its place in the history yet.
#[derive(Clone, PartialEq, Debug)]
pub struct NewEvent {
    /// What happened.
    pub body: Body,
    /// What the inference rests on, where something was inferred.
    pub evidence: Option<Evidence>,
}

impl NewEvent {
    /// A draft without inference.
    pub fn plain(body: Body) -> Self {
        Self { body, evidence: None }
    }

    /// A draft with its evidence.
    pub fn with(body: Body, evidence: Evidence) -> Self {
        Self { body, evidence: Some(evidence) }
    }
}

/// One line of the history, wire form v1.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct IntegrationEvent {
    /// The kind of record.
    pub entity: EntityName,
    /// The record; its stream.
    pub record: RecordId,
    /// The place in the stream, dense from 1.
    pub seq: u64,
    /// The system whose fact or answer caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SystemName>,
    /// Who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// What happened: `type` and `payload`.
    #[serde(flatten)]
    pub body: Body,
    /// The record's vector after it.
    pub vector: VersionVector,
    /// What the inference rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// The short digest of the policy that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The run that made it; absent where it was made outside of any run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The idempotency key or delivery id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<String>,
    /// The sequence of the event of this stream that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<u64>,
    /// When it happened, as the source reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Timestamp>,
    /// When it reached us.
    pub received_at: Timestamp,
    /// When it was committed.
    pub recorded_at: Timestamp,
    /// The hash of the event before; zeros for the first.
    pub prev: Digest,
    /// The SHA-256 over the canonical form of everything above.
    pub hash: Digest,
}

impl IntegrationEvent {
    /// The event's own id: `{record}-{seq}`.
    pub fn id(&self) -> String {
        format!("{}-{}", self.record, self.seq)
    }
}
