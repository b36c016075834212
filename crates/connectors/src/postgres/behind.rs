//! What a reader of the feed remembers between pages: rows that wait behind a transaction, and what is durable.

use super::position::{Mark, Position};
use avowal_core::data::ids::EntityName;
use avowal_engine::ports::connector::PAGES_AHEAD_MAX;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a reader waits for a running transaction at first, and at most.
const BEHIND_MS: u64 = 50;
const BEHIND_MS_MAX: u64 = 1_000;

/// After how many log rows read it is worth pruning again.
const PRUNE_EVERY_ROWS: u32 = 10_000;

/// Whether committed rows wait behind a running transaction, and how long we have been waiting for it.
#[derive(Debug, Default)]
pub(super) struct Behind {
    waiting: AtomicBool,
    rounds: AtomicU32,
    read_since_pruning: AtomicU32,
    /// From where the last pages of each entity were asked for.
    asked: Mutex<BTreeMap<EntityName, VecDeque<Position>>>,
    /// Where each entity was read last, and over which connection.
    read: Mutex<BTreeMap<EntityName, (u64, Mark)>>,
}

impl Behind {
    /// How long to wait before reading again; `None` where nothing is known to wait.
    pub fn pause(&self) -> Option<Duration> {
        if !self.waiting.load(Ordering::Relaxed) {
            return None;
        }
        let rounds = self.rounds.fetch_add(1, Ordering::Relaxed).min(10);
        Some(Duration::from_millis((BEHIND_MS << rounds).min(BEHIND_MS_MAX)))
    }

    /// Notes what a page showed.
    pub fn saw(&self, waiting: bool, rows: usize) {
        self.waiting.store(waiting, Ordering::Relaxed);
        if !waiting || rows > 0 {
            self.rounds.store(0, Ordering::Relaxed);
        }
        self.read_since_pruning.fetch_add(u32::try_from(rows).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Notes from where a page is asked for. Answers the place up to which everything is durable on the other side: who
    /// reads ahead does so by so many pages at most.
    pub fn ask(&self, entity: &EntityName, from: &Position) -> Option<Position> {
        let mut entities = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = entities.entry(entity.clone()).or_default();
        asked.push_back(from.clone());
        while asked.len() > PAGES_AHEAD_MAX + 1 {
            asked.pop_front();
        }
        if asked.len() > PAGES_AHEAD_MAX { asked.iter().min().cloned() } else { None }
    }

    /// Notes where an entity was read, over which connection.
    pub fn note(&self, entity: &EntityName, connection: u64, mark: &Mark) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.insert(entity.clone(), (connection, mark.clone()));
    }

    /// Where an entity was read last, if that was over another connection than this.
    pub fn read_before(&self, entity: &EntityName, connection: u64) -> Option<Mark> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.get(entity).filter(|(earlier, _)| *earlier != connection).map(|(_, mark)| mark.clone())
    }

    /// Whether enough was read since the log was pruned last.
    pub fn prune_due(&self) -> bool {
        let due = self.read_since_pruning.load(Ordering::Relaxed) >= PRUNE_EVERY_ROWS;
        if due {
            self.read_since_pruning.store(0, Ordering::Relaxed);
        }
        due
    }
}
