//! A record being decided about: its state, and the events that are about to be recorded.

use crate::data::time::Timestamp;
use crate::data::value::Digest;
use crate::data::version::VersionVector;
use crate::history::fold::apply_body;
use crate::history::seal::Sealer;
use crate::history::{Body, Context, Evidence, IntegrationEvent, NewEvent};
use crate::record::Record;

/// The working state of one record, together with the events that led there. Every change of the state is an
/// event, so the fold of the events is the state by construction.
#[derive(Clone, PartialEq, Debug)]
pub struct Chronicle {
    record: Record,
    expected_seq: u64,
    events: Vec<IntegrationEvent>,
    context: Context,
    recorded_at: Timestamp,
    cause: Option<u64>,
}

impl Chronicle {
    /// Begins with a stored state.
    pub fn new(record: Record, context: Context, recorded_at: Timestamp) -> Self {
        let expected_seq = record.seq;
        Self { record, expected_seq, events: Vec::new(), context, recorded_at, cause: None }
    }

    /// The state after the events so far.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The events so far, not sealed yet.
    pub fn events(&self) -> &[IntegrationEvent] {
        &self.events
    }

    /// When the events will be recorded.
    pub fn recorded_at(&self) -> Timestamp {
        self.recorded_at
    }

    /// Goes on under another context: the next observation of the same record.
    pub fn set_context(&mut self, context: Context) {
        self.context = context;
        self.cause = None;
    }

    /// The metadata of the events that follow.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The event that the following ones are caused by.
    pub fn set_cause(&mut self, cause: Option<u64>) {
        self.cause = cause;
    }

    /// Adds an event without inference. Answers its sequence.
    pub fn push(&mut self, body: Body) -> u64 {
        self.push_event(NewEvent::plain(body))
    }

    /// Adds an event with its evidence. Answers its sequence.
    pub fn push_with(&mut self, body: Body, evidence: Evidence) -> u64 {
        self.push_event(NewEvent::with(body, evidence))
    }

    /// Adds an event that was prepared before. Answers its sequence.
    pub(crate) fn push_event(&mut self, draft: NewEvent) -> u64 {
        let seq = self.record.seq + 1;
        let mut event = IntegrationEvent {
            entity: self.record.entity.clone(),
            record: self.record.id.clone(),
            seq,
            source: self.context.source.clone(),
            actor: self.context.actor.clone(),
            body: draft.body,
            vector: VersionVector::new(),
            evidence: draft.evidence,
            policy: self.context.policy.clone(),
            run: self.context.run,
            correlation: self.context.correlation.clone(),
            cause: self.cause,
            occurred_at: self.context.occurred_at,
            received_at: self.context.received_at,
            recorded_at: self.recorded_at,
            prev: Digest::ZERO,
            hash: Digest::ZERO,
        };
        apply_body(&mut self.record, &event);
        self.record.seq = seq;
        event.vector = self.record.vector.clone();
        self.events.push(event);
        seq
    }

    /// Gives the events their hashes and the state its head. Returns first the sequence that the stored record must have.
    pub fn finish(mut self) -> (u64, Record, Vec<IntegrationEvent>) {
        let mut head = self.record.head;
        let mut sealer = Sealer::new();
        for event in &mut self.events {
            event.prev = head;
            event.hash = sealer.hash(event);
            head = event.hash;
        }
        self.record.head = head;
        (self.expected_seq, self.record, self.events)
    }

    /// Whether no event was added.
    pub fn is_quiet(&self) -> bool {
        self.events.is_empty()
    }
}
