//! What the database says of its tables. A name reaches SQL only after it was found here, and then quoted.

use super::session::{Session, words};
use super::table::{ColumnSequence, Kind, Member, Table, TableColumn, quote};
use avowal_engine::ports::connector::{Binding, ConnectorError, ConnectorErrorKind};
use std::sync::Arc;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

/// The binding's table, from memory or from the catalogue.
pub(super) async fn table(
    session: &Session,
    client: &Client,
    binding: &Binding,
) -> Result<Arc<Table>, ConnectorError> {
    if let Some(table) = session.known_table(&binding.entity) {
        return Ok(table);
    }
    let table = Arc::new(look_up(session, client, binding).await?);
    session.know_table(&binding.entity, Arc::clone(&table));
    Ok(table)
}

const FIND: &str = "SELECT c.oid, n.nspname, c.relname, c.relkind::text, \
        EXISTS (SELECT 1 FROM pg_class l JOIN pg_namespace m ON m.oid = l.relnamespace \
            WHERE m.nspname = $2 AND l.relname = 'log') AS logged, \
        EXISTS (SELECT 1 FROM pg_publication WHERE puballtables) AS all_published \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') \
      AND (n.nspname || '.' || c.relname = $1 OR (c.relname = $1 AND pg_table_is_visible(c.oid))) \
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'avowal\\_%' \
    ORDER BY n.nspname || '.' || c.relname = $1 DESC LIMIT 1";

async fn look_up(session: &Session, client: &Client, binding: &Binding) -> Result<Table, ConnectorError> {
    let found = client
        .query_typed(FIND, &[(&binding.object, Type::TEXT), (&session.ours(), Type::TEXT)])
        .await
        .map_err(|error| session.error(&error))?;
    let Some(row) = found.first() else {
        return Err(no_table(session, client, &binding.object).await);
    };
    let (oid, schema, name): (u32, String, String) = (row.get(0), row.get(1), row.get(2));
    let shown = format!("{schema}.{name}");
    let present = columns(session, client, oid).await?;
    let find = |remote: &str| {
        let found = present.iter().find(|column| column.name == remote).cloned();
        found.ok_or_else(|| no_column(session, &shown, remote, &present))
    };
    let id = find(&binding.id)?;
    let columns = binding.columns.iter().map(|column| find(&column.name)).collect::<Result<_, _>>()?;
    let id_unique = unique(session, client, oid, &id.name).await?;
    let (members, owned) = members(session, client, oid).await?;
    Ok(Table {
        oid,
        sql: format!("{}.{}", quote(&schema), quote(&name)),
        kind: row.get::<_, String>(3).chars().next().unwrap_or('?'),
        id,
        id_unique,
        columns,
        members,
        owned,
        sequences: sequences(session, client, oid).await?,
        logged: row.get(4),
        all_published: row.get(5),
        database: database(session, client).await?,
        ours: session.ours().to_owned(),
        schema,
        name,
        shown,
    })
}

/// The database's identity. Where the server does not tell the cluster's, only that within the cluster is known.
async fn database(session: &Session, client: &Client) -> Result<String, ConnectorError> {
    let cluster = "SELECT system_identifier::text FROM pg_control_system()";
    let cluster: String =
        client.query_typed_one(cluster, &[]).await.map_or_else(|_| String::new(), |row| row.get(0));
    let oid = "SELECT oid::text FROM pg_database WHERE datname = current_database()";
    let oid = client.query_typed_one(oid, &[]).await.map_err(|error| session.error(&error))?;
    Ok(format!("{cluster}.{}", oid.get::<_, &str>(0)))
}

/// The tables that hold rows of a table, and whether our role owns them all.
async fn members(
    session: &Session,
    client: &Client,
    oid: u32,
) -> Result<(Vec<Member>, bool), ConnectorError> {
    let rows = client
        .query_typed(
            "WITH RECURSIVE m AS (SELECT $1::oid AS oid UNION \
                SELECT i.inhrelid FROM m JOIN pg_inherits i ON i.inhparent = m.oid) \
             SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind::text, \
                    pg_has_role(c.relowner, 'USAGE') \
             FROM m JOIN pg_class c ON c.oid = m.oid JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY c.oid",
            &[(&oid, Type::OID)],
        )
        .await
        .map_err(|error| session.error(&error))?;
    let member = |row: &Row| Member {
        oid: row.get(0),
        sql: row.get(1),
        kind: row.get::<_, String>(2).chars().next().unwrap_or('?'),
    };
    Ok((rows.iter().map(member).collect(), rows.iter().all(|row| row.get(3))))
}

async fn sequences(
    session: &Session,
    client: &Client,
    oid: u32,
) -> Result<Vec<ColumnSequence>, ConnectorError> {
    let rows = client
        .query_typed(
            "SELECT a.attname, quote_ident(n.nspname) || '.' || quote_ident(s.relname) \
             FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' \
             JOIN pg_namespace n ON n.oid = s.relnamespace \
             JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
             WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 \
               AND d.deptype IN ('a', 'i') ORDER BY 1",
            &[(&oid, Type::OID)],
        )
        .await
        .map_err(|error| session.error(&error))?;
    Ok(rows.iter().map(|row| ColumnSequence { column: row.get(0), sql: row.get(1) }).collect())
}

async fn columns(session: &Session, client: &Client, oid: u32) -> Result<Vec<TableColumn>, ConnectorError> {
    // `-1`, not null: without it `character(5)` prints as `character`, which means one character.
    let rows = client
        .query_typed(
            "SELECT a.attname, format_type(a.atttypid, -1), b.typname, b.typcategory::text, \
                    format_type(nullif(b.typelem, 0), -1), a.attgenerated <> '' OR a.attidentity = 'a', a.atttypid, a.attnum, \
                    coalesce((SELECT n.nspname FROM pg_opclass c JOIN pg_am m ON m.oid = c.opcmethod \
                        JOIN pg_amop o ON o.amopfamily = c.opcfamily AND o.amoplefttype = c.opcintype \
                            AND o.amoprighttype = c.opcintype AND o.amopstrategy = 3 \
                        JOIN pg_operator p ON p.oid = o.amopopr JOIN pg_namespace n ON n.oid = p.oprnamespace \
                        WHERE m.amname = 'btree' AND c.opcdefault AND c.opcintype = b.oid), 'pg_catalog'), \
                    a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL \
             FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
             JOIN pg_type b ON b.oid = coalesce(nullif(t.typbasetype, 0), t.oid) \
             WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            &[(&oid, Type::OID)],
        )
        .await
        .map_err(|error| session.error(&error))?;
    Ok(rows.iter().map(column).collect())
}

fn column(row: &Row) -> TableColumn {
    let (name, base, category): (String, String, String) = (row.get(0), row.get(2), row.get(3));
    let element: Option<String> = row.get(4);
    let kind = match (base.as_str(), category.as_str(), element) {
        (_, "A", Some(element)) => Kind::Array(element),
        ("int2" | "int4" | "int8", _, _) => Kind::Integer,
        ("float4" | "float8", _, _) => Kind::Float,
        ("numeric", _, _) => Kind::Numeric,
        ("bool", _, _) => Kind::Boolean,
        ("date", _, _) => Kind::Date,
        ("timestamp" | "timestamptz", _, _) => Kind::Timestamp,
        ("json" | "jsonb", _, _) => Kind::Json,
        ("uuid", _, _) => Kind::Uuid,
        ("inet", _, _) => Kind::Inet,
        (_, _, _) => Kind::Text,
    };
    TableColumn {
        remote: name.clone(),
        name,
        type_oid: row.get(6),
        number: row.get(7),
        operators: row.get(8),
        type_sql: row.get(1),
        kind,
        generated: row.get(5),
        fills: row.get(9),
    }
}

async fn unique(session: &Session, client: &Client, oid: u32, column: &str) -> Result<bool, ConnectorError> {
    let rows = client
        .query_typed(
            "SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
             WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL \
               AND i.indnkeyatts = 1 AND a.attname = $2",
            &[(&oid, Type::OID), (&column, Type::TEXT)],
        )
        .await
        .map_err(|error| session.error(&error))?;
    Ok(!rows.is_empty())
}

async fn no_table(session: &Session, client: &Client, object: &str) -> ConnectorError {
    let names = client
        .query_typed(
            "SELECT CASE WHEN pg_table_is_visible(c.oid) THEN c.relname ELSE n.nspname || '.' || c.relname END \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') \
             AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'avowal\\_%' \
             ORDER BY 1 LIMIT 1000",
            &[],
        )
        .await;
    let names: Vec<String> = match names {
        Ok(rows) => rows.iter().map(|row| row.get(0)).collect(),
        Err(error) => {
            let message = format!("there is no table {object:?} ({})", words(&error));
            return session.port_error(ConnectorErrorKind::SchemaDrift, &message, "Correct the mapping");
        }
    };
    let cure = nearest(object, names.iter().map(String::as_str), "table");
    session.port_error(ConnectorErrorKind::SchemaDrift, &format!("there is no table {object:?}"), &cure)
}

fn no_column(session: &Session, table: &str, remote: &str, present: &[TableColumn]) -> ConnectorError {
    let cure = nearest(remote, present.iter().map(|column| column.name.as_str()), "column");
    let message = format!("table {table} has no column {remote:?}");
    session.port_error(ConnectorErrorKind::SchemaDrift, &message, &cure)
}

fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>, what: &str) -> String {
    let near = names
        .map(|name| (strsim::jaro_winkler(&wanted.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((_, name)) => format!("Did you mean {name:?}? Correct the mapping, or create the {what}"),
        None => format!("Correct the mapping, or create the {what}"),
    }
}
