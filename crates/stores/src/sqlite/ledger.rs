//! The ledger of the seeds: what we wrote last, per record, direction and field.

use super::error::Fault;
use avowal_core::history::{Body, Event};
use avowal_core::ids::RecordId;
use rusqlite::{Connection, params};

/// Enters what an event confirms. A later entry of a direction replaces the earlier one: only the last counts.
pub(super) fn note(connection: &Connection, event: &Event) -> Result<(), Fault> {
    let Body::IntentConfirmed { system, key, fields, .. } = &event.body else {
        return Ok(());
    };
    let mut upsert = connection.prepare_cached(
        "INSERT INTO sync_ledger
             (record_key, direction, field, source_system, target_system, field_hash, idempotency_key, synced_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (record_key, direction, field) DO UPDATE SET field_hash = excluded.field_hash,
             idempotency_key = excluded.idempotency_key, synced_at = excluded.synced_at",
    )?;
    for (field, stored) in fields {
        let source = &stored.base.system;
        upsert.execute(params![
            event.record.as_str(),
            format!("{source}->{system}"),
            field.as_str(),
            source.as_str(),
            system.as_str(),
            stored.wrote.to_string(),
            key,
            event.recorded_at.to_string(),
        ])?;
    }
    Ok(())
}

/// Removes a record's entries before they are derived again.
pub(super) fn forget(connection: &Connection, record: &RecordId) -> Result<(), Fault> {
    connection.execute("DELETE FROM sync_ledger WHERE record_key = ?1", [record.as_str()])?;
    Ok(())
}
