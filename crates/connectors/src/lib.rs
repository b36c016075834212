//! The systems Avowal speaks with, one folder each.
//!
//! In here: how systems are reached, in their own names and raw values. Never in here: policy, beliefs, a connector that
//! knows another one.
//! Begin with `kind.rs`: what a connector exports. The command line lists the kinds in `cli/src/connectors.rs`.

pub mod kind;

#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use kind::{KeyFault, Kind, NoKeys};
