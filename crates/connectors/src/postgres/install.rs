//! The change log's schema, tables, functions and triggers: made, and made again when they are outdated.

use super::capture::{
    APPLIED, EVENTS, INSTALLED, definition, function_name, function_sql, named_sql, same_columns_sql,
    trigger_name,
};
use super::catalogue::table;
use super::locks::{FIRST, Tries, one_at_a_time, take_tables};
use super::position::Mark;
use super::session::Session;
use super::table::{Member, Table, literal, quote};
use avowal_engine::ports::connector::{Binding, ConnectorError, ConnectorErrorKind, Installation};
use avowal_engine::ports::store::Cursor;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Transaction};

/// `#` is our schema, `%` is `UNLOGGED` or nothing. The application's statements pay for each index of the log, so the feed
/// is read by the primary key. The sequence outlives a crash in either case and begins at the clock,
/// so that a log which is made anew goes on above every number that an earlier one gave.
const TABLES: &str = "
CREATE SEQUENCE #.ids;
SELECT setval('#.ids', (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
CREATE % TABLE #.log (
    id bigint NOT NULL DEFAULT nextval('#.ids'), xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    entity text NOT NULL, remote_id text NOT NULL, operation text NOT NULL, image text, origin text,
    at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (entity, xid, id));
CREATE INDEX log_row ON #.log (entity, remote_id, id);
CREATE % TABLE #.ops (
    key text PRIMARY KEY, batch text NOT NULL, entity text NOT NULL, remote_id text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX ops_age ON #.ops USING brin (at);
CREATE INDEX ops_batch ON #.ops (batch, entity, remote_id);
CREATE % TABLE #.feeds (
    entity text PRIMARY KEY, object text NOT NULL, definition text NOT NULL, members oid[] NOT NULL, epoch bigint NOT NULL,
    adopted text, pruned_xid xid8 NOT NULL DEFAULT '0', pruned_id bigint NOT NULL DEFAULT 0);
";

/// Our tables. The log is the last to be changed, so that the others are right where it is.
const NAMES: [&str; 3] = ["ops", "feeds", "log"];

/// What is ours in a database, and for whom.
pub(super) struct Ours<'a> {
    /// The database.
    pub session: &'a Session,
    /// Whose triggers they are.
    pub installation: &'a Installation,
}

impl Ours<'_> {
    /// Makes what is missing. Feeds whose triggers had to be made begin a new epoch.
    pub async fn install(&self, bindings: &[Binding]) -> Result<Vec<String>, ConnectorError> {
        self.session.forget_tables();
        let done = self.session.bounded(self.install_all(bindings)).await;
        self.session.forget_tables();
        done
    }

    /// Takes the database for the one that a cursor was given by: a new epoch, whose numbers come after the cursor's. From
    /// that cursor everything is listed again.
    pub async fn adopt(&self, binding: &Binding, cursor: &Cursor) -> Result<(), ConnectorError> {
        self.install(std::slice::from_ref(binding)).await?;
        let last = Mark::parse(cursor).map_or(0, |mark| mark.position.id);
        self.session
            .bounded(async {
                let mut lease = self.session.client().await?;
                let client = lease.get(self.session)?;
                let ours = self.session.ours();
                let above = format!(
                    "SELECT setval('{ours}.ids', greatest(last_value, {last}, \
                     (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)) FROM {ours}.ids"
                );
                let entity = literal(binding.entity.as_str());
                let adopted = literal(&cursor.0);
                let taken = format!("UPDATE {ours}.feeds SET adopted = {adopted} WHERE entity = {entity}");
                let transaction = client.transaction().await.map_err(|error| self.session.error(&error))?;
                let done = async {
                    transaction.batch_execute(&format!("{above}; {taken}")).await?;
                    begin_epoch(&transaction, ours, binding.entity.as_str()).await?;
                    transaction.commit().await
                };
                done.await.map_err(|error| self.session.error(&error))
            })
            .await
    }

    /// Whether the triggers of an entity are all there and enabled.
    pub async fn complete(
        &self,
        client: &Client,
        binding: &Binding,
        table: &Table,
    ) -> Result<bool, ConnectorError> {
        if !table.logged {
            return Ok(false);
        }
        let row = client.query_typed_one(&self.complete_sql(binding, table), &[]).await;
        Ok(row.map_err(|error| self.session.error(&error))?.get(0))
    }

    fn complete_sql(&self, binding: &Binding, table: &Table) -> String {
        format!(
            "SELECT coalesce((SELECT f.definition = {} AND {} FROM {}.feeds f WHERE f.entity = {}), false)",
            literal(&definition(binding, table)),
            intact_sql(self.installation, binding, table),
            table.ours,
            literal(binding.entity.as_str()),
        )
    }

    async fn install_all(&self, bindings: &[Binding]) -> Result<Vec<String>, ConnectorError> {
        let session = self.session;
        let mut lease = session.client().await?;
        let client = lease.get(session)?;
        let mut missing = Vec::new();
        for binding in bindings {
            let table = table(session, client, binding).await?;
            usable(session, &table)?;
            if !self.complete(client, binding, &table).await? {
                missing.push((binding, table));
            }
        }
        let Some((_, first)) = missing.first() else { return Ok(Vec::new()) };
        make_tables(session, client, first.all_published).await?;
        let mut done = Vec::new();
        for (binding, table) in missing {
            if self.install_one(client, binding, &table).await? {
                done.push(format!("change log of table {} (entity {})", table.shown, binding.entity));
            }
        }
        Ok(done)
    }

    /// Makes an entity's triggers in a transaction of its own, which holds one table after the other and never two for
    /// the sake of different entities. Answers whether it had to.
    async fn install_one(
        &self,
        client: &mut Client,
        binding: &Binding,
        table: &Table,
    ) -> Result<bool, ConnectorError> {
        let mut tries = Tries::default();
        loop {
            let transaction = client.transaction().await.map_err(|error| self.session.error(&error))?;
            let made = async {
                one_at_a_time(&transaction).await?;
                let there = transaction.query_typed_one(&self.complete_sql(binding, table), &[]).await?;
                if there.get(0) {
                    // Another process has made them meanwhile.
                    return Ok(false);
                }
                self.make_triggers(&transaction, binding, table).await?;
                Ok(true)
            };
            match made.await {
                Ok(made) => {
                    transaction.commit().await.map_err(|error| self.session.error(&error))?;
                    return Ok(made);
                }
                Err(error) => {
                    transaction.rollback().await.map_err(|error| self.session.error(&error))?;
                    if !tries.again(&error).await {
                        return Err(self.session.error(&error));
                    }
                }
            }
        }
    }

    async fn make_triggers(
        &self,
        transaction: &Transaction<'_>,
        binding: &Binding,
        table: &Table,
    ) -> Result<(), Error> {
        let ours = &table.ours;
        let name = function_name(&binding.entity);
        take_tables(transaction, ours, &name, &table.member_oids()).await?;
        let function = format!("{ours}.{}", quote(&name));
        let before = self.known_members(transaction, binding, table).await?;
        // Its triggers go with it, also those on a table that was renamed or detached.
        let mut sql =
            format!("DROP FUNCTION IF EXISTS {function}() CASCADE;\n{}", function_sql(binding, table));
        for member in table.members.iter().filter(|member| member.takes_triggers()) {
            sql.push_str(&triggers_sql(self.installation, binding, table, member, &function));
        }
        transaction.batch_execute(&sql).await?;
        let known = before.is_some();
        let mut grown = known;
        for member in table.members.iter().filter(|member| !before.iter().flatten().any(|b| *b == member.oid))
        {
            let sql = format!("SELECT NOT EXISTS (SELECT 1 FROM ONLY {})", member.sql);
            grown = grown && member.kind != 'f' && transaction.query_typed_one(&sql, &[]).await?.get(0);
        }
        let entity = binding.entity.as_str();
        let sql = format!(
            "INSERT INTO {ours}.feeds (entity, object, definition, members, epoch) VALUES ($1, $2, $3, $4, 0) \
             ON CONFLICT (entity) DO UPDATE SET object = excluded.object, definition = excluded.definition, \
             members = excluded.members"
        );
        let definition = definition(binding, table);
        transaction
            .execute_typed(
                &sql,
                &[
                    (&entity, Type::TEXT),
                    (&table.shown, Type::TEXT),
                    (&definition, Type::TEXT),
                    (&table.member_oids(), Type::OID_ARRAY),
                ],
            )
            .await?;
        // New partitions in which nothing stands yet change nothing in what was read.
        if grown { Ok(()) } else { begin_epoch(transaction, ours, entity).await }
    }

    /// The members of an intact feed, if only members were added since; `None` where it must begin anew.
    async fn known_members(
        &self,
        transaction: &Transaction<'_>,
        binding: &Binding,
        table: &Table,
    ) -> Result<Option<Vec<u32>>, Error> {
        let sql = format!(
            "SELECT f.members FROM {}.feeds f WHERE f.entity = $1 AND f.definition = $2 AND f.members <@ $3::oid[] AND {}",
            table.ours,
            triggers_there_sql(self.installation, binding, table, "f.members"),
        );
        let rows = transaction
            .query_typed(
                &sql,
                &[
                    (&binding.entity.as_str(), Type::TEXT),
                    (&definition(binding, table), Type::TEXT),
                    (&table.member_oids(), Type::OID_ARRAY),
                ],
            )
            .await?;
        Ok(rows.first().map(|row| row.get(0)))
    }
}

/// The test that a feed `f` is as our statements and triggers need it: the table has its name, columns and members still,
/// every trigger is there and fires, and the log is of the kind that no publication of all tables publishes.
pub(super) fn intact_sql(installation: &Installation, binding: &Binding, table: &Table) -> String {
    let oid = table.oid;
    format!(
        "{} AND {} AND f.members = (WITH RECURSIVE m AS (SELECT {oid}::oid AS oid UNION \
            SELECT i.inhrelid FROM m JOIN pg_inherits i ON i.inhparent = m.oid) SELECT array_agg(m.oid ORDER BY m.oid) FROM m) \
         AND {} \
         AND (SELECT c.relpersistence = 'u' FROM pg_class c WHERE c.oid = '{}.log'::regclass) \
            = EXISTS (SELECT 1 FROM pg_publication WHERE puballtables)",
        named_sql(table),
        same_columns_sql(table),
        triggers_there_sql(installation, binding, table, "f.members"),
        table.ours,
    )
}

/// The test that all triggers are there, enabled, on each of the members that take some.
fn triggers_there_sql(
    installation: &Installation,
    binding: &Binding,
    table: &Table,
    members: &str,
) -> String {
    let name = |event: &&str| literal(&trigger_name(installation, binding, event));
    let always: Vec<_> = EVENTS.iter().map(name).collect();
    let count = |names: &str, enabled: &str, kinds: &str, each: usize| {
        format!(
            "(SELECT count(*) FROM pg_trigger g WHERE g.tgrelid = ANY ({members}) AND g.tgname IN ({names}) \
             AND g.tgenabled IN ({enabled})) = {each} * (SELECT count(*) FROM pg_class c \
             WHERE c.oid = ANY ({members}) AND c.relkind IN ({kinds}))"
        )
    };
    match table.owned {
        true => format!(
            "{} AND {}",
            count(&always.join(", "), "'A'", "'r', 'p'", EVENTS.len()),
            count(&name(&APPLIED), "'R'", "'r'", 1)
        ),
        false => count(&always.join(", "), "'O', 'A'", "'r', 'p'", EVENTS.len()),
    }
}

/// Makes the schema and its tables where they are not there, and of the kind that they must have.
async fn make_tables(session: &Session, client: &mut Client, unlogged: bool) -> Result<(), ConnectorError> {
    let ours = session.ours();
    let error = |error: Error| session.error(&error);
    let transaction = client.transaction().await.map_err(error)?;
    let made = async {
        one_at_a_time(&transaction).await?;
        // `IF NOT EXISTS` would need the right to create one, and would lock the log, all the same.
        let there = "SELECT to_regnamespace($1) IS NOT NULL, to_regclass($1 || '.feeds') IS NOT NULL";
        let there = transaction.query_typed_one(there, &[(&ours, Type::TEXT)]).await?;
        if !there.get::<_, bool>(0) {
            transaction.batch_execute(&format!("CREATE SCHEMA {ours}")).await?;
        }
        if !there.get::<_, bool>(1) {
            let kind = if unlogged { "UNLOGGED" } else { "" };
            transaction.batch_execute(&TABLES.replace('#', ours).replace('%', kind)).await?;
        }
        transaction.commit().await
    };
    made.await.map_err(error)?;
    // Each in a transaction of its own, which holds nothing else while it waits.
    let kind = if unlogged { ("p", "UNLOGGED") } else { ("u", "LOGGED") };
    for name in NAMES {
        let sql =
            format!("SELECT relpersistence::text = $1 FROM pg_class WHERE oid = '{ours}.{name}'::regclass");
        if client.query_typed_one(&sql, &[(&kind.0, Type::TEXT)]).await.map_err(error)?.get(0) {
            let alter = format!("ALTER TABLE {ours}.{name} SET {}", kind.1);
            let transaction = client.transaction().await.map_err(error)?;
            transaction.batch_execute(&format!("{FIRST}; {alter}")).await.map_err(error)?;
            transaction.commit().await.map_err(error)?;
        }
    }
    Ok(())
}

/// Empties an entity's log and begins a new epoch, whose number is that of the log's first row. Every database that is
/// restored to a time after this one holds that row.
async fn begin_epoch(transaction: &Transaction<'_>, ours: &str, entity: &str) -> Result<(), Error> {
    let entity = literal(entity);
    let sql = format!(
        "DELETE FROM {ours}.log WHERE entity = {entity};
         WITH first AS (INSERT INTO {ours}.log (entity, remote_id, operation) VALUES ({entity}, '', '{INSTALLED}') RETURNING id)
         UPDATE {ours}.feeds SET epoch = first.id, pruned_xid = '0', pruned_id = 0 FROM first WHERE entity = {entity}"
    );
    transaction.batch_execute(&sql).await
}

fn triggers_sql(
    installation: &Installation,
    binding: &Binding,
    table: &Table,
    member: &Member,
    function: &str,
) -> String {
    let mut sql = String::new();
    let mut add = |event: &str, on: &str, each: &str, enable: &str| {
        let name = quote(&trigger_name(installation, binding, event));
        let on = on.replacen('#', &member.sql, 1);
        sql.push_str(&format!("CREATE TRIGGER {name} {on} FOR EACH {each} EXECUTE FUNCTION {function}();\n"));
        if table.owned {
            sql.push_str(&format!("ALTER TABLE ONLY {} ENABLE {enable} TRIGGER {name};\n", member.sql));
        }
    };
    for event in EVENTS {
        let on = match event {
            "insert" => "AFTER INSERT ON # REFERENCING NEW TABLE AS new_rows",
            "update" => "AFTER UPDATE ON # REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
            "delete" => "AFTER DELETE ON # REFERENCING OLD TABLE AS old_rows",
            _ => "BEFORE TRUNCATE ON #",
        };
        // Always, so that a restore or replication that switches triggers off is seen as well.
        add(event, on, "STATEMENT", "ALWAYS");
    }
    // Rows that logical replication applies come without a statement. Enabled for replicas only, it costs others nothing.
    if table.owned && member.kind == 'r' {
        add(APPLIED, "AFTER INSERT OR UPDATE OR DELETE ON #", "ROW", "REPLICA");
    }
    sql
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
