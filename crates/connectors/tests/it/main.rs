//! The connectors against real databases and servers.
#![allow(clippy::unwrap_used)]

mod fuzz_cases;
#[cfg(feature = "sqlite")]
mod fuzz_identifiers;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
