//! The change log, read below the horizon of running transactions.

use super::behind::Behind;
use super::capture::{INSTALLED, LOST, UNKNOWN, definition};
use super::catalogue::table;
use super::image;
use super::install::{Ours, intact_sql};
use super::position::{Break, Mark, Position, Standing};
use super::prune::prune;
use super::table::{Table, literal};
use avowal_core::data::ids::RemoteId;
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::connector::{
    Binding, Change, ConnectorError, ConnectorErrorKind, Page, RemoteState,
};
use avowal_engine::ports::store::Cursor;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

/// Where the feed stands now: after the newest row below the horizon.
pub(super) async fn position(
    ours: &Ours<'_>,
    binding: &Binding,
    behind: &Behind,
) -> Result<Cursor, ConnectorError> {
    let session = ours.session;
    session
        .bounded(async {
            let mut lease = session.client().await?;
            let client = lease.get(session)?;
            let table = table(session, client, binding).await?;
            let rows = scan(ours, client, binding, &table, &Position::START, 0).await?;
            let mark = rows.first().and_then(|row| end(&table, row));
            let mark = mark.ok_or_else(|| Break::NotInstalled.error(session, &table.shown))?;
            behind.note(&binding.entity, session.connections(), &mark);
            Ok(mark.cursor())
        })
        .await
}

/// What becomes of the rows of the log that have been read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ReadRows {
    /// They are pruned now and then.
    Pruned,
    /// They stay: somebody only looks.
    Kept,
}

/// The page after `cursor`.
pub(super) async fn changes(
    ours: &Ours<'_>,
    binding: &Binding,
    cursor: &Cursor,
    limit: usize,
    (behind, read): (&Behind, ReadRows),
) -> Result<Page, ConnectorError> {
    let session = ours.session;
    session
        .bounded(async {
            let mut lease = session.client().await?;
            let client = lease.get(session)?;
            let table = table(session, client, binding).await?;
            let mark = Mark::parse(cursor);
            let after = mark.as_ref().map_or(&Position::START, |mark| &mark.position);
            let rows = scan(ours, client, binding, &table, after, limit).await?;
            let (standing, waiting) = standing(&table, rows.first());
            let Some(mark) = &mark else {
                let broken = if standing.epoch.is_some() { Break::Expired } else { Break::NotInstalled };
                return Err(broken.error(session, &table.shown));
            };
            standing.follows(mark).map_err(|broken| broken.error(session, &table.shown))?;
            behind.note(&binding.entity, session.connections(), mark);
            let rows: Vec<_> = rows.iter().filter(|row| row.get::<_, Option<i64>>("id").is_some()).collect();
            if rows.iter().any(|row| row.get::<_, &str>("operation") == LOST) {
                return Err(session.port_error(
                    ConnectorErrorKind::CursorExpired,
                    &format!("a change of table {} could not be recorded", table.shown),
                    "Everything is listed again",
                ));
            }
            let page = page(&table, mark, &rows, limit);
            behind.saw(waiting && !page.more, page.changes.len());
            if read == ReadRows::Pruned
                && let Some(durable) = behind.ask(&binding.entity, &mark.position)
                && behind.prune_due()
            {
                prune(client, &table, binding, &durable).await;
            }
            Ok(page)
        })
        .await
}

/// Before the first write over a new connection: whether the database still is the one that was read.
pub(super) async fn same_database(
    ours: &Ours<'_>,
    client: &Client,
    binding: &Binding,
    table: &Table,
    behind: &Behind,
) -> Result<(), ConnectorError> {
    let connection = ours.session.connections();
    let Some(mark) = behind.read_before(&binding.entity, connection) else { return Ok(()) };
    let rows = scan(ours, client, binding, table, &mark.position, 0).await?;
    standing(table, rows.first())
        .0
        .follows(&mark)
        .map_err(|broken| broken.error(ours.session, &table.shown))?;
    behind.note(&binding.entity, connection, &mark);
    Ok(())
}

/// What the log says of itself, and whether rows wait for a running transaction, from the first row of a scan. That row
/// is there even where the log has none.
fn standing(table: &Table, row: Option<&Row>) -> (Standing, bool) {
    let installed = row.filter(|row| row.get("installed"));
    let standing = Standing {
        database: table.database.clone(),
        newest: row.map_or(u64::MAX, |row| number(row, "newest")),
        epoch: installed.and_then(|row| row.get("epoch")),
        pruned: installed.map_or(Position::START, |row| Position {
            xid: number(row, "pruned_xid"),
            id: row.get("pruned_id"),
        }),
        read_at_us: installed.and_then(|row| row.get("read_at_us")),
        adopted: installed.and_then(|row| row.get("adopted")),
    };
    (standing, installed.is_some_and(|row| row.get("waiting")))
}

/// The place after the newest row below the horizon; `None` where the feed is not installed.
fn end(table: &Table, row: &Row) -> Option<Mark> {
    let epoch = standing(table, Some(row)).0.epoch?;
    let (position, at_us) = match row.get::<_, Option<i64>>("end_id") {
        Some(id) => (Position { xid: number(row, "end_xid"), id }, row.get("end_at_us")),
        None => (Position::START, 0),
    };
    Some(Mark { database: table.database.clone(), epoch, position, at_us })
}

/// One statement, so one snapshot, for the horizon and for the rows below it. Without a log it only tells how new the
/// newest transaction is.
async fn scan(
    ours: &Ours<'_>,
    client: &Client,
    binding: &Binding,
    table: &Table,
    after: &Position,
    limit: usize,
) -> Result<Vec<Row>, ConnectorError> {
    if !table.logged {
        let bare = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS newest, false AS installed";
        let row = client.query_typed(bare, &[]).await;
        return row.map_err(|error| ours.session.error(&error));
    }
    client
        .query_typed(
            &scan_sql(ours, binding, table),
            &[
                (&binding.entity.as_str(), Type::TEXT),
                (&after.xid.to_string(), Type::TEXT),
                (&after.id, Type::INT8),
                (&i64::try_from(limit).unwrap_or(i64::MAX), Type::INT8),
            ],
        )
        .await
        .map_err(|error| ours.session.error(&error))
}

/// What is true of the feed as a whole is asked once, by the ends of indexes: as an expression of the outermost select it
/// would be worked out for every row.
fn scan_sql(ours: &Ours<'_>, binding: &Binding, table: &Table) -> String {
    let schema = &table.ours;
    let micros = |row: &str| format!("floor(extract(epoch FROM {row}.at) * 1000000)::bigint");
    format!(
        "WITH h AS MATERIALIZED (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS horizon, \
                                        pg_snapshot_xmax(pg_current_snapshot()) AS newest), \
         feed AS MATERIALIZED (SELECT h.horizon, h.newest, f.epoch, f.adopted, f.pruned_xid, f.pruned_id, \
                coalesce(f.definition = {} AND {}, false) AS installed, e.xid AS end_xid, e.id AS end_id, {} AS end_at_us, \
                (SELECT {} FROM {schema}.log w WHERE w.entity = $1 AND (w.xid, w.id) = ($2::text::xid8, $3)) AS read_at_us, \
                coalesce((SELECT w.xid FROM {schema}.log w WHERE w.entity = $1 \
                    ORDER BY w.xid DESC, w.id DESC LIMIT 1) >= h.horizon, false) AS waiting \
            FROM h LEFT JOIN {schema}.feeds f ON f.entity = $1 \
            LEFT JOIN LATERAL (SELECT w.xid, w.id, w.at FROM {schema}.log w WHERE w.entity = $1 AND w.xid < h.horizon \
                ORDER BY w.xid DESC, w.id DESC LIMIT 1) e ON true) \
         SELECT feed.newest::text AS newest, feed.epoch, feed.adopted, feed.pruned_xid::text AS pruned_xid, feed.pruned_id, \
                feed.installed, feed.waiting, feed.read_at_us, feed.end_xid::text AS end_xid, feed.end_id, feed.end_at_us, \
                l.id, l.xid::text AS xid, l.remote_id, l.operation, l.image, \
                {} AS at_us, k.key \
         FROM feed LEFT JOIN LATERAL ( \
             SELECT c.id, c.xid, c.remote_id, c.operation, c.image, c.at, c.origin FROM {schema}.log c \
             WHERE c.entity = $1 AND (c.xid, c.id) > ($2::text::xid8, $3) AND c.xid < feed.horizon \
             ORDER BY c.xid, c.id LIMIT $4) l ON true \
         LEFT JOIN LATERAL (SELECT o.key FROM {schema}.ops o WHERE o.batch = l.origin AND o.entity = $1 \
             AND o.remote_id = l.remote_id OFFSET 0) k ON true \
         ORDER BY l.xid, l.id",
        literal(&definition(binding, table)),
        intact_sql(ours.installation, binding, table),
        micros("e"),
        micros("w"),
        micros("l"),
    )
}

fn page(table: &Table, mark: &Mark, rows: &[&Row], limit: usize) -> Page {
    let next = rows.last().map(|last| Mark {
        position: Position { xid: number(last, "xid"), id: last.get("id") },
        at_us: last.get("at_us"),
        ..mark.clone()
    });
    let mut logged: Vec<_> = rows
        .iter()
        .filter(|row| row.get::<_, &str>("operation") != INSTALLED)
        .map(|row| (row.get::<_, i64>("id"), change(table, row)))
        .collect();
    // A row's lock is held while its log ids are given, so they are the true order of one row's changes.
    logged.sort_by_key(|(id, _)| *id);
    Page {
        changes: logged.into_iter().map(|(_, change)| change).collect(),
        next: next.as_ref().unwrap_or(mark).cursor(),
        more: rows.len() >= limit,
    }
}

fn change(table: &Table, row: &Row) -> Change {
    let id = RemoteId::from(row.get::<_, String>("remote_id"));
    if row.get::<_, &str>("operation") == UNKNOWN {
        return Change::bare(id, RemoteState::Unknown);
    }
    let image: Option<&str> = row.get("image");
    let shown = image.map_or(RemoteState::Gone, |image| image::shown(table, image));
    Change {
        correlation: row.get("key"),
        occurred_at: row.get::<_, Option<i64>>("at_us").map(|us| Timestamp::from_millis(us / 1_000)),
        ..image::change(id, shown, row.get("id"))
    }
}

/// A transaction id, which travels as text.
fn number(row: &Row, column: &str) -> u64 {
    row.get::<_, Option<&str>>(column).and_then(|text| text.parse().ok()).unwrap_or(0)
}
