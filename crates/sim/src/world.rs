//! The world of one run: systems, workers, one store, deliveries under way, and nothing that is not decided by the seed.

use crate::family;
use crate::fault::{Fault, Faults};
use crate::mistakes::system::MistakenSystem;
use crate::mistakes::{self, Mistake};
use crate::oracle::{Declared, Ending, Oracle, Violation};
use crate::rules;
use crate::scenario::{Participant, Scenario};
use crate::stage::Stage;
use crate::store::{Follower, Held, SimStore};
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::data::value::Value;
use avowal_core::policy::EntityPolicy;
use avowal_engine::ports::clock::Clock;
use avowal_engine::ports::connector::{Connector, Delivery};
use avowal_engine::ports::store::{CommitChanges, ReadHistory, ReadOverview, ReadRecords};
use avowal_engine::{
    DeliveryOutcome, Engine, EngineError, EngineParts, FirstWrites, Guards, Settings, SyncOptions,
    SystemPort, Unwatched, WriteRate,
};
use avowal_fakes::dice;
use avowal_fakes::fake::{FakeSystem, ManualClock, WorkerClock};
use avowal_fakes::layer::Layered;
use avowal_fakes::memory::MemoryStore;
use futures::FutureExt;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// What a worker has begun.
struct Task {
    work: Pin<Box<dyn Future<Output = Done>>>,
    /// The delivery that has to come again if the worker dies over it.
    delivery: Option<Transit>,
}

/// How it ended.
enum Done {
    Worked,
    Failed(EngineError),
    Received(DeliveryOutcome),
}

/// A webhook on its way.
#[derive(Clone)]
pub(crate) struct Transit {
    pub(crate) system: usize,
    pub(crate) delivery: Delivery,
    pub(crate) due_ms: i64,
    accepted_before: bool,
}

struct Worker {
    engine: Arc<Engine>,
    held: Held,
    tasks: Vec<Task>,
    dead: Arc<AtomicBool>,
    paused: bool,
}

/// Everything there is in one run.
pub struct World {
    pub(crate) scenario: Scenario,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) systems: Vec<Arc<FakeSystem>>,
    pub(crate) memory: Arc<MemoryStore>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) oracle: Arc<Oracle>,
    stage: Arc<Stage>,
    policies: BTreeMap<EntityName, Arc<EntityPolicy>>,
    workers: Vec<Worker>,
    pub(crate) transit: Vec<Transit>,
    /// Every delivery that was ever sent, for a storm of repetitions.
    pub(crate) sent: Vec<(usize, Delivery)>,
    follower: Option<Follower>,
    pub(crate) deletes_approved: bool,
    /// By how much the clock on the wall is off: workers that begin from now on believe it.
    pub(crate) wall_offset_ms: i64,
    polls: u64,
    mistake: Option<Mistake>,
    /// How often a failed attempt made another one necessary.
    pub(crate) retries: u64,
}

/// The most polls that anything honest takes.
const POLLS_MAX: u32 = 200_000;

impl World {
    /// The world of a scenario before its first step, in which the engine seems to make a mistake if one is given.
    pub fn new(
        scenario: Scenario,
        follower: Option<Follower>,
        mistake: Option<Mistake>,
    ) -> Result<Self, String> {
        let policies = rules::policies(&scenario)?
            .into_iter()
            .map(|(entity, policy)| (entity, Arc::new(mistakes::rules::policy(mistake, policy))))
            .collect();
        let clock = Arc::new(ManualClock::new());
        let faults = Arc::new(Faults::new(scenario.seed, scenario.rates.clone()));
        let declared = scenario.systems.iter().map(|system| {
            let declared = Declared {
                capabilities: rules::profile(system).capabilities,
                profile: system.profile.as_str().to_owned(),
                rate: system.rate,
            };
            (system.name.clone(), declared)
        });
        let oracle = Arc::new(Oracle::new(scenario.clone(), declared.collect()));
        let stage = Arc::new(Stage::new(faults.clone(), oracle.clone()));
        let systems = scenario
            .systems
            .iter()
            .enumerate()
            .map(|(at, system)| {
                let fake = FakeSystem::new(&system.name, rules::profile(system), clock.clone());
                fake.set_fate(stage.clone());
                fake.set_witness(oracle.clone());
                fake.set_skew_ms(system.skew_ms);
                if system.reuses_ids {
                    fake.reuse_ids();
                }
                if family::is_constrained(&scenario, at) {
                    family::constraints().into_iter().for_each(|constraint| fake.constrain(constraint));
                }
                if system.normalises && faults.is_possible(Fault::Normalised) {
                    let faults = faults.clone();
                    fake.set_normaliser(move |_, value| normalised(&faults, value));
                }
                Arc::new(fake)
            })
            .collect();
        let mut world = Self {
            memory: Arc::new(MemoryStore::new()),
            workers: Vec::new(),
            transit: Vec::new(),
            sent: Vec::new(),
            deletes_approved: false,
            wall_offset_ms: 0,
            polls: 0,
            mistake,
            retries: 0,
            scenario,
            clock,
            systems,
            faults,
            oracle,
            stage,
            policies,
            follower,
        };
        for _ in 0..world.scenario.workers.max(1) {
            let worker = world.worker();
            world.workers.push(worker);
        }
        Ok(world)
    }

    fn worker(&self) -> Worker {
        let dead = Arc::new(AtomicBool::new(false));
        let held = Held::default();
        let mut store = SimStore::new(
            self.memory.clone(),
            self.faults.clone(),
            self.oracle.clone(),
            self.follower.clone(),
            held.clone(),
            self.scenario.workers > 1,
            dead.clone(),
        );
        store.set_mistake(self.mistake);
        let port = |(fake, system): (&Arc<FakeSystem>, &Participant)| {
            let rate = system.rate.map(|(per_second, burst)| WriteRate { per_second, burst });
            let rate = mistakes::rules::rate(self.mistake, rate);
            let connector = self.connector(fake, system);
            (SystemName::new(&system.name), SystemPort { connector, poll_ms: 5_000, rate, lag_ms: None })
        };
        let engine = Arc::new(Engine::new(EngineParts {
            run: None,
            store: Arc::new(Layered(store)),
            clock: Arc::new(WorkerClock::new(self.clock.clone(), self.wall_offset_ms)),
            systems: self.systems.iter().zip(&self.scenario.systems).map(port).collect(),
            policies: self.policies.clone(),
            settings: self.settings(),
        }));
        let mut worker = Worker { engine: engine.clone(), held, tasks: Vec::new(), dead, paused: false };
        worker
            .tasks
            .push(Task { work: Box::pin(async move { done(engine.prepare().await) }), delivery: None });
        worker
    }

    fn connector(&self, fake: &Arc<FakeSystem>, system: &Participant) -> Arc<dyn Connector> {
        let columns = || {
            let all = family::entities(&self.scenario).iter().map(|entity| {
                let of_it = rules::columns(&self.scenario.rules, system, entity);
                (EntityName::new(*entity), of_it.into_iter().map(str::to_owned).collect())
            });
            all.collect()
        };
        match self.mistake {
            Some(mistake) => Arc::new(MistakenSystem::new(fake.clone(), mistake, columns())),
            None => fake.clone(),
        }
    }

    fn settings(&self) -> Settings {
        let everybody = || self.scenario.systems.iter().map(|system| SystemName::new(&system.name));
        let deletes_approved: BTreeSet<SystemName> =
            if self.deletes_approved { everybody().collect() } else { BTreeSet::new() };
        // Where systems lie, a person is asked about every delete and every copy that would be made again.
        let lies = self.scenario.rates.contains_key(&Fault::Blind);
        let deletes_max = if lies { 0 } else { DELETES_MAX };
        let creates_again_max = if lies { 0 } else { Guards::default().creates_again_max };
        let guards = Guards { deletes_max, deletes_approved, creates_again_max, ..Guards::default() };
        Settings {
            batch_records_max: 4,
            guards: mistakes::rules::guards(self.mistake, guards, everybody()),
            // The people of a scenario have seen what the first link writes.
            first_writes: FirstWrites::Agreed { by: "operator".to_owned() },
            ..Settings::default()
        }
    }

    /// The time, as every worker sees it.
    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now().millis()
    }

    /// A worker dies, and another takes its place.
    pub(crate) fn crash(&mut self, worker: usize) {
        let fresh = self.worker();
        let Some(place) = self.workers.get_mut(worker) else { return };
        let old = std::mem::replace(place, fresh);
        for task in old.tasks {
            self.transit.extend(task.delivery.clone());
        }
        self.oracle.restarted();
    }

    /// A worker stands still, or goes on.
    pub(crate) fn set_paused(&mut self, worker: usize, paused: bool) {
        if let Some(worker) = self.workers.get_mut(worker) {
            if paused && !worker.tasks.is_empty() {
                self.faults.note(Fault::WorkerPaused);
            }
            if paused {
                worker.held.revoke();
            }
            worker.paused = paused;
        }
    }

    /// All workers begin anew, under the present settings.
    pub(crate) fn restart_all(&mut self) {
        for worker in 0..self.workers.len() {
            self.crash(worker);
        }
    }

    pub(crate) fn begin_turn(&mut self, worker: usize, system: usize) {
        let Some(name) = self.scenario.systems.get(system).map(|system| SystemName::new(&system.name)) else {
            return;
        };
        self.begin(worker, None, move |engine| async move { done(engine.turn(&name, &Unwatched).await) });
    }

    pub(crate) fn begin_sync(&mut self, worker: usize, full: bool) {
        self.begin(worker, None, move |engine| async move {
            done(engine.sync(SyncOptions { full }, &Unwatched).await)
        });
    }

    fn begin<F>(&mut self, worker: usize, delivery: Option<Transit>, work: impl FnOnce(Arc<Engine>) -> F)
    where
        F: Future<Output = Done> + 'static,
    {
        const TASKS_MAX: usize = 8;
        let Some(worker) = self.workers.get_mut(worker) else { return };
        if worker.tasks.len() >= TASKS_MAX {
            self.transit.extend(delivery);
            return;
        }
        let work = Box::pin(work(worker.engine.clone()));
        worker.tasks.push(Task { work, delivery });
    }

    /// The webhooks that are due begin to be taken in by a worker.
    pub(crate) fn begin_deliveries(&mut self, worker: usize) {
        let now = self.now_ms();
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.transit).into_iter().partition(|transit| transit.due_ms <= now);
        self.transit = later;
        for transit in due {
            let name = SystemName::new(&self.scenario.systems[transit.system].name);
            let delivery = transit.delivery.clone();
            self.begin(worker, Some(transit), move |engine| async move {
                Done::Received(engine.receive_delivery(&name, &delivery).await)
            });
        }
    }

    /// Polls what a worker has begun, one piece after the other as the seed says.
    pub(crate) fn step(&mut self, at: usize, polls: u32) {
        for _ in 0..polls {
            let now = self.now_ms();
            let Some(worker) = self.workers.get_mut(at) else { return };
            if worker.paused || worker.tasks.is_empty() {
                return;
            }
            self.polls += 1;
            let place = dice::mix(self.scenario.seed.wrapping_add(self.polls)) as usize % worker.tasks.len();
            self.stage.enter(&worker.dead, now);
            let mut context = Context::from_waker(futures::task::noop_waker_ref());
            let polled = worker.tasks[place].work.as_mut().poll(&mut context);
            if worker.dead.load(Ordering::Relaxed) {
                self.crash(at);
                return;
            }
            if let Poll::Ready(end) = polled {
                let task = worker.tasks.swap_remove(place);
                self.ended(task, end);
            }
            let racing =
                self.workers.iter().filter(|worker| !worker.paused && !worker.tasks.is_empty()).count();
            if racing > 1 && self.polls.is_multiple_of(64) {
                self.faults.note(Fault::WorkersRacing);
            }
            self.edit_under_writes();
        }
    }

    /// Polls until everything a worker has begun has ended. Answers whether it did.
    pub(crate) fn finish(&mut self, worker: usize) -> bool {
        self.step(worker, POLLS_MAX);
        self.workers.get(worker).is_none_or(|worker| worker.tasks.is_empty() || worker.paused)
    }

    fn ended(&mut self, task: Task, end: Done) {
        match (end, task.delivery) {
            (Done::Failed(error), _) => {
                self.retries += 1;
                if self.at_peace() {
                    self.oracle.accuse("I2", None, format!("in peace a run failed: {error}"));
                }
            }
            (Done::Received(DeliveryOutcome::Accepted), Some(transit)) => {
                if transit.accepted_before {
                    let what = format!("delivery {} was accepted twice", transit.delivery.id);
                    self.oracle.accuse("I8", None, what);
                }
                let system = SystemName::new(&self.scenario.systems[transit.system].name);
                let seen = self.memory.seen_before(&system, std::slice::from_ref(&transit.delivery.id));
                if seen.now_or_never().and_then(Result::ok) != Some(vec![true]) {
                    let what = format!("delivery {} was accepted and is not durable", transit.delivery.id);
                    self.oracle.accuse("I8", None, what);
                }
                self.mark_accepted(&transit);
            }
            // The sender tries again.
            (Done::Received(DeliveryOutcome::Busy { .. }), Some(transit)) => {
                self.retries += 1;
                let due_ms = self.now_ms() + 1_000;
                self.transit.push(Transit { due_ms, ..transit });
            }
            (Done::Received(_) | Done::Worked, _) => {}
        }
    }

    /// From now on a repetition of this delivery has to be recognised.
    fn mark_accepted(&mut self, accepted: &Transit) {
        let same = |transit: &&mut Transit| {
            transit.system == accepted.system && transit.delivery.id == accepted.delivery.id
        };
        for transit in self.transit.iter_mut().filter(same) {
            transit.accepted_before = true;
        }
        for worker in &mut self.workers {
            for task in &mut worker.tasks {
                if let Some(transit) = task.delivery.as_mut().filter(|transit| {
                    transit.system == accepted.system && transit.delivery.id == accepted.delivery.id
                }) {
                    // It is under way already, so it may still be answered as the first.
                    transit.accepted_before = false;
                }
            }
        }
    }

    pub(crate) fn put_in_transit(&mut self, system: usize, delivery: Delivery, due_ms: i64) {
        self.transit.push(Transit { system, delivery, due_ms, accepted_before: false });
    }

    /// People edit rows while a write to them is under way.
    fn edit_under_writes(&mut self) {
        if !self.faults.is_possible(Fault::ConcurrentEdit) {
            return;
        }
        for (system, key, row) in self.oracle.writes_under_way() {
            if self.faults.strikes(Fault::ConcurrentEdit, &key) {
                self.edit_row_concurrently(&system, &row);
            }
        }
    }

    /// Runs something to its end, without a fault.
    pub(crate) fn run_now<F: Future>(&self, work: F) -> Option<F::Output> {
        let mut work = std::pin::pin!(work);
        let mut context = Context::from_waker(futures::task::noop_waker_ref());
        (0..POLLS_MAX).find_map(|_| match work.as_mut().poll(&mut context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    }

    /// The engine of the first worker.
    pub(crate) fn engine(&self) -> Arc<Engine> {
        self.workers[0].engine.clone()
    }

    /// Whether a worker is in the middle of something.
    pub(crate) fn is_working(&self) -> bool {
        self.workers.iter().any(|worker| !worker.tasks.is_empty())
    }

    pub(crate) fn worker_count(&self) -> usize {
        self.workers.len()
    }

    fn at_peace(&self) -> bool {
        self.oracle.is_at_peace()
    }

    /// What stands everywhere now.
    pub fn ending(&self) -> Ending {
        let rows = self.systems.iter().zip(&self.scenario.systems).flat_map(|(fake, system)| {
            let all = family::entities(&self.scenario).iter().flat_map(|entity| fake.rows(entity));
            all.map(|(id, row)| ((system.name.clone(), id), row)).collect::<Vec<_>>()
        });
        let most = usize::MAX;
        let records = self.memory.scan_records(None, most).now_or_never().and_then(Result::ok);
        let events = self.memory.scan_events(None, most).now_or_never().and_then(Result::ok);
        let quarantine = self.memory.quarantined(most).now_or_never().and_then(Result::ok);
        Ending {
            rows: rows.collect(),
            records: records.unwrap_or_default(),
            quarantine: quarantine.unwrap_or_default(),
            events: events.unwrap_or_default(),
        }
    }

    /// The laws that were broken.
    pub fn violations(&self) -> Vec<Violation> {
        self.oracle.violations()
    }
}

/// So many deletes are always allowed.
pub(crate) const DELETES_MAX: u64 = 1;

fn done<T>(result: Result<T, EngineError>) -> Done {
    match result {
        Ok(_) => Done::Worked,
        Err(error) => Done::Failed(error),
    }
}

fn normalised(faults: &Faults, value: &Value) -> Value {
    let stored = crate::oracle::normalised(value);
    if stored != *value {
        faults.note(Fault::Normalised);
    }
    stored
}
