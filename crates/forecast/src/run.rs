//! One seed: the first link, days of edits, nights in which a person answers and everything is listed, and the end.

use super::Plan;
use super::agreement::{self, Difference};
use super::people::{Action, People};
use super::seed_figures::{SeedFigures, count_events};
use super::system::{SimulatedSystem, Weather};
use avowal_core::data::ids::SystemName;
use avowal_core::history::ReviewAnswer;
use avowal_core::record::Subject;
use avowal_engine::ports::clock::Clock;
use avowal_engine::ports::connector::{Connector, Delivery};
use avowal_engine::ports::store::{Due, OpenReview, ReadHistory, ReadOverview, ScheduleWork};
use avowal_engine::{
    DeliveryOutcome, Engine, EngineError, EngineParts, FirstWrites, SyncOptions, SyncReport, SystemPort,
    Unwatched,
};
use avowal_fakes::dice::{self, Dice};
use avowal_fakes::fake::ManualClock;
use avowal_fakes::memory::MemoryStore;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

pub(super) const DAY_MS: i64 = 24 * 3_600_000;
/// People work so long a day; the night begins after it.
pub(super) const WORKDAY_MS: i64 = 10 * 3_600_000;
/// Between the first link and the first day.
const MORNING_MS: i64 = 60_000;
/// More rounds than any honest chain of changes takes.
const ROUNDS_MAX: u64 = 200;
/// The most polls that anything honest takes.
const POLLS_MAX: u32 = 10_000_000;
/// Nights without edits or faults after which everything has to agree.
const CALM_NIGHTS_MAX: u32 = 8;
/// The most reviews that a person answers in one night, and the most records that are looked at.
const MANY: usize = 1_000_000;

/// Of a hundred webhooks, so many are lost, and so many come much too late.
const LOST_WEBHOOKS_PER_CENT: u64 = 2;
const LATE_WEBHOOKS_PER_CENT: u64 = 5;
const WEBHOOK_MS_MAX: u64 = 3_000;
const LATE_WEBHOOK_MS_MAX: u64 = 600_000;

/// What became of one seed.
#[derive(Clone, Debug, Default)]
pub(super) struct Played {
    pub(super) seed: u64,
    pub(super) figures: SeedFigures,
    /// How many rounds over all systems each burst of work took.
    pub(super) rounds: Vec<u64>,
    /// What does not agree at the end.
    pub(super) differences: Vec<Difference>,
    /// What a guard stopped, in the guard's words.
    pub(super) held: BTreeSet<String>,
    /// Fields for which no value was found that the rule accepts.
    pub(super) without_values: BTreeSet<String>,
}

/// The world of one seed.
pub(super) struct Run<'a> {
    pub(super) plan: &'a Plan,
    pub(super) dice: Dice,
    pub(super) clock: Arc<ManualClock>,
    pub(super) memory: Arc<MemoryStore>,
    pub(super) systems: BTreeMap<SystemName, Arc<SimulatedSystem>>,
    weather: Arc<Weather>,
    engine: Engine,
    /// What happens when; at one time in the order of planning.
    agenda: BTreeMap<(i64, u64), Action>,
    planned: u64,
    /// The looks that are planned, so that none is planned twice.
    looks: BTreeSet<(i64, SystemName)>,
    pub(super) played: Played,
}

/// Plays one seed to its end.
pub(super) fn play(plan: &Plan, seed: u64) -> Played {
    let mut run = Run::new(plan, seed);
    let mut people = People::new(plan, seed);
    people.fill_systems(&mut run);
    run.night(false);
    run.clock.advance(MORNING_MS);
    let began_ms = run.now_ms();
    run.weather.set_calm(false);
    for day in 0..plan.days {
        run.wait_until(began_ms + i64::from(day) * DAY_MS);
        people.plan_day(&mut run, day);
        run.work(&mut people);
        run.wait_until(began_ms + i64::from(day) * DAY_MS + DAY_MS / 2);
        run.night(true);
    }
    run.calm_down();
    let events = run.now(run.memory.scan_events(None, MANY)).and_then(Result::ok).unwrap_or_default();
    let quarantined = run.now(run.memory.quarantined(MANY)).and_then(Result::ok).unwrap_or_default();
    run.played.figures = count_events(plan, &events, &quarantined, began_ms, people.edits());
    run.played.without_values = people.without_values();
    run.played.seed = seed;
    run.played
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan, seed: u64) -> Self {
        let clock = Arc::new(ManualClock::new());
        let weather = Arc::new(Weather::new(dice::hash(seed, "weather")));
        let systems: BTreeMap<SystemName, Arc<SimulatedSystem>> = plan
            .systems
            .iter()
            .map(|(name, participant)| {
                let system = SimulatedSystem::new(plan, name, participant, &clock, &weather);
                (name.clone(), Arc::new(system))
            })
            .collect();
        let memory = Arc::new(MemoryStore::new());
        let engine = engine(plan, &systems, &memory, &clock, false);
        Self {
            plan,
            dice: Dice::new(dice::hash(seed, "world")),
            clock,
            memory,
            systems,
            weather,
            engine,
            agenda: BTreeMap::new(),
            planned: 0,
            looks: BTreeSet::new(),
            played: Played::default(),
        }
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.clock.now().millis()
    }

    fn wait_until(&self, at_ms: i64) {
        self.clock.advance(at_ms.saturating_sub(self.now_ms()).max(0));
    }

    pub(super) fn plan_at(&mut self, at_ms: i64, action: Action) {
        self.planned += 1;
        self.agenda.insert((at_ms, self.planned), action);
    }

    /// Runs something to its end; `None` if it has none.
    pub(super) fn now<F: Future>(&self, work: F) -> Option<F::Output> {
        let mut work = std::pin::pin!(work);
        let mut context = Context::from_waker(Waker::noop());
        (0..POLLS_MAX).find_map(|_| match work.as_mut().poll(&mut context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    }

    /// Does everything that is on the agenda of the day.
    fn work(&mut self, people: &mut People) {
        while let Some(((at_ms, _), action)) = self.agenda.pop_first() {
            self.wait_until(at_ms);
            match action {
                Action::Look { system } => {
                    self.looks.remove(&(at_ms, system.clone()));
                    self.sync_until_quiet(&system);
                }
                Action::Deliver { system, delivery } => self.deliver(&system, delivery),
                other => people.act(self, other),
            }
            self.post();
        }
    }

    /// Something changed in a system: it will be asked when its turn comes.
    pub(super) fn changed(&mut self, system: &SystemName) {
        let poll_ms = self.plan.systems.get(system).map_or(1_000, |participant| participant.poll_ms.max(50));
        let poll_ms = i64::try_from(poll_ms).unwrap_or(DAY_MS);
        let next = (self.now_ms() / poll_ms + 1).saturating_mul(poll_ms);
        self.look_at(next, system);
    }

    fn look_at(&mut self, at_ms: i64, system: &SystemName) {
        if self.looks.insert((at_ms, system.clone())) {
            self.plan_at(at_ms, Action::Look { system: system.clone() });
        }
    }

    /// Webhooks set out; some are lost, some take very long.
    fn post(&mut self) {
        let fakes = self.systems.iter().flat_map(|(name, system)| {
            system
                .fakes
                .values()
                .flat_map(move |fake| fake.take_deliveries().into_iter().map(|it| (name.clone(), it)))
        });
        let sent: Vec<(SystemName, Delivery)> = fakes.collect();
        for (system, delivery) in sent {
            let chance = self.dice.roll(100);
            if chance < LOST_WEBHOOKS_PER_CENT {
                continue;
            }
            let late = chance < LOST_WEBHOOKS_PER_CENT + LATE_WEBHOOKS_PER_CENT;
            let most = if late { LATE_WEBHOOK_MS_MAX } else { WEBHOOK_MS_MAX };
            let at_ms = self.now_ms().saturating_add(1 + self.dice.roll(most) as i64);
            self.plan_at(at_ms, Action::Deliver { system, delivery });
        }
    }

    fn deliver(&mut self, system: &SystemName, delivery: Delivery) {
        match self.now(self.engine.receive_delivery(system, &delivery)) {
            Some(DeliveryOutcome::Accepted) => self.sync_until_quiet(system),
            Some(DeliveryOutcome::Duplicate | DeliveryOutcome::Refused { .. }) | None => {}
            Some(DeliveryOutcome::Busy { .. }) => {
                let at_ms = self.now_ms() + 5_000;
                self.plan_at(at_ms, Action::Deliver { system: system.clone(), delivery });
            }
        }
    }

    /// A system has its turn, then everybody for whom there is something to do, until there is nothing.
    fn sync_until_quiet(&mut self, first: &SystemName) {
        let mut rounds = 0;
        let mut turns = BTreeSet::from([first.clone()]);
        while rounds < ROUNDS_MAX && self.round(&turns) {
            rounds += 1;
            turns = self.with_work();
        }
        if rounds > 0 {
            self.played.rounds.push(rounds);
        }
        // What waits for its time has its turn then; what is due and cannot be done waits for the night.
        let due = self.now(self.memory.next_due()).and_then(Result::ok).flatten();
        if let Some(due) = due.map(|due| due.millis()).filter(|due| *due > self.now_ms()) {
            let names: Vec<SystemName> = self.systems.keys().cloned().collect();
            names.iter().for_each(|system| self.look_at(due, system));
        }
    }

    /// The systems that have a write, or a copy to be read, that is due.
    fn with_work(&self) -> BTreeSet<SystemName> {
        let now = self.clock.now();
        let has = |system: &SystemName, due| {
            let shares = self.now(self.memory.due_shares(system, due, now)).and_then(Result::ok);
            shares.is_some_and(|shares| !shares.is_empty())
        };
        let names = self.systems.keys();
        names.filter(|system| has(system, Due::Intents) || has(system, Due::Signals)).cloned().collect()
    }

    fn round(&mut self, turns: &BTreeSet<SystemName>) -> bool {
        let mut busy = false;
        for system in turns {
            let writes = self.writes(system);
            match self.now(self.engine.turn(system, &Unwatched)) {
                Some(Ok(more)) => busy |= more,
                // It is asked again a little later, as the daemon does.
                Some(Err(EngineError::System { .. } | EngineError::Contended { .. })) => self.changed(system),
                Some(Err(EngineError::Store(_) | EngineError::Usage(_))) | None => {}
            }
            if self.writes(system) > writes {
                // What we wrote comes back in its feed.
                self.changed(system);
            }
        }
        busy
    }

    fn writes(&self, system: &SystemName) -> u64 {
        let fakes = self.systems.get(system).into_iter().flat_map(|system| system.fakes.values());
        fakes.map(|fake| fake.calls().writes).sum()
    }

    /// A person answers what waits, and everything is listed once.
    fn night(&mut self, full: bool) -> SyncReport {
        self.answer();
        let synced = self.now(self.engine.sync(SyncOptions { full }, &Unwatched));
        let report = synced.and_then(Result::ok).unwrap_or_default();
        self.played.held.extend(report.held.iter().cloned());
        report
    }

    fn answer(&mut self) {
        let open = self.now(self.memory.open_reviews(MANY)).and_then(Result::ok).unwrap_or_default();
        for question in open {
            let answer = self.answer_to(&question);
            let decided =
                self.now(self.engine.decide_review(&question.review.id, answer, "a simulated person", None));
            if let Some(Err(_)) = decided {
                // What was proposed is not allowed, or has gone by now.
                let keep = if question.subject == Subject::Existence {
                    ReviewAnswer::Restore
                } else {
                    ReviewAnswer::Keep
                };
                let _ = self.now(self.engine.decide_review(
                    &question.review.id,
                    keep,
                    "a simulated person",
                    None,
                ));
            }
        }
    }

    fn answer_to(&mut self, question: &OpenReview) -> ReviewAnswer {
        let takes = self.dice.chance(50);
        match (question.subject == Subject::Existence, question.review.proposed.keys().next()) {
            (true, _) => {
                if takes {
                    ReviewAnswer::Delete
                } else {
                    ReviewAnswer::Restore
                }
            }
            (false, Some(system)) if takes => ReviewAnswer::Take { system: system.clone() },
            (false, _) => ReviewAnswer::Keep,
        }
    }

    /// People and faults rest, a person agrees to what a guard holds: now everything has to agree.
    fn calm_down(&mut self) {
        self.weather.set_calm(true);
        self.engine = engine(self.plan, &self.systems, &self.memory, &self.clock, true);
        for _ in 0..CALM_NIGHTS_MAX {
            self.clock.advance(3_600_000);
            self.night(true);
            self.post();
            for (_, action) in std::mem::take(&mut self.agenda) {
                if let Action::Deliver { system, delivery } = action {
                    self.deliver(&system, delivery);
                }
            }
            self.looks.clear();
            self.agenda.clear();
        }
        self.clock.advance(3_600_000);
        let last = self.night(true);
        self.played.differences = agreement::differences(self);
        if last.written() > 0 {
            self.played.differences.push(Difference::restless(last.written()));
        }
    }
}

fn engine(
    plan: &Plan,
    systems: &BTreeMap<SystemName, Arc<SimulatedSystem>>,
    memory: &Arc<MemoryStore>,
    clock: &Arc<ManualClock>,
    approved: bool,
) -> Engine {
    let port = |(name, system): (&SystemName, &Arc<SimulatedSystem>)| {
        let connector: Arc<dyn Connector> = system.clone();
        let poll_ms = plan.systems.get(name).map_or(1_000, |participant| participant.poll_ms);
        (name.clone(), SystemPort { connector, poll_ms, rate: None, lag_ms: None })
    };
    let mut settings = plan.settings.clone();
    settings.first_writes = FirstWrites::Agreed { by: "a simulated person".to_owned() };
    if approved {
        settings.guards.deletes_approved.extend(systems.keys().cloned());
    }
    Engine::new(EngineParts {
        run: None,
        store: memory.clone(),
        clock: clock.clone(),
        systems: systems.iter().map(port).collect(),
        policies: plan.policies.clone(),
        settings,
    })
}
