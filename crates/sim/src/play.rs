//! Plays a scenario: chaos as its trace says, then healing, then judgement.

use crate::family;
use crate::fault::{Fault, Faults};
use crate::mistakes::Mistake;
use crate::oracle::{Figures, Violation};
use crate::scenario::{Action, ENTITY, How, KEY, Participant, Scenario};
use crate::store::Follower;
use crate::substance;
use crate::world::World;
use avowal_core::data::ids::{RemoteId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::Value;
use avowal_core::history::{Body, ReviewAnswer};
use avowal_core::record::Subject;
use avowal_engine::ports::connector::{ConnectorError, ConnectorErrorKind, Fields};
use avowal_engine::ports::store::{
    ControlStops, Direction, QuarantineItem, ReadHistory, ReadOverview, Stop, StopCause,
};
use avowal_fakes::dice::{hash, mix};
use futures::FutureExt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a run has shown.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// The rolling hash of everything that stood and was recorded: the same for the same scenario.
    pub hash: u64,
    /// The sum over values, links, classes, decisions and writes: unlike `hash`, no wording enters it.
    pub substance: u64,
    /// The laws that were broken.
    pub violations: Vec<Violation>,
    /// The figures by profile.
    pub figures: BTreeMap<String, Figures>,
    /// How often each fault has fired.
    pub fired: BTreeMap<Fault, u64>,
    /// How many rounds it took until nothing was left to do, after faults and edits had stopped.
    pub rounds: u32,
}

/// Plays a scenario to its end.
pub fn play(scenario: &Scenario) -> Outcome {
    play_followed(scenario, None).0
}

/// Plays a scenario to its end while the engine seems to make this mistake.
pub fn play_mistaken(scenario: &Scenario, mistake: Option<Mistake>) -> Outcome {
    play_world(scenario, World::new(scenario.clone(), None, mistake)).0
}

/// Plays a scenario to its end while somebody follows its commits, and hands out what was left.
pub fn play_followed(scenario: &Scenario, follower: Option<Follower>) -> (Outcome, Option<World>) {
    play_world(scenario, World::new(scenario.clone(), follower, None))
}

fn play_world(scenario: &Scenario, world: Result<World, String>) -> (Outcome, Option<World>) {
    let mut world = match world {
        Ok(world) => world,
        Err(reason) => {
            let violation = Violation { invariant: "rules".to_owned(), what: reason, thing: None };
            return (Outcome { violations: vec![violation], ..Outcome::default() }, None);
        }
    };
    for action in &scenario.trace {
        world.act(action);
        if !world.oracle.violations().is_empty() {
            break;
        }
    }
    let mut rounds = 0;
    if world.oracle.violations().is_empty() {
        rounds = world.heal();
    }
    (world.outcome(rounds), Some(world))
}

/// How many rounds may pass before all has to be quiet.
const ROUNDS_MAX: u32 = 8;

/// By how much clocks are set at most, in milliseconds.
const CLOCK_MS_MAX: i64 = 5 * 4_000_000;

/// How many polls a worker gets to finish what it does before a stop is set.
const FINISH_POLLS_MAX: u32 = 20_000;

/// In every scenario whose seed this divides, who stops a system's writes stops everything.
const SWITCH_EVERY: u64 = 4;

/// How long everything that waits takes at most, in milliseconds.
const LONG_MS: i64 = 120_000;

impl World {
    pub(crate) fn name(&self, system: usize) -> String {
        self.scenario.systems.get(system).map(|system| system.name.clone()).unwrap_or_default()
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Insert { system, thing } => self.insert(*system, *thing),
            Action::Edit { system, thing, field, how } => self.edit(*system, *thing, *field, *how),
            Action::EditBoth { systems, thing, field } => {
                if systems.0 != systems.1 {
                    self.edit(systems.0, *thing, *field, How::Fresh);
                    self.edit(systems.1, *thing, *field, How::Fresh);
                    self.faults.note(Fault::SameSecond);
                }
            }
            Action::Delete { system, thing } => self.delete(*system, *thing),
            Action::DeleteNewest { system, but } => self.delete_newest(*system, *but),
            Action::Recreate { system, thing } => {
                if self.row(*system, *thing).is_some() {
                    self.faults.note(Fault::DeleteAndRecreate);
                    self.delete(*system, *thing);
                    self.insert(*system, *thing);
                }
            }
            Action::Merge { system, keep, lose } => self.merge(*system, *keep, *lose),
            Action::TouchAll { system } => {
                if let Some(fake) = self.systems.get(*system) {
                    self.faults.note(Fault::BulkTouch);
                    family::entities(&self.scenario).iter().for_each(|entity| fake.touch_all(entity));
                }
            }
            Action::DeleteAll { system } => self.delete_all(*system),
            Action::Poison { system, thing } => {
                if let (Some(fake), Some((id, _))) = (self.systems.get(*system), self.row(*system, *thing)) {
                    self.faults.note(Fault::PoisonPayload);
                    fake.set_unreadable(ENTITY, &id, true);
                }
            }
            Action::Turn { worker, system, polls } => {
                self.collect();
                self.begin_turn(*worker, *system);
                self.step(*worker, *polls);
            }
            Action::Sync { worker, full, polls } => {
                self.collect();
                self.begin_sync(*worker, *full);
                self.step(*worker, *polls);
            }
            Action::Step { worker, polls } => self.step(*worker, *polls),
            Action::Deliver { worker, polls } => {
                self.collect();
                self.begin_deliveries(*worker);
                self.step(*worker, *polls);
            }
            Action::Wait { ms } => self.clock.advance(*ms),
            Action::SetClock { ms } => {
                self.faults.note(if *ms < 0 { Fault::ClockBack } else { Fault::ClockForward });
                self.oracle.clock_was_set();
                self.wall_offset_ms += ms;
                if self.worker_count() > 1 {
                    // The clocks of all machines are kept together; whoever runs on goes on counting.
                    self.restart_all();
                }
            }
            Action::Crash { worker } => {
                self.faults.note(Fault::CrashDuringWrite);
                self.crash(*worker);
            }
            Action::Pause { worker } => self.set_paused(*worker, true),
            Action::Resume { worker } => self.set_paused(*worker, false),
            Action::Drift { system, on } => {
                self.take_down(*system, *on, Fault::SchemaDrift, ConnectorErrorKind::SchemaDrift);
            }
            Action::Revoke { system, on } => {
                self.take_down(*system, *on, Fault::RevokedCredential, ConnectorErrorKind::Unauthorised);
            }
            Action::Blind { system, on } => self.set_blind(*system, *on),
            Action::Stop { system, outgoing } => self.stop(*system, *outgoing),
            Action::GoOn => self.lift_stops(),
            Action::Expire { system } => {
                if let Some(fake) = self.systems.get(*system) {
                    self.faults.note(Fault::ExpiredCursor);
                    fake.expire_feed();
                }
            }
            Action::Stick { system, on } => {
                if let Some(fake) = self.systems.get(*system) {
                    fake.set_feed_stuck(*on);
                }
            }
        }
    }

    /// A person stops one direction of a system, or everything where it is the switch that is tried. A worker in the middle of something finishes that first; where one stands
    /// still, nobody could tell whether it has obeyed.
    fn stop(&mut self, system: usize, outgoing: bool) {
        for worker in 0..self.worker_count() {
            self.step(worker, FINISH_POLLS_MAX);
        }
        if self.is_working() || self.is_accused() {
            return;
        }
        if outgoing && self.scenario.seed.is_multiple_of(SWITCH_EVERY) {
            return self.stop_everything();
        }
        let stop = Stop {
            system: SystemName::new(self.name(system)),
            direction: if outgoing { Direction::Out } else { Direction::In },
            cause: StopCause::Person,
            by: None,
            note: None,
            since: Timestamp::from_millis(self.now_ms()),
        };
        self.memory.set_stop(&stop).now_or_never();
        if outgoing {
            self.oracle.stopped(stop.system.as_str());
        }
    }

    /// A person stops every system, in both directions.
    fn stop_everything(&mut self) {
        for direction in Direction::ALL {
            let stop = Stop {
                system: SystemName::new(Stop::EVERY_SYSTEM),
                direction,
                cause: StopCause::Everything,
                by: None,
                note: None,
                since: Timestamp::from_millis(self.now_ms()),
            };
            self.memory.set_stop(&stop).now_or_never();
        }
        self.oracle.stopped_everything();
    }

    /// A person lets every system go on. What a guard holds is another question.
    fn lift_stops(&mut self) {
        self.oracle.goes_on();
        let now = Timestamp::from_millis(self.now_ms());
        let stops = self.memory.stops().now_or_never().and_then(Result::ok).unwrap_or_default();
        for stop in stops.into_iter().filter(|stop| stop.cause.is_whole()) {
            self.memory.lift_stop(&stop, "somebody", now).now_or_never();
        }
    }

    fn take_down(&self, system: usize, on: bool, fault: Fault, kind: ConnectorErrorKind) {
        let Some(fake) = self.systems.get(system) else { return };
        if on {
            self.faults.note(fault);
        }
        fake.set_down(on.then(|| ConnectorError::new(kind, format!("{fault}"), Some("ask its owner"))));
    }

    // Webhooks.

    /// What the systems have sent goes on its way: late, twice, cut, in another order, or not at all.
    fn collect(&mut self) {
        let now = self.now_ms();
        for system in 0..self.systems.len() {
            for delivery in self.systems[system].take_deliveries() {
                self.sent.push((system, delivery.clone()));
                let faults = self.faults.clone();
                let strikes = |fault| faults.strikes(fault, &delivery.id);
                if strikes(Fault::LostWebhook) {
                    continue;
                }
                let mut due = now;
                if strikes(Fault::LateWebhook) {
                    due += 1_000 + faults.amount(&delivery.id, 60_000) as i64;
                }
                if strikes(Fault::ReorderedWebhook) {
                    due += faults.amount(&delivery.id, 1_500) as i64;
                }
                let mut sent = delivery.clone();
                if strikes(Fault::PartialWebhook) {
                    cut(&mut sent.body, &faults, &delivery.id);
                }
                if strikes(Fault::DuplicateWebhook) {
                    self.put_in_transit(system, sent.clone(), due + faults.amount(&sent.id, 5_000) as i64);
                }
                self.put_in_transit(system, sent, due);
            }
        }
    }

    // Healing.

    /// Faults and edits stop. Answers after how many rounds nothing was left to do.
    fn heal(&mut self) -> u32 {
        self.faults.make_peace();
        self.oracle.forget_under_way();
        self.lift_stops();
        for worker in 0..self.worker_count() {
            self.set_paused(worker, false);
            self.finish(worker);
        }
        for system in 0..self.systems.len() {
            self.systems[system].set_down(None);
            self.systems[system].set_feed_stuck(false);
        }
        self.oracle.make_peace();
        self.end_blindness();
        self.approve_creates();
        self.deletes_approved = true;
        self.restart_all();
        self.judge_poison();
        self.repair();
        self.let_waiting_writes_go();
        let mut rounds = 0;
        loop {
            rounds += 1;
            let before = self.mark();
            if rounds == 1 {
                // What a clock that was ahead has put off comes due at last.
                self.clock.advance(CLOCK_MS_MAX);
            } else {
                self.attend();
            }
            self.round(false);
            // People look at what was set aside at least once.
            let is_quiet = rounds > 1 && self.mark() == before;
            if is_quiet || rounds >= ROUNDS_MAX || self.is_accused() {
                break;
            }
        }
        if !self.is_accused() {
            self.judge_calm();
        }
        rounds
    }

    /// Nothing is asked of anybody until all writes that can be written are. What is set aside then has to be forbidden
    /// truly, by what stands there. Thereupon people take the constraints away, and what was set aside can go out.
    fn let_waiting_writes_go(&mut self) {
        const QUIET_MAX: u32 = 3;
        const ROUNDS_MAX: u32 = 30;
        if self.scenario.family.is_none() || self.is_accused() {
            return;
        }
        self.clock.advance(CLOCK_MS_MAX);
        let mut quiet = 0;
        for _ in 0..ROUNDS_MAX {
            let before = self.mark();
            self.round(false);
            quiet = if self.mark() == before { quiet + 1 } else { 0 };
            if quiet >= QUIET_MAX || self.is_accused() {
                break;
            }
        }
        self.oracle.judge_set_aside(&self.ending());
        self.systems.iter().for_each(|fake| fake.constrain_nothing());
    }

    pub(crate) fn is_accused(&self) -> bool {
        !self.oracle.violations().is_empty()
    }

    /// What has happened so far, in two numbers: events, but for those that only note a delivery, and writes.
    pub(crate) fn mark(&self) -> (u64, u64) {
        let events = self.memory.scan_events(None, usize::MAX).now_or_never().and_then(Result::ok);
        let told = |event: &avowal_core::history::IntegrationEvent| match &event.body {
            Body::EchoRecognised { .. } | Body::DuplicateDropped { .. } | Body::StaleDropped { .. } => 0,
            _ => 1,
        };
        (events.unwrap_or_default().iter().map(told).sum(), self.oracle.effects())
    }

    /// Everything that waits comes due, arrives and is worked on.
    pub(crate) fn round(&mut self, full: bool) {
        self.clock.advance(LONG_MS);
        self.collect();
        self.begin_deliveries(0);
        self.finish(0);
        self.begin_sync(0, full);
        if !self.finish(0) {
            self.oracle.accuse("I15", None, "in peace a run did not come to its end".to_owned());
        }
    }

    /// I15: what cannot be read is set aside, and stops nobody else.
    fn judge_poison(&mut self) {
        let poisoned: Vec<(String, RemoteId)> = self
            .systems
            .iter()
            .zip(&self.scenario.systems)
            .flat_map(|(fake, system)| fake.unreadable().into_iter().map(|id| (system.name.clone(), id)))
            .collect();
        if poisoned.is_empty() {
            return;
        }
        self.round(true);
        let ending = self.ending();
        for (system, id) in poisoned {
            let stands = ending.rows.contains_key(&(system.clone(), id.clone()));
            let is_aside = ending
                .quarantine
                .iter()
                .any(|item| item.system.as_str() == system && item.remote_id.as_ref() == Some(&id));
            if stands && !is_aside {
                self.oracle.accuse("I15", None, format!("{system} {id} cannot be read and is not set aside"));
            }
        }
    }

    /// People repair what cannot be read.
    fn repair(&mut self) {
        for system in 0..self.systems.len() {
            for id in self.systems[system].unreadable() {
                self.systems[system].set_unreadable(ENTITY, &id, false);
            }
            for (id, row) in self.systems[system].rows(ENTITY) {
                if row.get("credit").is_some_and(|credit| credit.as_text().is_some()) {
                    self.systems[system].edit(
                        ENTITY,
                        &id,
                        Fields::from([("credit".to_owned(), Value::Int(7))]),
                    );
                }
            }
        }
    }

    /// People look at what was set aside, and answer what they are asked.
    pub(crate) fn attend(&mut self) {
        let engine = self.engine();
        let items = self.ending().quarantine;
        for item in items {
            let is_unknown = item.reason.contains("stays unknown");
            let stands = item.record.is_some() && is_unknown && self.stands_there(&item);
            if stands {
                continue;
            }
            if let Some(record) = item.record.as_ref().filter(|_| is_unknown) {
                self.allow_again(record.as_str());
            }
            let replayed = self.run_now(engine.replay(&item, "op"));
            if !matches!(replayed, Some(Ok(()))) {
                self.oracle.accuse("I15", None, format!("item {} cannot be replayed", item.id));
            }
        }
        if !self.scenario.answers {
            return;
        }
        let open = self.memory.open_reviews(1_000).now_or_never().and_then(Result::ok).unwrap_or_default();
        for (at, review) in open.into_iter().enumerate() {
            self.oracle.answered(review.record.as_str());
            let others: Vec<SystemName> = review.review.proposed.keys().cloned().collect();
            let choice = mix(self.scenario.seed.wrapping_add(at as u64)) % 3;
            let answer = match (&review.subject, choice, others.first()) {
                (Subject::Existence, 0, _) => ReviewAnswer::Delete,
                (Subject::Existence, _, _) => ReviewAnswer::Restore,
                (Subject::Field(_), 0, _) | (Subject::Field(_), _, None) => ReviewAnswer::Keep,
                (Subject::Field(_), _, Some(system)) => ReviewAnswer::Take { system: system.clone() },
            };
            // Answers may be impossible by now, as when the copy is gone; the question stays open then.
            let _ = self.run_now(engine.decide_review(&review.review.id, answer, "op", None));
        }
    }

    /// Whether the system holds a row of the thing that a payload is about.
    fn stands_there(&self, item: &QuarantineItem) -> bool {
        let named = |participant: &Participant| participant.name == item.system.as_str();
        let Some(place) = self.scenario.systems.iter().position(named) else { return false };
        self.systems[place].rows(item.entity.as_str()).values().any(|row| {
            row.get(KEY)
                .and_then(Value::as_text)
                .is_some_and(|key| item.payload.contains(&format!("\"{key}\"")))
        })
    }

    fn allow_again(&self, record: &str) {
        let ending = self.ending();
        for intent in ending
            .records
            .iter()
            .filter(|state| state.id.as_str() == record)
            .flat_map(|state| state.intents.values())
        {
            self.oracle.allow_again(&intent.key);
        }
    }

    fn outcome(&self, rounds: u32) -> Outcome {
        let ending = self.ending();
        let mut sum = self.scenario.seed;
        for event in &ending.events {
            sum = mix(sum ^ hash(event.seq, &event.hash.to_string()));
        }
        for ((system, id), row) in &ending.rows {
            sum = mix(sum ^ hash(1, &format!("{system} {id} {}", Value::Object(row.clone()))));
        }
        let mut figures: BTreeMap<String, Figures> = BTreeMap::new();
        for (system, mine) in self.oracle.figures() {
            if let Some(participant) =
                self.scenario.systems.iter().find(|participant| participant.name == system)
            {
                figures.entry(participant.profile.as_str().to_owned()).or_default().add(&mine);
            }
        }
        let rows = ending
            .rows
            .iter()
            .map(|((system, id), row)| (system.as_str(), id.as_str(), Value::Object(row.clone())));
        let substance = substance::sum(self.scenario.seed, &ending.events, &ending.records, rows);
        Outcome {
            hash: sum,
            substance,
            violations: self.violations(),
            figures,
            fired: self.faults.fired(),
            rounds,
        }
    }
}

/// Takes some fields out of a delivery: many providers send only a part.
fn cut(body: &mut Vec<u8>, faults: &Faults, id: &str) {
    let Ok(mut json) = serde_json::from_slice::<serde_json::Value>(body) else { return };
    if let Some(fields) = json["fields"].as_object_mut() {
        fields.retain(|name, _| name == KEY || faults.amount(&format!("{id} {name}"), 2) == 0);
    }
    *body = json.to_string().into_bytes();
}
