//! Judgement, once all is quiet: agreement, nothing more to do, and no harm from what comes again.

use crate::fault::Fault;
use crate::oracle::Ending;
use crate::scenario::{ENTITY, KEY};
use crate::world::World;
use avowal_core::data::ids::{RecordId, SystemName};
use avowal_core::data::value::Value;
use avowal_core::history::Body;
use avowal_engine::ports::connector::Fields;
use avowal_fakes::dice::Dice;
use std::collections::BTreeSet;

impl World {
    /// All is quiet: agreement, then a full listing that finds nothing, a storm of repetitions that changes
    /// nothing, and one last word that reaches everybody.
    pub(crate) fn judge_calm(&mut self) {
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
            let folded = avowal_core::history::fold::fold(record.id.clone(), record.entity.clone(), mine);
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
            .find(|record| record.links().any(|(system, copy)| *system == name && copy.remote_id == id));
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
        for (other, copy) in record.links() {
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
}
