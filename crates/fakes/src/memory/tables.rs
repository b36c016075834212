//! The tables behind the memory store, and the rules of a commit.

use avowal_core::data::ids::{EntityName, RecordId, RemoteId, RunId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::history::IntegrationEvent;
use avowal_core::record::intent::{Intent, Operation};
use avowal_core::record::{CopyKey, Record};
use avowal_engine::OWN_ENTITY;
use avowal_engine::ports::store::{
    Commit, CommitOutcome, Counts, CursorName, Located, MatchKey, NewQuarantineItem, PlannedCreates,
    PlannedDeletes, Position, QuarantineItem, Reconciliation, ReconciliationDifference, RecordCommit, Run,
    Signal, Stop, WaitingIntent,
};
use std::collections::{BTreeMap, BTreeSet};

type Link = (SystemName, EntityName, RemoteId);

/// Everything that is stored.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) stops: Vec<Stop>,
    /// When a stop of each cause was lifted last.
    pub(super) lifted: BTreeMap<(SystemName, &'static str), Timestamp>,
    pub(super) lags: BTreeMap<SystemName, u64>,
    pub(super) runs: BTreeMap<RunId, Run>,
    pub(super) reconciliations: BTreeMap<RunId, (Reconciliation, Vec<ReconciliationDifference>)>,
    pub(super) records: BTreeMap<RecordId, Record>,
    pub(super) events: BTreeMap<(RecordId, u64), IntegrationEvent>,
    pub(super) links: BTreeMap<Link, RecordId>,
    pub(super) match_keys: BTreeMap<RecordId, BTreeSet<String>>,
    /// `match_keys` by key.
    pub(super) carriers: BTreeSet<(EntityName, String, RecordId)>,
    pub(super) schedules: BTreeMap<(RecordId, SystemName), Schedule>,
    pub(super) dedupe: BTreeMap<(SystemName, String), Delivery>,
    pub(super) cursors: BTreeMap<CursorName, Position>,
    pub(super) quarantine: BTreeMap<i64, Quarantined>,
    pub(super) signals: BTreeMap<i64, Signal>,
    pub(super) last_number: i64,
}

/// A delivery that has been taken.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) received_at: Timestamp,
    pub(super) repeats: u64,
}

/// When an intent may go out.
#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) key: String,
    pub(super) position: i64,
    pub(super) not_before: Timestamp,
    pub(super) failures: u32,
    pub(super) last_error: Option<String>,
}

/// An open item, and how often it came.
#[derive(Debug)]
pub(super) struct Quarantined {
    pub(super) item: QuarantineItem,
    pub(super) times: u64,
}

impl Tables {
    /// Why `commit` may not be applied, if so.
    pub(super) fn refusal(&self, commit: &Commit) -> Option<CommitOutcome> {
        self.repeated_delivery(commit)
            .map(|key| CommitOutcome::Duplicate { key })
            .or_else(|| self.moved(commit).map(|what| CommitOutcome::Conflict { what }))
    }

    fn repeated_delivery(&self, commit: &Commit) -> Option<String> {
        let mut taken = BTreeSet::new();
        let repeated = commit.dedupe.iter().find(|delivery| {
            let key = (delivery.system.clone(), delivery.key.clone());
            self.dedupe.contains_key(&key) || !taken.insert(key)
        });
        repeated.map(|delivery| delivery.key.clone())
    }

    fn moved(&self, commit: &Commit) -> Option<String> {
        self.moved_cursor(commit)
            .or_else(|| self.moved_record(commit))
            .or_else(|| self.taken_link(commit))
            .or_else(|| self.carried_key(commit))
    }

    /// Which key that only this commit may carry belongs to a record outside it, in words.
    fn carried_key(&self, commit: &Commit) -> Option<String> {
        let own: BTreeSet<&RecordId> = commit.records.iter().map(|record| &record.state.id).collect();
        commit.sole_keys.iter().find_map(|MatchKey { entity, key }| {
            let from = (entity.clone(), key.clone(), RecordId::new(""));
            let mut carriers =
                self.carriers.range(from..).take_while(|(of, carried, _)| of == entity && carried == key);
            let (_, _, other) = carriers.find(|(_, _, record)| !own.contains(record))?;
            Some(format!("record {other} has come to carry the key {key}"))
        })
    }

    fn moved_cursor(&self, commit: &Commit) -> Option<String> {
        let mut overlay: BTreeMap<&CursorName, &Position> = BTreeMap::new();
        for step in &commit.cursors {
            let stands = overlay.get(&step.name).copied().or_else(|| self.cursors.get(&step.name));
            if stands != step.from.as_ref() {
                return Some(format!(
                    "the {} cursor of {} in {} has been moved by somebody else",
                    step.name.kind.as_str(),
                    step.name.entity,
                    step.name.system
                ));
            }
            overlay.insert(&step.name, &step.to);
        }
        None
    }

    fn moved_record(&self, commit: &Commit) -> Option<String> {
        let mut reached: BTreeMap<&RecordId, u64> = BTreeMap::new();
        for RecordCommit { expected_seq, state, events, .. } in &commit.records {
            let stored = self.records.get(&state.id).map_or(0, |record| record.seq);
            let stands = reached.get(&state.id).copied().unwrap_or(stored);
            if stands != *expected_seq {
                return Some(format!("record {} stands at event {stands}, not {expected_seq}", state.id));
            }
            if let Some(event) = events.iter().find(|event| self.has_event(&event.record, event.seq)) {
                return Some(format!("event {} of record {} is already there", event.seq, event.record));
            }
            reached.insert(&state.id, state.seq);
        }
        None
    }

    fn has_event(&self, record: &RecordId, seq: u64) -> bool {
        self.events.contains_key(&(record.clone(), seq))
    }

    /// Which link of the commit belongs to a record outside it, in words.
    pub(super) fn taken_link(&self, commit: &Commit) -> Option<String> {
        // Only the last state of a record counts, and its own old links are free for the others.
        let states: BTreeMap<&RecordId, &Record> =
            commit.records.iter().map(|record| (&record.state.id, &record.state)).collect();
        let mut claimed: BTreeMap<Link, &RecordId> = BTreeMap::new();
        for (id, state) in &states {
            for link in links_of(state) {
                let holder = self.links.get(&link).filter(|holder| !states.contains_key(holder));
                let earlier = claimed.insert(link.clone(), id);
                if holder.is_some() || earlier.is_some() {
                    let (system, entity, remote_id) = link;
                    return Some(format!(
                        "{entity} {remote_id} in {system} is already linked to another record than {id}"
                    ));
                }
            }
        }
        None
    }

    /// Does what a commit says; `refusal` has been asked before.
    pub(super) fn apply(&mut self, commit: Commit) {
        for delivery in commit.dedupe {
            let taken = Delivery { received_at: delivery.received_at, repeats: 0 };
            self.dedupe.insert((delivery.system, delivery.key), taken);
        }
        for step in commit.cursors {
            self.cursors.insert(step.name, step.to);
        }
        for record in &commit.records {
            self.release_links(&record.state.id);
        }
        for record in commit.records {
            for event in record.events {
                self.events.insert((event.record.clone(), event.seq), event);
            }
            self.put(record.state, record.match_keys);
        }
        commit.quarantine.into_iter().for_each(|item| self.set_aside(item));
        self.quarantine
            .retain(|_, stored| !commit.quarantine_closed.iter().any(|copy| concerns(&stored.item, copy)));
        self.quarantine.retain(|_, stored| {
            let is_of = |settled: &&(RecordId, SystemName)| {
                stored.item.record.as_ref() == Some(&settled.0) && stored.item.system == settled.1
            };
            !commit.quarantine_settled.iter().any(|settled| is_of(&settled))
        });
        for id in commit.quarantine_ids_closed {
            self.quarantine.remove(&id);
        }
        for signal in commit.signals {
            let id = self.number();
            self.signals.insert(id, signal.stored(id));
        }
        for id in commit.signals_done {
            self.signals.remove(&id);
        }
        for delay in commit.delays {
            if let Some(schedule) = self.schedules.get_mut(&(delay.record, delay.system)) {
                schedule.not_before = delay.not_before;
                schedule.failures = delay.failures;
                schedule.last_error = delay.reason;
            }
        }
    }

    fn release_links(&mut self, id: &RecordId) {
        let links: Vec<Link> = self.records.get(id).into_iter().flat_map(links_of).collect();
        for link in links {
            // Another record of the same commit may have taken it already.
            if self.links.get(&link) == Some(id) {
                self.links.remove(&link);
            }
        }
    }

    /// Replaces a record's state.
    pub(super) fn put(&mut self, state: Record, match_keys: Vec<String>) {
        self.release_links(&state.id);
        for link in links_of(&state) {
            self.links.insert(link, state.id.clone());
        }
        self.carry(&state, match_keys);
        self.schedule(&state);
        self.records.insert(state.id.clone(), state);
    }

    fn carry(&mut self, state: &Record, match_keys: Vec<String>) {
        for key in self.match_keys.remove(&state.id).into_iter().flatten() {
            self.carriers.remove(&(state.entity.clone(), key, state.id.clone()));
        }
        let carried = match_keys.iter().map(|key| (state.entity.clone(), key.clone(), state.id.clone()));
        self.carriers.extend(carried);
        if !match_keys.is_empty() {
            self.match_keys.insert(state.id.clone(), match_keys.into_iter().collect());
        }
    }

    /// An intent with the key that is stored keeps its schedule; any other one is due at once.
    fn schedule(&mut self, state: &Record) {
        let stored = self.schedules.range((state.id.clone(), SystemName::new(""))..);
        let gone: Vec<_> = stored
            .map(|(at, _)| at.clone())
            .take_while(|(record, _)| *record == state.id)
            .filter(|(_, system)| !state.intents.contains_key(system))
            .collect();
        for at in gone {
            self.schedules.remove(&at);
        }
        for (system, intent) in &state.intents {
            let at = (state.id.clone(), system.clone());
            let position = match self.schedules.get(&at) {
                Some(schedule) if schedule.key == intent.key => continue,
                Some(schedule) => schedule.position,
                None => self.number(),
            };
            let not_before = Timestamp::default();
            let schedule =
                Schedule { key: intent.key.clone(), position, not_before, failures: 0, last_error: None };
            self.schedules.insert(at, schedule);
        }
    }

    /// The same item again only counts up.
    fn set_aside(&mut self, item: NewQuarantineItem) {
        let same = |stored: &&mut Quarantined| {
            NewQuarantineItem { at: item.at, ..stored.item.clone().into() } == item
        };
        if let Some(stored) = self.quarantine.values_mut().find(same) {
            stored.times += 1;
            return;
        }
        let id = self.number();
        self.quarantine.insert(id, Quarantined { item: item.stored(id), times: 1 });
    }

    fn number(&mut self) -> i64 {
        self.last_number += 1;
        self.last_number
    }

    /// What the links tell of a copy.
    pub(super) fn locate(&self, key: &CopyKey) -> Option<Located> {
        let link = (key.system.clone(), key.entity.clone(), key.remote_id.clone());
        let record = self.records.get(self.links.get(&link)?)?;
        let copy = record.copies.get(&key.system)?;
        let in_flight = record.intents.get(&key.system).is_some_and(Intent::is_open);
        Some(Located {
            record: record.id.clone(),
            content: copy.content_digest(),
            alive: copy.alive,
            in_flight,
        })
    }

    /// The delayed intents, longest planned first.
    pub(super) fn waiting(&self, limit: usize) -> Vec<WaitingIntent> {
        let delayed = |((record, system), schedule): (&(RecordId, SystemName), &Schedule)| {
            let intent = self.records.get(record)?.intents.get(system)?;
            let waiting = WaitingIntent {
                record: record.clone(),
                system: system.clone(),
                status: intent.status,
                failures: schedule.failures,
                not_before: schedule.not_before,
                reason: schedule.last_error.clone()?,
            };
            Some((schedule.position, waiting))
        };
        let mut waiting: Vec<_> = self.schedules.iter().filter_map(delayed).collect();
        waiting.sort_by_key(|(position, _)| *position);
        waiting.into_iter().take(limit).map(|(_, waiting)| waiting).collect()
    }

    /// The entities of which deletes are planned in a system.
    pub(super) fn planned_deletes(&self, system: &SystemName) -> Vec<PlannedDeletes> {
        let mut figures: BTreeMap<&EntityName, (u64, u64)> = BTreeMap::new();
        for record in self.records.values() {
            let (planned, copies) = figures.entry(&record.entity).or_default();
            *planned += u64::from(
                record.intents.get(system).is_some_and(|intent| intent.operation == Operation::Delete),
            );
            *copies += u64::from(record.live_copy(system).is_some());
        }
        let of = |(entity, (planned, copies)): (&EntityName, (u64, u64))| {
            (planned > 0).then(|| PlannedDeletes { entity: entity.clone(), planned, copies })
        };
        figures.into_iter().filter_map(of).collect()
    }

    /// The entities of which creates are planned in a system.
    pub(super) fn planned_creates(&self, system: &SystemName) -> Vec<PlannedCreates> {
        let mut figures: BTreeMap<&EntityName, PlannedCreates> = BTreeMap::new();
        for record in self.records.values() {
            let zero =
                || PlannedCreates { entity: record.entity.clone(), planned: 0, again: 0, copies: 0, gone: 0 };
            let figure = figures.entry(&record.entity).or_insert_with(zero);
            let intent = record.intents.get(system);
            let is_create = intent.is_some_and(|intent| intent.operation == Operation::Create);
            let mut links = record.links();
            let was_linked = links.any(|(of, copy)| of == system && !copy.alive);
            figure.planned += u64::from(is_create);
            figure.again += u64::from(is_create && was_linked);
            figure.copies += u64::from(record.live_copy(system).is_some());
            figure.gone += u64::from(was_linked);
        }
        figures.into_values().filter(|figure| figure.planned > 0).collect()
    }

    /// Figures for `status`.
    pub(super) fn counts(&self) -> Counts {
        let mut records = BTreeMap::new();
        let mut copies = BTreeMap::new();
        let mut intents = BTreeMap::new();
        let mut deletes = BTreeMap::new();
        for record in self.records.values() {
            if record.deleted.is_none() && record.entity.as_str() != OWN_ENTITY {
                *records.entry(record.entity.clone()).or_insert(0) += 1;
            }
            for (system, _) in record.copies.iter().filter(|(_, copy)| copy.alive) {
                *copies.entry(system.clone()).or_insert(0) += 1;
            }
            for (system, intent) in &record.intents {
                *intents.entry((system.clone(), intent.status)).or_insert(0) += 1;
                if intent.operation == Operation::Delete {
                    *deletes.entry(system.clone()).or_insert(0) += 1;
                }
            }
        }
        Counts {
            records: records.into_iter().collect(),
            copies: copies.into_iter().collect(),
            events: figure(self.events.len()),
            intents: intents.into_iter().map(|((system, status), n)| (system, status, n)).collect(),
            deletes: deletes.into_iter().collect(),
            reviews: figure(self.records.values().map(|record| record.reviews.len()).sum()),
            quarantine: figure(self.quarantine.len()),
            signals: figure(self.signals.len()),
        }
    }
}

fn links_of(record: &Record) -> impl Iterator<Item = Link> + '_ {
    record.links().map(|(system, copy)| (system.clone(), record.entity.clone(), copy.remote_id.clone()))
}

/// Whether the item came from the copy. What could not go out to it has a record and stays.
fn concerns(item: &QuarantineItem, copy: &CopyKey) -> bool {
    item.record.is_none()
        && item.system == copy.system
        && item.entity == copy.entity
        && item.remote_id.as_ref() == Some(&copy.remote_id)
}

fn figure(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
