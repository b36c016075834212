//! The long run: rounds of edits on both sides, with clashes, deletes, lost answers and killed processes.

use super::oracle::{Oracle, Weather};
use super::pair::Pair;
use super::round::{Batch, Fresh, People};
use super::service::Service;
use crate::e2e::{Chance, scale};
use avowal_testkit::proxy::{Trouble, Troubles};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// About one call in sixteen meets trouble.
const TROUBLES: Troubles =
    Troubles { lost_requests: 10, lost_answers: 20, failed_before: 10, failed_after: 15, busy: 5 };
/// How often a stormy round kills the process.
const KILLS: usize = 3;
/// A process lives at most so long before it is killed.
const ALIVE_MS_MAX: usize = 3_000;
/// What the full run must come to.
const EDITS_MIN: usize = 20_000;

/// Runs it for one service.
pub fn run<S: Service>(test: &str) {
    let mut chance = Chance::of_run(test);
    let pair = Pair::<S>::new(chance.next());
    let mut people = People { pair: &pair, oracle: Oracle::new(S::DELETES), fresh: Fresh::default(), chance };
    people.add(scale(300, 50));
    pair.settle();
    let checked = pair.run(&["check"]);
    assert_eq!(checked.code, 0, "{checked}");
    people.oracle.check(Weather::Calm, &pair.app_side(), &pair.service_side());
    let (mut edits, mut tally, began) = (0, Tally::default(), Instant::now());
    for round in 0..scale(40, 6) {
        let weather = if round % 2 == 0 { Weather::Calm } else { Weather::Stormy };
        let size = scale(200, 40);
        let batch = Batch { edits: size, clashes: size / 4, new: 2, deletes: 3 };
        pair.proxy.take_calls();
        edits += match weather {
            Weather::Calm => calm(&mut people, batch),
            Weather::Stormy => stormy(&mut people, batch, &mut tally),
        };
        pair.settle();
        tally.count(&pair);
        people.oracle.check(weather, &pair.app_side(), &pair.service_side());
        pair.assert_quiet();
        println!(
            "round {round}: {edits} edits, {} customers, {:.0?}",
            pair.app_side().len(),
            began.elapsed()
        );
    }
    println!("{test}: {edits} edits in {:.0?}; {tally:?}", began.elapsed());
    assert!(edits >= scale(EDITS_MIN, 1), "{edits} edits");
    for trouble in [Trouble::LostAnswer, Trouble::LostRequest, Trouble::FailedBefore, Trouble::FailedAfter] {
        assert!(tally.troubles.contains_key(&trouble), "no call met {trouble:?}: {tally:?}");
    }
    pair.assert_history();
}

/// What the run came to, to be read by a person.
#[derive(Debug, Default)]
struct Tally {
    calls: usize,
    writes: usize,
    kills: usize,
    troubles: BTreeMap<Trouble, usize>,
}

impl Tally {
    fn count<S: Service>(&mut self, pair: &Pair<S>) {
        for call in pair.proxy.take_calls() {
            self.calls += 1;
            self.writes += usize::from(call.is_write());
            if let Some(trouble) = call.trouble {
                *self.troubles.entry(trouble).or_default() += 1;
            }
        }
    }
}

/// One batch between two agreements.
fn calm<S: Service>(people: &mut People<'_, S>, batch: Batch) -> usize {
    people.play(batch);
    batch.all()
}

/// Batches between syncs that meet trouble and are killed.
fn stormy<S: Service>(people: &mut People<'_, S>, batch: Batch, tally: &mut Tally) -> usize {
    let pair = people.pair;
    let part = Batch { edits: batch.edits / KILLS, clashes: batch.clashes / KILLS, new: 1, deletes: 1 };
    pair.proxy.trouble(TROUBLES);
    for _ in 0..KILLS {
        people.play(part);
        let mut running = pair.spawn(&["sync"]);
        std::thread::sleep(Duration::from_millis(50 + people.chance.below(ALIVE_MS_MAX) as u64));
        running.kill();
        assert!(!running.log().contains("panicked"), "{}", running.log());
        tally.kills += 1;
    }
    let ran = pair.run(&["sync"]);
    assert!([0, 1, 4].contains(&ran.code), "{ran}");
    pair.proxy.calm();
    part.all() * KILLS
}
