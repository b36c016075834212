//! Runs Avowal's cycle and owns its ports.
//!
//! `store`, `connector` and `clock` are the ports: traits with their contracts. Adapters implement them and
//! never meet each other.

pub mod clock;
pub mod connector;
pub mod store;
