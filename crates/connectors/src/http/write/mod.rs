//! Writes: what is sent, and how each write ended.
//!
//! Never in here: an assumed outcome; what the answer does not prove is unknown.
//! Begin with `calls.rs`; `outcome.rs` says what each answer means.

pub(crate) mod calls;
mod outcome;
mod whole;
mod written;
