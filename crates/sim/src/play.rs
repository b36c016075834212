//! Plays a scenario: chaos as its trace says, then healing, then judgement.

use crate::dice::{Dice, hash, mix};
use crate::fault::{Fault, Faults};
use crate::oracle::{Ending, Figures, Violation};
use crate::scenario::{Action, ENTITY, FIELDS, How, KEY, Scenario};
use crate::store::Follower;
use crate::world::World;
use avowal_core::history::{Body, Verdict};
use avowal_core::ids::{RecordId, RemoteId, SystemName};
use avowal_core::value::Value;
use avowal_engine::connector::{ConnectorError, ConnectorErrorKind, Fields};
use avowal_engine::store::Store;
use futures::FutureExt;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a run has shown.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// The rolling hash of everything that stood and was recorded: the same for the same scenario.
    pub hash: u64,
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

/// Plays a scenario to its end while somebody follows its commits, and hands out what was left.
pub fn play_followed(scenario: &Scenario, follower: Option<Follower>) -> (Outcome, Option<World>) {
    let mut world = match World::new(scenario.clone(), follower) {
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
const CLOCK_MS_MAX: i64 = 3 * 4_000_000;

/// How long everything that waits takes at most, in milliseconds.
const LONG_MS: i64 = 120_000;

impl World {
    fn name(&self, system: usize) -> String {
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
                    fake.touch_all(ENTITY);
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

    fn take_down(&self, system: usize, on: bool, fault: Fault, kind: ConnectorErrorKind) {
        let Some(fake) = self.systems.get(system) else { return };
        if on {
            self.faults.note(fault);
        }
        fake.set_down(on.then(|| ConnectorError::new(kind, format!("{fault}"), Some("ask its owner"))));
    }

    // What people do.

    /// The row of a thing, if the system has one.
    fn row(&self, system: usize, thing: u32) -> Option<(RemoteId, Fields)> {
        let rows = self.systems.get(system)?.rows(ENTITY);
        let key = Value::text(key_of(thing));
        rows.into_iter().find(|(_, row)| row.get(KEY) == Some(&key))
    }

    fn insert(&mut self, system: usize, thing: u32) {
        if self.row(system, thing).is_some() {
            return;
        }
        let mut row = Fields::from([(KEY.to_owned(), Value::text(key_of(thing)))]);
        row.insert("name".to_owned(), self.fresh("name", system));
        let mut dice =
            Dice::new(hash(self.scenario.seed, &format!("insert {system} {thing} {}", self.edits())));
        for field in self.fields_of(system) {
            if field != "name" && dice.chance(40) {
                let value = self.fresh(&field, system);
                row.insert(field, value);
            }
        }
        if let Some(fake) = self.systems.get(system) {
            fake.insert(ENTITY, row);
        }
    }

    fn fields_of(&self, system: usize) -> Vec<String> {
        let Some(participant) = self.scenario.systems.get(system) else { return Vec::new() };
        let others = self.scenario.rules.fields.iter().cloned();
        let all = std::iter::once("name".to_owned()).chain(others);
        all.filter(|field| !participant.lacks.contains(field)).collect()
    }

    fn edits(&self) -> usize {
        self.oracle.edit_count()
    }

    /// A value that never stood anywhere.
    fn fresh(&self, field: &str, system: usize) -> Value {
        let no = self.edits();
        match field {
            "tags" => Value::List(vec![Value::text(format!("t{no}.{system}"))]),
            "credit" => Value::Int(100),
            _ => Value::text(format!("E{no}.{field}.{system}")),
        }
    }

    fn edit(&mut self, system: usize, thing: u32, field: usize, how: How) {
        let Some(field) = self.field_to_edit(system, thing, field, how) else { return };
        if let Some((id, row)) = self.row(system, thing).filter(|_| self.fields_of(system).contains(&field)) {
            let now = row.get(&field).cloned().unwrap_or(Value::Null);
            let value = match how {
                How::Fresh => self.changed(&field, system, &now),
                How::Back => match self.oracle.earlier(&self.name(system), &id, &field) {
                    Some(value) => {
                        self.faults.note(Fault::RestoredValue);
                        value
                    }
                    None => return,
                },
                How::Clear => Value::Null,
                How::Wrong if field == "credit" => {
                    self.faults.note(Fault::PoisonPayload);
                    Value::text("many")
                }
                How::Wrong => self.changed(&field, system, &now),
            };
            self.systems[system].edit(ENTITY, &id, Fields::from([(field, value)]));
        }
    }

    /// The field meant; where something is to be put back, the next one in which something else stood before.
    fn field_to_edit(&self, system: usize, thing: u32, field: usize, how: How) -> Option<String> {
        let meant = FIELDS.get(field).map(|field| (*field).to_owned())?;
        if how != How::Back {
            return Some(meant);
        }
        let (id, _) = self.row(system, thing)?;
        let name = self.name(system);
        let all = FIELDS.iter().cycle().skip(field).take(FIELDS.len());
        let known = all
            .map(|field| (*field).to_owned())
            .find(|field| self.oracle.earlier(&name, &id, field).is_some());
        Some(known.unwrap_or(meant))
    }

    /// What a person makes of the present value: one more member, a bit more, or something new.
    fn changed(&self, field: &str, system: usize, now: &Value) -> Value {
        let no = self.edits();
        match (field, now) {
            ("tags", Value::List(items)) => {
                let mut items = items.clone();
                if no.is_multiple_of(3) && items.len() > 1 {
                    items.remove(no % items.len());
                } else {
                    items.push(Value::text(format!("t{no}.{system}")));
                }
                Value::List(items)
            }
            ("credit", Value::Int(sum)) => Value::Int(sum.saturating_add(1 + (no % 50) as i64)),
            _ => self.fresh(field, system),
        }
    }

    fn delete(&mut self, system: usize, thing: u32) {
        if let Some((id, _)) = self.row(system, thing) {
            self.systems[system].delete(ENTITY, &id);
        }
    }

    fn delete_all(&mut self, system: usize) {
        let Some(fake) = self.systems.get(system) else { return };
        self.faults.note(Fault::BulkDelete);
        for id in fake.rows(ENTITY).into_keys() {
            fake.delete(ENTITY, &id);
        }
    }

    /// The provider keeps one row, with what the other held and it did not.
    fn merge(&mut self, system: usize, keep: u32, lose: u32) {
        let (Some((kept, row)), Some((lost, other))) = (self.row(system, keep), self.row(system, lose))
        else {
            return;
        };
        if kept == lost {
            return;
        }
        self.faults.note(Fault::ProviderMerge);
        let filled: Fields = other
            .into_iter()
            .filter(|(field, value)| {
                field != KEY && !value.is_null() && row.get(field).is_none_or(Value::is_null)
            })
            .collect();
        if !filled.is_empty() {
            self.systems[system].edit(ENTITY, &kept, filled);
        }
        self.systems[system].delete(ENTITY, &lost);
    }

    /// A person edits a row while a write to it is under way.
    pub(crate) fn edit_row_concurrently(&mut self, system: &str, row: &str) {
        let Some(place) = self.scenario.systems.iter().position(|participant| participant.name == system)
        else {
            return;
        };
        let id = RemoteId::new(row);
        let Some(present) = self.systems[place].row(ENTITY, &id) else { return };
        let fields = self.fields_of(place);
        let mut dice = Dice::new(hash(self.scenario.seed, &format!("{row} {}", self.edits())));
        let Some(field) = dice.pick(&fields) else { return };
        let value = self.changed(&field, place, present.get(&field).unwrap_or(&Value::Null));
        self.systems[place].edit(ENTITY, &id, Fields::from([(field, value)]));
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
        for worker in 0..self.worker_count() {
            self.set_paused(worker, false);
            self.finish(worker);
        }
        for system in 0..self.systems.len() {
            self.systems[system].set_down(None);
            self.systems[system].set_feed_stuck(false);
        }
        self.oracle.make_peace();
        self.deletes_approved = true;
        self.restart_all();
        self.judge_poison();
        self.repair();
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

    fn is_accused(&self) -> bool {
        !self.oracle.violations().is_empty()
    }

    /// What has happened so far, in two numbers: events, but for those that only note a delivery, and writes.
    fn mark(&self) -> (u64, u64) {
        let events = self.memory.scan_events(None, usize::MAX).now_or_never().and_then(Result::ok);
        let told = |event: &avowal_core::history::Event| match &event.body {
            Body::EchoRecognised { .. } | Body::DuplicateDropped { .. } | Body::StaleDropped { .. } => 0,
            _ => 1,
        };
        (events.unwrap_or_default().iter().map(told).sum(), self.oracle.effects())
    }

    /// Everything that waits comes due, arrives and is worked on.
    fn round(&mut self, full: bool) {
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
    fn attend(&mut self) {
        let engine = self.engine();
        let items = self.ending().quarantine;
        for item in items {
            let is_unknown = item.reason.contains("stays unknown");
            let stands =
                item.record.is_some() && is_unknown && self.stands_there(&item.payload, item.system.as_str());
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
            let verdict = match (review.field.as_str(), choice, others.first()) {
                (avowal_core::record::Record::EXISTENCE, 0, _) => Verdict::Delete,
                (avowal_core::record::Record::EXISTENCE, _, _) => Verdict::Restore,
                (_, 0, _) | (_, _, None) => Verdict::Keep,
                (_, _, Some(system)) => Verdict::Take { system: system.clone() },
            };
            // Answers may be impossible by now, as when the copy is gone; the question stays open then.
            let _ = self.run_now(engine.decide_review(&review.review.id, verdict, "op", None));
        }
    }

    /// Whether the system holds a row of the thing that a payload is about.
    fn stands_there(&self, payload: &str, system: &str) -> bool {
        let Some(place) = self.scenario.systems.iter().position(|participant| participant.name == system)
        else {
            return false;
        };
        self.systems[place].rows(ENTITY).values().any(|row| {
            row.get(KEY).and_then(Value::as_text).is_some_and(|key| payload.contains(&format!("\"{key}\"")))
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

    // Judgement.

    /// All is quiet: agreement, then a full listing that finds nothing, a storm of repetitions that changes
    /// nothing, and one last word that reaches everybody.
    fn judge_calm(&mut self) {
        let before = self.ending();
        self.round(true);
        let listed_badly = self.faults.fired().contains_key(&Fault::TruncatedPage);
        if self.has_new_drift(&before) && !listed_badly {
            self.oracle.accuse(
                "I7",
                None,
                "a full listing found an edit that the feed had passed over".to_owned(),
            );
        }
        for _ in 0..2 {
            self.attend();
            self.round(false);
        }
        self.round(false);
        self.judge_ending();
        if self.is_accused() {
            return;
        }
        self.judge_idle("a full listing");
        self.storm();
        self.last_word();
        self.judge_ending();
    }

    /// Whether a listing has found what no feed had told since, in a copy that was not set aside.
    fn has_new_drift(&self, before: &Ending) -> bool {
        let known: BTreeSet<_> = before.events.iter().map(|event| (&event.record, event.seq)).collect();
        let ending = self.ending();
        let was_aside = |record: &RecordId, system: &SystemName| {
            let copy = ending
                .records
                .iter()
                .find(|state| state.id == *record)
                .and_then(|state| state.copies.get(system));
            copy.is_some_and(|copy| {
                before
                    .quarantine
                    .iter()
                    .any(|item| item.system == *system && item.remote_id.as_ref() == Some(&copy.remote_id))
            })
        };
        ending.events.iter().filter(|event| !known.contains(&(&event.record, event.seq))).any(|event| {
            matches!(&event.body, Body::DriftDetected { system, fields }
                if !fields.is_empty() && !was_aside(&event.record, system))
        })
    }

    fn judge_ending(&mut self) {
        let ending = self.ending();
        self.oracle.judge_agreement(&ending);
        self.oracle.judge_content(&ending);
        self.oracle.judge_traces(&ending);
        self.oracle.judge_deletes(&ending);
        self.judge_fold(&ending);
    }

    /// I11 and I12: the state is the fold of a history that verifies; a changed byte is found.
    fn judge_fold(&self, ending: &Ending) {
        self.oracle.judge_chain(ending);
        for record in &ending.records {
            let mine = ending.events.iter().filter(|event| event.record == record.id);
            let folded = avowal_core::fold::fold(record.id.clone(), record.entity.clone(), mine);
            if serde_json::to_string(&folded).ok() != serde_json::to_string(record).ok() {
                self.oracle.accuse("I11", None, format!("{} is not the fold of its history", record.id));
            }
        }
    }

    /// I3: one more run, and nothing is written or recorded.
    fn judge_idle(&mut self, after: &str) {
        let before = self.mark();
        self.round(true);
        let now = self.mark();
        if now.1 != before.1 {
            self.oracle.accuse("I3", None, format!("after {after}, {} more writes", now.1 - before.1));
        } else if now.0 != before.0 {
            let ending = self.ending();
            let last: Vec<String> = ending
                .events
                .iter()
                .rev()
                .take(3)
                .map(|event| format!("{} {}", event.id(), event.body.kind()))
                .collect();
            self.oracle.accuse(
                "I3",
                None,
                format!("after {after}, {} more events, as {last:?}", now.0 - before.0),
            );
        }
        let faults: u64 = self.faults.fired().values().sum();
        self.oracle.judge_economy(faults + self.retries);
    }

    /// I10: every delivery of the whole run comes again, under new ids and in another order.
    fn storm(&mut self) {
        let rows = self.ending().rows;
        let mut dice = Dice::new(self.scenario.seed ^ 0x0057_0000);
        let mut all = std::mem::take(&mut self.sent);
        let now = self.now_ms();
        let mut left = all.len().min(30);
        while left > 0 && !all.is_empty() {
            let (system, mut delivery) = all.swap_remove(dice.place(all.len()));
            delivery.id = format!("{}-again", delivery.id);
            self.put_in_transit(system, delivery, now);
            left -= 1;
        }
        for _ in 0..3 {
            while !self.transit.is_empty() {
                let waiting = self.transit.len();
                self.begin_deliveries(0);
                self.finish(0);
                if self.transit.len() >= waiting {
                    break;
                }
            }
            self.round(false);
        }
        if self.ending().rows != rows {
            self.oracle.accuse(
                "I10",
                None,
                "old deliveries, come again, have changed what stands".to_owned(),
            );
        }
    }

    /// One more edit in peace goes everywhere, without a question.
    fn last_word(&mut self) {
        let mut dice = Dice::new(self.scenario.seed ^ 0x1a57);
        let system = dice.place(self.systems.len());
        let Some((id, row)) = self.systems[system].rows(ENTITY).into_iter().next() else { return };
        let ending = self.ending();
        let name = SystemName::new(self.name(system));
        let record = ending
            .records
            .iter()
            .find(|record| record.copies.get(&name).is_some_and(|copy| copy.remote_id == id));
        let was_named = row.get("name").is_some_and(|name| !name.is_null());
        let Some(record) =
            record.filter(|record| was_named && record.reviews.is_empty() && record.held.is_empty())
        else {
            return;
        };
        let conflicts = ending.events.iter().filter(|event| event.body.kind() == "conflict_detected").count();
        let value = Value::text(format!("Last.{}", self.edits()));
        self.systems[system].edit(ENTITY, &id, Fields::from([("name".to_owned(), value.clone())]));
        self.round(false);
        self.round(false);
        let after = self.ending();
        if after.events.iter().filter(|event| event.body.kind() == "conflict_detected").count() > conflicts {
            self.oracle.accuse(
                "I19",
                row.get(KEY).and_then(Value::as_text),
                "an edit in peace was taken for a conflict".to_owned(),
            );
        }
        for (other, copy) in &record.copies {
            let stands = after.rows.get(&(other.to_string(), copy.remote_id.clone()));
            let reached = stands.is_none_or(|stands| {
                stands.get("name").is_some_and(|name| crate::oracle::same(name, &value))
            });
            if !reached {
                let what = format!("an edit in peace, name={value} in {name}, has not reached {other}");
                self.oracle.accuse("I2", row.get(KEY).and_then(Value::as_text), what);
            }
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
        Outcome { hash: sum, violations: self.violations(), figures, fired: self.faults.fired(), rounds }
    }
}

fn key_of(thing: u32) -> String {
    format!("k{thing}@x.org")
}

/// Takes one field out of a delivery.
fn cut(body: &mut Vec<u8>, faults: &Faults, id: &str) {
    let Ok(mut json) = serde_json::from_slice::<serde_json::Value>(body) else { return };
    if let Some(fields) = json["fields"].as_object_mut() {
        let names: Vec<String> = fields.keys().filter(|name| *name != KEY).cloned().collect();
        if let Some(name) = names.get(faults.amount(id, names.len() as u64) as usize) {
            fields.remove(name);
        }
    }
    *body = json.to_string().into_bytes();
}
