//! What the history of one seed says: how much of what there was on each day, in which field, between whom.

use super::Plan;
use super::people::Edits;
use super::run::DAY_MS;
use avowal_core::data::ids::{EntityName, FieldName, RecordId, SystemName};
use avowal_core::explain::{refusal_words, rule_words};
use avowal_core::history::{Body, IntegrationEvent};
use avowal_core::policy::OnRefused;
use avowal_core::policy::Owner;
use avowal_core::record::Subject;
use avowal_engine::ports::store::QuarantineItem;
use std::collections::{BTreeMap, BTreeSet};

/// So many times on one day a copy's field has to be written back before two systems fight over it.
pub(super) const FIGHT_CORRECTIONS: u64 = 3;

/// The figures of one day, or of the first link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Day {
    pub(super) edits: u64,
    pub(super) writes: u64,
    pub(super) corrections: u64,
    pub(super) repeats: u64,
    pub(super) conflicts: u64,
    pub(super) reviews: u64,
    pub(super) refused: u64,
    pub(super) quarantined: u64,
}

/// The figures of one field over all days.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct OfField {
    pub(super) edits: u64,
    pub(super) conflicts: u64,
    pub(super) reviews: u64,
    /// By the system whose change was refused: how often, and one reason.
    pub(super) refused: BTreeMap<SystemName, (u64, String)>,
}

/// Who writes what back to whom.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Writers {
    pub(super) entity: EntityName,
    pub(super) field: FieldName,
    /// Whose copy is corrected.
    pub(super) corrected: SystemName,
    /// Whose value is written.
    pub(super) prevails: String,
}

/// One fight.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Corrections {
    /// In how many records, on how many days.
    pub(super) times: u64,
    /// The most corrections of one record on one day.
    pub(super) worst: u64,
    /// The rule, in the words of the history.
    pub(super) rule: String,
}

/// Everything of one seed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct SeedFigures {
    pub(super) link: Day,
    pub(super) days: Vec<Day>,
    pub(super) fields: BTreeMap<(EntityName, Subject), OfField>,
    pub(super) flapping: BTreeMap<Writers, Corrections>,
    /// Why things were set aside, with how often.
    pub(super) aside: BTreeMap<String, u64>,
}

/// Counts. Days begin at `began_ms`; what came before is the first link.
pub(super) fn count_events(
    plan: &Plan,
    events: &[IntegrationEvent],
    quarantined: &[QuarantineItem],
    began_ms: i64,
    edits: &Edits,
) -> SeedFigures {
    let days = vec![Day::default(); plan.days as usize];
    let mut counting = Counting {
        plan,
        began_ms,
        ours: SeedFigures { days, ..SeedFigures::default() },
        planned: BTreeMap::new(),
        disputed: BTreeMap::new(),
        corrected: BTreeMap::new(),
        sent: BTreeSet::new(),
    };
    for ((day, entity, field), count) in edits {
        if let Some(day) = counting.ours.days.get_mut(*day as usize) {
            day.edits += count;
        }
        if let Some(field) = field {
            counting.field(entity, field).edits += count;
        }
    }
    for event in events {
        counting.count(event);
    }
    for item in quarantined {
        counting.day(item.at.millis()).quarantined += 1;
        let reason = format!("{} {}: {}", item.system, item.entity, without_ids(&item.reason));
        *counting.ours.aside.entry(reason).or_default() += 1;
    }
    counting.finish()
}

struct Counting<'a> {
    plan: &'a Plan,
    began_ms: i64,
    ours: SeedFigures,
    /// Corrections that are planned, by key.
    planned: BTreeMap<String, BTreeSet<FieldName>>,
    /// Whose value of a field does not stand, since its copy was last written: who prevails, and by which rule.
    disputed: BTreeMap<(RecordId, FieldName, SystemName), (String, String)>,
    /// How often a field of a copy was written back, by day.
    corrected: BTreeMap<(RecordId, Writers, i64), (u64, String)>,
    sent: BTreeSet<String>,
}

impl Counting<'_> {
    fn day_of(&self, at_ms: i64) -> i64 {
        at_ms.saturating_sub(self.began_ms).div_euclid(DAY_MS)
    }

    /// The day of a time; what happens after the last one counts for the last one.
    fn day(&mut self, at_ms: i64) -> &mut Day {
        let day = self.day_of(at_ms);
        let last = self.ours.days.len().saturating_sub(1);
        match usize::try_from(day).ok().and_then(|day| self.ours.days.get_mut(day.min(last))) {
            Some(day) => day,
            None => &mut self.ours.link,
        }
    }

    fn field(&mut self, entity: &EntityName, field: &FieldName) -> &mut OfField {
        self.subject(entity, &Subject::Field(field.clone()))
    }

    fn subject(&mut self, entity: &EntityName, subject: &Subject) -> &mut OfField {
        self.ours.fields.entry((entity.clone(), subject.clone())).or_default()
    }

    fn count(&mut self, event: &IntegrationEvent) {
        let (at_ms, in_days) = self.time_of(event);
        match &event.body {
            Body::ConflictDetected { field, .. } => {
                self.day(at_ms).conflicts += 1;
                if in_days {
                    self.field(&event.entity, field).conflicts += 1;
                }
            }
            Body::ManualReviewRequested { subject, .. } => {
                self.day(at_ms).reviews += 1;
                if in_days {
                    self.subject(&event.entity, subject).reviews += 1;
                }
            }
            Body::Refused { system, subject, reason, then, .. } => {
                let reason = refusal_words(reason, subject);
                self.count_refusal(event, system, subject, &reason);
                // A refused delete is no write of a field, so nobody corrects it.
                if let (OnRefused::Revert, Subject::Field(field)) = (then, subject) {
                    self.dispute(event, field, system, reason);
                }
            }
            Body::ConflictResolved { field, rule, losers, .. } => {
                for loser in losers {
                    self.dispute(event, field, &loser.system, rule_words(rule, field));
                }
            }
            Body::IntentPlanned { key, fields, correction: true, .. } => {
                self.planned.insert(key.clone(), fields.keys().cloned().collect());
            }
            Body::IntentSent { key, .. } => {
                if !self.sent.insert(key.clone()) {
                    self.day(at_ms).repeats += 1;
                }
            }
            Body::IntentConfirmed { system, key, .. } => {
                self.day(at_ms).writes += 1;
                if let Some(fields) = self.planned.remove(key) {
                    self.day(at_ms).corrections += 1;
                    for field in fields {
                        self.correct(event, &field, system);
                    }
                }
            }
            Body::IntentPlanned { correction: false, .. }
            | Body::Linked { .. }
            | Body::Unlinked { .. }
            | Body::Observed { .. }
            | Body::FieldChanged { .. }
            | Body::ReviewDecided { .. }
            | Body::FieldSetAside { .. }
            | Body::FieldUnderstood { .. }
            | Body::Quarantined { .. }
            | Body::Deleted { .. }
            | Body::Restored { .. }
            | Body::IntentWithdrawn { .. }
            | Body::IntentFailed { .. }
            | Body::EchoRecognised { .. }
            | Body::DuplicateDropped { .. }
            | Body::StaleDropped { .. }
            | Body::StaleSuspected { .. }
            | Body::ReconciliationApplied { .. }
            | Body::DriftDetected { .. }
            | Body::PolicyChanged { .. }
            | Body::Released { .. } => {}
        }
    }

    fn count_refusal(
        &mut self,
        event: &IntegrationEvent,
        system: &SystemName,
        subject: &Subject,
        reason: &str,
    ) {
        let (at_ms, in_days) = self.time_of(event);
        self.day(at_ms).refused += 1;
        if in_days {
            let refused = &mut self.subject(&event.entity, subject).refused;
            let entry = refused.entry(system.clone()).or_insert_with(|| (0, reason.to_owned()));
            entry.0 += 1;
        }
    }

    /// When it was recorded, and whether that was within the days that are counted.
    fn time_of(&self, event: &IntegrationEvent) -> (i64, bool) {
        let at_ms = event.recorded_at.millis();
        (at_ms, at_ms >= self.began_ms)
    }

    fn dispute(&mut self, event: &IntegrationEvent, field: &FieldName, system: &SystemName, rule: String) {
        let prevails = match self.owner(&event.entity, field) {
            Some(Owner::System(owner)) if owner != *system => owner.to_string(),
            Some(Owner::System(_)) | Some(Owner::Shared) | None => "the others".to_owned(),
        };
        let key = (event.record.clone(), field.clone(), system.clone());
        self.disputed.insert(key, (prevails, rule));
    }

    fn owner(&self, entity: &EntityName, field: &FieldName) -> Option<Owner> {
        Some(self.plan.policies.get(entity)?.field(field)?.owner.clone())
    }

    fn correct(&mut self, event: &IntegrationEvent, field: &FieldName, system: &SystemName) {
        let key = (event.record.clone(), field.clone(), system.clone());
        let Some((prevails, rule)) = self.disputed.remove(&key) else { return };
        let writers = Writers {
            entity: event.entity.clone(),
            field: field.clone(),
            corrected: system.clone(),
            prevails,
        };
        let day = self.day_of(event.recorded_at.millis());
        let corrections = self.corrected.entry((event.record.clone(), writers, day)).or_default();
        *corrections = (corrections.0 + 1, rule);
    }

    fn finish(mut self) -> SeedFigures {
        for ((_, writers, day), (count, rule)) in self.corrected {
            if day >= 0 && count >= FIGHT_CORRECTIONS {
                let corrections = self.ours.flapping.entry(writers).or_default();
                corrections.times += 1;
                corrections.worst = corrections.worst.max(count);
                corrections.rule = rule;
            }
        }
        self.ours
    }
}

/// The same reason for every record: words with a digit are names of single things.
fn without_ids(reason: &str) -> String {
    let word = |word: &str| {
        if word.contains(|char: char| char.is_ascii_digit()) { "…".to_owned() } else { word.to_owned() }
    };
    reason.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}
