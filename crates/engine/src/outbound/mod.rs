//! From an intent to its end: writes go out, their outcomes are learned and recorded.
//!
//! Never in here: a decision what should be written; the plan in the record says that.
//! Begin with `dispatch.rs`; `endings.rs` tells how a write ends.

pub(crate) mod dispatch;
pub(crate) mod ending;
pub(crate) mod endings;
pub(crate) mod flapping;
pub(crate) mod limiter;
pub(crate) mod send;
pub(crate) mod unknown;
