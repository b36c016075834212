//! Numbered changes of the tables, applied once, by one process at a time, and remembered with their checksum.

use super::connection::{Link, SCHEMA, Server};
use super::error::Fault;
use avowal_core::data::value::Digest;
use avowal_engine::ports::store::StoreError;
use std::collections::BTreeMap;

/// A change of the tables. Once released it never changes again; a later number corrects it.
struct Migration {
    number: i64,
    name: &'static str,
    sql: &'static str,
}

/// All changes, in order.
const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "initial", sql: include_str!("migrations/0001_initial.sql") },
    Migration { number: 2, name: "stops", sql: include_str!("migrations/0002_stops.sql") },
    Migration { number: 3, name: "lags", sql: include_str!("migrations/0003_lags.sql") },
    Migration { number: 4, name: "runs", sql: include_str!("migrations/0004_runs.sql") },
    Migration {
        number: 5,
        name: "reconciliations",
        sql: include_str!("migrations/0005_reconciliations.sql"),
    },
];

/// Taken while tables are made or changed: "Avow" in ASCII. Nowhere else is a lock of this kind used.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1098280823)";

/// Brings the tables up to date, in one transaction, or refuses the schema.
pub(super) async fn migrate(link: &Link, server: &Server) -> Result<(), StoreError> {
    let migrated = async {
        link.execute("BEGIN").await?;
        link.execute(LOCK).await?;
        let refusal = refuse_foreign(link, server).await?;
        if refusal.is_some() {
            return Ok(refusal);
        }
        link.execute(&format!(
            "CREATE SCHEMA IF NOT EXISTS {SCHEMA};
             CREATE TABLE IF NOT EXISTS {SCHEMA}.migrations (
                 number bigint PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,
                 applied_at timestamptz NOT NULL DEFAULT now())"
        ))
        .await?;
        let applied = applied(link).await?;
        if let Some(refusal) = divergence(&applied, server) {
            return Ok(Some(refusal));
        }
        for migration in MIGRATIONS.iter().filter(|migration| !applied.contains_key(&migration.number)) {
            link.execute(migration.sql).await?;
            link.change(
                "INSERT INTO avowal_store.migrations (number, name, checksum) VALUES ($1, $2, $3)",
                &[&migration.number, &migration.name, &migration.checksum()],
            )
            .await?;
        }
        link.execute("COMMIT").await?;
        Ok::<_, Fault>(None)
    };
    match migrated.await {
        Ok(None) => Ok(()),
        Ok(Some(refusal)) => {
            let _ = link.execute("ROLLBACK").await;
            Err(refusal)
        }
        Err(fault) => {
            let _ = link.execute("ROLLBACK").await;
            Err(fault.into_store_error(server.place()))
        }
    }
}

/// Whether there is a store, of whatever version.
pub(super) async fn exists(link: &Link, server: &Server) -> Result<bool, StoreError> {
    has_table(link, "migrations").await.map_err(|fault| fault.into_store_error(server.place()))
}

/// Refuses a schema whose tables are not the ones this program reads, changing nothing.
pub(super) async fn check(link: &Link, server: &Server) -> Result<(), StoreError> {
    let fault = |fault: Fault| fault.into_store_error(server.place());
    if !has_table(link, "migrations").await.map_err(fault)? {
        return Err(StoreError::Unavailable(format!(
            "there is no store in {} yet; `avowal sync` makes it",
            server.place()
        )));
    }
    let applied = applied(link).await.map_err(fault)?;
    if let Some(refusal) = divergence(&applied, server) {
        return Err(refusal);
    }
    if applied.len() < MIGRATIONS.len() {
        return Err(StoreError::Unavailable(format!(
            "{} was made by an older version of avowal; run `avowal sync` once to bring it up to date",
            server.place()
        )));
    }
    Ok(())
}

impl Migration {
    fn checksum(&self) -> String {
        Digest::of(self.sql.as_bytes()).to_string()
    }
}

async fn applied(link: &Link) -> Result<BTreeMap<i64, String>, Fault> {
    let rows = link.query("SELECT number, checksum FROM avowal_store.migrations", &[]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// A schema full of somebody else's tables is a slip in the configuration, not a place to write to.
async fn refuse_foreign(link: &Link, server: &Server) -> Result<Option<StoreError>, Fault> {
    if has_table(link, "migrations").await? {
        return Ok(None);
    }
    let rows = link
        .query("SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'avowal_store' LIMIT 1", &[])
        .await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let table: String = row.try_get(0)?;
    Ok(Some(StoreError::Unavailable(format!(
        "{} has a schema {SCHEMA} that avowal did not make (it has a table {table:?}); give [store] url a database of its own",
        server.place()
    ))))
}

fn divergence(applied: &BTreeMap<i64, String>, server: &Server) -> Option<StoreError> {
    for (number, checksum) in applied {
        let Some(known) = MIGRATIONS.iter().find(|migration| migration.number == *number) else {
            return Some(StoreError::Unavailable(format!(
                "{} was written by a newer version of avowal (migration {number}); use that version",
                server.place()
            )));
        };
        if known.checksum() != *checksum {
            return Some(StoreError::Unavailable(format!(
                "{}: migration {number} ({}) differs from the one this program knows; \
                 use the version of avowal that wrote the store, or restore it from a backup",
                server.place(),
                known.name
            )));
        }
    }
    None
}

async fn has_table(link: &Link, name: &str) -> Result<bool, Fault> {
    let rows = link
        .query(
            "SELECT 1 FROM information_schema.tables WHERE table_schema = 'avowal_store' AND table_name = $1",
            &[&name],
        )
        .await?;
    Ok(!rows.is_empty())
}
