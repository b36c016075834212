//! Small, valid material for the cases: a record with its stream, built step by step.

use avowal_core::data::ids::{RecordId, RunId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::Value;
use avowal_core::data::version::Dot;
use avowal_core::history::{Body, IntegrationEvent, LinkReason};
use avowal_core::record::intent::{Intent, IntentStatus, Operation, OutgoingField};
use avowal_core::record::{Belief, Copy, CopyKey, Record, Shadow};
use avowal_engine::ports::store::{
    Commit, Cursor, CursorKind, CursorMove, CursorName, DedupeKey, NewQuarantineItem, NewSignal, Position,
    RecordCommit, SignalReason,
};

/// Seconds after the beginning of the samples' time.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_795_000_000_000 + seconds * 1_000)
}

/// A record with the events that led to its state.
#[derive(Clone, Debug)]
pub struct Stream {
    /// The state after all events so far. Cases may change it freely before `step`.
    pub state: Record,
    /// The run that the next events name.
    pub run: Option<RunId>,
    committed_seq: u64,
    events: Vec<IntegrationEvent>,
}

impl Stream {
    /// A customer without history.
    pub fn new(id: &str) -> Self {
        let state = Record::new(RecordId::from(id), "customer".into());
        Self { state, run: None, committed_seq: 0, events: Vec::new() }
    }

    /// A customer with one linked copy that says its email.
    pub fn linked(id: &str, system: &str, remote_id: &str) -> Self {
        Self::new(id).link(system, remote_id)
    }

    /// Links one more copy.
    pub fn link(mut self, system: &str, remote_id: &str) -> Self {
        let dot = self.state.vector.next(&SystemName::from(system));
        self.state.vector.add(&dot);
        let value = Value::text(format!("{}@example.org", self.state.id));
        let mut copy = Copy::new(remote_id.into());
        copy.seen.add(&dot);
        copy.sent.add(&dot);
        copy.fields.insert(
            "email".into(),
            Shadow {
                content: value.clone(),
                base: Some(dot.clone()),
                sent_as: None,
                wrote: None,
                tolerated: false,
                older: Vec::new(),
            },
        );
        self.state.copies.insert(system.into(), copy);
        self.push(Body::Linked {
            system: system.into(),
            remote_id: remote_id.into(),
            how: LinkReason::FirstSeen,
        });
        let belief = Belief { value, dot, seq: self.state.seq, since: at(1), occurred_at: None };
        self.state.fields.insert("email".into(), belief);
        self
    }

    /// Plans an intent to `system` that writes the email, under `key`.
    pub fn plan(&mut self, system: &str, key: &str) {
        let intent = Intent {
            key: key.to_owned(),
            operation: Operation::Update,
            fields: [("email".into(), OutgoingField { value: Value::text("new"), dot: Dot::new("app", 1) })]
                .into(),
            vector: self.state.vector.clone(),
            status: IntentStatus::Planned,
            attempt: 0,
        };
        self.push(Body::IntentPlanned {
            system: system.into(),
            key: key.to_owned(),
            operation: intent.operation,
            fields: intent.fields.clone(),
            correction: false,
        });
        self.state.intents.insert(system.into(), intent);
    }

    /// Sets how far the intent to `system` has come.
    pub fn set_status(&mut self, system: &str, status: IntentStatus) {
        self.state.intents.get_mut(system).unwrap().status = status;
        self.push(Body::Released { system: system.into() });
    }

    /// Appends one event.
    pub fn push(&mut self, body: Body) {
        let event = IntegrationEvent {
            entity: self.state.entity.clone(),
            record: self.state.id.clone(),
            seq: self.state.seq + 1,
            source: None,
            actor: Some("a person".to_owned()),
            body,
            vector: self.state.vector.clone(),
            evidence: None,
            policy: None,
            run: self.run,
            correlation: None,
            cause: None,
            occurred_at: None,
            received_at: at(0),
            recorded_at: at(1),
            prev: self.state.head,
            hash: self.state.head,
        };
        self.push_event(event);
    }

    /// Appends an event with a context of its own; its place in the stream is set here.
    pub fn push_event(&mut self, event: IntegrationEvent) {
        let event = IntegrationEvent { seq: self.state.seq + 1, prev: self.state.head, ..event }.seal();
        self.state.seq = event.seq;
        self.state.head = event.hash;
        self.events.push(event);
    }

    /// The part of a commit that makes everything since the last step durable, with the email as match key.
    pub fn step(&mut self) -> RecordCommit {
        let keys = vec![format!("email={}@example.org", self.state.id)];
        self.step_with_keys(keys)
    }

    /// As `step`, with other match keys.
    pub fn step_with_keys(&mut self, match_keys: Vec<String>) -> RecordCommit {
        let expected_seq = std::mem::replace(&mut self.committed_seq, self.state.seq);
        RecordCommit {
            expected_seq,
            state: self.state.clone(),
            events: std::mem::take(&mut self.events),
            match_keys,
        }
    }

    /// A commit of nothing but the next step.
    pub fn commit(&mut self) -> Commit {
        records([self.step()])
    }
}

/// A commit of these records.
pub fn records<const N: usize>(records: [RecordCommit; N]) -> Commit {
    Commit { records: records.into(), ..Commit::default() }
}

/// The address of a customer's copy.
pub fn copy(system: &str, remote_id: &str) -> CopyKey {
    CopyKey { system: system.into(), entity: "customer".into(), remote_id: remote_id.into() }
}

/// The position of the change feed of customers.
pub fn feed(system: &str) -> CursorName {
    CursorName { system: system.into(), entity: "customer".into(), kind: CursorKind::Feed }
}

/// A move of that position.
pub fn moved(system: &str, from: Option<&str>, to: &str) -> CursorMove {
    CursorMove { name: feed(system), from: from.map(after), to: after(to) }
}

/// A position in a feed.
pub fn after(cursor: &str) -> Position {
    Position::After(Cursor(cursor.to_owned()))
}

/// A delivery id.
pub fn delivery(system: &str, key: &str) -> DedupeKey {
    DedupeKey { system: system.into(), key: key.to_owned(), received_at: at(0) }
}

/// An item of an incoming copy that could not be understood.
pub fn unreadable(system: &str, remote_id: &str, reason: &str) -> NewQuarantineItem {
    NewQuarantineItem {
        system: system.into(),
        entity: "customer".into(),
        remote_id: Some(remote_id.into()),
        record: None,
        reason: reason.to_owned(),
        payload: r#"{"email":7}"#.to_owned(),
        at: at(3),
    }
}

/// A hint that a copy should be read.
pub fn signal(system: &str, remote_id: &str, not_before: Timestamp, reason: SignalReason) -> NewSignal {
    NewSignal { copy: copy(system, remote_id), not_before, reason, received_at: at(0), attempts: 2 }
}
