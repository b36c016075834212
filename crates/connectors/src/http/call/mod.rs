//! Sending requests: to allowed addresses, at the service's pace, bounded in time and size.
//!
//! Never in here: what is listed, read or written.
//! Begin with `client.rs`.

pub(crate) mod client;
pub(crate) mod failure;
mod guard;
mod pace;
mod secrets;
