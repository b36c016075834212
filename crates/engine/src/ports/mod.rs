//! The ports: what the engine asks of a store, of a system and of time, as traits with their contracts.
//!
//! Never in here: an adapter, or anything that decides.
//! Begin with `store/mod.rs`, then `connector.rs`.

pub mod bucket;
pub mod clock;
pub mod connector;
pub mod lanes;
pub mod store;
