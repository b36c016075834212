//! One connection to the file, used by one blocking job at a time.

use super::BUSY_MS;
use avowal_engine::ports::connector::{ConnectorError, ConnectorErrorKind};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// How many prepared statements the connection keeps.
const STATEMENTS_MAX: usize = 128;

/// Why a job failed: an error of SQLite, or one of this connector.
#[derive(Debug)]
pub(super) enum Failure {
    /// SQLite's error, not yet turned into the port's.
    Sqlite(rusqlite::Error),
    /// An error that already says everything.
    Port(ConnectorError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Sqlite(error)
    }
}

impl From<ConnectorError> for Failure {
    fn from(error: ConnectorError) -> Self {
        Failure::Port(error)
    }
}

/// The file and its connection, reopened on demand.
#[derive(Debug)]
pub(super) struct Session {
    path: PathBuf,
    open: Arc<Mutex<Option<Open>>>,
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    /// Which file it is: a file put in its place by another has the same path.
    file: FileIdentity,
    /// How the file looked when the last job had ended.
    left: Option<Looks>,
}

impl Session {
    /// Opens an existing file.
    pub fn open(path: PathBuf) -> Result<Self, ConnectorError> {
        let open = connect(&path)?;
        Ok(Self { path, open: Arc::new(Mutex::new(Some(open))) })
    }

    /// What errors call this system.
    pub fn place(&self) -> String {
        place(&self.path)
    }

    /// Runs a job on the connection. A job whose caller goes away still runs to its end.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, ConnectorError> {
        let (path, open) = (self.path.clone(), Arc::clone(&self.open));
        let ran = tokio::task::spawn_blocking(move || {
            // A job that panicked leaves at most an open transaction behind, which is rolled back below.
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            let connection = ready(&path, &mut open)?;
            let done = job(connection).map_err(|failure| port_error(&path, failure));
            if done.as_ref().is_err_and(|error| error.kind == ConnectorErrorKind::Unreachable) {
                *open = None;
            }
            if let Some(open) = open.as_mut() {
                open.left = Looks::of(&path);
            }
            done
        });
        ran.await.unwrap_or_else(|_| {
            let message = format!("{}: an internal error ended the call", self.place());
            Err(ConnectorError::new(ConnectorErrorKind::Protocol, message, Some("Please report this")))
        })
    }
}

/// The open connection to the file that stands at the path now, with no transaction open.
fn ready<'a>(path: &Path, open: &'a mut Option<Open>) -> Result<&'a mut Connection, ConnectorError> {
    let same = open.as_ref().is_some_and(|open| FileIdentity::of(path).as_ref() == Some(&open.file));
    if !same {
        // Close before opening: two connections of one process to one file disturb each other's locks.
        *open = None;
    }
    let open = match open {
        Some(open) => open,
        None => open.insert(connect(path)?),
    };
    if open.left != Looks::of(path) {
        // A backup that was copied over the file may have the same change counter as what SQLite remembers of it, which
        // would then be taken for what stands there.
        open.connection
            .execute_batch("PRAGMA shrink_memory")
            .map_err(|error| port_error(path, Failure::Sqlite(error)))?;
    }
    if !open.connection.is_autocommit() {
        open.connection
            .execute_batch("ROLLBACK")
            .map_err(|error| port_error(path, Failure::Sqlite(error)))?;
    }
    Ok(&mut open.connection)
}

fn connect(path: &Path) -> Result<Open, ConnectorError> {
    let file = FileIdentity::of(path).ok_or_else(|| {
        ConnectorError::new(
            ConnectorErrorKind::Unreachable,
            format!("{} does not exist or cannot be read", place(path)),
            Some("Correct the system's url, or create the file; Avowal never creates it"),
        )
    })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(Duration::from_millis(BUSY_MS))?;
        // What is declared holds, whether or not the application enforces it.
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        // Reads the header, so that a file that is no database is found here.
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))?;
        Ok(connection)
    });
    match opened {
        Ok(connection) => Ok(Open { connection, file, left: None }),
        Err(error) => Err(port_error(path, Failure::Sqlite(error))),
    }
}

fn place(path: &Path) -> String {
    format!("SQLite file {}", path.display())
}

fn port_error(path: &Path, failure: Failure) -> ConnectorError {
    let error = match failure {
        Failure::Port(error) => {
            return ConnectorError { message: format!("{}: {}", place(path), error.message), ..error };
        }
        Failure::Sqlite(error) => error,
    };
    let (kind, cure) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            ConnectorErrorKind::Unreachable,
            "Another program holds the write lock; it is tried again when that program is done",
        ),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            (ConnectorErrorKind::Protocol, "Correct the system's url, or restore the file from a backup")
        }
        Some(
            ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::AuthorizationForStatementDenied,
        ) => (
            ConnectorErrorKind::Unauthorised,
            "Give this user the right to read and write the file and its folder",
        ),
        Some(ErrorCode::DiskFull) => (ConnectorErrorKind::Unreachable, "Free space on the file's disk"),
        Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure) => {
            (ConnectorErrorKind::Unreachable, "Check the file, its folder and its disk")
        }
        Some(_) | None => {
            (ConnectorErrorKind::SchemaDrift, "Run `avowal check`, which names what is not there")
        }
    };
    ConnectorError::new(kind, format!("{}: {error}", place(path)), Some(cure))
}

/// Identifies a file, so that another one at the same path is recognised.
#[derive(Clone, PartialEq, Eq, Debug)]
struct FileIdentity(u64, u64);

impl FileIdentity {
    #[cfg(unix)]
    fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let about = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        Some(Self(about.dev(), about.ino()))
    }

    #[cfg(not(unix))]
    fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|_| Self(0, 0))
    }
}

/// When a file was written last, and how long it is: while both are the same, nobody has written to it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Looks(SystemTime, u64);

impl Looks {
    fn of(path: &Path) -> Option<Self> {
        let about = std::fs::metadata(path).ok()?;
        Some(Self(about.modified().ok()?, about.len()))
    }
}
