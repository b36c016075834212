//! The testkit's own tests.

mod memory;
mod proxy;
