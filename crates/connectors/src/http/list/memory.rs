//! What the pages of a listing have shown so far, so that one that goes in circles is recognised.
//!
//! It is lost with the process: a listing that goes on afterwards learns anew, so a circle costs one more turn.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet};
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The most listings that are remembered at once.
const LISTINGS_MAX: usize = 8;

/// The listings under way of one object.
#[derive(Default)]
pub(crate) struct Memory {
    listings: Mutex<BTreeMap<u64, Shown>>,
}

/// What one listing has shown, as digests.
#[derive(Default)]
struct Shown {
    ids: HashSet<u64>,
    positions: HashSet<u64>,
    /// Whether it is remembered from its first page on.
    is_complete: bool,
}

/// What a page adds.
pub(super) struct Added {
    /// How many of its copies had not been shown before.
    pub(super) new: usize,
    /// How many different copies were shown in all; `None` where the beginning is not remembered.
    pub(super) distinct: Option<u64>,
    /// Whether its place had been asked for before.
    pub(super) is_circle: bool,
}

impl Memory {
    /// Begins to remember a listing, and answers its number.
    pub(super) fn begin(&self) -> u64 {
        let mut listings = self.listings.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        // Numbers grow over restarts too, so that no listing takes the memory of another one.
        let newest = listings.last_key_value().map_or(0, |(run, _)| *run);
        let run = u64::try_from(now).unwrap_or(u64::MAX).max(newest + 1);
        while listings.len() >= LISTINGS_MAX {
            listings.pop_first();
        }
        listings.insert(run, Shown { is_complete: true, ..Shown::default() });
        run
    }

    /// Remembers a page of the listing `run`, which was asked for at `position`.
    pub(super) fn add<'a>(
        &self,
        run: u64,
        position: Option<&str>,
        ids: impl Iterator<Item = &'a str>,
    ) -> Added {
        let mut listings = self.listings.lock().unwrap_or_else(PoisonError::into_inner);
        while listings.len() >= LISTINGS_MAX && !listings.contains_key(&run) {
            listings.pop_first();
        }
        let shown = listings.entry(run).or_default();
        let is_circle = position.is_some_and(|position| !shown.positions.insert(digest(position)));
        let new = ids.filter(|id| shown.ids.insert(digest(id))).count();
        let distinct = shown.is_complete.then_some(shown.ids.len() as u64);
        Added { new, distinct, is_circle }
    }

    /// Forgets a listing that has ended.
    pub(super) fn end(&self, run: u64) {
        self.listings.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
    }
}

/// A digest that lives as long as the process at most.
fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
