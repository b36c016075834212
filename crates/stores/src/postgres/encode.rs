//! A commit as rows, made by its caller, so that the one connection that writes only has to send it.

use super::column;
use super::error::Fault;
use crate::codec;
use avowal_core::data::ids::{EntityName, RecordId, SystemName};
use avowal_core::history::IntegrationEvent;
use avowal_core::record::intent::Intent;
use avowal_core::record::{CopyKey, Record};
use avowal_engine::ports::bucket::Bucket;
use avowal_engine::ports::store::{
    Commit, CursorMove, IntentDelay, NewQuarantineItem, NewSignal, RecordCommit,
};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

/// A commit of the port, spelled in columns.
#[derive(Default)]
pub(super) struct PreparedCommit {
    /// The last state of each record.
    pub(super) records: BTreeMap<String, RecordRow>,
    /// For each part of the commit: which record, where it must stand, and where it goes.
    pub(super) steps: Vec<(String, u64, u64)>,
    pub(super) events: Vec<EventRow>,
    pub(super) deliveries: BTreeMap<DeliveryKey, i64>,
    /// A delivery that the commit names twice.
    pub(super) delivered_twice: Option<String>,
    pub(super) cursors: Vec<CursorMove>,
    /// What is rare enough to be written one by one.
    pub(super) rest: Rest,
    pub(super) delays: BTreeMap<(String, String), IntentDelay>,
    /// Keys that no record outside the commit may carry.
    pub(super) sole: Vec<SoleKey>,
    /// What it touches; commits that touch the same are not written together.
    pub(super) touched: Vec<u64>,
}

impl PreparedCommit {
    /// The systems that have something to do when it is durable.
    pub(super) fn systems_with_work(&self) -> BTreeSet<String> {
        let intents = self.records.values().flat_map(|record| record.intents.keys().cloned());
        let signals = self.rest.signals.iter().map(|signal| signal.copy.system.to_string());
        intents.chain(signals).collect()
    }
}

/// System and key.
pub(super) type DeliveryKey = (SystemName, String);

/// System, entity, and the remote id as it stands in the index.
pub(super) type LinkKey = (String, String, String);

/// A key that no record outside the commit may carry, as the index spells it.
pub(super) struct SoleKey {
    pub(super) entity: String,
    pub(super) key: String,
}

impl SoleKey {
    /// The number of the lock that a commit holds while it begins a record with this key; also the key's bucket.
    pub(super) fn lock(&self) -> i16 {
        key_bucket(&self.entity, &self.key)
    }
}

/// What concerns no record.
#[derive(Default)]
pub(super) struct Rest {
    pub(super) quarantine: Vec<NewQuarantineItem>,
    pub(super) closed: Vec<CopyKey>,
    pub(super) settled: Vec<(RecordId, SystemName)>,
    pub(super) ids_closed: Vec<i64>,
    pub(super) signals: Vec<NewSignal>,
    pub(super) signals_done: Vec<i64>,
}

/// A record's state and everything that is found by something else than its id.
pub(super) struct RecordRow {
    pub(super) bucket: Bucket,
    pub(super) entity: EntityName,
    pub(super) expected_seq: u64,
    pub(super) seq: i64,
    pub(super) living: bool,
    pub(super) state: String,
    pub(super) links: BTreeMap<LinkKey, LinkRow>,
    pub(super) match_keys: BTreeSet<String>,
    pub(super) intents: BTreeMap<String, IntentRow>,
    pub(super) reviews: BTreeMap<String, ReviewRow>,
}

pub(super) struct LinkRow {
    pub(super) bucket: Bucket,
    pub(super) content: Vec<u8>,
    pub(super) alive: bool,
    pub(super) in_flight: bool,
}

pub(super) struct IntentRow {
    pub(super) key: String,
    pub(super) operation: String,
    pub(super) status: &'static str,
}

pub(super) struct ReviewRow {
    pub(super) opened_at: i64,
    pub(super) review: String,
}

/// One event in columns.
pub(super) struct EventRow {
    pub(super) bucket: Bucket,
    pub(super) record: String,
    pub(super) seq: i64,
    pub(super) entity: String,
    pub(super) kind: &'static str,
    pub(super) source: Option<String>,
    pub(super) actor: Option<String>,
    pub(super) payload: String,
    pub(super) vector: String,
    pub(super) evidence: Option<String>,
    pub(super) policy: Option<String>,
    pub(super) correlation: Option<String>,
    pub(super) cause: Option<i64>,
    pub(super) occurred_at: Option<i64>,
    pub(super) received_at: i64,
    pub(super) recorded_at: i64,
    pub(super) prev: Vec<u8>,
    pub(super) hash: Vec<u8>,
    pub(super) run: Option<i64>,
}

impl PreparedCommit {
    /// Spells a commit.
    pub(super) fn new(commit: Commit) -> Result<Self, Fault> {
        let mut prepared = Self::default();
        for record in commit.records {
            prepared.add_record(record)?;
        }
        for delivery in commit.dedupe {
            prepared.touch(&("delivery", &delivery.system, &delivery.key));
            let at = delivery.received_at.millis();
            let key = (delivery.system, delivery.key.clone());
            if prepared.deliveries.insert(key, at).is_some() {
                prepared.delivered_twice.get_or_insert(delivery.key);
            }
        }
        for step in &commit.cursors {
            prepared.touch(&("cursor", &step.name));
        }
        for delay in commit.delays {
            prepared.touch(&("record", delay.record.as_str()));
            let at = (delay.record.as_str().to_owned(), delay.system.as_str().to_owned());
            prepared.delays.insert(at, delay);
        }
        prepared.sole = commit
            .sole_keys
            .iter()
            .map(|sole| SoleKey { entity: sole.entity.as_str().to_owned(), key: column::key(&sole.key) })
            .collect();
        prepared.cursors = commit.cursors;
        prepared.rest = Rest {
            quarantine: commit.quarantine,
            closed: commit.quarantine_closed,
            settled: commit.quarantine_settled,
            ids_closed: commit.quarantine_ids_closed,
            signals: commit.signals,
            signals_done: commit.signals_done,
        };
        Ok(prepared)
    }

    fn add_record(&mut self, commit: RecordCommit) -> Result<(), Fault> {
        let RecordCommit { expected_seq, state, events, match_keys } = commit;
        let id = state.id.as_str().to_owned();
        self.touch(&("record", id.as_str()));
        self.steps.push((id.clone(), expected_seq, state.seq));
        for event in &events {
            self.events.push(EventRow::new(event)?);
        }
        let first = self.records.get(&id).map_or(expected_seq, |before| before.expected_seq);
        self.records.insert(id, RecordRow::new(&state, first, &match_keys)?);
        Ok(())
    }

    fn touch(&mut self, what: &impl Hash) {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        self.touched.push(hasher.finish());
    }
}

impl RecordRow {
    /// Spells a state.
    pub(super) fn new(record: &Record, expected_seq: u64, match_keys: &[String]) -> Result<Self, Fault> {
        let living = record.deleted.is_none();
        let keys = match_keys.iter().map(|key| column::key(key));
        Ok(Self {
            bucket: Bucket::of_record(&record.id),
            entity: record.entity.clone(),
            expected_seq,
            seq: column::number(record.seq)?,
            living,
            state: codec::to_json(record)?,
            links: record.links().map(|(system, _)| link(record, system)).collect(),
            match_keys: keys.collect(),
            intents: record.intents.keys().map(|system| intent(record, system)).collect(),
            reviews: record
                .reviews
                .iter()
                .map(|(subject, review)| {
                    let opened_at = review.opened_at.millis();
                    let row = ReviewRow { opened_at, review: codec::to_json(review)? };
                    Ok((column::key(subject.as_str()), row))
                })
                .collect::<Result<_, Fault>>()?,
        })
    }
}

fn link(record: &Record, system: &SystemName) -> (LinkKey, LinkRow) {
    let copy = &record.copies[system.as_str()];
    let key =
        CopyKey { system: system.clone(), entity: record.entity.clone(), remote_id: copy.remote_id.clone() };
    let key = link_key(&key);
    let row = LinkRow {
        bucket: link_bucket(&key),
        content: column::digest(&copy.content_digest()),
        alive: copy.alive,
        in_flight: record.intents.get(system).is_some_and(Intent::is_open),
    };
    (key, row)
}

/// The bucket of a link as the index spells it.
pub(super) fn link_bucket(key: &LinkKey) -> Bucket {
    let (system, entity, remote_id) = key;
    Bucket::of(&[system, entity, remote_id])
}

/// A copy's address as the index has it.
pub(super) fn link_key(copy: &CopyKey) -> LinkKey {
    (copy.system.as_str().to_owned(), copy.entity.as_str().to_owned(), column::key(copy.remote_id.as_str()))
}

fn intent(record: &Record, system: &SystemName) -> (String, IntentRow) {
    let intent = &record.intents[system.as_str()];
    let row = IntentRow {
        key: column::text(&intent.key),
        operation: intent.operation.to_string(),
        status: intent.status.as_str(),
    };
    (system.as_str().to_owned(), row)
}

impl EventRow {
    fn new(event: &IntegrationEvent) -> Result<Self, Fault> {
        let text = |text: &Option<String>| text.as_deref().map(column::text);
        Ok(Self {
            bucket: Bucket::of_record(&event.record),
            record: event.record.as_str().to_owned(),
            seq: column::number(event.seq)?,
            entity: event.entity.as_str().to_owned(),
            kind: event.body.kind(),
            source: event.source.as_ref().map(|source| source.as_str().to_owned()),
            actor: text(&event.actor),
            payload: codec::payload(&event.body)?,
            vector: codec::to_json(&event.vector)?,
            evidence: event.evidence.as_ref().map(codec::to_json).transpose()?,
            policy: text(&event.policy),
            correlation: text(&event.correlation),
            cause: event.cause.map(column::number).transpose()?,
            occurred_at: event.occurred_at.map(|at| at.millis()),
            received_at: event.received_at.millis(),
            recorded_at: event.recorded_at.millis(),
            prev: column::digest(&event.prev),
            hash: column::digest(&event.hash),
            run: event.run.map(|run| column::number(run.number())).transpose()?,
        })
    }
}

/// The bucket of a match key as the index spells it.
pub(super) fn key_bucket(entity: &str, key: &str) -> i16 {
    i16::from(Bucket::of_match_key(&EntityName::from(entity), key).number())
}

/// The bucket of a record id as it is stored.
pub(super) fn bucket_of(record: &str) -> i16 {
    i16::from(Bucket::of_record(&RecordId::from(record)).number())
}
