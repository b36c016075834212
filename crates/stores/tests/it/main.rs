//! The SQLite store against the port's suite, and what only a file can show.

#![allow(clippy::unwrap_used)]

mod file;
mod full;
mod migrations;
mod nodes;
mod postgres;
mod severed;
mod tables;
mod twins;

use avowal_stores::sqlite::SqliteStore;
use avowal_testkit::store_suite::sample::Stream;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// The conformance suite.
mod suite {
    use super::fresh;
    avowal_testkit::store_suite!({
        let (folder, store) = fresh();
        (folder, store as std::sync::Arc<dyn avowal_engine::ports::store::Store>)
    });
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("avowal.db");
    (folder, path)
}

fn fresh() -> (TempDir, Arc<SqliteStore>) {
    let (folder, path) = folder();
    (folder, Arc::new(SqliteStore::open(path).unwrap()))
}

/// A customer with a copy in the CRM under its own id.
fn customer(id: &str) -> Stream {
    Stream::linked(id, "crm", id)
}
