//! Takes away what an installation made, and nothing of another's.

use super::session::Session;
use avowal_engine::ports::connector::ConnectorError;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Transaction};

/// Removes every trigger, function and table of ours.
pub(super) async fn uninstall(session: &Session) -> Result<Vec<String>, ConnectorError> {
    let done = session
        .bounded(async {
            let mut lease = session.client().await?;
            let client = lease.get(session)?;
            let transaction = client.transaction().await.map_err(|error| session.error(&error))?;
            let done = remove(&transaction, session.ours()).await.map_err(|error| session.error(&error))?;
            transaction.commit().await.map_err(|error| session.error(&error))?;
            Ok(done)
        })
        .await;
    session.forget_tables();
    done
}

async fn remove(transaction: &Transaction<'_>, ours: &str) -> Result<Vec<String>, Error> {
    let found = transaction
        .query_typed(
            "SELECT p.oid::regprocedure::text, 'triggers and function ', 'FUNCTION' FROM pg_proc p \
                WHERE p.pronamespace = to_regnamespace($1) \
             UNION ALL SELECT c.oid::regclass::text, CASE c.relkind WHEN 'S' THEN 'sequence ' ELSE 'table ' END, \
                CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END FROM pg_class c \
                WHERE c.relnamespace = to_regnamespace($1) AND c.relkind IN ('r', 'S') \
             ORDER BY 3, 1",
            &[(&ours, Type::TEXT)],
        )
        .await?;
    let mut done = Vec::new();
    // Functions first, and the triggers with them; then the sequence, whose numbers are the log's default.
    for row in found {
        let (name, what, kind): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        transaction.batch_execute(&format!("DROP {kind} {name} CASCADE")).await?;
        done.push(format!("{what}{name}"));
    }
    let owned = "SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = $1";
    let owned = transaction.query_typed(owned, &[(&ours, Type::TEXT)]).await?;
    if owned.first().is_some_and(|row| row.get(0)) {
        transaction.batch_execute(&format!("DROP SCHEMA {ours}")).await?;
        done.push(format!("schema {ours}"));
    }
    Ok(done)
}
