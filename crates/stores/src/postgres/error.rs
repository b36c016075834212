//! What can go wrong on the way to a database server, and the one place that maps it to the port's errors.

use crate::codec::Damage;
use avowal_engine::ports::store::StoreError;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// What a call may end in before the port's words are found for it.
#[derive(Debug)]
pub(super) enum Fault {
    /// The server's, or the connection's.
    Sql(Error),
    /// A row that this store did not write like this.
    Damaged {
        /// Which table and row.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// No connection came about, or an answer did not come in time.
    Unreachable(String),
}

/// What a fault leaves to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Remedy {
    /// The connection is gone: try again on another.
    Reconnect,
    /// Somebody was in the way: try again.
    Repeat,
    /// Trying again changes nothing.
    GiveUp,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Sql(error)
    }
}

impl From<Damage> for Fault {
    fn from(Damage { place, what }: Damage) -> Self {
        Fault::Damaged { place, what }
    }
}

impl Fault {
    /// A row that cannot be understood.
    pub(super) fn damaged(place: impl Into<String>, what: impl ToString) -> Self {
        Fault::Damaged { place: place.into(), what: what.to_string() }
    }

    /// What to do about it.
    pub(super) fn remedy(&self) -> Remedy {
        match self {
            Fault::Unreachable(_) => Remedy::Reconnect,
            Fault::Damaged { .. } => Remedy::GiveUp,
            Fault::Sql(error) => match error.code() {
                None => Remedy::Reconnect,
                Some(code) if is_refused(code) => Remedy::GiveUp,
                Some(code) => match &code.code()[..2] {
                    // The server stops, starts, or has ended our session.
                    "08" | "57" => Remedy::Reconnect,
                    // 25: the transaction was ended for being idle. 40: deadlock, serialisation. 55: lock timeout.
                    "25" | "40" | "55" => Remedy::Repeat,
                    _ => Remedy::GiveUp,
                },
            },
        }
    }

    /// The fault in the port's words.
    pub(super) fn into_store_error(self, place: &str) -> StoreError {
        match self {
            Fault::Damaged { place, what } => StoreError::Corrupt { place, what },
            Fault::Unreachable(why) => StoreError::Unavailable(format!(
                "{place} cannot be reached: {why}. Check that the server runs and can be reached from here"
            )),
            Fault::Sql(error) => sql_error(&error, place),
        }
    }
}

/// Whether the answer to COMMIT says for certain that nothing was committed. Where it does not come, or comes from
/// a session that is being ended, nobody can tell.
pub(super) fn rolled_back(error: &Error) -> bool {
    match error.code() {
        None => false,
        Some(code) if *code == SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN => false,
        Some(code) => matches!(&code.code()[..2], "40" | "23" | "25"),
    }
}

/// The server's words, without the detail, which repeats contents of rows.
pub(super) fn words(error: &Error) -> String {
    use std::error::Error as _;
    match error.as_db_error() {
        Some(db) => db.message().to_owned(),
        None => match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}

/// Reasons that stay until a person removes them.
fn is_refused(code: &SqlState) -> bool {
    matches!(&code.code()[..2], "28" | "3D" | "42")
        || *code == SqlState::READ_ONLY_SQL_TRANSACTION
        || *code == SqlState::DISK_FULL
        || *code == SqlState::QUERY_CANCELED
}

fn sql_error(error: &Error, place: &str) -> StoreError {
    let words = words(error);
    let Some(code) = error.code() else {
        return StoreError::Unavailable(format!(
            "{place}: {words}. Check that the server runs and can be reached from here"
        ));
    };
    if *code == SqlState::DISK_FULL {
        return StoreError::Full(format!("no room left on {place} ({words})"));
    }
    let cure = if *code == SqlState::INVALID_CATALOG_NAME {
        "Correct the database's name in [store] url, or create the database"
    } else if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        "Grant the role of [store] url the right to create a schema in that database"
    } else if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        "Write to the primary server, not to a standby"
    } else {
        match &code.code()[..2] {
            "28" => "Correct the user or password in [store] url",
            "XX" => "Check the server's log and its disk",
            "53" => "Raise the server's limits, or let fewer processes use it",
            _ => "It is tried again; check the server's log if it stays",
        }
    };
    StoreError::Unavailable(format!("{place}: {words}. {cure}"))
}
