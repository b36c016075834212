//! What people do in the simulated systems: insert, edit, delete and merge.

use crate::family::{self, CHILD, CHILD_FIELDS, PARENT, SEAT, entity_of, key_of};
use crate::fault::Fault;
use crate::scenario::{ENTITY, FIELDS, How, KEY};
use crate::world::World;
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_engine::ports::connector::Fields;
use avowal_fakes::dice::{Dice, hash};

impl World {
    /// The row of a thing, if the system has one.
    pub(crate) fn row(&self, system: usize, thing: u32) -> Option<(RemoteId, Fields)> {
        let rows = self.systems.get(system)?.rows(entity_of(thing));
        let key = Value::text(key_of(thing));
        rows.into_iter().find(|(_, row)| row.get(KEY) == Some(&key))
    }

    pub(crate) fn insert(&mut self, system: usize, thing: u32) {
        if self.row(system, thing).is_some() {
            return;
        }
        let mut row = Fields::from([(KEY.to_owned(), Value::text(key_of(thing)))]);
        row.insert("name".to_owned(), self.fresh("name", system));
        let mut dice =
            Dice::new(hash(self.scenario.seed, &format!("insert {system} {thing} {}", self.edits())));
        for field in self.fields_of(system, entity_of(thing)) {
            let chance = if field == PARENT { 85 } else { 40 };
            if field != "name" && dice.chance(chance) {
                let value = self.fresh(&field, system);
                row.insert(field, value);
            }
        }
        if self.systems.get(system).is_some_and(|_| self.is_allowed(system, thing, &row)) {
            self.systems[system].insert(entity_of(thing), row);
        }
    }

    /// Whether the system lets a person put this row there. Nobody is asked about what is not constrained.
    fn is_allowed(&self, system: usize, thing: u32, row: &Fields) -> bool {
        let is_set = |value: &&Value| !value.is_null();
        let parent = row.get(PARENT).filter(is_set);
        let seat = row.get(SEAT).filter(is_set);
        let rows = |entity: &str| self.systems[system].rows(entity).into_values();
        let key = Value::text(key_of(thing));
        !family::is_constrained(&self.scenario, system)
            || (parent.is_none_or(|parent| rows(ENTITY).any(|row| row.get(KEY) == Some(parent)))
                && seat.is_none_or(|seat| {
                    !rows(CHILD).any(|row| row.get(SEAT) == Some(seat) && row.get(KEY) != Some(&key))
                }))
    }

    fn fields_of(&self, system: usize, entity: &str) -> Vec<String> {
        let Some(participant) = self.scenario.systems.get(system) else { return Vec::new() };
        if entity == CHILD {
            return CHILD_FIELDS.into_iter().map(str::to_owned).collect();
        }
        let others = self.scenario.rules.fields.iter().cloned();
        let all = std::iter::once("name".to_owned()).chain(others);
        all.filter(|field| !participant.lacks.contains(field)).collect()
    }

    pub(crate) fn edits(&self) -> usize {
        self.oracle.edit_count()
    }

    /// A value that never stood anywhere.
    fn fresh(&self, field: &str, system: usize) -> Value {
        let no = self.edits();
        match field {
            "tags" => Value::List(vec![Value::text(format!("t{no}.{system}"))]),
            "credit" => Value::Int(100),
            PARENT => {
                let parents: Vec<Fields> = self.systems[system].rows(ENTITY).into_values().collect();
                let one = parents.get(no % parents.len().max(1)).and_then(|row| row.get(KEY));
                one.cloned().unwrap_or(Value::Null)
            }
            SEAT => {
                let rows = self.systems[system].rows(CHILD);
                let is_free = |seat: &String| {
                    rows.values().all(|row| row.get(SEAT).and_then(Value::as_text) != Some(seat.as_str()))
                };
                family::seats(no as u64).find(is_free).map_or(Value::Null, Value::text)
            }
            _ => Value::text(format!("E{no}.{field}.{system}")),
        }
    }

    pub(crate) fn edit(&mut self, system: usize, thing: u32, field: usize, how: How) {
        let entity = entity_of(thing);
        let Some(field) = self.field_to_edit(system, thing, field, how) else { return };
        let fields = self.fields_of(system, entity);
        if let Some((id, mut row)) = self.row(system, thing).filter(|_| fields.contains(&field)) {
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
            if field == SEAT && how == How::Fresh && self.edits().is_multiple_of(2) {
                self.free_seat(system, &value);
            }
            row.insert(field.clone(), value.clone());
            if self.is_allowed(system, thing, &row) {
                self.systems[system].edit(entity, &id, Fields::from([(field, value)]));
            }
        }
    }

    /// Whoever has the seat gives it up.
    fn free_seat(&self, system: usize, seat: &Value) {
        for (id, _) in
            self.systems[system].rows(CHILD).into_iter().filter(|(_, row)| row.get(SEAT) == Some(seat))
        {
            self.systems[system].edit(CHILD, &id, Fields::from([(SEAT.to_owned(), Value::Null)]));
        }
    }

    /// The field meant; where something is to be put back, the next one in which something else stood before.
    fn field_to_edit(&self, system: usize, thing: u32, field: usize, how: How) -> Option<String> {
        if entity_of(thing) == CHILD {
            return CHILD_FIELDS.get(field % CHILD_FIELDS.len()).map(|field| (*field).to_owned());
        }
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
            // Edits that follow each other mostly add the same, so that two sides reach the same number by themselves.
            ("credit", Value::Int(sum)) => Value::Int(sum.saturating_add(1 + (no / 8 % 50) as i64)),
            _ => self.fresh(field, system),
        }
    }

    pub(crate) fn delete(&mut self, system: usize, thing: u32) {
        if let Some((id, _)) = self.row(system, thing) {
            self.remove(system, entity_of(thing), &id);
        }
    }

    /// A row goes, and before it the children that the system would keep it for.
    fn remove(&self, system: usize, entity: &str, id: &RemoteId) {
        let fake = &self.systems[system];
        let key = fake.row(entity, id).and_then(|row| row.get(KEY).cloned());
        if entity == ENTITY && family::is_constrained(&self.scenario, system) {
            for (child, _) in fake.rows(CHILD).into_iter().filter(|(_, row)| row.get(PARENT) == key.as_ref())
            {
                fake.delete(CHILD, &child);
            }
        }
        fake.delete(entity, id);
    }

    pub(crate) fn delete_newest(&mut self, system: usize, but: u32) {
        let Some(fake) = self.systems.get(system) else { return };
        let number = |id: &RemoteId| id.as_str().rsplit('-').next().and_then(|n| n.parse::<u64>().ok());
        let newest = fake.rows(ENTITY).into_iter().max_by_key(|(id, _)| number(id));
        if let Some((id, _)) = newest.filter(|(_, row)| row.get(KEY) != Some(&Value::text(key_of(but)))) {
            self.remove(system, ENTITY, &id);
        }
    }

    pub(crate) fn delete_all(&mut self, system: usize) {
        let Some(fake) = self.systems.get(system) else { return };
        self.faults.note(Fault::BulkDelete);
        for id in fake.rows(ENTITY).into_keys() {
            self.remove(system, ENTITY, &id);
        }
    }

    /// The provider keeps one row, with what the other held and it did not.
    pub(crate) fn merge(&mut self, system: usize, keep: u32, lose: u32) {
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
        self.remove(system, ENTITY, &lost);
    }

    /// A person edits a row while a write to it is under way.
    pub(crate) fn edit_row_concurrently(&mut self, system: &str, row: &str) {
        let Some(place) = self.scenario.systems.iter().position(|participant| participant.name == system)
        else {
            return;
        };
        let id = RemoteId::new(row);
        let Some(present) = self.systems[place].row(ENTITY, &id) else { return };
        let fields = self.fields_of(place, ENTITY);
        let mut dice = Dice::new(hash(self.scenario.seed, &format!("{row} {}", self.edits())));
        let focus = self.scenario.focus.and_then(|place| FIELDS.get(place)).map(|field| (*field).to_owned());
        let focus = focus.filter(|field| fields.contains(field) && dice.chance(80));
        let Some(field) = focus.or_else(|| dice.pick(&fields)) else { return };
        let value = self.changed(&field, place, present.get(&field).unwrap_or(&Value::Null));
        self.systems[place].edit(ENTITY, &id, Fields::from([(field, value)]));
    }
}
