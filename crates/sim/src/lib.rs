//! In here: scenarios made from seeds, the scheduler that plays them step by step, the oracle and the shrinker.
//! Never in here: real time, threads of the engine, a real system, and anything that ships; no product crate depends on it.
//! Begin with [`scenario::Scenario`], which [`play::play`] plays and the [`oracle::Oracle`] judges by the hidden truth.

pub mod family;
pub mod fault;
mod judgement;
mod lies;
pub mod many;
pub mod mistakes;
pub mod oracle;
mod people;
pub mod play;
mod rules;
pub mod scenario;
pub mod shrink;
mod stage;
pub mod store;
mod substance;
pub mod timeline;
pub mod world;
