//! The questions for a person, open and closed.

use super::column;
use super::error::Fault;
use avowal_core::data::ids::{EntityName, RecordId, SystemName};
use avowal_core::history::{Body, IntegrationEvent};
use avowal_core::record::{Record, Review, Side, Subject};
use avowal_engine::ports::store::OpenReview;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;

/// Opens or closes the question that an event opens or closes.
pub(super) fn note(connection: &Connection, event: &IntegrationEvent) -> Result<(), Fault> {
    match &event.body {
        Body::ManualReviewRequested { subject, review } => {
            open(connection, &event.record, &event.entity, subject, review)
        }
        Body::ReviewDecided { subject, review, answer, note } => {
            connection
                .prepare_cached(
                    "UPDATE reviews SET status = 'closed', answer = ?4, note = ?5, closed_by = ?6, closed_at = ?7
                     WHERE record_id = ?1 AND field = ?2 AND id = ?3",
                )?
                .execute(params![
                    event.record.as_str(),
                    subject.as_str(),
                    review,
                    column::to_json(answer)?,
                    note,
                    event.actor,
                    event.recorded_at.to_string(),
                ])?;
            Ok(())
        }
        Body::Linked { .. }
        | Body::Unlinked { .. }
        | Body::Observed { .. }
        | Body::FieldChanged { .. }
        | Body::ConflictDetected { .. }
        | Body::ConflictResolved { .. }
        | Body::Refused { .. }
        | Body::FieldSetAside { .. }
        | Body::FieldUnderstood { .. }
        | Body::Quarantined { .. }
        | Body::Deleted { .. }
        | Body::Restored { .. }
        | Body::IntentPlanned { .. }
        | Body::IntentWithdrawn { .. }
        | Body::IntentSent { .. }
        | Body::IntentConfirmed { .. }
        | Body::IntentFailed { .. }
        | Body::EchoRecognised { .. }
        | Body::DuplicateDropped { .. }
        | Body::StaleDropped { .. }
        | Body::StaleSuspected { .. }
        | Body::ReconciliationApplied { .. }
        | Body::DriftDetected { .. }
        | Body::PolicyChanged { .. }
        | Body::Released { .. } => Ok(()),
    }
}

/// Makes the open rows equal to the state's open questions, whose proposals later observations refresh.
pub(super) fn follow_state(connection: &Connection, record: &Record) -> Result<(), Fault> {
    for (subject, review) in &record.reviews {
        open(connection, &record.id, &record.entity, subject, review)?;
    }
    let mut close = connection.prepare_cached(
        "UPDATE reviews SET status = 'closed' WHERE record_id = ?1 AND field = ?2 AND id = ?3",
    )?;
    for (field, id) in open_ids(connection, &record.id)? {
        let still_open =
            record.reviews.get(&Subject::from(field.as_str())).is_some_and(|review| review.id == id);
        if !still_open {
            close.execute([record.id.as_str(), &field, &id])?;
        }
    }
    Ok(())
}

/// Removes a record's questions before they are derived again.
pub(super) fn forget(connection: &Connection, record: &RecordId) -> Result<(), Fault> {
    connection.execute("DELETE FROM reviews WHERE record_id = ?1", [record.as_str()])?;
    Ok(())
}

/// The open questions of all records, oldest first.
pub(super) fn all_open(connection: &Connection, limit: usize) -> Result<Vec<OpenReview>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT record_id, entity, field, id, reason, believed, proposed, opened_at
         FROM reviews WHERE status = 'open' ORDER BY opened_at, record_id, field LIMIT ?1",
    )?;
    let rows = select.query_map([column::limit(limit)], Row::read)?;
    rows.map(|row| row?.into_open()).collect()
}

fn open(
    connection: &Connection,
    record: &RecordId,
    entity: &EntityName,
    subject: &Subject,
    review: &Review,
) -> Result<(), Fault> {
    let believed = review.believed.as_ref().map(column::to_json).transpose()?;
    connection
        .prepare_cached(
            "INSERT INTO reviews (record_id, field, id, entity, status, reason, believed, proposed, opened_at)
             VALUES (?1, ?2, ?3, ?4, 'open', ?5, ?6, ?7, ?8)
             ON CONFLICT (record_id, field, id) DO UPDATE SET status = 'open', reason = excluded.reason,
                 believed = excluded.believed, proposed = excluded.proposed, opened_at = excluded.opened_at,
                 answer = NULL, note = NULL, closed_by = NULL, closed_at = NULL",
        )?
        .execute(params![
            record.as_str(),
            subject.as_str(),
            review.id,
            entity.as_str(),
            column::to_json(&review.reason)?,
            believed,
            column::to_json(&review.proposed)?,
            review.opened_at.to_string(),
        ])?;
    Ok(())
}

fn open_ids(connection: &Connection, record: &RecordId) -> Result<Vec<(String, String)>, Fault> {
    // Most records never had a question: one look into the index answers that.
    let any = connection
        .prepare_cached("SELECT 1 FROM reviews WHERE record_id = ?1 LIMIT 1")?
        .query_row([record.as_str()], |_| Ok(()))
        .optional()?;
    if any.is_none() {
        return Ok(Vec::new());
    }
    let mut select = connection
        .prepare_cached("SELECT field, id FROM reviews WHERE record_id = ?1 AND status = 'open'")?;
    let rows = select.query_map([record.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

struct Row {
    record: String,
    entity: String,
    field: String,
    id: String,
    reason: String,
    believed: Option<String>,
    proposed: String,
    opened_at: String,
}

impl Row {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            record: row.get(0)?,
            entity: row.get(1)?,
            field: row.get(2)?,
            id: row.get(3)?,
            reason: row.get(4)?,
            believed: row.get(5)?,
            proposed: row.get(6)?,
            opened_at: row.get(7)?,
        })
    }

    fn into_open(self) -> Result<OpenReview, Fault> {
        let place = |column: &str| format!("reviews row {}, {column}", self.id);
        let believed: Option<Side> =
            self.believed.as_deref().map(|json| column::from_json(json, || place("believed"))).transpose()?;
        let proposed: BTreeMap<SystemName, Side> = column::from_json(&self.proposed, || place("proposed"))?;
        let reason = column::from_json(&self.reason, || place("reason"))?;
        let opened_at = column::parsed(&self.opened_at, || place("opened_at"))?;
        Ok(OpenReview {
            entity: EntityName::from(self.entity),
            record: RecordId::from(self.record),
            subject: Subject::from(self.field),
            review: Review { id: self.id, reason, believed, proposed, opened_at },
        })
    }
}
