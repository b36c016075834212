//! What the server's refusals say of a write.

use super::session::words;
use avowal_engine::ports::connector::WriteOutcome;
use tokio_postgres::Error;

/// References, unique values and exclusions: another write that waits may cure them. Kept as SQLSTATEs.
const CURABLE: [&str; 3] = ["23503", "23505", "23P01"];

/// Whether an error is the refusal of a row's contents, so that the row would be refused again.
pub(super) fn is_row_error(error: &Error) -> bool {
    let Some(code) = error.code() else { return false };
    let code = code.code();
    // Data exceptions, integrity, check options, triggers' own errors; a value for a generated column.
    matches!(&code[..2], "22" | "23" | "27" | "44" | "P0") || code == "428C9"
}

/// The outcome of a write whose row was refused.
pub(super) fn refused(error: &Error) -> WriteOutcome {
    let reason = words(error);
    match error.code().is_some_and(|code| CURABLE.contains(&code.code())) {
        true => WriteOutcome::Blocked { reason },
        false => WriteOutcome::Rejected { reason },
    }
}
