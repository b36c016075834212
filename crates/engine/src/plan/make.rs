//! Making a plan: a run on a copy of the store, of which everything that would go out is stopped, and its report.

use crate::outbound::change_guard;
use crate::outbound::create_guard::creates_over;
use crate::outbound::guard::deletes_over;
use crate::parts::approvals::is_first_fill;
use crate::parts::assembly::{EngineParts, Parts};
use crate::parts::error::EngineError;
use crate::parts::limiter::WriteRate;
use crate::parts::planned::NamedCopy;
use crate::parts::progress::{Progress, SyncReport};
use crate::parts::settings::FirstWrites;
use crate::plan::matches::Matches;
use crate::plan::read_only::ReadOnly;
use crate::plan::report::{Plan, SystemCalls, SystemPlan};
use crate::plan::set_aside::grouped;
use crate::plan::writes::{Referents, Wanted, Writes, referents};
use crate::ports::connector::Connector as _;
use crate::ports::store::{Direction, Stop, StopCause};
use crate::run::sync::{SyncOptions, sync};
use avowal_core::data::ids::{EntityName, RecordId, SystemName};
use avowal_core::data::value::Digest;
use avowal_core::policy::EntityPolicy;
use avowal_core::record::Record;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most quarantined items that are looked through.
const SET_ASIDE_MAX: usize = 100_000;

/// Who stops the systems of a copy.
const PLANNER: &str = "avowal plan";

/// What a plan shall tell. Everything is decided in any case: a record may depend on any other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlanOptions {
    /// Only this entity.
    pub entity: Option<EntityName>,
    /// Only what would be written to this system.
    pub system: Option<SystemName>,
    /// How many examples of each kind.
    pub examples: usize,
    /// Whether each write is listed, so that a sync can be held to it.
    pub each_write: bool,
}

/// Decides what a sync would do now, and writes nothing to any system.
///
/// `given.store` must be a copy of the store that is made for this: all that is decided is recorded there. The systems are
/// the real ones; only what reads is let through to them.
pub async fn make_plan(
    mut given: EngineParts,
    options: &PlanOptions,
    progress: &dyn Progress,
) -> Result<Plan, EngineError> {
    let began = given.clock.now();
    let standing = given.store.stops().await?;
    // The copy is asked what a sync would ask, whatever a person has said by now.
    given.settings.first_writes = FirstWrites::Ask;
    let mut looks = BTreeMap::new();
    for (name, port) in &mut given.systems {
        let look = Arc::new(ReadOnly::new(port.connector.clone()));
        looks.insert(name.clone(), Look { connector: look.clone(), rate: port.rate });
        port.connector = look;
        // Each system without a feed is listed once.
        port.poll_ms = u64::MAX;
        let stop = Stop {
            system: name.clone(),
            direction: Direction::Out,
            cause: StopCause::Person,
            by: Some(PLANNER.to_owned()),
            note: None,
            since: began,
        };
        given.store.set_stop(&stop).await?;
    }
    let parts = Parts::new(given);
    let run = sync(&parts, SyncOptions::default(), progress).await?;
    let maker = Maker { parts: &parts, looks, options, standing, run };
    let mut plan = maker.report().await?;
    plan.made_at = began;
    plan.took_ms = parts.clock.now().millis().saturating_sub(began.millis()).max(0).unsigned_abs();
    Ok(plan)
}

/// One system, as it was looked at.
struct Look {
    connector: Arc<ReadOnly>,
    rate: Option<WriteRate>,
}

/// What a report is made from.
struct Maker<'a> {
    parts: &'a Parts,
    looks: BTreeMap<SystemName, Look>,
    options: &'a PlanOptions,
    /// The stops that stood before.
    standing: Vec<Stop>,
    run: SyncReport,
}

impl Maker<'_> {
    async fn report(&self) -> Result<Plan, EngineError> {
        let (parts, options) = (self.parts, self.options);
        let is_wanted = |entity: &EntityName| options.entity.as_ref().is_none_or(|only| only == entity);
        let policies = parts.policies.iter().filter(|(entity, _)| is_wanted(entity));
        let mut matches: BTreeMap<EntityName, Matches<'_>> =
            policies.map(|(entity, policy)| (entity.clone(), Matches::new(policy))).collect();
        let writes = self.read_records(&mut matches).await?;
        let mut set_aside = parts.store.quarantined(SET_ASIDE_MAX).await?;
        set_aside.retain(|item| is_wanted(&item.entity));
        let Writes { systems: mut counted, under_way, each, questions_open, questions } = writes;
        let mut systems = BTreeMap::new();
        for name in self.looks.keys().filter(|name| options.system.as_ref().is_none_or(|only| only == *name))
        {
            let entities = counted.remove(name).unwrap_or_default();
            let under_way = under_way.get(name).copied().unwrap_or_default();
            systems.insert(
                name.clone(),
                self.system(name, SystemPlan { entities, under_way, ..SystemPlan::default() }).await?,
            );
        }
        let doubles = parts.doubles();
        Ok(Plan {
            format: Plan::FORMAT,
            made_at: parts.began_at,
            took_ms: 0,
            configuration: configuration(&parts.policies),
            entity: options.entity.clone(),
            system: options.system.clone(),
            entities: matches.into_iter().map(|(entity, found)| (entity, found.finish(&doubles))).collect(),
            not_predicted: self.not_predicted(&systems),
            systems,
            questions_open,
            questions,
            set_aside: grouped(&set_aside, options.examples),
            writes: each,
        })
    }

    /// Reads all records of the copy, and counts what is found.
    async fn read_records(
        &self,
        matches: &mut BTreeMap<EntityName, Matches<'_>>,
    ) -> Result<Writes, EngineError> {
        let (parts, options) = (self.parts, self.options);
        let wanted =
            Wanted { system: options.system.as_ref(), examples: options.examples, each: options.each_write };
        let mut writes = Writes::default();
        let mut after = None;
        loop {
            let records = parts.store.scan_records(after, parts.settings.batch_records_max).await?;
            let Some(last) = records.last() else { return Ok(writes) };
            after = Some(last.id.clone());
            let referents = self.referents(&records).await?;
            for record in &records {
                let Some(policy) = parts.policies.get(&record.entity) else { continue };
                if let Some(found) = matches.get_mut(&record.entity) {
                    found.add(record);
                    writes.add(policy, record, &referents, wanted);
                }
            }
        }
    }

    /// The records to which these refer, by their first copies.
    async fn referents(&self, records: &[Record]) -> Result<Referents, EngineError> {
        let ids: Vec<RecordId> = referents(&self.parts.policies, records).into_iter().collect();
        let mut found = Referents::new();
        for page in ids.chunks(self.parts.settings.batch_records_max) {
            for record in self.parts.store.load(page).await?.into_iter().flatten() {
                let first = NamedCopy::first_of(&record);
                found.extend(first.map(|copy| (record.id, copy)));
            }
        }
        Ok(found)
    }

    /// The rest of what is told of a system.
    async fn system(&self, name: &SystemName, plan: SystemPlan) -> Result<SystemPlan, EngineError> {
        let run = self.run.systems.get(name);
        let of_system = |stop: &&Stop| stop.is_about(name) && stop.cause != StopCause::FirstWrite;
        let calls = self.calls(name, &plan);
        Ok(SystemPlan {
            problem: run.and_then(|run| run.problem.clone()),
            refuses_credentials: run.is_some_and(|run| run.refuses_credentials),
            asks_first: self.run.first_writes.iter().any(|first| first.system == *name && first.count() > 0),
            stops: self.standing.iter().filter(of_system).map(ToString::to_string).collect(),
            held: self.held(name).await?,
            calls,
            ..plan
        })
    }

    /// What the guards would hold.
    async fn held(&self, name: &SystemName) -> Result<Vec<String>, EngineError> {
        let (store, guards) = (&self.parts.store, &self.parts.settings.guards);
        let mut held = Vec::new();
        for planned in store.planned_deletes(name).await? {
            held.extend(deletes_over(guards, &planned, 0));
        }
        let is_first_fill = is_first_fill(self.parts, name).await?;
        for planned in store.planned_creates(name).await? {
            held.extend(creates_over(guards, &planned, 0, is_first_fill));
        }
        held.extend(change_guard::tripped(self.parts, name).await?.iter().map(ToString::to_string));
        Ok(held)
    }

    fn calls(&self, name: &SystemName, plan: &SystemPlan) -> SystemCalls {
        let Some(look) = self.looks.get(name) else { return SystemCalls::default() };
        let mut calls = SystemCalls { made: look.connector.calls(), ..SystemCalls::default() };
        let mut writes: u64 = 0;
        for (entity, planned) in &plan.entities {
            let most = look.connector.capabilities(entity);
            calls.to_write += planned.count().div_ceil(most.batch_writes_max.max(1) as u64);
            writes += planned.count();
        }
        if let Some(rate) = look.rate {
            let beyond = writes.saturating_sub(u64::from(rate.burst));
            calls.writes_per_second = Some(rate.per_second);
            calls.seconds_at_least = Some(beyond.div_ceil(u64::from(rate.per_second.max(1))));
        }
        calls
    }

    /// What nobody can know before the sync, in sentences.
    fn not_predicted(&self, systems: &BTreeMap<SystemName, SystemPlan>) -> Vec<String> {
        let mut said = vec![
            "What people and programs change between this plan and the sync.".to_owned(),
            "What a system makes of what is written to it: values that it rounds, spells otherwise or sets itself come \
             back, and may then be written to other systems."
                .to_owned(),
            "Whether a system accepts a write: its constraints and rights are tested by the write itself.".to_owned(),
        ];
        for (name, system) in systems {
            if system.problem.is_some() {
                said.push(format!("What {name} holds now, because it could not be read."));
            }
            if system.under_way > 0 {
                said.push(format!(
                    "How {} of an earlier run to {name} ended: the sync finds it out first.",
                    if system.under_way == 1 {
                        "a write".to_owned()
                    } else {
                        format!("{} writes", system.under_way)
                    }
                ));
            }
        }
        if self.run.reads_open > 0 {
            said.push(format!(
                "What {} show when they are read again: what was shown of them is in doubt.",
                if self.run.reads_open == 1 {
                    "1 copy".to_owned()
                } else {
                    format!("{} copies", self.run.reads_open)
                }
            ));
        }
        said
    }
}

/// The digest of all rules, by which a plan is recognised as made under them.
pub fn configuration(policies: &BTreeMap<EntityName, Arc<EntityPolicy>>) -> String {
    let rules = policies.iter().map(|(entity, policy)| format!("{entity} {}\n", policy.digest));
    Digest::of(rules.collect::<String>().as_bytes()).to_string()
}
