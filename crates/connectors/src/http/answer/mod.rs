//! Answers, looked into without being trusted: copies, times, reasons.
//!
//! Never in here: a request, or what an answer means for the call that it answers.
//! Begin with `reply.rs`.

pub(crate) mod copy;
pub(crate) mod fault;
pub(crate) mod look;
pub(crate) mod reply;
pub(crate) mod stamp;
pub(crate) mod trouble;
mod wait;
pub(crate) mod words;
