//! Idempotency keys: reserved before the write, kept with its effect, released if there was none.

use super::document::can_be_id;
use super::table::Table;
use avowal_core::data::ids::RemoteId;
use avowal_engine::ports::connector::{Binding, Write};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Transaction};

/// Which keys are ours to use, and what became of the others.
pub(super) struct ReservedKeys {
    /// Keys that were never used.
    pub fresh: BTreeSet<String>,
    /// Keys whose write was done before, with the row it was done to.
    pub used: BTreeMap<String, RemoteId>,
}

/// Marks the transaction as ours and reserves the keys. Where another transaction is using one of them (of a
/// process that was taken for dead, say), this waits until that has ended.
pub(super) async fn reserve_keys(
    transaction: &Transaction<'_>,
    binding: &Binding,
    table: &Table,
    writes: &[Write],
) -> Result<ReservedKeys, Error> {
    let keys: Vec<_> = writes.iter().map(|write| write.key.as_str()).collect();
    // A create has no row yet: `finish_keys` enters it.
    let id = |write: &'_ Write| match &write.id {
        Some(id) if can_be_id(table, id) => id.to_string(),
        Some(_) | None => String::new(),
    };
    let ids: Vec<_> = writes.iter().map(id).collect();
    transaction
        .query_typed("SELECT set_config('avowal.origin', pg_current_xact_id()::text, true)", &[])
        .await?;
    let rows = transaction
        .query_typed(
            &format!(
                "INSERT INTO {}.ops (key, batch, entity, remote_id) \
                 SELECT DISTINCT ON (k) k, pg_current_xact_id()::text, $3, i FROM unnest($1::text[], $2::text[]) \
                 WITH ORDINALITY AS d(k, i, o) ORDER BY k, o ON CONFLICT (key) DO NOTHING RETURNING key",
                table.ours
            ),
            &[(&keys, Type::TEXT_ARRAY), (&ids, Type::TEXT_ARRAY), (&binding.entity.as_str(), Type::TEXT)],
        )
        .await?;
    let fresh: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let used: Vec<_> = keys.into_iter().filter(|key| !fresh.contains(*key)).collect();
    if used.is_empty() {
        return Ok(ReservedKeys { fresh, used: BTreeMap::new() });
    }
    let rows = transaction
        .query_typed(
            &format!("SELECT key, remote_id FROM {}.ops WHERE key = ANY($1)", table.ours),
            &[(&used, Type::TEXT_ARRAY)],
        )
        .await?;
    let used = rows.iter().map(|row| (row.get(0), RemoteId::from(row.get::<_, String>(1)))).collect();
    Ok(ReservedKeys { fresh, used })
}

/// Keeps the keys of what was done, with the rows that were made, and releases the others.
pub(super) async fn finish_keys(
    transaction: &Transaction<'_>,
    table: &Table,
    fresh: &BTreeSet<String>,
    done: &BTreeMap<&str, &RemoteId>,
    made: &BTreeMap<&str, &RemoteId>,
) -> Result<(), Error> {
    if !made.is_empty() {
        let keys: Vec<_> = made.keys().copied().collect();
        let ids: Vec<_> = made.values().map(|id| id.as_str()).collect();
        // The second test lets the planner count the keys, so that it does not read the whole table for them.
        transaction
            .execute_typed(
                &format!(
                    "UPDATE {}.ops o SET remote_id = d.id FROM unnest($1::text[], $2::text[]) AS d(key, id) \
                     WHERE o.key = d.key AND o.key = ANY($1)",
                    table.ours
                ),
                &[(&keys, Type::TEXT_ARRAY), (&ids, Type::TEXT_ARRAY)],
            )
            .await?;
    }
    let unused: Vec<_> = fresh.iter().map(String::as_str).filter(|key| !done.contains_key(key)).collect();
    if !unused.is_empty() {
        transaction
            .execute_typed(
                &format!("DELETE FROM {}.ops WHERE key = ANY($1)", table.ours),
                &[(&unused, Type::TEXT_ARRAY)],
            )
            .await?;
    }
    Ok(())
}
