//! What to believe: the pure core of Avowal.
//!
//! No async, clock, randomness, I/O or environment in here: a decision is a pure function of the record, the
//! observation and the policy, so it can be replayed, tested exhaustively and proven.
//!
//! The rooms have an order, and know only those before them: `data` ← `record` ← `policy` ← `history` ← `outgoing` ←
//! `decide` ← `explain`. A decision ends with the plan that follows from it, so `decide` knows `outgoing`.

#![warn(clippy::wildcard_enum_match_arm)]

pub mod data;
pub mod decide;
pub mod explain;
pub mod history;
pub mod outgoing;
pub mod planted;
pub mod policy;
pub mod record;
