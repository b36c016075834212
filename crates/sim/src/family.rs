//! The second kind of record in some runs: contacts, each of a customer and with a seat of its own. The systems that are
//! named enforce both, so that the order of writes matters.

use crate::scenario::{Action, ENTITY, How, KEY, Scenario};
use avowal_fakes::dice::Dice;
use avowal_fakes::fake::Constraint;
use serde::{Deserialize, Serialize};

/// The entity of the children. It sorts before that of their parents.
pub const CHILD: &str = "a_contact";

/// The field of a child that names its parent by the parent's key.
pub const PARENT: &str = "parent";

/// The field of a child that no two children of one system may share.
pub const SEAT: &str = "seat";

/// The fields of a child that a person edits, by place.
pub const CHILD_FIELDS: [&str; 3] = [PARENT, SEAT, "name"];

/// Things from this number on are children.
const FIRST_CHILD: u32 = 100;

/// How many seats there are.
const SEATS: u64 = 4;

/// That there are children in a run, and which systems hold the constraints on them, by place.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Family {
    /// The systems that refuse a child without its parent, a delete of a parent with children, and a seat that is taken.
    pub constrained: Vec<usize>,
}

/// The entities of a run, parents last.
pub fn entities(scenario: &Scenario) -> &'static [&'static str] {
    if scenario.family.is_some() { &[CHILD, ENTITY] } else { &[ENTITY] }
}

/// What kind of record a thing is.
pub fn entity_of(thing: u32) -> &'static str {
    if thing >= FIRST_CHILD { CHILD } else { ENTITY }
}

/// The key by which a thing is known everywhere.
pub fn key_of(thing: u32) -> String {
    let kind = if entity_of(thing) == CHILD { 'c' } else { 'k' };
    format!("{kind}{thing}@x.org")
}

/// What kind of record the thing with this key is.
pub fn entity_of_key(key: &str) -> &'static str {
    if key.starts_with('c') { CHILD } else { ENTITY }
}

/// Whether a constrained system enforces what its tables say in this place.
pub fn is_constrained(scenario: &Scenario, system: usize) -> bool {
    scenario.family.as_ref().is_some_and(|family| family.constrained.contains(&system))
}

/// What a constrained system enforces.
pub fn constraints() -> [Constraint; 2] {
    [
        Constraint::Reference { entity: CHILD, column: PARENT, to: ENTITY, key: Some(KEY) },
        Constraint::Unique { entity: CHILD, column: SEAT },
    ]
}

/// The seats, beginning with the one of this number.
pub fn seats(from: u64) -> impl Iterator<Item = String> {
    (0..SEATS).map(move |step| format!("s{}", (from + step) % SEATS))
}

/// Adds children to some runs. The dice are of their own, so that the other runs stay as they were.
pub fn add_family(seed: u64, systems: usize, trace: &mut Vec<Action>) -> Option<Family> {
    let mut dice = Dice::new(seed ^ 0xfa_31_17);
    if !dice.chance(14) {
        return None;
    }
    let constrained: Vec<usize> = (0..systems).filter(|_| dice.chance(75)).collect();
    let children = 1 + dice.roll(4);
    let child = |dice: &mut Dice| FIRST_CHILD + dice.roll(children) as u32;
    // Some are there when everything is listed first, the others come later, together with their parents.
    for _ in 0..dice.roll(3) {
        trace.insert(0, Action::Insert { system: dice.place(systems), thing: child(&mut dice) });
    }
    for _ in 0..4 + dice.roll(10) {
        let at = (1 + dice.place(trace.len())).min(trace.len());
        let system = dice.place(systems);
        let thing = child(&mut dice);
        let action = match dice.roll(10) {
            0..4 => Action::Insert { system, thing },
            4..8 => {
                let how = if dice.chance(15) { How::Clear } else { How::Fresh };
                Action::Edit { system, thing, field: dice.place(CHILD_FIELDS.len()), how }
            }
            8 => Action::Delete { system, thing },
            _ => Action::Delete { system, thing: dice.roll(4) as u32 },
        };
        trace.insert(at, action);
        if dice.chance(30) {
            trace.insert(at, Action::Insert { system, thing: dice.roll(5) as u32 });
        }
    }
    Some(Family { constrained })
}
