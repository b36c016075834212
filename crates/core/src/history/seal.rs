//! The hash of an event: its canonical form, written straight in the order of its keys.

use crate::data::canonical::{CanonicalError, Writer};
use crate::data::value::Digest;
use crate::history::IntegrationEvent;
use serde::Serialize;

/// Hashes events one after the other with one buffer.
pub(crate) struct Sealer {
    writer: Writer,
}

impl Sealer {
    pub(crate) fn new() -> Self {
        Self { writer: Writer::new(None) }
    }

    /// The hash that the contents demand: of everything but `hash` itself.
    pub(crate) fn hash(&mut self, event: &IntegrationEvent) -> Digest {
        match self.write(event) {
            Ok(()) => Digest::of(self.writer.written()),
            // An event is made of maps with text keys and exact numbers, which always serialise.
            Err(_) => Digest::of(b"unserialisable"),
        }
    }

    /// Every member in the order of RFC 8785; what is absent is left out, as in the wire form.
    fn write(&mut self, event: &IntegrationEvent) -> Result<(), CanonicalError> {
        let IntegrationEvent {
            entity,
            record,
            seq,
            source,
            actor,
            body,
            vector,
            evidence,
            policy,
            run,
            correlation,
            cause,
            occurred_at,
            received_at,
            recorded_at,
            prev,
            hash: _,
        } = event;
        self.writer.clear();
        self.writer.raw(b"{");
        self.optional("actor", actor)?;
        self.optional("cause", cause)?;
        self.optional("correlation", correlation)?;
        self.member("entity", entity)?;
        self.optional("evidence", evidence)?;
        self.optional("occurred_at", occurred_at)?;
        self.name("payload");
        self.writer.field_of(body, "payload")?;
        self.optional("policy", policy)?;
        self.member("prev", prev)?;
        self.member("received_at", received_at)?;
        self.member("record", record)?;
        self.member("recorded_at", recorded_at)?;
        self.optional("run", run)?;
        self.member("seq", seq)?;
        self.optional("source", source)?;
        self.member("type", body.kind())?;
        self.member("vector", vector)?;
        self.writer.raw(b"}");
        Ok(())
    }

    fn optional<T: Serialize>(&mut self, key: &str, value: &Option<T>) -> Result<(), CanonicalError> {
        value.as_ref().map_or(Ok(()), |value| self.member(key, value))
    }

    fn member<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), CanonicalError> {
        self.name(key);
        self.writer.value(value)
    }

    /// Begins a member; its name needs no escapes.
    fn name(&mut self, key: &str) {
        let is_first = self.writer.written().len() == 1;
        self.writer.raw(if is_first { b"\"".as_slice() } else { b",\"" });
        self.writer.raw(key.as_bytes());
        self.writer.raw(b"\":");
    }
}

impl IntegrationEvent {
    /// The hash that the contents demand. `hash` itself does not enter it.
    pub fn expected_hash(&self) -> Digest {
        Sealer::new().hash(self)
    }

    /// Fills in the hash.
    pub fn seal(mut self) -> Self {
        self.hash = self.expected_hash();
        self
    }
}
