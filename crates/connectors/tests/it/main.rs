//! The connectors against real databases and servers.
#![allow(clippy::unwrap_used)]

#[cfg(feature = "http")]
mod http;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
