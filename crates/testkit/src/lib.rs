//! In here: conformance suites for stores and connectors, servers for tests, and the demo's CRM.
//! Never in here: anything that ships, apart from the demo's CRM, and rules of one crate's own tests.
//! Begin with `store_suite` or `connector_suite`; the fakes are passed on from `avowal-fakes`.

pub mod connector_suite;
pub mod crm;
pub mod http;
pub mod pocketbase;
pub mod postgres;
pub mod proxy;
pub mod services;
pub mod store_suite;

pub use avowal_fakes::{dice, fake, layer, memory};
