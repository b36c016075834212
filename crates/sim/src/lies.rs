//! The lies of systems: in some runs a system answers, and what it says is not so. The dice are of their own, so that the
//! other runs stay as they were.

use crate::fault::{Fault, Rates};
use crate::scenario::Action;
use crate::world::World;
use avowal_core::data::ids::SystemName;
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::store::{ControlStops, Direction, Stop, StopCause};
use avowal_fakes::dice::Dice;
use futures::FutureExt;

/// Adds the lies of a seed.
pub(crate) fn add_lies(seed: u64, systems: usize, rates: &mut Rates, trace: &mut Vec<Action>) {
    let mut dice = Dice::new(seed ^ 0x11_e5);
    if !dice.chance(25) {
        return;
    }
    for lie in Fault::LIES {
        if dice.chance(50) {
            rates.insert(lie, dice.pick(&[60, 150, 300, 600]).unwrap_or(60));
        }
    }
    if !rates.contains_key(&Fault::Blind) {
        return;
    }
    for _ in 0..1 + dice.roll(2) {
        let system = dice.place(systems);
        let from = 1 + dice.place(trace.len());
        let until = from + 1 + dice.place(8);
        trace.insert(from.min(trace.len()), Action::Blind { system, on: true });
        // Somebody asks for everything meanwhile.
        let at = (from + 1).min(trace.len());
        trace.insert(at, Action::Sync { worker: 0, full: dice.chance(70), polls: 5_000 });
        trace.insert((until + 1).min(trace.len()), Action::Blind { system, on: false });
    }
}

impl World {
    /// A system begins or ends to answer as if it held nothing.
    pub(crate) fn set_blind(&self, system: usize, on: bool) {
        let Some(fake) = self.systems.get(system) else { return };
        if on {
            self.faults.note(Fault::Blind);
        }
        fake.set_blind(on);
        self.oracle.blinded(&self.name(system), on);
    }

    /// A person lets creates go everywhere.
    pub(crate) fn approve_creates(&self) {
        for system in &self.scenario.systems {
            let stop = Stop {
                system: SystemName::new(&system.name),
                direction: Direction::Out,
                cause: StopCause::Creates,
                by: None,
                note: None,
                since: Timestamp::from_millis(self.now_ms()),
            };
            self.memory.set_stop(&stop).now_or_never();
            self.memory.lift_stop(&stop, "somebody", stop.since).now_or_never();
        }
    }

    /// Every system shows again what it holds, and everything is listed before anybody approves of anything.
    pub(crate) fn end_blindness(&mut self) {
        if !self.scenario.rates.contains_key(&Fault::Blind) {
            return;
        }
        for system in 0..self.systems.len() {
            self.set_blind(system, false);
        }
        for _ in 0..3 {
            self.round(true);
        }
    }
}
