//! What hampers the database now although it answers: transactions that hold the feed back.

use super::session::Session;
use avowal_engine::ports::connector::{ConnectorError, Finding};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

/// The most transactions that are named.
const NAMED_MAX: i64 = 5;

/// How old a running transaction is before it is named, in seconds: younger ones end by themselves.
const AGE_S_MIN: i64 = 1;

/// Rows of our log that wait, the transactions from which on they wait, and who runs those. A transaction without a number
/// has written nothing and holds nothing back. Who is running in other databases counts as well: numbers are the cluster's.
const HOLDERS: &str = "WITH waiting AS (SELECT count(*) AS rows, max(l.xid) AS newest FROM #.log l \
        WHERE l.xid >= pg_snapshot_xmin(pg_current_snapshot())), \
     holders AS (SELECT a.backend_xid AS xid, 'process ' || a.pid AS who, a.datname::text AS database, \
            a.usename::text AS role, nullif(a.application_name, '') AS application, \
            extract(epoch FROM clock_timestamp() - a.xact_start)::bigint AS age_s, false AS prepared \
        FROM pg_stat_activity a WHERE a.backend_xid IS NOT NULL AND a.pid <> pg_backend_pid() \
        UNION ALL SELECT p.transaction, 'prepared transaction ' || quote_literal(p.gid), p.database::text, p.owner::text, \
            NULL, extract(epoch FROM clock_timestamp() - p.prepared)::bigint, true FROM pg_prepared_xacts p) \
     SELECT w.rows, h.who, h.database, h.role, h.application, h.age_s, h.prepared FROM waiting w, holders h \
     WHERE w.rows > 0 AND (h.prepared OR h.age_s IS NULL OR h.age_s >= $1) \
        AND age(h.xid) >= age(w.newest::xid) ORDER BY age(h.xid) DESC LIMIT $2";

/// The transactions for which rows of our log wait.
pub(super) async fn notices(session: &Session) -> Result<Vec<Finding>, ConnectorError> {
    session
        .bounded(async {
            let mut lease = session.client().await?;
            let client = lease.get(session)?;
            let logged = "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                WHERE n.nspname = $1 AND c.relname = 'log'";
            let logged = client.query_typed(logged, &[(&session.ours(), Type::TEXT)]).await;
            if logged.map_err(|error| session.error(&error))?.is_empty() {
                return Ok(Vec::new());
            }
            holders(session, client).await
        })
        .await
}

async fn holders(session: &Session, client: &Client) -> Result<Vec<Finding>, ConnectorError> {
    let sql = HOLDERS.replace('#', session.ours());
    let rows = client.query_typed(&sql, &[(&AGE_S_MIN, Type::INT8), (&NAMED_MAX, Type::INT8)]).await;
    let rows = rows.map_err(|error| session.error(&error))?;
    Ok(rows.iter().map(|row| finding(session, row)).collect())
}

fn finding(session: &Session, row: &Row) -> Finding {
    let text = |column: &str| row.get::<_, Option<String>>(column);
    let mut who =
        format!("{} in database {}", row.get::<_, &str>("who"), text("database").unwrap_or_default());
    if let Some(role) = text("role") {
        who.push_str(&format!(", role {role}"));
    }
    if let Some(application) = text("application") {
        who.push_str(&format!(", application {application:?}"));
    }
    let age = row.get::<_, Option<i64>>("age_s").map_or("an unknown time".to_owned(), spoken);
    let waiting: i64 = row.get("rows");
    let changes = if waiting == 1 { "1 change waits".to_owned() } else { format!("{waiting} changes wait") };
    let problem = format!("{changes} behind a transaction that has been open for {age}: {who}");
    let cure = match row.get("prepared") {
        true => {
            "Commit it or roll it back: COMMIT PREPARED or ROLLBACK PREPARED with that name, in that database"
        }
        false => "End it in its application, or with SELECT pg_terminate_backend and that process number",
    };
    Finding::note(session.place(), problem, cure)
}

fn spoken(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
