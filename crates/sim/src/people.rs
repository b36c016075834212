//! What people do in the simulated systems: insert, edit, delete and merge.

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
        let rows = self.systems.get(system)?.rows(ENTITY);
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

    pub(crate) fn edits(&self) -> usize {
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

    pub(crate) fn edit(&mut self, system: usize, thing: u32, field: usize, how: How) {
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
            // Edits that follow each other mostly add the same, so that two sides reach the same number by themselves.
            ("credit", Value::Int(sum)) => Value::Int(sum.saturating_add(1 + (no / 8 % 50) as i64)),
            _ => self.fresh(field, system),
        }
    }

    pub(crate) fn delete(&mut self, system: usize, thing: u32) {
        if let Some((id, _)) = self.row(system, thing) {
            self.systems[system].delete(ENTITY, &id);
        }
    }

    pub(crate) fn delete_all(&mut self, system: usize) {
        let Some(fake) = self.systems.get(system) else { return };
        self.faults.note(Fault::BulkDelete);
        for id in fake.rows(ENTITY).into_keys() {
            fake.delete(ENTITY, &id);
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
        let focus = self.scenario.focus.and_then(|place| FIELDS.get(place)).map(|field| (*field).to_owned());
        let focus = focus.filter(|field| fields.contains(field) && dice.chance(80));
        let Some(field) = focus.or_else(|| dice.pick(&fields)) else { return };
        let value = self.changed(&field, place, present.get(&field).unwrap_or(&Value::Null));
        self.systems[place].edit(ENTITY, &id, Fields::from([(field, value)]));
    }
}

fn key_of(thing: u32) -> String {
    format!("k{thing}@x.org")
}
