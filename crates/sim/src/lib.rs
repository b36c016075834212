//! Deterministic simulation of Avowal: the real core and engine, driven step by step by a seeded scheduler, against
//! systems whose truth the engine cannot see.

pub mod fake;
pub mod memory;
