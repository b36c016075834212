//! The people at the simulated systems: what they enter, when, and how they go wrong.

use super::Plan;
use super::run::{Run, WORKDAY_MS};
use super::value_source::ValueSource;
use avowal_core::data::ids::{EntityName, FieldName, RemoteId, SystemName};
use avowal_core::data::value::Value;
use avowal_core::policy::mapping::Nulls;
use avowal_core::policy::schema::FieldType;
use avowal_core::policy::{EntityPolicy, FieldOwnershipPolicy, Owner};
use avowal_core::record::CopyKey;
use avowal_engine::ports::connector::{Delivery, Fields};
use avowal_engine::ports::store::ReadRecords;
use avowal_fakes::dice::{self, Dice};
use std::collections::{BTreeMap, BTreeSet};

/// Of a hundred entries, so many add a record, and so many remove one.
const INSERTS_PER_CENT: u64 = 4;
const DELETES_PER_CENT: u64 = 1;
/// Of a hundred new records, so many are entered in a second system at nearly the same time.
const TWICE_PER_CENT: u64 = 10;
/// Of a hundred edits, so many meet another of the same field in another system, before anything has been carried over.
const CROSSING_PER_CENT: u64 = 5;
/// Of a hundred edits, so many break the field's rule, and so many empty a field that may be emptied.
const MISTAKES_PER_CENT: u64 = 1;
const CLEARS_PER_CENT: u64 = 2;
/// Of a hundred edits that are not the system's to make, so many are entered again each time they were written back.
const INSISTING_PER_CENT: u64 = 20;
/// How often, and how long after.
const INSISTS: u32 = 4;
const INSISTS_AFTER_MS: u64 = 900_000;
/// How much more often people edit what they may edit than what they may not, and than what identifies a record.
const WEIGHT: u64 = 10;
/// Of a hundred records, so many stand everywhere at first, and so many of those differ in one field.
const EVERYWHERE_PER_CENT: u64 = 70;
const DIFFERING_PER_CENT: u64 = 3;

/// What happens at a time.
pub(super) enum Action {
    /// Somebody at a system enters something.
    Enter { system: SystemName, day: u32 },
    /// Somebody edits the same field of the same record in another system.
    Cross { system: SystemName, entity: EntityName, id: RemoteId, field: FieldName, day: u32 },
    /// Somebody looks whether an edit has lasted, and enters it again if not.
    Insist {
        system: SystemName,
        entity: EntityName,
        id: RemoteId,
        field: FieldName,
        raw: Value,
        left: u32,
        day: u32,
    },
    /// Somebody enters the same new record in a second system.
    Twin { system: SystemName, entity: EntityName, thing: Thing, day: u32 },
    /// The engine asks a system.
    Look { system: SystemName },
    /// A webhook arrives.
    Deliver { system: SystemName, delivery: Delivery },
}

/// How many edits were made on a day in a field; inserts and deletes are under no field.
pub(super) type Edits = BTreeMap<(u32, EntityName, Option<FieldName>), u64>;

/// Everybody.
pub(super) struct People {
    dice: Dice,
    sources: BTreeMap<(EntityName, FieldName), ValueSource>,
    /// Counts up, so that no two values of a key are the same.
    count: u64,
    edits: Edits,
    /// Where each record stood that people entered, so that a reference means the same everywhere.
    things: BTreeMap<EntityName, Vec<BTreeMap<SystemName, RemoteId>>>,
}

/// A new record: its canonical fields. A reference is the number of the thing that it refers to.
type Thing = BTreeMap<FieldName, Value>;

impl People {
    pub(super) fn new(plan: &Plan, seed: u64) -> Self {
        let sources = plan.policies.values().flat_map(|policy| {
            let names = policy.fields.keys();
            names.map(|field| ((policy.entity.clone(), field.clone()), ValueSource::of(policy, field)))
        });
        let dice = Dice::new(dice::hash(seed, "people"));
        Self { dice, sources: sources.collect(), count: 0, edits: Edits::new(), things: BTreeMap::new() }
    }

    pub(super) fn edits(&self) -> &Edits {
        &self.edits
    }

    /// Fields for which nothing was found that their rule accepts.
    pub(super) fn without_values(&self) -> BTreeSet<String> {
        let empty = self.sources.iter().filter(|(_, values)| **values == ValueSource::Nothing);
        empty.map(|((entity, field), _)| format!("{entity}.{field}")).collect()
    }

    /// Fills the systems with what stands there before the first link.
    pub(super) fn fill_systems(&mut self, run: &mut Run<'_>) {
        for policy in ordered(run.plan) {
            for _ in 0..run.plan.records {
                let thing = self.thing(policy);
                let names: Vec<&SystemName> = policy.mappings.keys().collect();
                let everywhere = !policy.match_on.is_empty() && self.dice.chance(EVERYWHERE_PER_CENT);
                let only = self.dice.pick(&names);
                let differs = self.dice.chance(DIFFERING_PER_CENT);
                let mut places = BTreeMap::new();
                for (at, name) in names.into_iter().enumerate() {
                    if !everywhere && only != Some(name) {
                        continue;
                    }
                    let id = self.insert(run, policy, name, &thing);
                    if let (true, true, Some(id)) = (differs, at > 0, &id) {
                        self.edit(run, policy, name, id, None);
                    }
                    places.extend(id.map(|id| (name.clone(), id)));
                }
                self.things.entry(policy.entity.clone()).or_default().push(places);
            }
        }
        self.edits.clear();
    }

    /// What is entered on a day, spread over its working hours.
    pub(super) fn plan_day(&mut self, run: &mut Run<'_>, day: u32) {
        let began_ms = run.now_ms();
        for system in run.plan.systems.keys() {
            for _ in 0..run.plan.edits {
                let at_ms = began_ms.saturating_add(self.dice.roll(WORKDAY_MS.unsigned_abs()) as i64);
                run.plan_at(at_ms, Action::Enter { system: system.clone(), day });
            }
        }
    }

    /// Does what is on the agenda.
    pub(super) fn act(&mut self, run: &mut Run<'_>, action: Action) {
        match action {
            Action::Enter { system, day } => self.enter(run, &system, day),
            Action::Cross { system, entity, id, field, day } => {
                if let Some(policy) = run.plan.policies.get(&entity).cloned() {
                    self.edit_and_note(run, &policy, &system, &id, Some(&field), day);
                }
            }
            Action::Insist { system, entity, id, field, raw, left, day } => {
                self.insist(run, &system, &entity, &id, &field, raw, left, day);
            }
            Action::Twin { system, entity, thing, day } => {
                if let Some(policy) = run.plan.policies.get(&entity).cloned() {
                    self.insert(run, &policy, &system, &thing);
                    self.note(day, &entity, None);
                }
            }
            Action::Look { .. } | Action::Deliver { .. } => {}
        }
    }

    fn note(&mut self, day: u32, entity: &EntityName, field: Option<&FieldName>) {
        *self.edits.entry((day, entity.clone(), field.cloned())).or_default() += 1;
    }

    fn enter(&mut self, run: &mut Run<'_>, system: &SystemName, day: u32) {
        let held: Vec<_> = run
            .plan
            .policies
            .values()
            .filter(|policy| policy.mappings.contains_key(system))
            .cloned()
            .collect();
        let Some(policy) = self.dice.pick(&held) else { return };
        let roll = self.dice.roll(100);
        let row = self.some_row(run, system, &policy.entity);
        match row {
            Some(id) if roll >= INSERTS_PER_CENT + DELETES_PER_CENT => {
                self.edit_and_note(run, &policy, system, &id, None, day);
            }
            Some(id) if roll >= INSERTS_PER_CENT => {
                if let Some(fake) = run.systems.get(system).and_then(|it| it.fakes.get(&policy.entity)) {
                    fake.delete(policy.entity.as_str(), &id);
                }
                self.note(day, &policy.entity, None);
                run.changed(system);
            }
            Some(_) | None => self.enter_new(run, &policy, system, day),
        }
    }

    fn enter_new(&mut self, run: &mut Run<'_>, policy: &EntityPolicy, system: &SystemName, day: u32) {
        let thing = self.thing(policy);
        self.insert(run, policy, system, &thing);
        self.note(day, &policy.entity, None);
        let others: Vec<SystemName> =
            policy.mappings.keys().filter(|name| *name != system).cloned().collect();
        if let (Some(other), true) = (self.dice.pick(&others), self.dice.chance(TWICE_PER_CENT)) {
            let at_ms = run.now_ms() + self.soon(run, system);
            let entity = policy.entity.clone();
            run.plan_at(at_ms, Action::Twin { system: other, entity, thing, day });
        }
    }

    /// A time before the system is asked again.
    fn soon(&mut self, run: &Run<'_>, system: &SystemName) -> i64 {
        let poll_ms = run.plan.systems.get(system).map_or(1_000, |participant| participant.poll_ms.max(50));
        let rest = poll_ms - run.now_ms().unsigned_abs() % poll_ms;
        self.dice.roll(rest.max(1)) as i64
    }

    /// The canonical fields of a new record.
    fn thing(&mut self, policy: &EntityPolicy) -> Thing {
        self.count += 1;
        let mut thing = Thing::new();
        for (field, rules) in &policy.fields {
            let Some(values) = self.sources.get(&(policy.entity.clone(), field.clone())) else { continue };
            let first = match (&rules.field_type, &rules.transitions) {
                (FieldType::Enum { values }, Some(_)) => values.first().map(Value::text),
                (FieldType::Ref { entity }, _) => {
                    let known = self.things.get(entity).map_or(0, Vec::len);
                    (known > 0).then(|| Value::Int(self.dice.place(known) as i64))
                }
                _ => values.next(rules, &Value::Null, self.count, &mut self.dice),
            };
            thing.extend(first.map(|value| (field.clone(), value)));
        }
        thing
    }

    fn insert(
        &mut self,
        run: &mut Run<'_>,
        policy: &EntityPolicy,
        system: &SystemName,
        thing: &Thing,
    ) -> Option<RemoteId> {
        let mapping = policy.mappings.get(system)?;
        let mut row = Fields::new();
        for (field, column) in &mapping.columns {
            let rules = policy.field(field)?;
            let raw = match (&rules.field_type, thing.get(field)) {
                (FieldType::Ref { entity }, Some(Value::Int(number))) => {
                    self.referred(entity, *number, system)
                }
                (_, Some(value)) => Some(rules.field_type.export(value)),
                (_, None) => None,
            };
            row.insert(column.name.clone(), raw.unwrap_or(Value::Null));
        }
        let id = run.systems.get(system)?.fakes.get(&policy.entity)?.insert(policy.entity.as_str(), row);
        run.changed(system);
        Some(id)
    }

    /// The id that a thing has in a system, if it was entered there.
    fn referred(&self, entity: &EntityName, number: i64, system: &SystemName) -> Option<Value> {
        let thing = self.things.get(entity)?.get(usize::try_from(number).ok()?)?;
        thing.get(system).map(|id| Value::text(id.as_str()))
    }

    fn some_row(&mut self, run: &Run<'_>, system: &SystemName, entity: &EntityName) -> Option<RemoteId> {
        let rows = run.systems.get(system)?.fakes.get(entity)?.rows(entity.as_str());
        let ids: Vec<RemoteId> = rows.into_keys().collect();
        self.dice.pick(&ids)
    }

    /// An edit of a working day: it may meet another one, and may be insisted on.
    fn edit_and_note(
        &mut self,
        run: &mut Run<'_>,
        policy: &EntityPolicy,
        system: &SystemName,
        id: &RemoteId,
        field: Option<&FieldName>,
        day: u32,
    ) {
        let is_answer = field.is_some();
        let Some((field, raw)) = self.edit(run, policy, system, id, field) else { return };
        self.note(day, &policy.entity, Some(&field));
        if !is_answer && self.dice.chance(CROSSING_PER_CENT) {
            self.cross(run, policy, system, id, &field, day);
        }
        let is_theirs = policy.field(&field).is_some_and(|rules| may_change(rules, system));
        if !is_theirs && self.dice.chance(INSISTING_PER_CENT) {
            let at_ms = run.now_ms() + INSISTS_AFTER_MS as i64;
            let (system, entity, id) = (system.clone(), policy.entity.clone(), id.clone());
            run.plan_at(at_ms, Action::Insist { system, entity, id, field, raw, left: INSISTS, day });
        }
    }

    fn cross(
        &mut self,
        run: &mut Run<'_>,
        policy: &EntityPolicy,
        system: &SystemName,
        id: &RemoteId,
        field: &FieldName,
        day: u32,
    ) {
        let key = CopyKey { system: system.clone(), entity: policy.entity.clone(), remote_id: id.clone() };
        let located = run.now(run.memory.locate(std::slice::from_ref(&key))).and_then(Result::ok);
        let Some(record) = located.and_then(|found| found.into_iter().next().flatten()) else { return };
        let loaded = run.now(run.memory.load(std::slice::from_ref(&record.record))).and_then(Result::ok);
        let Some(record) = loaded.and_then(|found| found.into_iter().next().flatten()) else { return };
        let shows = |name: &SystemName| {
            policy.mappings.get(name).is_some_and(|mapping| mapping.columns.contains_key(field))
                && policy.field(field).is_some_and(|rules| may_change(rules, name))
        };
        let others: Vec<(SystemName, RemoteId)> = record
            .copies
            .iter()
            .filter(|(name, copy)| *name != system && copy.alive && shows(name))
            .map(|(name, copy)| (name.clone(), copy.remote_id.clone()))
            .collect();
        if let Some((other, id)) = self.dice.pick(&others) {
            let at_ms = run.now_ms() + self.soon(run, system);
            let entity = policy.entity.clone();
            run.plan_at(at_ms, Action::Cross { system: other, entity, id, field: field.clone(), day });
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one action")]
    fn insist(
        &mut self,
        run: &mut Run<'_>,
        system: &SystemName,
        entity: &EntityName,
        id: &RemoteId,
        field: &FieldName,
        raw: Value,
        left: u32,
        day: u32,
    ) {
        let Some(policy) = run.plan.policies.get(entity).cloned() else { return };
        let Some(column) = policy.mappings.get(system).and_then(|mapping| mapping.columns.get(field)) else {
            return;
        };
        let Some(fake) = run.systems.get(system).and_then(|it| it.fakes.get(entity)).cloned() else { return };
        let Some(row) = fake.row(entity.as_str(), id) else { return };
        // What has lasted needs no insisting.
        if left == 0 || row.get(&column.name) == Some(&raw) {
            return;
        }
        fake.edit(entity.as_str(), id, [(column.name.clone(), raw.clone())].into());
        self.note(day, entity, Some(field));
        run.changed(system);
        let at_ms = run.now_ms() + INSISTS_AFTER_MS as i64;
        let (system, entity, id, field) = (system.clone(), entity.clone(), id.clone(), field.clone());
        run.plan_at(at_ms, Action::Insist { system, entity, id, field, raw, left: left - 1, day });
    }

    /// Changes one field of a row, the given one or one that people like. Answers which, and to what.
    fn edit(
        &mut self,
        run: &mut Run<'_>,
        policy: &EntityPolicy,
        system: &SystemName,
        id: &RemoteId,
        field: Option<&FieldName>,
    ) -> Option<(FieldName, Value)> {
        let field = field.cloned().or_else(|| self.some_field(policy, system))?;
        let column = policy.mappings.get(system)?.columns.get(&field)?;
        let fake = run.systems.get(system)?.fakes.get(&policy.entity)?.clone();
        let row = fake.row(policy.entity.as_str(), id)?;
        let now = row.get(&column.name).cloned().unwrap_or(Value::Null);
        let may_clear = column.nulls == Nulls::Clear && !is_key(policy, &field);
        let raw = match may_clear && self.dice.chance(CLEARS_PER_CENT) {
            true => Value::Null,
            false => self.raw(run, policy, system, &field, &now)?,
        };
        if raw == now {
            return None;
        }
        fake.edit(policy.entity.as_str(), id, [(column.name.clone(), raw.clone())].into());
        run.changed(system);
        Some((field, raw))
    }

    /// What is entered instead of what stands there.
    fn raw(
        &mut self,
        run: &Run<'_>,
        policy: &EntityPolicy,
        system: &SystemName,
        field: &FieldName,
        now: &Value,
    ) -> Option<Value> {
        self.count += 1;
        let rules = policy.field(field)?;
        if let FieldType::Ref { entity } = &rules.field_type {
            return self.some_row(run, system, entity).map(|id| Value::text(id.as_str()));
        }
        let now = rules.field_type.accept(now, true).unwrap_or(Value::Null);
        let mistake =
            self.dice.chance(MISTAKES_PER_CENT).then(|| ValueSource::mistaken(rules, &now)).flatten();
        let values = self.sources.get(&(policy.entity.clone(), field.clone()))?;
        let next = mistake.or_else(|| values.next(rules, &now, self.count, &mut self.dice))?;
        Some(rules.field_type.export(&next))
    }

    /// A field that the system shows; mostly one that is its to change.
    fn some_field(&mut self, policy: &EntityPolicy, system: &SystemName) -> Option<FieldName> {
        let mapping = policy.mappings.get(system)?;
        let weighed = |field: &FieldName| {
            let values = self.sources.get(&(policy.entity.clone(), field.clone()))?;
            let theirs = if may_change(policy.field(field)?, system) { WEIGHT } else { 1 };
            let plain = if is_key(policy, field) { 1 } else { WEIGHT };
            (*values != ValueSource::Nothing).then(|| (field.clone(), theirs * plain))
        };
        let fields: Vec<(FieldName, u64)> = mapping.columns.keys().filter_map(weighed).collect();
        let mut place = self.dice.roll(fields.iter().map(|(_, weight)| weight).sum());
        fields.into_iter().find_map(|(field, weight)| {
            let here = place < weight;
            place = place.saturating_sub(weight);
            here.then_some(field)
        })
    }
}

/// Whether the system is one that the rules let change the field.
pub(super) fn may_change(rules: &FieldOwnershipPolicy, system: &SystemName) -> bool {
    match &rules.owner {
        Owner::Shared => true,
        Owner::System(owner) => owner == system || rules.proposals.contains(system),
    }
}

fn is_key(policy: &EntityPolicy, field: &FieldName) -> bool {
    policy.match_on.iter().flatten().any(|key| key == field)
}

/// The entities, those first that others refer to; where they refer to each other, some begin without.
fn ordered(plan: &Plan) -> Vec<&EntityPolicy> {
    let mut rest: Vec<&EntityPolicy> = plan.policies.values().map(AsRef::as_ref).collect();
    let mut out: Vec<&EntityPolicy> = Vec::new();
    while !rest.is_empty() {
        let waits = |policy: &EntityPolicy| {
            policy.fields.values().any(|rules| match &rules.field_type {
                FieldType::Ref { entity } => {
                    *entity != policy.entity && rest.iter().any(|other| other.entity == *entity)
                }
                FieldType::String
                | FieldType::Integer
                | FieldType::Decimal
                | FieldType::Boolean
                | FieldType::Date
                | FieldType::Timestamp
                | FieldType::Enum { .. }
                | FieldType::Set
                | FieldType::List
                | FieldType::Object => false,
            })
        };
        let next = rest.iter().position(|policy| !waits(policy)).unwrap_or(0);
        out.push(rest.remove(next));
    }
    out
}
