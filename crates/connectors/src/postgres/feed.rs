//! The change log, read below the horizon of running transactions.

use super::catalogue::table;
use super::image;
use super::install::{EVENTS, definition, trigger_name};
use super::session::Session;
use super::table::Table;
use avowal_core::data::ids::{EntityName, RemoteId};
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::connector::{
    Binding, Change, ConnectorError, ConnectorErrorKind, PAGES_AHEAD_MAX, Page, RemoteState,
};
use avowal_engine::ports::store::Cursor;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

/// How long a reader waits for a running transaction at first, and at most.
const BEHIND_MS: u64 = 50;
const BEHIND_MS_MAX: u64 = 1_000;

/// After how many log rows read it is worth pruning again.
const PRUNE_EVERY_ROWS: u32 = 10_000;

/// Log rows behind the reader's cursor are kept for a week, so that an older cursor still works. Only the oldest are
/// looked at, for the log may be long.
const PRUNE_LOG: &str = "WITH oldest AS (\
    SELECT id, xid, at FROM public.avowal_log WHERE entity = $1 AND (xid, id) <= ($2::text::xid8, $3) \
    ORDER BY xid, id LIMIT 20000), \
    gone AS (DELETE FROM public.avowal_log WHERE id IN (\
    SELECT id FROM oldest WHERE at < clock_timestamp() - interval '7 days') RETURNING xid, id) \
    UPDATE public.avowal_feeds SET (pruned_xid, pruned_id) = (SELECT xid, id FROM gone ORDER BY xid DESC, id DESC \
    LIMIT 1) WHERE entity = $1 AND EXISTS (SELECT 1 FROM gone)";

/// Whether the oldest row of the log is old enough to go.
const HAS_OLD_ROWS: &str = "SELECT coalesce((SELECT at < clock_timestamp() - interval '7 days' \
    FROM public.avowal_log WHERE entity = $1 ORDER BY xid, id LIMIT 1), false)";

/// Keys are kept longer, so that a repeated write is still recognised. Their index by age tells which blocks may hold
/// old ones.
const PRUNE_KEYS: &str = "DELETE FROM public.avowal_ops WHERE key IN (SELECT key FROM public.avowal_ops \
    WHERE at < clock_timestamp() - interval '60 days' LIMIT 20000)";

/// Whether committed rows wait behind a running transaction, and how long we have been waiting for it.
#[derive(Debug, Default)]
pub(super) struct Behind {
    waiting: AtomicBool,
    rounds: AtomicU32,
    read_since_pruning: AtomicU32,
    /// From where the last pages of each entity were asked for.
    asked: Mutex<BTreeMap<EntityName, VecDeque<Position>>>,
}

impl Behind {
    /// How long to wait before reading again; `None` where nothing is known to wait.
    pub fn pause(&self) -> Option<Duration> {
        if !self.waiting.load(Ordering::Relaxed) {
            return None;
        }
        let rounds = self.rounds.fetch_add(1, Ordering::Relaxed).min(10);
        Some(Duration::from_millis((BEHIND_MS << rounds).min(BEHIND_MS_MAX)))
    }

    fn saw(&self, waiting: bool, rows: usize) {
        self.waiting.store(waiting, Ordering::Relaxed);
        if !waiting || rows > 0 {
            self.rounds.store(0, Ordering::Relaxed);
        }
        self.read_since_pruning.fetch_add(u32::try_from(rows).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Notes from where a page is asked for. Answers the place up to which everything is durable on the other side: who
    /// reads ahead does so by so many pages at most.
    fn ask(&self, entity: &EntityName, from: &Position) -> Option<Position> {
        let mut entities = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = entities.entry(entity.clone()).or_default();
        asked.push_back(from.clone());
        while asked.len() > PAGES_AHEAD_MAX + 1 {
            asked.pop_front();
        }
        if asked.len() > PAGES_AHEAD_MAX { asked.iter().min().cloned() } else { None }
    }

    fn prune_due(&self) -> bool {
        let due = self.read_since_pruning.load(Ordering::Relaxed) >= PRUNE_EVERY_ROWS;
        if due {
            self.read_since_pruning.store(0, Ordering::Relaxed);
        }
        due
    }
}

/// Where the feed stands now.
pub(super) async fn position(session: &Session, binding: &Binding) -> Result<Cursor, ConnectorError> {
    session
        .bounded(async {
            let mut lease = session.client().await?;
            let client = lease.get(session)?;
            let table = table(session, client, binding).await?;
            let rows = scan(session, client, binding, &table, &Position::START, 0).await?;
            let feed = Feed::of(session, &table, &rows)?;
            Ok(feed.cursor(&feed.end()))
        })
        .await
}

/// The page after `cursor`.
pub(super) async fn changes(
    session: &Session,
    binding: &Binding,
    cursor: &Cursor,
    limit: usize,
    behind: &Behind,
) -> Result<Page, ConnectorError> {
    session
        .bounded(async {
            let mut lease = session.client().await?;
            let client = lease.get(session)?;
            let table = table(session, client, binding).await?;
            let parsed = Position::parse(cursor);
            let after = parsed.as_ref().map_or(&Position::START, |(_, position)| position);
            let rows = scan(session, client, binding, &table, after, limit).await?;
            let feed = Feed::of(session, &table, &rows)?;
            if !parsed.as_ref().is_some_and(|(epoch, at)| feed.reaches(epoch, at)) {
                return Err(expired(session));
            }
            let page = page(&table, &feed, &rows, limit);
            behind.saw(feed.waiting && !page.more, page.changes.len());
            if let Some(durable) = behind.ask(&binding.entity, after)
                && behind.prune_due()
            {
                prune(client, binding, &durable).await;
            }
            Ok(page)
        })
        .await
}

/// A place in the log: after this row of this transaction.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Position {
    xid: u64,
    id: i64,
}

impl Position {
    const START: Position = Position { xid: 0, id: 0 };

    fn parse(cursor: &Cursor) -> Option<(String, Self)> {
        let mut parts = cursor.0.split(':');
        let epoch = parts.next()?.to_owned();
        let position = Self { xid: parts.next()?.parse().ok()?, id: parts.next()?.parse().ok()? };
        parts.next().is_none().then_some((epoch, position))
    }
}

struct Feed {
    epoch: String,
    pruned: Position,
    /// The oldest transaction still running: nothing can appear below it.
    horizon: u64,
    /// The newest transaction there can be.
    newest: u64,
    waiting: bool,
}

impl Feed {
    /// Read from the first row, which is there even where the log has none.
    fn of(session: &Session, table: &Table, rows: &[Row]) -> Result<Self, ConnectorError> {
        let installed = rows.first().filter(|row| row.get("installed"));
        let Some(row) = installed else {
            let problem = format!("the change log of table {} is missing or incomplete", table.shown);
            return Err(not_installed(session, &problem));
        };
        Ok(Self {
            epoch: row.get("epoch"),
            pruned: Position { xid: number(row, "pruned_xid"), id: row.get("pruned_id") },
            horizon: number(row, "horizon"),
            newest: number(row, "newest"),
            waiting: row.get("waiting"),
        })
    }

    fn end(&self) -> Position {
        Position { xid: self.horizon, id: 0 }
    }

    fn cursor(&self, position: &Position) -> Cursor {
        Cursor(format!("{}:{}:{}", self.epoch, position.xid, position.id))
    }

    /// Whether the log goes back to a position. One from the future belongs to a database that was reset.
    fn reaches(&self, epoch: &str, position: &Position) -> bool {
        epoch == self.epoch && *position >= self.pruned && position.xid <= self.newest
    }
}

/// One statement, so one snapshot, for the horizon and for the rows below it.
async fn scan(
    session: &Session,
    client: &Client,
    binding: &Binding,
    table: &Table,
    after: &Position,
    limit: usize,
) -> Result<Vec<Row>, ConnectorError> {
    if !table.logged {
        return Err(not_installed(session, &format!("the change log of table {} is missing", table.shown)));
    }
    let names: Vec<_> = EVENTS.iter().map(|event| trigger_name(binding, event)).collect();
    client
        .query_typed(
            // What is true of the feed as a whole is asked once, by the ends of indexes: as an expression of the outermost
            // select it would be worked out for every row.
            "WITH h AS MATERIALIZED (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS horizon, \
                                            pg_snapshot_xmax(pg_current_snapshot()) AS newest), \
             feed AS MATERIALIZED (SELECT h.horizon, h.newest, f.epoch, f.pruned_xid, f.pruned_id, \
                    f.definition IS NOT DISTINCT FROM $5 AND (SELECT count(*) FROM pg_trigger g \
                        WHERE g.tgrelid = $6 AND g.tgname = ANY($7) AND g.tgenabled = 'A') = 4 AS installed, \
                    coalesce((SELECT w.xid FROM public.avowal_log w WHERE w.entity = $1 \
                        ORDER BY w.xid DESC, w.id DESC LIMIT 1) >= h.horizon, false) AS waiting \
                FROM h LEFT JOIN public.avowal_feeds f ON f.entity = $1) \
             SELECT feed.horizon::text AS horizon, feed.newest::text AS newest, feed.epoch, \
                    feed.pruned_xid::text AS pruned_xid, feed.pruned_id, feed.installed, feed.waiting, \
                    l.id, l.xid::text AS xid, l.remote_id, l.image, \
                    floor(extract(epoch FROM l.at) * 1000)::bigint AS at_ms, k.key \
             FROM feed LEFT JOIN LATERAL ( \
                 SELECT c.id, c.xid, c.remote_id, c.image, c.at, c.origin FROM public.avowal_log c \
                 WHERE c.entity = $1 AND (c.xid, c.id) > ($2::text::xid8, $3) AND c.xid < feed.horizon \
                 ORDER BY c.xid, c.id LIMIT $4) l ON true \
             LEFT JOIN LATERAL (SELECT o.key FROM public.avowal_ops o WHERE o.batch = l.origin AND o.entity = $1 \
                 AND o.remote_id = l.remote_id OFFSET 0) k ON true \
             ORDER BY l.xid, l.id",
            &[
                (&binding.entity.as_str(), Type::TEXT),
                (&after.xid.to_string(), Type::TEXT),
                (&after.id, Type::INT8),
                (&i64::try_from(limit).unwrap_or(i64::MAX), Type::INT8),
                (&definition(binding, table), Type::TEXT),
                (&table.oid, Type::OID),
                (&names, Type::TEXT_ARRAY),
            ],
        )
        .await
        .map_err(|error| session.error(&error))
}

fn page(table: &Table, feed: &Feed, rows: &[Row], limit: usize) -> Page {
    let rows: Vec<_> = rows.iter().filter(|row| row.get::<_, Option<i64>>("id").is_some()).collect();
    let more = rows.len() >= limit;
    let next = match rows.last() {
        Some(last) if more => Position { xid: number(last, "xid"), id: last.get("id") },
        Some(_) | None => feed.end(),
    };
    let mut logged: Vec<_> = rows.iter().map(|row| (row.get::<_, i64>("id"), change(table, row))).collect();
    // A row's lock is held while its log ids are given, so they are the true order of one row's changes.
    logged.sort_by_key(|(id, _)| *id);
    Page { changes: logged.into_iter().map(|(_, change)| change).collect(), next: feed.cursor(&next), more }
}

fn change(table: &Table, row: &Row) -> Change {
    let image: Option<&str> = row.get("image");
    let shown = image.map_or(RemoteState::Gone, |image| image::shown(table, image));
    Change {
        correlation: row.get("key"),
        occurred_at: row.get::<_, Option<i64>>("at_ms").map(Timestamp::from_millis),
        ..image::change(RemoteId::from(row.get::<_, String>("remote_id")), shown, row.get("id"))
    }
}

/// A transaction id, which travels as text.
fn number(row: &Row, column: &str) -> u64 {
    row.get::<_, Option<&str>>(column).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn not_installed(session: &Session, problem: &str) -> ConnectorError {
    let cure = "Run `avowal sync`, which installs it";
    session.port_error(ConnectorErrorKind::SchemaDrift, problem, cure)
}

fn expired(session: &Session) -> ConnectorError {
    session.port_error(
        ConnectorErrorKind::CursorExpired,
        "the change log no longer reaches back to where it was read last",
        "Everything is listed again",
    )
}

/// Failing to prune is no failure of the read: it is tried again after as many rows.
async fn prune(client: &Client, binding: &Binding, read: &Position) {
    let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&binding.entity.as_str(), Type::TEXT), (&read.xid.to_string(), Type::TEXT), (&read.id, Type::INT8)];
    let entity: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 1] =
        [(&binding.entity.as_str(), Type::TEXT)];
    let has_old = client.query_typed_one(HAS_OLD_ROWS, &entity).await;
    if has_old.is_ok_and(|row| row.get(0)) {
        let _ = client.execute_typed(PRUNE_LOG, &params).await;
    }
    let _ = client.execute_typed(PRUNE_KEYS, &[]).await;
}
