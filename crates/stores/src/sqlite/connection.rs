//! Opening connections with the settings that the promises rest on.

use super::error::Fault;
use avowal_engine::ports::store::StoreError;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// How long a statement waits for another program's transaction, in milliseconds.
const BUSY_MS: u32 = 5_000;
/// How many prepared statements a connection keeps.
const STATEMENTS_MAX: usize = 128;

/// Opens the one connection that writes, creating the file if need be.
pub(super) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let fault = |error: rusqlite::Error| Fault::from(error).into_store_error(path);
    let connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    connection.execute_batch(&format!("PRAGMA busy_timeout = {BUSY_MS};")).map_err(fault)?;
    let mode: String =
        connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(fault)?;
    if mode != "wal" {
        return Err(StoreError::Unavailable(format!(
            "the file system of {} carries no write-ahead log (journal mode stays {mode:?}); use a local disk",
            path.display()
        )));
    }
    // FULL: a commit is answered only when the log has reached the disk, so a power cut loses nothing.
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA recursive_triggers = ON;
             PRAGMA temp_store = MEMORY;
             PRAGMA cache_size = -16000;
             PRAGMA wal_autocheckpoint = 8000;
             PRAGMA journal_size_limit = 67108864;",
        )
        .map_err(fault)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

/// Opens a connection that can only read. It needs an existing file.
pub(super) fn open_reader(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch(&format!(
        "PRAGMA busy_timeout = {BUSY_MS};
         PRAGMA query_only = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -8000;"
    ))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

/// Copies a whole database into a new file, as it stands at one moment.
pub(super) fn copy_into(from: &Path, to: &Path) -> Result<(), Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(from, flags)?;
    connection.execute_batch(&format!("PRAGMA busy_timeout = {BUSY_MS};"))?;
    connection.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
    Ok(())
}
