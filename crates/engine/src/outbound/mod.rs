//! From an intent to its end: writes are sent, their outcomes are learned and recorded.
//!
//! Never in here: a decision what should be written; the plan in the record says that.
//! Begin with `dispatch.rs`; `endings.rs` says what is recorded for each way in which a write may end.

pub(crate) mod breakers;
pub(crate) mod canary;
pub(crate) mod change_guard;
pub(crate) mod create_guard;
pub(crate) mod dispatch;
pub(crate) mod ended_write;
pub(crate) mod endings;
pub(crate) mod fights;
pub(crate) mod found_copies;
pub(crate) mod guard;
pub(crate) mod hasten;
pub(crate) mod outcome;
pub(crate) mod outgoing;
pub(crate) mod plan_guard;
pub(crate) mod prepare;
pub(crate) mod record_endings;
pub(crate) mod reserve;
pub(crate) mod send;
pub(crate) mod spell;
pub(crate) mod turn;
pub(crate) mod unknown;
pub(crate) mod write;
