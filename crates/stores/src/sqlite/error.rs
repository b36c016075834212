//! What can go wrong in a database file, and the one place that maps it to the port's errors.

use crate::codec::Damage;
use avowal_engine::ports::store::{CommitOutcome, StoreError};
use rusqlite::ErrorCode;
use std::io;
use std::path::Path;

/// What a query may end in before the port's words are found for it.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite's own error.
    Sql(rusqlite::Error),
    /// A row that this store did not write like this.
    Damaged {
        /// Which table and row.
        place: String,
        /// What is wrong.
        what: String,
    },
}

impl From<Damage> for Fault {
    fn from(Damage { place, what }: Damage) -> Self {
        Fault::Damaged { place, what }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Fault::Sql(error)
    }
}

impl Fault {
    /// A row that cannot be understood.
    pub(super) fn damaged(place: impl Into<String>, what: impl ToString) -> Self {
        Fault::Damaged { place: place.into(), what: what.to_string() }
    }

    /// The fault in the port's words.
    pub(super) fn into_store_error(self, path: &Path) -> StoreError {
        match self {
            Fault::Sql(error) => sql_error(&error, path),
            Fault::Damaged { place, what } => StoreError::Corrupt { place, what },
        }
    }
}

/// Why one commit of a group was not applied.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It may not be: something has moved on.
    Outcome(CommitOutcome),
    /// It cannot be.
    Fault(Fault),
}

impl Refusal {
    /// Something else stands where the commit expected something.
    pub(super) fn conflict(what: impl Into<String>) -> Self {
        Refusal::Outcome(CommitOutcome::Conflict { what: what.into() })
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Refusal::Fault(fault)
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Refusal::Fault(Fault::Sql(error))
    }
}

/// Whether an error of `COMMIT` leaves open if the transaction will be there after a restart. A full disk does
/// not: the frames before the commit mark are missing then. A failed flush does.
pub(super) fn leaves_commit_open(error: &rusqlite::Error, path: &Path) -> bool {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => false,
        Some(ErrorCode::SystemIoFailure) => !is_write_error(error) || !is_full(path),
        Some(_) | None => true,
    }
}

/// Whether `error` says that a row with this key is already there.
pub(super) fn is_taken(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error().map(|error| error.extended_code),
        Some(rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY)
    )
}

fn sql_error(error: &rusqlite::Error, path: &Path) -> StoreError {
    let file = path.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full(format!("no room left for {file}")),
        Some(ErrorCode::SystemIoFailure) if is_full(path) => {
            StoreError::Full(format!("no room left for {file}"))
        }
        Some(ErrorCode::SystemIoFailure) => StoreError::Unavailable(format!(
            "reading or writing {file} failed ({error}); check the disk and its file system"
        )),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::Locked(format!("{file} is locked by another program's transaction"))
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Corrupt { place: file.to_string(), what: error.to_string() }
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            StoreError::Unavailable(format!(
                "{file} cannot be opened ({error}); check that it and its folder exist and that this user may write there"
            ))
        }
        Some(_) => StoreError::Unavailable(format!("{file}: {error}")),
        None => conversion_error(error, path),
    }
}

/// Errors that are not SQLite's but come from a value of an unexpected type: somebody else wrote it.
fn conversion_error(error: &rusqlite::Error, path: &Path) -> StoreError {
    StoreError::Corrupt { place: path.display().to_string(), what: error.to_string() }
}

fn is_write_error(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error().map(|error| error.extended_code),
        Some(
            rusqlite::ffi::SQLITE_IOERR_WRITE
                | rusqlite::ffi::SQLITE_IOERR_SHMSIZE
                | rusqlite::ffi::SQLITE_IOERR_TRUNCATE
        )
    )
}

/// Whether the folder of the database has no room for a page: SQLite reports a used-up quota and a shared-memory
/// file that cannot grow as plain I/O errors.
fn is_full(path: &Path) -> bool {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".room-{}", std::process::id()));
    let probe = Path::new(&name);
    let result = std::fs::write(probe, [0u8; 65_536]);
    // The probe is ours alone; that it cannot be removed changes nothing in the answer.
    let _ = std::fs::remove_file(probe);
    match result {
        Ok(()) => false,
        Err(error) => matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        ),
    }
}
