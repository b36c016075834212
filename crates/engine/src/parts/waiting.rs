//! The writes that were tried without effect, or wait for another one: they are tried again as soon as something was
//! confirmed in their system.

use crate::ports::store::IntentDelay;
use avowal_core::data::ids::{RecordId, SystemName};
use std::collections::BTreeMap;

/// The most writes that are remembered in one system. The others wait for their delay.
const REMEMBERED_MAX: usize = 100_000;

/// The writes that wait, in memory only: after a restart they wait for their delay.
#[derive(Debug, Default)]
pub(crate) struct WaitingWrites(BTreeMap<SystemName, InSystem>);

#[derive(Debug, Default)]
struct InSystem {
    /// How many writes have been confirmed since this process began.
    confirmed: u64,
    waiting: BTreeMap<RecordId, Waiting>,
}

/// A write that waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    /// The intent's key.
    pub(crate) key: String,
    pub(crate) delay: IntentDelay,
    /// How many writes of its system had been confirmed before it was tried; `None` where another write cannot help it.
    pub(crate) confirmed_before: Option<u64>,
    /// Whether it was made due since.
    pub(crate) is_hastened: bool,
    /// Whether another write was confirmed between its last two tries.
    pub(crate) has_progressed: bool,
}

impl Waiting {
    /// A write of this key that was just put off. Another write may help it if it says how many had been confirmed.
    pub(crate) fn new(key: String, delay: IntentDelay, confirmed_before: Option<u64>) -> Self {
        Self { key, delay, confirmed_before, is_hastened: false, has_progressed: false }
    }
}

impl WaitingWrites {
    /// How many writes to a system have been confirmed since this process began.
    pub(crate) fn confirmed(&self, system: &SystemName) -> u64 {
        self.0.get(system).map_or(0, |system| system.confirmed)
    }

    /// Counts confirmed writes.
    pub(crate) fn count_confirmed(&mut self, system: &SystemName, count: u64) {
        if count > 0 {
            self.0.entry(system.clone()).or_default().confirmed += count;
        }
    }

    /// Remembers that a write waits. Answers whether another one was confirmed between its last two tries.
    pub(crate) fn wait(&mut self, mut waiting: Waiting) -> bool {
        let in_system = self.0.entry(waiting.delay.system.clone()).or_default();
        let before = in_system.waiting.get(&waiting.delay.record).filter(|before| before.key == waiting.key);
        let is_known = before.is_some();
        let has_progressed = match before {
            // It may have been tried by another process, which knows.
            None => false,
            // The same try is recorded again.
            Some(before) if before.delay.failures == waiting.delay.failures => before.has_progressed,
            Some(before) => before.confirmed_before < waiting.confirmed_before,
        };
        waiting.has_progressed = has_progressed;
        if is_known || in_system.waiting.len() < REMEMBERED_MAX {
            in_system.waiting.insert(waiting.delay.record.clone(), waiting);
        }
        has_progressed
    }

    /// Forgets a write that waits no more.
    pub(crate) fn forget(&mut self, system: &SystemName, record: &RecordId) {
        if let Some(system) = self.0.get_mut(system) {
            system.waiting.remove(record);
        }
    }

    /// The writes of a system that another one may have helped since they were tried. Answers each of them once.
    pub(crate) fn take_helped(&mut self, system: &SystemName) -> Vec<Waiting> {
        let Some(InSystem { confirmed, waiting }) = self.0.get_mut(system) else { return Vec::new() };
        let helped = waiting.values_mut().filter(|write| {
            !write.is_hastened && write.confirmed_before.is_some_and(|before| before < *confirmed)
        });
        helped
            .map(|write| {
                write.is_hastened = true;
                write.clone()
            })
            .collect()
    }

    /// The delay of a record's write, if it waits.
    pub(crate) fn delay_of(&self, system: &SystemName, record: &RecordId) -> Option<&IntentDelay> {
        self.0.get(system)?.waiting.get(record).map(|waiting| &waiting.delay)
    }
}
