//! Memory store, conformance suites and fake systems for Avowal's tests.

pub mod connector_suite;
pub mod crm;
pub mod fake;
pub mod memory;
pub mod pocketbase;
pub mod postgres;
pub mod store_suite;
