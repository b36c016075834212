//! Comparing what the systems show with what the store holds, and repairing what differs by the road of every other fact.
//!
//! Never in here: a judgement of its own, a write to a system while it compares, or a conclusion from a snapshot that is not
//! whole.
//! Begin with `compare.rs`; `drift.rs` says what becomes of one differing copy, `repair.rs` hands copies in.

mod compare;
mod drift;
mod repair;
mod second_look;
mod snapshot;
mod sum;
mod unread_feed;

pub use compare::ReconcileOptions;
pub(crate) use compare::reconcile;
pub use repair::{RepairOptions, RepairReport};
pub(crate) use repair::{hand_in, repair};
