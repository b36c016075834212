//! The questions that are answered from an index: which record, what is due, how much there is.

use super::error::Fault;
use super::text;
use avowal_core::data::ids::{EntityName, RecordId, RemoteId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::bucket::{Bucket, Shares};
use avowal_engine::ports::store::{
    CopyKey, Counts, Cursor, CursorName, Due, DueIntent, Located, OpenCounts, QuarantineItem, Signal,
    SignalReason,
};
use rusqlite::{Connection, OptionalExtension, params};

/// Which record each copy belongs to. One prepared look-up a key: nothing is cheaper inside one process.
pub(super) fn locate(connection: &Connection, keys: &[CopyKey]) -> Result<Vec<Option<Located>>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT record_id, content, alive,
                EXISTS (SELECT 1 FROM intents AS i WHERE i.record_id = links.record_id
                        AND i.system = links.system AND i.status IN ('sent', 'unknown'))
         FROM links WHERE system = ?1 AND entity = ?2 AND remote_id = ?3",
    )?;
    let mut out = Vec::with_capacity(keys.len());
    for key in keys {
        let row: Option<(String, String, bool, bool)> = select
            .query_row([key.system.as_str(), key.entity.as_str(), key.remote_id.as_str()], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .optional()?;
        let located = row.map(|(record, content, alive, in_flight)| {
            let content = text::parsed(&content, || format!("links row {record}, {}, content", key.system))?;
            Ok::<_, Fault>(Located { record: RecordId::from(record), content, alive, in_flight })
        });
        out.push(located.transpose()?);
    }
    Ok(out)
}

/// The living copies of one entity in one system, in order of their records' ids.
pub(super) fn copies(
    connection: &Connection,
    system: &SystemName,
    entity: &EntityName,
    after: Option<&RecordId>,
    limit: usize,
) -> Result<Vec<(RecordId, RemoteId)>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT record_id, remote_id FROM links INDEXED BY links_living
         WHERE system = ?1 AND entity = ?2 AND alive = 1 AND record_id > ?3 ORDER BY record_id LIMIT ?4",
    )?;
    let after = after.map_or("", RecordId::as_str);
    let rows = select
        .query_map(params![system.as_str(), entity.as_str(), after, text::limit(limit)], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?;
    rows.map(|row| {
        row.map(|(record, copy)| (RecordId::from(record), RemoteId::from(copy))).map_err(Fault::from)
    })
    .collect()
}

/// The records that carry each match key, in order of their ids.
pub(super) fn matching(
    connection: &Connection,
    entity: &EntityName,
    keys: &[String],
) -> Result<Vec<Vec<RecordId>>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT record_id FROM match_keys WHERE entity = ?1 AND key = ?2 ORDER BY record_id",
    )?;
    let mut find = |key: &String| {
        let rows = select.query_map([entity.as_str(), key], |row| row.get::<_, String>(0))?;
        rows.map(|id| Ok(RecordId::from(id?))).collect()
    };
    keys.iter().map(&mut find).collect()
}

/// Whether each delivery has been taken.
pub(super) fn taken(
    connection: &Connection,
    system: &SystemName,
    keys: &[String],
) -> Result<Vec<bool>, Fault> {
    let mut select = connection.prepare_cached("SELECT 1 FROM dedupe WHERE system = ?1 AND key = ?2")?;
    let mut is_taken = |key: &String| {
        let found = select.query_row([system.as_str(), key], |_| Ok(())).optional()?;
        Ok(found.is_some())
    };
    keys.iter().map(&mut is_taken).collect()
}

/// Where a feed or listing stands.
pub(super) fn cursor(connection: &Connection, name: &CursorName) -> Result<Option<Cursor>, Fault> {
    let position = connection
        .prepare_cached("SELECT position FROM cursors WHERE system = ?1 AND entity = ?2 AND kind = ?3")?
        .query_row([name.system.as_str(), name.entity.as_str(), name.kind.as_str()], |row| row.get(0))
        .optional()?;
    Ok(position.map(Cursor))
}

/// The intents to `system` that are due, longest due first.
pub(super) fn due_intents(
    connection: &Connection,
    system: &SystemName,
    shares: Shares,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<DueIntent>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT record_id, failures FROM intents WHERE system = ?1 AND not_before <= ?2
         ORDER BY not_before, position",
    )?;
    let rows = select.query_map(params![system.as_str(), now.to_string()], |row| {
        Ok((row.get::<_, String>(0)?, row.get(1)?))
    })?;
    let due = rows.map(|row| {
        let (record, failures) = row?;
        let failures =
            text::small_from_column(failures, || format!("intents row {record}, {system}, failures"))?;
        Ok(DueIntent { record: RecordId::from(record), failures })
    });
    // Rows are computed as they are taken, so no more are looked at than needed.
    let is_ours = |due: &Result<DueIntent, Fault>| {
        due.as_ref().map_or(true, |due| shares.covers(Bucket::of_record(&due.record)))
    };
    due.filter(is_ours).take(limit).collect()
}

/// Whether anything of this kind is due.
pub(super) fn is_due(
    connection: &Connection,
    system: &SystemName,
    due: Due,
    now: Timestamp,
) -> Result<bool, Fault> {
    let sql = match due {
        Due::Intents => "SELECT 1 FROM intents WHERE system = ?1 AND not_before <= ?2 LIMIT 1",
        Due::Signals => "SELECT 1 FROM signals WHERE system = ?1 AND not_before <= ?2 LIMIT 1",
    };
    let mut select = connection.prepare_cached(sql)?;
    let found = select.query_row([system.as_str(), &now.to_string()], |_| Ok(())).optional()?;
    Ok(found.is_some())
}

/// The deliveries that came before `before`, oldest first, by system and key.
pub(super) fn old_deliveries(
    connection: &Connection,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<(String, String)>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT system, key FROM dedupe WHERE received_at < ?1 ORDER BY received_at LIMIT ?2",
    )?;
    let rows = select
        .query_map(params![before.to_string(), text::limit(limit)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The earliest of each system's earliest: their index begins with the system, of which there are few.
const NEXT_INTENT: &str = "
    WITH RECURSIVE systems (name) AS (
        SELECT min(system) FROM intents
        UNION ALL
        SELECT (SELECT min(system) FROM intents WHERE system > name) FROM systems WHERE name IS NOT NULL)
    SELECT min((SELECT min(not_before) FROM intents WHERE system = name)) FROM systems WHERE name IS NOT NULL";

/// When the next intent or signal is due.
pub(super) fn next_due(connection: &Connection) -> Result<Option<Timestamp>, Fault> {
    let mut earliest = None;
    for sql in [NEXT_INTENT, "SELECT min(not_before) FROM signals"] {
        let at: Option<String> = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        let at: Option<Timestamp> =
            at.map(|at| text::parsed(&at, || "not_before of intents or signals".to_owned())).transpose()?;
        earliest = earliest.into_iter().chain(at).min();
    }
    Ok(earliest)
}

/// The signals that are due, longest due first.
pub(super) fn due_signals(
    connection: &Connection,
    system: &SystemName,
    shares: Shares,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Signal>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT id, system, entity, remote_id, not_before, reason, received_at, attempts FROM signals
         WHERE system = ?1 AND not_before <= ?2 ORDER BY not_before, id",
    )?;
    let rows = select.query_map(params![system.as_str(), now.to_string()], SignalRow::read)?;
    let is_ours = |signal: &Result<Signal, Fault>| {
        signal.as_ref().map_or(true, |signal| shares.covers(Bucket::of_copy(&signal.copy)))
    };
    rows.map(|row| row?.into_signal()).filter(is_ours).take(limit).collect()
}

/// The open quarantine items, oldest first.
pub(super) fn quarantined(connection: &Connection, limit: usize) -> Result<Vec<QuarantineItem>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT id, system, entity, remote_id, record_id, reason, payload, at FROM quarantine
         WHERE status = 'open' ORDER BY id LIMIT ?1",
    )?;
    let rows = select.query_map([text::limit(limit)], |row| {
        let item = QuarantineItem {
            id: row.get(0)?,
            system: SystemName::from(row.get::<_, String>(1)?),
            entity: EntityName::from(row.get::<_, String>(2)?),
            remote_id: row.get::<_, Option<String>>(3)?.map(RemoteId::from),
            record: row.get::<_, Option<String>>(4)?.map(RecordId::from),
            reason: row.get(5)?,
            payload: row.get(6)?,
            at: Timestamp::default(),
        };
        Ok((item, row.get::<_, String>(7)?))
    })?;
    rows.map(|row| {
        let (item, at) = row?;
        let at = text::parsed(&at, || format!("quarantine row {}, at", item.id))?;
        Ok(QuarantineItem { at, ..item })
    })
    .collect()
}

/// What is not done yet.
pub(super) fn open_counts(connection: &Connection) -> Result<OpenCounts, Fault> {
    Ok(OpenCounts {
        intents: intents_by_status(connection)?,
        deletes: by_name(
            connection,
            "SELECT system, count(*) FROM intents WHERE operation = 'delete' GROUP BY system ORDER BY system",
        )?,
        reviews: one(connection, "SELECT count(*) FROM reviews WHERE status = 'open'")?,
        signals: one(connection, "SELECT count(*) FROM signals")?,
    })
}

/// Figures for `status`, from indexes but for the open intents, which are read.
pub(super) fn counts(connection: &Connection) -> Result<Counts, Fault> {
    let OpenCounts { intents, deletes, reviews, signals } = open_counts(connection)?;
    Ok(Counts {
        records: by_name(
            connection,
            "SELECT entity, count(*) FROM records WHERE living = 1 GROUP BY entity ORDER BY entity",
        )?,
        copies: by_name(
            connection,
            "SELECT system, count(*) FROM links WHERE alive = 1 GROUP BY system ORDER BY system",
        )?,
        // Positions are given densely and no event is ever deleted, so the last one is their number.
        events: one(connection, "SELECT coalesce(max(position), 0) FROM events")?,
        intents,
        deletes,
        reviews,
        quarantine: one(connection, "SELECT count(*) FROM quarantine WHERE status = 'open'")?,
        signals,
    })
}

fn by_name<N: From<String>>(connection: &Connection, sql: &str) -> Result<Vec<(N, u64)>, Fault> {
    let mut select = connection.prepare_cached(sql)?;
    let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    rows.map(|row| {
        let (name, number) = row?;
        Ok((N::from(name), figure(number)?))
    })
    .collect()
}

fn intents_by_status(connection: &Connection) -> Result<Vec<(SystemName, String, u64)>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT system, status, count(*) FROM intents GROUP BY system, status ORDER BY system, status",
    )?;
    let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)))?;
    rows.map(|row| {
        let (system, status, number) = row?;
        Ok((SystemName::from(system), status, figure(number)?))
    })
    .collect()
}

fn one(connection: &Connection, sql: &str) -> Result<u64, Fault> {
    figure(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

fn figure(number: i64) -> Result<u64, Fault> {
    text::from_column(number, || "a count".to_owned())
}

struct SignalRow {
    id: i64,
    system: String,
    entity: String,
    remote_id: String,
    not_before: String,
    reason: String,
    received_at: String,
    attempts: i64,
}

impl SignalRow {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            system: row.get(1)?,
            entity: row.get(2)?,
            remote_id: row.get(3)?,
            not_before: row.get(4)?,
            reason: row.get(5)?,
            received_at: row.get(6)?,
            attempts: row.get(7)?,
        })
    }

    fn into_signal(self) -> Result<Signal, Fault> {
        let place = |column: &str| format!("signals row {}, {column}", self.id);
        Ok(Signal {
            id: self.id,
            not_before: text::parsed(&self.not_before, || place("not_before"))?,
            reason: SignalReason::parse(&self.reason)
                .ok_or_else(|| Fault::damaged(place("reason"), &self.reason))?,
            received_at: text::parsed(&self.received_at, || place("received_at"))?,
            attempts: text::small_from_column(self.attempts, || place("attempts"))?,
            copy: CopyKey {
                system: SystemName::from(self.system),
                entity: EntityName::from(self.entity),
                remote_id: RemoteId::from(self.remote_id),
            },
        })
    }
}
