//! All seeds summed up: what a forecast says, as a person and as a script reads it.

use super::Plan;
use super::run::Played;
use super::seed_figures::{Day, OfField, Writers};
use avowal_core::data::ids::{EntityName, FieldName, SystemName};
use avowal_core::policy::OnRefused;
use avowal_core::policy::Owner;
use avowal_core::record::Subject;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The most seeds that did not converge of which the differences are told.
const DIVERGED_MAX: usize = 10;
/// The most reasons for which things were set aside that are told.
const REASONS_MAX: usize = 10;

/// What to expect of a configuration. All figures are for one day of one seed, unless they say otherwise.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Forecast {
    /// How many seeds were played.
    pub seeds: u64,
    /// Days of each.
    pub days: u32,
    /// Records of each entity to begin with.
    pub records: u32,
    /// Edits a day in each system, as was asked for.
    pub edits: u32,
    /// Whether all systems agreed in the end, in every seed.
    pub converges: bool,
    /// The seeds that did not, at most ten.
    pub diverged: Vec<Diverged>,
    /// What the first link of all records leads to.
    pub first_link: Counts,
    /// A day's figures.
    pub per_day: PerDay,
    /// Writes that carry nobody's edit (values written back, repeated attempts) for each edit.
    pub extra_writes_per_edit: f64,
    /// How many rounds of questions and writes it takes until all agree again.
    pub rounds: Average,
    /// The fields in which something was contested or refused, most contested first.
    pub fields: Vec<FieldForecast>,
    /// The fields over which two systems fight.
    pub flapping: Vec<FlappingField>,
    /// What guards stopped, in their words.
    pub held: Vec<String>,
    /// Why things were set aside in quarantine, most frequent first, at most ten.
    pub quarantined: Vec<Reason>,
    /// Fields that nobody edited, because no value was found that their rule accepts.
    pub without_values: Vec<String>,
}

/// A mean, and the greatest single figure.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Average {
    /// The mean.
    pub mean: f64,
    /// The greatest.
    pub most: u64,
}

/// The figures of a day.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct PerDay {
    /// What people entered: edits, new records, deletes.
    pub edits: Average,
    /// Writes that reached a system.
    pub writes: Average,
    /// Changes of one field that did not see each other.
    pub conflicts: Average,
    /// Questions that wait for a person.
    pub reviews: Average,
    /// Changes that the rules do not allow.
    pub refused: Average,
    /// What was set aside because it could not be understood or was refused by a system.
    pub quarantined: Average,
}

/// The means of the first link.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Counts {
    /// Writes that reached a system.
    pub writes: f64,
    /// Copies that differ and have no common past.
    pub conflicts: f64,
    /// Questions that wait for a person.
    pub reviews: f64,
    /// Values that the rules do not allow.
    pub refused: f64,
}

/// A seed at whose end the systems do not agree.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Diverged {
    /// Which.
    pub seed: u64,
    /// What does not agree.
    pub differences: Vec<Unequal>,
}

/// One thing that does not agree.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Unequal {
    /// What, in words.
    pub what: String,
    /// The end of the record's history, line by line.
    pub story: Vec<String>,
}

/// What to expect of one field, for one day.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct FieldForecast {
    /// Of which entity.
    pub entity: EntityName,
    /// Which, or the record's existence: deletes and restores.
    pub field: Subject,
    /// Edits.
    pub edits: f64,
    /// Changes that did not see each other.
    pub conflicts: f64,
    /// Questions that wait for a person.
    pub reviews: f64,
    /// Whose changes are refused.
    pub refused: Vec<Refusals>,
}

/// The refused changes of one system.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Refusals {
    /// Whose.
    pub system: SystemName,
    /// How many a day.
    pub per_day: f64,
    /// Why, for one of them.
    pub reason: String,
}

/// Two systems that correct each other.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct FlappingField {
    /// Of which entity.
    pub entity: EntityName,
    /// Over which field.
    pub field: FieldName,
    /// Whose copy is written back.
    pub corrected: SystemName,
    /// Whose value prevails.
    pub prevails: String,
    /// In how many records on how many days, in all seeds.
    pub times: u64,
    /// The most corrections of one record on one day.
    pub worst: u64,
    /// The rule by which.
    pub rule: String,
    /// What to change.
    pub advice: String,
}

/// Why something was set aside.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Reason {
    /// How often, in all seeds.
    pub times: u64,
    /// Why.
    pub reason: String,
}

/// Sums up what was played.
pub(super) fn sum_up(plan: &Plan, played: &[Played]) -> Forecast {
    let days: Vec<&Day> = played.iter().flat_map(|run| &run.figures.days).collect();
    let of = |figure: fn(&Day) -> u64| average(days.iter().map(|day| figure(day)));
    let edits: u64 = days.iter().map(|day| day.edits).sum();
    let extra: u64 = days.iter().map(|day| day.corrections + day.repeats).sum();
    let links = |figure: fn(&Day) -> u64| average(played.iter().map(|run| figure(&run.figures.link))).mean;
    let diverged: Vec<Diverged> = played.iter().filter_map(diverged).collect();
    Forecast {
        seeds: played.len() as u64,
        days: plan.days,
        records: plan.records,
        edits: plan.edits,
        converges: diverged.is_empty(),
        diverged: diverged.into_iter().take(DIVERGED_MAX).collect(),
        first_link: Counts {
            writes: links(|link| link.writes),
            conflicts: links(|link| link.conflicts),
            reviews: links(|link| link.reviews),
            refused: links(|link| link.refused),
        },
        per_day: PerDay {
            edits: of(|day| day.edits),
            writes: of(|day| day.writes),
            conflicts: of(|day| day.conflicts),
            reviews: of(|day| day.reviews),
            refused: of(|day| day.refused),
            quarantined: of(|day| day.quarantined),
        },
        extra_writes_per_edit: share(extra, edits),
        rounds: average(played.iter().flat_map(|run| run.rounds.iter().copied())),
        fields: fields(played, days.len() as u64),
        flapping: flapping(plan, played),
        held: played
            .iter()
            .flat_map(|run| run.held.iter().cloned())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
        quarantined: reasons(played),
        without_values: played
            .first()
            .map(|run| run.without_values.iter().cloned().collect())
            .unwrap_or_default(),
    }
}

fn diverged(run: &Played) -> Option<Diverged> {
    let unequal = |difference: &super::agreement::Difference| Unequal {
        what: difference.what.clone(),
        story: difference.story.clone(),
    };
    let differences: Vec<Unequal> = run.differences.iter().map(unequal).collect();
    (!differences.is_empty()).then_some(Diverged { seed: run.seed, differences })
}

fn fields(played: &[Played], days: u64) -> Vec<FieldForecast> {
    let mut sums: BTreeMap<&(EntityName, Subject), OfField> = BTreeMap::new();
    for (name, field) in played.iter().flat_map(|run| &run.figures.fields) {
        let sum = sums.entry(name).or_default();
        sum.edits += field.edits;
        sum.conflicts += field.conflicts;
        sum.reviews += field.reviews;
        for (system, (count, reason)) in &field.refused {
            sum.refused.entry(system.clone()).or_insert_with(|| (0, reason.clone())).0 += count;
        }
    }
    let contested = |field: &OfField| {
        field.conflicts + field.reviews + field.refused.values().map(|(n, _)| n).sum::<u64>()
    };
    let mut sorted: Vec<_> = sums.into_iter().filter(|(_, field)| contested(field) > 0).collect();
    sorted.sort_by_key(|(name, field)| (std::cmp::Reverse(contested(field)), *name));
    let told = sorted.into_iter().map(|((entity, name), field)| FieldForecast {
        entity: entity.clone(),
        field: name.clone(),
        edits: share(field.edits, days),
        conflicts: share(field.conflicts, days),
        reviews: share(field.reviews, days),
        refused: field
            .refused
            .into_iter()
            .map(|(system, (count, reason))| Refusals { system, per_day: share(count, days), reason })
            .collect(),
    });
    told.collect()
}

fn flapping(plan: &Plan, played: &[Played]) -> Vec<FlappingField> {
    let mut sums: BTreeMap<&Writers, FlappingField> = BTreeMap::new();
    for (writers, corrections) in played.iter().flat_map(|run| &run.figures.flapping) {
        let fight = sums.entry(writers).or_insert_with(|| FlappingField {
            entity: writers.entity.clone(),
            field: writers.field.clone(),
            corrected: writers.corrected.clone(),
            prevails: writers.prevails.clone(),
            times: 0,
            worst: 0,
            rule: corrections.rule.clone(),
            advice: advice(plan, writers),
        });
        fight.times += corrections.times;
        fight.worst = fight.worst.max(corrections.worst);
    }
    let mut sorted: Vec<FlappingField> = sums.into_values().collect();
    sorted.sort_by_key(|fight| std::cmp::Reverse(fight.times));
    sorted
}

/// What would end the fight, by the rule that leads to it.
fn advice(plan: &Plan, writers: &Writers) -> String {
    let Writers { entity, field, corrected, .. } = writers;
    let path = format!("[entities.{entity}.fields] {field}");
    let rules = plan.policies.get(entity).and_then(|policy| policy.field(field));
    match rules.map(|rules| (&rules.owner, rules.on_refused, rules.proposals.contains(corrected))) {
        Some((Owner::System(owner), OnRefused::Revert, false)) => format!(
            "If people in {corrected} shall change it, list {corrected} in `proposals` of {path}, or make the field \
             `shared`. If they shall not, let {corrected} show it without letting them edit it; `on_refused = \
             \"review\"` asks a person instead of writing {owner}'s value back each time"
        ),
        Some((Owner::System(owner), _, true)) => format!(
            "{corrected} may propose, but loses whenever {owner} has changed it meanwhile. Choose `manual_review` for \
             {path}, or one system in which it is edited"
        ),
        Some((Owner::System(_), OnRefused::Ignore | OnRefused::Review, false) | (Owner::Shared, _, _))
        | None => {
            format!(
                "Values that break the rule of {path} are entered again and again. Let {corrected} enforce the same rule"
            )
        }
    }
}

fn reasons(played: &[Played]) -> Vec<Reason> {
    let mut sums: BTreeMap<&String, u64> = BTreeMap::new();
    for (reason, times) in played.iter().flat_map(|run| &run.figures.aside) {
        *sums.entry(reason).or_default() += times;
    }
    let mut sorted: Vec<_> = sums.into_iter().collect();
    sorted.sort_by_key(|(reason, times)| (std::cmp::Reverse(*times), *reason));
    sorted
        .into_iter()
        .take(REASONS_MAX)
        .map(|(reason, times)| Reason { times, reason: reason.clone() })
        .collect()
}

fn average(figures: impl Iterator<Item = u64>) -> Average {
    let (mut sum, mut count, mut most) = (0, 0, 0);
    for figure in figures {
        sum += figure;
        count += 1;
        most = most.max(figure);
    }
    Average { mean: share(sum, count), most }
}

/// A quotient to two places, so that it reads the same everywhere; 0 of nothing.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 100.0).round() / 100.0 }
}
