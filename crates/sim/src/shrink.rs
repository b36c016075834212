//! From a failing scenario to the smallest one that fails in the same way.

use crate::mistakes::Mistake;
use crate::play::{Outcome, play_mistaken};
use crate::scenario::{Action, Scenario};

/// Something that makes a scenario simpler.
type Simplification = Box<dyn Fn(&mut Scenario)>;

/// The most plays that a thorough shrink takes.
pub const PLAYS_MAX: u32 = 3_000;

/// Leaves out steps, faults and systems' quirks as long as the same law is broken.
pub fn shrink(scenario: &Scenario, invariant: &str, plays_max: u32, mistake: Option<Mistake>) -> Scenario {
    let mut search = Search { plays: 0, plays_max, invariant: invariant.to_owned(), mistake };
    let mut best = scenario.clone();
    loop {
        let before = (best.trace.len(), best.rates.len());
        best = search.fewer_steps(best);
        best = search.fewer_faults(best);
        best = search.simpler(best);
        if (best.trace.len(), best.rates.len()) == before || search.is_tired() {
            return best;
        }
    }
}

struct Search {
    plays: u32,
    plays_max: u32,
    invariant: String,
    mistake: Option<Mistake>,
}

impl Search {
    fn is_tired(&self) -> bool {
        self.plays >= self.plays_max
    }

    fn still_fails(&mut self, scenario: &Scenario) -> bool {
        self.plays += 1;
        let breaks_law =
            |outcome: Outcome| outcome.violations.iter().any(|found| found.invariant == self.invariant);
        !self.is_tired() && breaks_law(play_mistaken(scenario, self.mistake))
    }

    /// Leaves out runs of steps, long ones first.
    fn fewer_steps(&mut self, mut best: Scenario) -> Scenario {
        let mut size = best.trace.len().div_ceil(2).max(1);
        loop {
            let mut at = 0;
            while at < best.trace.len() {
                let mut candidate = best.clone();
                candidate.trace.drain(at..(at + size).min(best.trace.len()));
                if self.still_fails(&candidate) {
                    best = candidate;
                } else {
                    at += size;
                }
            }
            if size == 1 || self.is_tired() {
                return best;
            }
            size = size.div_ceil(2);
        }
    }

    fn fewer_faults(&mut self, mut best: Scenario) -> Scenario {
        for fault in best.rates.keys().copied().collect::<Vec<_>>() {
            let mut candidate = best.clone();
            candidate.rates.remove(&fault);
            if self.still_fails(&candidate) {
                best = candidate;
            }
        }
        best
    }

    fn simpler(&mut self, mut best: Scenario) -> Scenario {
        let mut tries: Vec<Simplification> = vec![
            Box::new(|scenario| scenario.answers = false),
            Box::new(|scenario| scenario.workers = 1),
            Box::new(|scenario| {
                scenario.systems.pop();
            }),
        ];
        for at in 0..best.systems.len() {
            tries.push(Box::new(move |scenario| {
                if let Some(system) = scenario.systems.get_mut(at) {
                    system.normalises = false;
                    system.reuses_ids = false;
                    system.rate = None;
                    system.skew_ms = 0;
                    system.lacks.clear();
                }
            }));
        }
        for field in best.rules.fields.clone() {
            tries.push(Box::new(move |scenario| scenario.rules.fields.retain(|kept| *kept != field)));
        }
        for change in tries {
            let mut candidate = best.clone();
            change(&mut candidate);
            let workers = candidate.workers;
            candidate.trace.retain(|action| fits(action, workers));
            if candidate != best && is_whole(&candidate) && self.still_fails(&candidate) {
                best = candidate;
            }
        }
        best
    }
}

/// Whether a step still has its worker.
fn fits(action: &Action, workers: usize) -> bool {
    match action {
        Action::Turn { worker, .. }
        | Action::Sync { worker, .. }
        | Action::Step { worker, .. }
        | Action::Deliver { worker, .. }
        | Action::Crash { worker }
        | Action::Pause { worker }
        | Action::Resume { worker } => *worker < workers,
        _ => true,
    }
}

/// Whether the rules name only systems that take part.
fn is_whole(scenario: &Scenario) -> bool {
    let takes_part = |name: &String| scenario.systems.iter().any(|system| system.name == *name);
    let rules = &scenario.rules;
    let deletes = rules.deletes.as_ref().is_none_or(|owner| owner == "shared" || takes_part(owner));
    scenario.systems.len() >= 2
        && deletes
        && takes_part(&rules.owner)
        && rules.precedence.iter().all(takes_part)
        && rules.proposers.iter().all(takes_part)
}
