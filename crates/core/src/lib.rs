//! What to believe: the pure core of Avowal.
//!
//! No async, clock, randomness, I/O or environment in here: a decision is a pure function of the record, the
//! observation and the policy, so it can be replayed, tested exhaustively and proven.

mod beside;
pub mod canonical;
pub mod chain;
pub mod chronicle;
pub mod classify;
pub mod confirm;
pub mod decide;
pub mod diff;
pub mod explain;
pub mod fold;
pub mod history;
pub mod identity;
pub mod ids;
pub mod intent;
pub mod judge;
pub mod lifecycle;
pub mod mapping;
pub mod observation;
pub mod plan;
pub mod planted;
pub mod policy;
mod policy_check;
pub mod policy_spec;
pub mod record;
pub mod resolve;
pub mod review;
pub mod rule;
pub mod schema;
mod seal;
mod spelling;
mod text;
pub mod time;
pub mod value;
mod verdict;
pub mod version;
