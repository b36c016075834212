//! Many seeds on several threads, and what they add up to.

use crate::fault::Fault;
use crate::mistakes::Mistake;
use crate::oracle::{Figures, Violation};
use crate::play::{Outcome, play_mistaken};
use crate::scenario::Scenario;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A seed that broke a law.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// Which.
    pub seed: u64,
    /// Which laws.
    pub violations: Vec<Violation>,
}

/// What many runs add up to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// How many seeds were played.
    pub seeds: u64,
    /// Those that broke a law, in order.
    pub failures: Vec<Failure>,
    /// How often each fault has fired.
    pub fired: BTreeMap<Fault, u64>,
    /// The figures by profile.
    pub figures: BTreeMap<String, Figures>,
    /// How many runs needed so many rounds to come to rest.
    pub rounds: BTreeMap<u32, u64>,
    /// The seeds that were played twice, and how many of them gave two different hashes.
    pub replayed: u64,
    /// See `replayed`.
    pub unequal: u64,
    /// The sum of all hashes: two runs of the same seeds on any machine have the same.
    pub hash: u64,
    /// The sum of all [`Outcome::substance`]: it stays the same as long as the behaviour does.
    pub substance: u64,
}

/// One seed in so many is played twice.
const TWICE_EVERY: u64 = 50;

impl Summary {
    fn take(&mut self, seed: u64, outcome: Outcome) {
        self.seeds += 1;
        self.hash = self.hash.wrapping_add(outcome.hash);
        self.substance = self.substance.wrapping_add(outcome.substance);
        for (fault, times) in outcome.fired {
            *self.fired.entry(fault).or_default() += times;
        }
        for (profile, figures) in &outcome.figures {
            self.figures.entry(profile.clone()).or_default().add(figures);
        }
        *self.rounds.entry(outcome.rounds).or_default() += 1;
        if !outcome.violations.is_empty() {
            self.failures.push(Failure { seed, violations: outcome.violations });
        }
    }
}

/// Plays these seeds on so many threads, with a mistake planted if one is given. `enough` stops early.
pub fn play_many(
    seeds: Range<u64>,
    jobs: usize,
    mistake: Option<Mistake>,
    enough: &(dyn Fn(&Summary) -> bool + Sync),
) -> Summary {
    let next = AtomicU64::new(seeds.start);
    let summary = Mutex::new(Summary::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let done = enough(&summary.lock().unwrap_or_else(PoisonError::into_inner));
            if seed >= seeds.end || done {
                return;
            }
            let scenario = Scenario::of_seed(seed);
            let outcome = play_mistaken(&scenario, mistake);
            let again = seed.is_multiple_of(TWICE_EVERY).then(|| play_mistaken(&scenario, mistake).hash);
            let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
            summary.replayed += u64::from(again.is_some());
            summary.unequal += u64::from(again.is_some_and(|again| again != outcome.hash));
            summary.take(seed, outcome);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(work);
        }
    });
    let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    summary.failures.sort_by_key(|failure| failure.seed);
    summary
}

/// The first broken law that was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    /// The seed.
    pub seed: u64,
    /// The law.
    pub law: String,
    /// In which way it was broken.
    pub what: String,
}

/// Plays seeds, with a mistake planted if one is given, until a law is broken.
pub fn find_first(seeds: Range<u64>, jobs: usize, mistake: Option<Mistake>) -> Option<Found> {
    let summary = play_many(seeds, jobs, mistake, &|summary| !summary.failures.is_empty());
    let failure = summary.failures.into_iter().next()?;
    let first = failure.violations.into_iter().next()?;
    Some(Found { seed: failure.seed, law: first.invariant, what: first.what })
}
