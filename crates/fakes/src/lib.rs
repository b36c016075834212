//! In here: fake systems, a store in memory, a manual clock and seeded dice, on which the forecast and the tests stand.
//! Never in here: a real system, real time, and anything that judges whether the engine is right.
//! Begin with [`fake::FakeSystem`], the system between the engine and the people who edit; then [`memory::MemoryStore`].

pub mod dice;
pub mod fake;
pub mod layer;
pub mod memory;
