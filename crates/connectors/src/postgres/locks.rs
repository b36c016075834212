//! How we wait for what the application has locked, so that none of its statements ever ends in a deadlock with ours.
//!
//! Postgres ends one of those that wait in a circle, and it may choose the application. Therefore we wait only while we hold
//! nothing that the application may want. Whoever holds something takes the rest at once or not at all, gives back what
//! it holds, and begins again.

use std::time::Duration;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Transaction};

/// How often we begin again before the caller does so later.
const TRIES: u32 = 5;

/// Whoever waits for a table makes everybody wait behind it, so the first lock of a transaction is not waited for long.
pub(super) const FIRST: &str = "SET LOCAL lock_timeout = '3s'";

/// Where a statement cannot be told not to wait at all: far below the time after which a deadlock is looked for.
const NEXT: &str = "SET LOCAL lock_timeout = '1ms'";

/// Row locks that a statement takes on its own, for unique values and references, are waited for a moment only, while rows
/// are held: far below the time after which a deadlock is looked for (`deadlock_timeout`, 1 s).
const ROWS: &str = "SET LOCAL lock_timeout = '50ms'";

/// Counts the beginnings of a transaction.
#[derive(Default)]
pub(super) struct Tries(u32);

impl Tries {
    /// Whether a transaction that failed should begin again, after a pause, because something was in its way.
    pub async fn again(&mut self, error: &Error) -> bool {
        self.0 += 1;
        if !in_the_way(error) || self.0 == TRIES {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(100 * u64::from(self.0))).await;
        true
    }
}

/// Whether a statement failed because another transaction holds what it needs.
pub(super) fn in_the_way(error: &Error) -> bool {
    error.code().is_some_and(|code| *code == SqlState::LOCK_NOT_AVAILABLE)
}

/// Waits for one installation at a time. To be called before anything is held.
pub(super) async fn one_at_a_time(transaction: &Transaction<'_>) -> Result<(), Error> {
    // The number has no meaning.
    const LOCK: i64 = 0x61_76_6f_77_61_6c;
    transaction.batch_execute(&format!("{FIRST}; SELECT pg_advisory_xact_lock({LOCK})")).await
}

/// Takes the tables that get triggers and those that lose the ones of our function, whatever they are called by now.
/// Afterwards triggers can be made and dropped without waiting.
pub(super) async fn take_tables(
    transaction: &Transaction<'_>,
    ours: &str,
    function: &str,
    members: &[u32],
) -> Result<(), Error> {
    // A table is locked by who may write to it; the others are locked when their triggers change.
    let sql = "SELECT format('%I.%I', s.nspname, c.relname), bool_or(g.oid IS NOT NULL) FROM pg_class c \
        JOIN pg_namespace s ON s.oid = c.relnamespace \
        LEFT JOIN (pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid AND p.proname = $2 \
            JOIN pg_namespace o ON o.oid = p.pronamespace AND o.nspname = $1) ON g.tgrelid = c.oid \
        WHERE (g.oid IS NOT NULL OR c.oid = ANY ($3)) AND c.relkind IN ('r', 'p') \
            AND has_table_privilege(c.oid, 'UPDATE') AND has_schema_privilege(s.oid, 'USAGE') \
        GROUP BY c.oid, s.nspname, c.relname ORDER BY c.relkind <> 'p', c.oid";
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&ours, Type::TEXT), (&function, Type::TEXT), (&members, Type::OID_ARRAY)];
    let mut wait = FIRST;
    for row in transaction.query_typed(sql, &parameters).await? {
        let (table, has_triggers): (String, bool) = (row.get(0), row.get(1));
        let mode = if has_triggers { "ACCESS EXCLUSIVE" } else { "SHARE ROW EXCLUSIVE" };
        let at_once = if wait == FIRST { "" } else { " NOWAIT" };
        transaction
            .batch_execute(&format!("{wait}; LOCK TABLE ONLY {table} IN {mode} MODE{at_once}"))
            .await?;
        wait = NEXT;
    }
    transaction.batch_execute(wait).await
}

/// From here on rows are held: nothing else is waited for.
pub(super) async fn rows_are_held(transaction: &Transaction<'_>) -> Result<(), Error> {
    transaction.batch_execute(ROWS).await
}
