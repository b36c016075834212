//! The testkit's own tests.
#![allow(clippy::unwrap_used)]

mod memory;
mod proxy;
