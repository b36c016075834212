//! Edits of people in three systems at once, and what must come of them: the example's policy, written down a second
//! time by hand.

use super::Chance;
use super::row::{Peer, Row, Rows, column};
use super::world::World;
use serde_json::{Value, json};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// The fields that people edit.
const FIELDS: [&str; 8] = ["email", "name", "phone", "stage", "billing_status", "tags", "credit", "note"];
const STAGES: [&str; 3] = ["lead", "qualified", "customer"];
const TAGS: [&str; 6] = ["eu", "us", "vip", "beta", "late", "gold"];

/// What one person did to one field.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Edit {
    Set(Option<String>),
    Tags { added: BTreeSet<String>, removed: BTreeSet<String> },
    Credit(i64),
}

/// What people did: by customer, system and field.
#[derive(Default)]
pub struct Edits(BTreeMap<String, BTreeMap<(&'static str, Peer), Edit>>);

impl Edits {
    /// `count` edits over a third as many customers or more: some alone, some of different fields, some of the same.
    pub fn by_chance(chance: &mut Chance, base: &Rows, count: usize) -> Self {
        let codes: Vec<&String> = base.keys().collect();
        let mut edits = Self::default();
        let mut made = 0;
        while made < count {
            let code = *chance.pick(&codes);
            let clash = chance.below(3) == 0;
            let field = *chance.pick(&FIELDS);
            for place in Peer::ALL {
                if made == count || chance.below(3) == 0 {
                    continue;
                }
                let field = if clash { field } else { *chance.pick(&FIELDS) };
                let edit = edit(chance, &base[code], field, place, made);
                let of_customer = edits.0.entry(code.clone()).or_default();
                // A person edits a field once.
                if let Entry::Vacant(vacant) = of_customer.entry((field, place)) {
                    vacant.insert(edit);
                    made += 1;
                }
            }
        }
        edits
    }

    /// One field of every customer in one system.
    pub fn of_every(base: &Rows, place: Peer, field: &'static str, value: impl Fn(&str) -> String) -> Self {
        let edit = |code: &String| BTreeMap::from([((field, place), Edit::Set(Some(value(code))))]);
        Self(base.keys().map(|code| (code.clone(), edit(code))).collect())
    }

    /// Both.
    pub fn and(mut self, other: Self) -> Self {
        for (code, edits) in other.0 {
            self.0.entry(code).or_default().extend(edits);
        }
        self
    }

    /// Carries them out in all systems.
    pub fn make(&self, world: &World, base: &Rows) {
        for place in Peer::ALL {
            let mut changes: BTreeMap<String, Vec<(&'static str, Value)>> = BTreeMap::new();
            for (code, edits) in &self.0 {
                let mine = edits.iter().filter(|((_, of), _)| *of == place);
                let columns: Vec<_> =
                    mine.map(|((field, _), edit)| (column(place, field), edit.column(&base[code]))).collect();
                if !columns.is_empty() {
                    changes.insert(code.clone(), columns);
                }
            }
            if !changes.is_empty() {
                world.edit(place, &changes);
            }
        }
    }

    /// What must stand everywhere afterwards.
    pub fn expected(&self, base: &Rows) -> Rows {
        let mut rows = base.clone();
        for (code, edits) in &self.0 {
            let row = rows.get_mut(code).unwrap();
            for field in FIELDS {
                let of = |place| edits.get(&(field, place));
                decide(row, field, [of(Peer::App), of(Peer::Billing), of(Peer::Crm)]);
            }
        }
        rows
    }
}

impl Edit {
    /// The new content of the column.
    fn column(&self, base: &Row) -> Value {
        match self {
            Edit::Set(text) => json!(text),
            Edit::Tags { added, removed } => {
                json!(base.tags.difference(removed).chain(added).collect::<BTreeSet<_>>())
            }
            Edit::Credit(difference) => json!(base.credit + difference),
        }
    }
}

fn edit(chance: &mut Chance, base: &Row, field: &str, place: Peer, number: usize) -> Edit {
    let other = |chance: &mut Chance, all: &[&str], present: &Option<String>| {
        let rest: Vec<_> = all.iter().filter(|value| Some(**value) != present.as_deref()).collect();
        Edit::Set(Some((**chance.pick(&rest)).to_owned()))
    };
    match field {
        "email" => Edit::Set(Some(format!("new{number}.{}@example.com", place.name()))),
        "name" => Edit::Set(Some(format!("Name {number} of {}", place.name()))),
        "phone" => Edit::Set(Some(format!("+49{number:08}"))),
        "stage" => other(chance, &STAGES, &base.stage),
        "billing_status" => {
            let next: &[&str] = match base.billing_status.as_deref() {
                Some("trial" | "past_due") => &["active", "cancelled"],
                Some("active") => &["past_due", "cancelled"],
                status => panic!("nothing may follow {status:?}"),
            };
            Edit::Set(Some((*chance.pick(next)).to_owned()))
        }
        "tags" => {
            let (held, new): (Vec<&str>, Vec<&str>) = TAGS.iter().partition(|tag| base.tags.contains(**tag));
            let removed = (chance.below(2) == 0).then(|| (*chance.pick(&held)).to_owned());
            let added = BTreeSet::from([(*chance.pick(&new)).to_owned()]);
            Edit::Tags { added, removed: removed.into_iter().collect() }
        }
        "credit" => Edit::Credit(i64::try_from(chance.below(99)).unwrap() + 1),
        "note" if base.note.is_some() && chance.below(4) == 0 => Edit::Set(None),
        "note" => Edit::Set(Some(format!("note {number} of {}", place.name()))),
        other => panic!("nobody edits {other}"),
    }
}

/// The policy of the example, by hand. `made` are the edits in the app, in billing, in the CRM.
fn decide(row: &mut Row, field: &str, made: [Option<&Edit>; 3]) {
    let [app, billing, crm] = made;
    let text = |edit: Option<&Edit>, present: &Option<String>| match edit {
        Some(Edit::Set(text)) => text.clone(),
        Some(Edit::Tags { .. } | Edit::Credit(_)) | None => present.clone(),
    };
    match field {
        // The app owns it; a proposal of the CRM stands where the app said nothing; billing may not.
        "email" => row.email = text(app.or(crm), &Some(row.email.clone())).unwrap(),
        "name" => row.name = text(app.or(crm).or(billing), &row.name),
        "phone" => row.phone = text(crm.or(app).or(billing), &row.phone),
        "stage" => row.stage = text(crm, &row.stage),
        "billing_status" => row.billing_status = text(billing, &row.billing_status),
        "note" => row.note = text(billing.or(app).or(crm), &row.note),
        "tags" => {
            for edit in made.into_iter().flatten() {
                let Edit::Tags { added, removed } = edit else { panic!("{edit:?}") };
                row.tags.retain(|tag| !removed.contains(tag));
                row.tags.extend(added.iter().cloned());
            }
        }
        "credit" => {
            for edit in made.into_iter().flatten() {
                let Edit::Credit(difference) = edit else { panic!("{edit:?}") };
                row.credit += difference;
            }
        }
        other => panic!("nobody edits {other}"),
    }
}
