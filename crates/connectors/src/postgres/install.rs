//! The change log's tables, functions and triggers: made and removed.

use super::catalogue::table;
use super::image::{differs_sql, id_sql, image_sql};
use super::session::Session;
use super::table::{Table, literal, quote};
use avowal_core::data::value::Digest;
use avowal_engine::ports::connector::{Binding, ConnectorError, ConnectorErrorKind};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Transaction};

/// The advisory lock held while installing, so that two installations do not run at once. The number has no meaning.
const LOCK: i64 = 0x61_76_6f_77_61_6c;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS public.avowal_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    entity text NOT NULL, remote_id text NOT NULL, operation text NOT NULL, image text, origin text,
    at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX IF NOT EXISTS avowal_log_feed ON public.avowal_log (entity, xid, id);
CREATE INDEX IF NOT EXISTS avowal_log_row ON public.avowal_log (entity, remote_id, id);
CREATE TABLE IF NOT EXISTS public.avowal_ops (
    key text PRIMARY KEY, batch text NOT NULL, entity text NOT NULL, remote_id text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX IF NOT EXISTS avowal_ops_age ON public.avowal_ops USING brin (at);
CREATE INDEX IF NOT EXISTS avowal_ops_batch ON public.avowal_ops (batch, entity, remote_id);
CREATE TABLE IF NOT EXISTS public.avowal_feeds (
    entity text PRIMARY KEY, object text NOT NULL, definition text NOT NULL, epoch text NOT NULL,
    pruned_xid xid8 NOT NULL DEFAULT '0', pruned_id bigint NOT NULL DEFAULT 0);
";

const NAMES: [&str; 3] = ["avowal_log", "avowal_ops", "avowal_feeds"];

/// A statement over few changed rows keeps its plan; one over many is planned for what it has. A plan made for
/// one row would compare every old row with every new one.
const FEW_ROWS: usize = 50;

/// The longest piece of an entity's name in a name of ours; Postgres cuts names at 63 bytes.
const SLUG_BYTES_MAX: usize = 36;

/// The events that a table's triggers see.
pub(super) const EVENTS: [&str; 4] = ["insert", "update", "delete", "truncate"];

/// Makes what is missing. Feeds whose triggers had to be made begin a new epoch.
pub(super) async fn install(session: &Session, bindings: &[Binding]) -> Result<Vec<String>, ConnectorError> {
    session.forget_tables();
    let done = session.bounded(install_all(session, bindings)).await;
    session.forget_tables();
    done
}

/// Removes every trigger, function and table of ours.
pub(super) async fn uninstall(session: &Session) -> Result<Vec<String>, ConnectorError> {
    let done = session.bounded(uninstall_all(session)).await;
    session.forget_tables();
    done
}

/// Names a trigger of an entity.
pub(super) fn trigger_name(binding: &Binding, event: &str) -> String {
    format!("avowal_{}_{event}", slug(binding))
}

/// What the triggers of an entity are made of, as a digest: another one means that they are outdated. It
/// includes the cluster, because positions of the feed mean nothing in another.
pub(super) fn definition(binding: &Binding, table: &Table) -> String {
    let text = format!("{}\n{}", function_sql(binding, table), table.cluster);
    Digest::of(text.as_bytes()).to_string()
}

/// Whether the triggers of an entity are all there and enabled.
pub(super) async fn complete(
    session: &Session,
    client: &Client,
    binding: &Binding,
    table: &Table,
) -> Result<bool, ConnectorError> {
    if !table.logged {
        return Ok(false);
    }
    let names: Vec<_> = EVENTS.iter().map(|event| trigger_name(binding, event)).collect();
    let row = client
        .query_typed_one(
            "SELECT (SELECT count(*) FROM pg_trigger WHERE tgrelid = $1 AND tgname = ANY($2) \
             AND tgenabled = 'A') = 4 AND EXISTS (SELECT 1 FROM public.avowal_feeds \
             WHERE entity = $3 AND definition = $4)",
            &[
                (&table.oid, Type::OID),
                (&names, Type::TEXT_ARRAY),
                (&binding.entity.as_str(), Type::TEXT),
                (&definition(binding, table), Type::TEXT),
            ],
        )
        .await
        .map_err(|error| session.error(&error))?;
    Ok(row.get(0))
}

async fn install_all(session: &Session, bindings: &[Binding]) -> Result<Vec<String>, ConnectorError> {
    let mut lease = session.client().await?;
    let client = lease.get(session)?;
    let mut missing = Vec::new();
    for binding in bindings {
        let table = table(session, client, binding).await?;
        usable(session, &table)?;
        if !complete(session, client, binding, &table).await? {
            missing.push((binding, table));
        }
    }
    if missing.is_empty() {
        add_age_index(client).await;
        return Ok(Vec::new());
    }
    let transaction = client.transaction().await.map_err(|error| session.error(&error))?;
    let lock = format!("SELECT pg_advisory_xact_lock({LOCK}); {TABLES}");
    transaction.batch_execute(&lock).await.map_err(|error| session.error(&error))?;
    let mut done = Vec::new();
    for (binding, table) in missing {
        install_one(&transaction, binding, &table).await.map_err(|error| session.error(&error))?;
        done.push(format!("change log of table {} (entity {})", table.shown, binding.entity));
    }
    transaction.commit().await.map_err(|error| session.error(&error))?;
    Ok(done)
}

/// Logs of earlier builds have no index by age. Without it pruning is slower, and that is all.
async fn add_age_index(client: &Client) {
    let missing = "SELECT to_regclass('public.avowal_ops') IS NOT NULL \
                   AND to_regclass('public.avowal_ops_age') IS NULL";
    if client.query_typed_one(missing, &[]).await.is_ok_and(|row| row.get(0)) {
        let sql = "CREATE INDEX IF NOT EXISTS avowal_ops_age ON public.avowal_ops USING brin (at)";
        let _ = client.batch_execute(sql).await;
    }
}

async fn install_one(
    transaction: &Transaction<'_>,
    binding: &Binding,
    table: &Table,
) -> Result<(), tokio_postgres::Error> {
    let mut sql = function_sql(binding, table);
    let function = function_name(binding);
    let rows = |event| match event {
        "insert" => "AFTER INSERT ON # REFERENCING NEW TABLE AS new_rows",
        "update" => "AFTER UPDATE ON # REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
        "delete" => "AFTER DELETE ON # REFERENCING OLD TABLE AS old_rows",
        _ => "BEFORE TRUNCATE ON #",
    };
    for event in EVENTS {
        let name = quote(&trigger_name(binding, event));
        let on = rows(event).replacen('#', &table.sql, 1);
        // Always, so that a restore or replication that switches triggers off is seen as well.
        sql.push_str(&format!(
            "DROP TRIGGER IF EXISTS {name} ON {0}; \
             CREATE TRIGGER {name} {on} FOR EACH STATEMENT EXECUTE FUNCTION {function}(); \
             ALTER TABLE {0} ENABLE ALWAYS TRIGGER {name};",
            table.sql
        ));
    }
    transaction.batch_execute(&sql).await?;
    let entity = binding.entity.as_str();
    transaction
        .execute_typed("DELETE FROM public.avowal_log WHERE entity = $1", &[(&entity, Type::TEXT)])
        .await?;
    transaction
        .execute_typed(
            "INSERT INTO public.avowal_feeds (entity, object, definition, epoch) \
             VALUES ($1, $2, $3, substr(md5(random()::text || clock_timestamp()::text), 1, 12)) \
             ON CONFLICT (entity) DO UPDATE SET object = excluded.object, epoch = excluded.epoch, \
             definition = excluded.definition, pruned_xid = '0', pruned_id = 0",
            &[(&entity, Type::TEXT), (&table.shown, Type::TEXT), (&definition(binding, table), Type::TEXT)],
        )
        .await?;
    Ok(())
}

async fn uninstall_all(session: &Session) -> Result<Vec<String>, ConnectorError> {
    let mut lease = session.client().await?;
    let client = lease.get(session)?;
    let transaction = client.transaction().await.map_err(|error| session.error(&error))?;
    let found = transaction
        .query_typed(
            "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
             WHERE n.nspname = 'public' AND p.proname LIKE 'avowal\\_capture\\_%' ORDER BY 1",
            &[],
        )
        .await
        .map_err(|error| session.error(&error))?;
    let mut done = Vec::new();
    for row in found {
        let function: String = row.get(0);
        // The triggers go with it, and nothing else depends on it.
        let sql = format!("DROP FUNCTION {function} CASCADE");
        transaction.batch_execute(&sql).await.map_err(|error| session.error(&error))?;
        done.push(format!("triggers and function {function}"));
    }
    for name in NAMES {
        let exists = transaction
            .query_typed_one("SELECT to_regclass('public.' || $1) IS NOT NULL", &[(&name, Type::TEXT)])
            .await
            .map_err(|error| session.error(&error))?;
        if exists.get(0) {
            let sql = format!("DROP TABLE public.{name}");
            transaction.batch_execute(&sql).await.map_err(|error| session.error(&error))?;
            done.push(format!("table {name}"));
        }
    }
    transaction.commit().await.map_err(|error| session.error(&error))?;
    Ok(done)
}

fn usable(session: &Session, table: &Table) -> Result<(), ConnectorError> {
    let problem = match (matches!(table.kind, 'r' | 'p'), table.id_unique) {
        (false, _) => "is not an ordinary table, so its changes cannot be seen",
        (true, false) => "has an id column that does not identify its rows",
        (true, true) => return Ok(()),
    };
    let message = format!("table {} {problem}", table.shown);
    let cure = "Map an ordinary table by its primary key or a unique column";
    Err(session.port_error(ConnectorErrorKind::SchemaDrift, &message, cure))
}

fn slug(binding: &Binding) -> String {
    let entity = binding.entity.as_str();
    match entity.len() <= SLUG_BYTES_MAX {
        true => entity.to_owned(),
        false => Digest::of(entity.as_bytes()).short(),
    }
}

fn function_name(binding: &Binding) -> String {
    format!("public.{}", quote(&format!("avowal_capture_{}", slug(binding))))
}

/// The trigger function. It runs with our rights, so that the application's role needs none on the log, and
/// with settings of its own, so that values print the same in every session.
fn function_sql(binding: &Binding, table: &Table) -> String {
    let entity = literal(binding.entity.as_str());
    let body = format!(
        "DECLARE logged bigint := 0; n bigint; few boolean; BEGIN\n\
         IF tg_op = 'INSERT' THEN\n\
         few := (SELECT count(*) <= {FEW_ROWS} FROM new_rows);\n{}\
         ELSIF tg_op = 'UPDATE' THEN\n\
         few := (SELECT count(*) <= {FEW_ROWS} FROM new_rows);\n{}{}{}\
         ELSIF tg_op = 'DELETE' THEN\n\
         few := (SELECT count(*) <= {FEW_ROWS} FROM old_rows);\n{}\
         ELSE\n{}; GET DIAGNOSTICS logged = ROW_COUNT;\n\
         END IF;\n\
         IF logged > 0 THEN PERFORM pg_notify('avowal', {entity}); END IF;\n\
         RETURN NULL; END",
        planned(&inserted(&entity, table, "true")),
        planned(&gone(
            &entity,
            table,
            &format!("NOT EXISTS (SELECT 1 FROM new_rows n WHERE n.{0} = o.{0})", quote(&table.id.name))
        )),
        planned(&updated(&entity, table)),
        planned(&inserted(
            &entity,
            table,
            &format!("NOT EXISTS (SELECT 1 FROM old_rows o WHERE o.{0} = n.{0})", quote(&table.id.name))
        )),
        planned(&gone(&entity, table, "true")),
        truncated(&entity, table),
    );
    format!(
        "CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER \
         SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' \
         SET intervalstyle = 'iso_8601' SET bytea_output = 'hex' SET extra_float_digits = 1 AS {};\n",
        function_name(binding),
        literal(&body)
    )
}

fn planned(sql: &str) -> String {
    format!(
        "IF few THEN {sql}; ELSE EXECUTE {}; END IF;\n\
         GET DIAGNOSTICS n = ROW_COUNT; logged := logged + n;\n",
        literal(sql)
    )
}

const INTO: &str = "INSERT INTO public.avowal_log (entity, remote_id, operation, image, origin)";

const ORIGIN: &str = "nullif(current_setting('avowal.origin', true), '')";

/// Inserted rows, as they stand now. Not as `new_rows` shows them: a trigger of the application may have
/// changed them again already, and its log row would then come before this one.
fn inserted(entity: &str, table: &Table, only: &str) -> String {
    format!(
        "{INTO} SELECT {entity}, {}, 'insert', {}, {ORIGIN} FROM new_rows n JOIN {} t ON t.{3} = n.{3} \
         WHERE {only}",
        id_sql(table, "t"),
        image_sql(table, "t"),
        table.sql,
        quote(&table.id.name),
    )
}

/// Updated rows in which a mapped column changed, as they stand now.
fn updated(entity: &str, table: &Table) -> String {
    format!(
        "{INTO} SELECT {entity}, {}, 'update', {}, {ORIGIN} FROM old_rows o JOIN new_rows n ON n.{3} = o.{3} \
         JOIN {} t ON t.{3} = n.{3} WHERE {4}",
        id_sql(table, "t"),
        image_sql(table, "t"),
        table.sql,
        quote(&table.id.name),
        differs_sql(table, "o", "n"),
    )
}

/// Deleted rows, unless a trigger of the application has put them back.
fn gone(entity: &str, table: &Table, only: &str) -> String {
    format!(
        "{INTO} SELECT {entity}, {}, 'delete', NULL, {ORIGIN} FROM old_rows o WHERE o.{2} IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM {} t WHERE t.{2} = o.{2}) AND {only}",
        id_sql(table, "o"),
        table.sql,
        quote(&table.id.name),
    )
}

fn truncated(entity: &str, table: &Table) -> String {
    format!(
        "{INTO} SELECT {entity}, {}, 'delete', NULL, {ORIGIN} FROM {} t WHERE t.{} IS NOT NULL",
        id_sql(table, "t"),
        table.sql,
        quote(&table.id.name),
    )
}
