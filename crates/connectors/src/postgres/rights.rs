//! The rights that our role lacks, each with the statement that gives it, and what it cannot see.

use super::session::Session;
use super::table::{Table, literal, quote};
use avowal_engine::ports::connector::{Binding, ConnectorError, Finding};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

/// Whether our schema is there or may be made.
pub(super) async fn schema_right(session: &Session, client: &Client) -> Result<Vec<Finding>, ConnectorError> {
    let ours = session.ours();
    let row = client
        .query_typed_one(
            "SELECT CASE WHEN to_regnamespace($1) IS NULL THEN has_database_privilege(current_database(), 'CREATE') \
                 ELSE has_schema_privilege($1, 'USAGE') AND has_schema_privilege($1, 'CREATE') END, \
             quote_ident(current_user), to_regnamespace($1) IS NOT NULL",
            &[(&ours, Type::TEXT)],
        )
        .await
        .map_err(|error| session.error(&error))?;
    if row.get(0) {
        return Ok(Vec::new());
    }
    let (role, there): (String, bool) = (row.get(1), row.get(2));
    let cure = match there {
        true => format!("As its owner or a superuser: GRANT USAGE, CREATE ON SCHEMA {ours} TO {role}"),
        false => format!("As a superuser: CREATE SCHEMA {ours} AUTHORIZATION {role}"),
    };
    let problem = format!("the role {role} may not make the schema {ours}, which holds the change log");
    Ok(vec![Finding::problem(session.place(), problem, cure)])
}

/// What the role must be granted before a table can be used as mapped.
pub(super) async fn missing_rights(
    session: &Session,
    client: &Client,
    binding: &Binding,
    table: &Table,
    here: &str,
) -> Result<Vec<Finding>, ConnectorError> {
    let writes = binding.columns.iter().any(|column| column.writable);
    let needed: &[&str] = match writes {
        true => &["SELECT", "INSERT", "UPDATE", "DELETE", "TRIGGER"],
        false => &["SELECT", "TRIGGER"],
    };
    let row = client
        .query_typed_one(
            "SELECT quote_ident(current_user), has_schema_privilege(c.relnamespace, 'USAGE'), row_security_active(c.oid), \
                ARRAY(SELECT r FROM unnest($2::text[]) r WHERE NOT has_table_privilege(c.oid, r)) \
             FROM pg_class c WHERE c.oid = $1",
            &[(&table.oid, Type::OID), (&needed, Type::TEXT_ARRAY)],
        )
        .await
        .map_err(|error| session.error(&error))?;
    let (role, schema, hidden, rights): (String, bool, bool, Vec<String>) =
        (row.get(0), row.get(1), row.get(2), row.get(3));
    let mut findings = Vec::new();
    let mut lacks = |what: String, cure: String| {
        findings.push(Finding::problem(here, format!("the role {role} lacks the right to {what}"), cure));
    };
    if !schema {
        let cure = format!("GRANT USAGE ON SCHEMA {} TO {role}", quote(&table.schema));
        lacks("use its schema".to_owned(), cure);
    }
    if !rights.is_empty() {
        let rights = rights.join(", ");
        lacks(rights.clone(), format!("GRANT {rights} ON {} TO {role}", table.sql));
    }
    for (sequence, right) in missing_sequence_rights(session, client, binding, table).await? {
        let cure = format!("GRANT {right} ON SEQUENCE {sequence} TO {role}");
        lacks(format!("{right} of the sequence {sequence}"), cure);
    }
    if hidden {
        let cure = format!("ALTER ROLE {role} BYPASSRLS, for a row that is hidden would look deleted");
        lacks("see every row, for its row security applies to the role".to_owned(), cure);
    }
    Ok(findings)
}

/// A sequence gives an id to the rows that we create, and must follow where we give ids of our own.
async fn missing_sequence_rights(
    session: &Session,
    client: &Client,
    binding: &Binding,
    table: &Table,
) -> Result<Vec<(String, &'static str)>, ConnectorError> {
    let mut missing = Vec::new();
    if !binding.columns.iter().any(|column| column.writable) {
        return Ok(missing);
    }
    for sequence in &table.sequences {
        let written = binding.columns.iter().any(|column| column.writable && column.name == sequence.column);
        let right = if written { "UPDATE" } else { "USAGE" };
        let sql = format!("SELECT has_sequence_privilege({}, '{right}')", literal(&sequence.sql));
        let row = client.query_typed_one(&sql, &[]).await.map_err(|error| session.error(&error))?;
        if !row.get::<_, bool>(0) {
            missing.push((sequence.sql.clone(), right));
        }
    }
    Ok(missing)
}

/// Changes of the table that the change log cannot hold.
pub(super) fn blind_spots(table: &Table, here: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !table.owned {
        findings.push(Finding::note(
            here,
            "the role does not own the table, so what logical replication applies to it, and what is written while triggers \
             are switched off, is found only when everything is listed",
            "Grant the role of the system's url the role that owns the table, if that happens there",
        ));
    }
    if table.members.iter().any(|member| !member.takes_triggers()) {
        findings.push(Finding::note(
            here,
            "some of its partitions or children are foreign tables, whose changes are found only when everything is listed",
            "Map a table without them, or run `avowal sync --full` regularly",
        ));
    }
    if table.all_published {
        findings.push(Finding::note(
            here,
            "a publication publishes all tables, so the change log is unlogged: the log is not published, and after a crash \
             of the server everything is listed again",
            "Publish the tables by name or by schema, if that is too slow",
        ));
    }
    findings
}

/// Change logs of other installations, which may be in use or left over. A store of ours in the same database is none.
pub(super) async fn strangers(session: &Session, client: &Client) -> Result<Vec<Finding>, ConnectorError> {
    let rows = client
        .query_typed(
            "SELECT n.nspname FROM pg_namespace n WHERE n.nspname LIKE 'avowal\\_%' AND n.nspname <> $1 \
               AND (SELECT count(*) FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind = 'r' \
                   AND c.relname IN ('log', 'ops', 'feeds')) = 3 \
             ORDER BY 1 LIMIT 10",
            &[(&session.ours(), Type::TEXT)],
        )
        .await
        .map_err(|error| session.error(&error))?;
    let finding = |schema: String| {
        Finding::note(
            session.place(),
            format!("the schema {schema} holds the change log of another installation or system"),
            format!(
                "If none uses it any more, remove it and its triggers: DROP SCHEMA {} CASCADE",
                quote(&schema)
            ),
        )
    };
    Ok(rows.iter().map(|row| finding(row.get(0))).collect())
}
