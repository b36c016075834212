//! Conformance suites, real servers and fake systems for Avowal's tests.

pub mod connector_suite;
pub mod crm;
pub mod pocketbase;
pub mod postgres;
pub mod store_suite;

pub use avowal_sim::{fake, layer, memory};
