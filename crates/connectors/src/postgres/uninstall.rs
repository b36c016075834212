//! Takes away what an installation made, and nothing of another's.

use super::locks::{FIRST, Tries, take_tables};
use super::session::Session;
use super::table::quote;
use avowal_engine::ports::connector::ConnectorError;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

/// Removes every trigger, function and table of ours.
pub(super) async fn uninstall(session: &Session) -> Result<Vec<String>, ConnectorError> {
    let done = session
        .bounded(async {
            let mut lease = session.client().await?;
            remove(session, lease.get(session)?).await
        })
        .await;
    session.forget_tables();
    done
}

/// Functions first, each in a transaction of its own, and the triggers with them: then nobody writes to the log any more.
/// Then the tables, and last the sequence, whose numbers are the log's default. Begun again, it goes on where it ended.
async fn remove(session: &Session, client: &mut Client) -> Result<Vec<String>, ConnectorError> {
    let ours = session.ours();
    let error = |error: Error| session.error(&error);
    let mut done = Vec::new();
    let functions = "SELECT p.proname, p.oid::regprocedure::text FROM pg_proc p \
        WHERE p.pronamespace = to_regnamespace($1) ORDER BY 1";
    for row in client.query_typed(functions, &[(&ours, Type::TEXT)]).await.map_err(error)? {
        let (name, shown): (String, String) = (row.get(0), row.get(1));
        drop_function(session, client, &name, "").await?;
        done.push(format!("triggers and function {shown}"));
    }
    let relations = "SELECT c.oid::regclass::text, c.relkind = 'S' FROM pg_class c \
        WHERE c.relnamespace = to_regnamespace($1) AND c.relkind IN ('r', 'S') ORDER BY 2, 1";
    for row in client.query_typed(relations, &[(&ours, Type::TEXT)]).await.map_err(error)? {
        let (name, sequence): (String, bool) = (row.get(0), row.get(1));
        let (kind, what) = if sequence { ("SEQUENCE", "sequence") } else { ("TABLE", "table") };
        let transaction = client.transaction().await.map_err(error)?;
        transaction.batch_execute(&format!("{FIRST}; DROP {kind} {name} CASCADE")).await.map_err(error)?;
        transaction.commit().await.map_err(error)?;
        done.push(format!("{what} {name}"));
    }
    let owned = "SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = $1";
    let owned = client.query_typed(owned, &[(&ours, Type::TEXT)]).await.map_err(error)?;
    if owned.first().is_some_and(|row| row.get(0)) {
        client.batch_execute(&format!("DROP SCHEMA {ours}")).await.map_err(error)?;
        done.push(format!("schema {ours}"));
    }
    Ok(done)
}

/// Drops a function of ours with all its triggers, and carries out what belongs to it in the same transaction.
pub(super) async fn drop_function(
    session: &Session,
    client: &mut Client,
    name: &str,
    also: &str,
) -> Result<(), ConnectorError> {
    let ours = session.ours();
    let mut tries = Tries::default();
    loop {
        let transaction = client.transaction().await.map_err(|error| session.error(&error))?;
        let dropped = async {
            take_tables(&transaction, ours, name, &[]).await?;
            let drop = format!("DROP FUNCTION IF EXISTS {ours}.{}() CASCADE; {also}", quote(name));
            transaction.batch_execute(&drop).await?;
            transaction.commit().await
        };
        match dropped.await {
            Ok(()) => return Ok(()),
            Err(error) if tries.again(&error).await => {}
            Err(error) => return Err(session.error(&error)),
        }
    }
}
