//! When each write of unknown outcome was sent, and what the system has shown of it since: a look that shows nothing proves
//! nothing while the system's lag may explain it.

use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::data::time::Timestamp;
use std::collections::BTreeMap;

/// The most writes that are remembered. The others count as sent when they are looked for.
const REMEMBERED_MAX: usize = 10_000;

/// How long a write is remembered when there is no room for more, in milliseconds.
const REMEMBERED_MS: i64 = 10 * 60 * 1000;

/// One of these writes.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    system: SystemName,
    entity: EntityName,
    /// When it was sent last, as far as this process knows: not before it really was.
    pub(crate) at: Timestamp,
    /// When it was sent the time before that, if its outcome was unknown by then.
    before: Option<Timestamp>,
    /// Whether the system has said that it was done.
    pub(crate) is_acknowledged: bool,
    /// When a look that came after every lag showed nothing of it: a listing that begins later tells.
    pub(crate) sought_at: Option<Timestamp>,
    /// When a look showed nothing of it last.
    pub(crate) missed_at: Option<Timestamp>,
}

/// Those writes by key, in memory only: after a restart the history tells of a create, and the others count as sent when
/// they are met first.
#[derive(Debug, Default)]
pub(crate) struct SentWrites(BTreeMap<String, Sent>);

impl SentWrites {
    /// A write is sent now.
    pub(crate) fn send(&mut self, key: &str, system: &SystemName, entity: &EntityName, now: Timestamp) {
        if self.0.len() >= REMEMBERED_MAX {
            self.0.retain(|_, sent| sent.age_ms(now) < REMEMBERED_MS);
        }
        if self.0.len() < REMEMBERED_MAX || self.0.contains_key(key) {
            let sent = Sent {
                system: system.clone(),
                entity: entity.clone(),
                at: now,
                before: None,
                is_acknowledged: false,
                sought_at: None,
                missed_at: None,
            };
            self.0.insert(key.to_owned(), sent);
        }
    }

    /// A write of unknown outcome is sent again now.
    pub(crate) fn repeat(&mut self, key: &str, system: &SystemName, entity: &EntityName, now: Timestamp) {
        match self.0.get_mut(key) {
            Some(sent) => sent.before = Some(std::mem::replace(&mut sent.at, now)),
            None => self.send(key, system, entity, now),
        }
    }

    /// The system has refused what was sent last, so that only what was sent before may have an effect yet.
    pub(crate) fn take_back(&mut self, key: &str) {
        if let Some(sent) = self.0.get_mut(key) {
            sent.at = sent.before.take().unwrap_or(sent.at);
        }
    }

    /// What is known of a write; one that is met for the first time counts as sent now.
    pub(crate) fn met(
        &mut self,
        key: &str,
        system: &SystemName,
        entity: &EntityName,
        now: Timestamp,
    ) -> Option<&mut Sent> {
        if !self.0.contains_key(key) {
            self.send(key, system, entity, now);
        }
        self.0.get_mut(key)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Sent> {
        self.0.get(key)
    }

    /// The system says that a write was done.
    pub(crate) fn acknowledge(&mut self, key: &str) {
        if let Some(sent) = self.0.get_mut(key) {
            sent.is_acknowledged = true;
        }
    }

    /// A look shows nothing of a write.
    pub(crate) fn miss(&mut self, key: &str, asked_at: Timestamp) {
        if let Some(sent) = self.0.get_mut(key) {
            sent.missed_at = Some(asked_at);
        }
    }

    /// How long after a write was sent a look missed it last, in milliseconds; forgotten with the answer.
    pub(crate) fn take_missed_ms(&mut self, key: &str) -> Option<u64> {
        let sent = self.0.get_mut(key)?;
        let missed_at = sent.missed_at.take()?;
        u64::try_from(sent.age_ms(missed_at)).ok()
    }

    /// The outcome of a write is known.
    pub(crate) fn forget(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// Since when a listing has to begin to tell what became of writes that every look has missed: the latest of them.
    pub(crate) fn wants_listing_since(&self, system: &SystemName, entity: &EntityName) -> Option<Timestamp> {
        let of_it = self.0.values().filter(|sent| sent.system == *system && sent.entity == *entity);
        of_it.filter_map(|sent| sent.sought_at).max()
    }
}

impl Sent {
    /// A look shows nothing of it. Answers whether every lag was over by then.
    pub(crate) fn miss(&mut self, asked_at: Timestamp, lag_ms: i64) -> bool {
        self.missed_at = Some(asked_at);
        let is_over = self.age_ms(asked_at) >= lag_ms;
        if is_over && self.sought_at.is_none() {
            self.sought_at = Some(asked_at);
        }
        is_over
    }

    pub(crate) fn age_ms(&self, now: Timestamp) -> i64 {
        // A clock that was set back gives no time that has passed.
        now.millis().saturating_sub(self.at.millis()).max(0)
    }
}
