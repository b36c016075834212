//! What to believe: the pure core of Avowal.
//!
//! No async, clock, randomness, I/O or environment in here: a decision is a pure function of the record, the
//! observation and the policy, so it can be replayed, tested exhaustively and proven.
//!
//! The rooms have an order, and know only those before them: `data` ← `record` ← `policy` ← `history` ← `deliver` ←
//! `decide` ← `explain`. A decision ends with the plan that follows from it, so `decide` knows `deliver`.

pub mod data;
pub mod decide;
pub mod deliver;
pub mod explain;
pub mod history;
pub mod planted;
pub mod policy;
pub mod record;
