//! What our installation made for an entity that the configuration does not map any more: its function, triggers and log.

use super::capture::function_name;
use super::session::Session;
use super::table::literal;
use super::uninstall::drop_function;
use avowal_core::data::ids::EntityName;
use avowal_engine::ports::connector::{Binding, ConnectorError, Finding};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

/// Says which entities have a change log of ours that nobody reads.
pub(super) async fn leftovers(
    session: &Session,
    client: &Client,
    bindings: &[Binding],
) -> Result<Vec<Finding>, ConnectorError> {
    let entities = forgotten(session, client, bindings).await?;
    let finding = |entity: EntityName| {
        let problem =
            format!("a change log for {entity}, which the configuration does not map any more, is left over");
        Finding::note(session.place(), problem, "`avowal sync` removes it")
    };
    Ok(entities.into_iter().map(finding).collect())
}

/// Removes them; answers what was removed.
pub(super) async fn remove_leftovers(
    session: &Session,
    bindings: &[Binding],
) -> Result<Vec<String>, ConnectorError> {
    session
        .bounded(async {
            let mut lease = session.client().await?;
            let client = lease.get(session)?;
            let mut done = Vec::new();
            let ours = session.ours();
            for entity in forgotten(session, client, bindings).await? {
                let also = format!(
                    "DELETE FROM {ours}.log WHERE entity = #; DELETE FROM {ours}.feeds WHERE entity = #"
                )
                .replace('#', &literal(entity.as_str()));
                drop_function(session, client, &function_name(&entity), &also).await?;
                done.push(format!("change log of entity {entity}, which is not mapped any more, removed"));
            }
            Ok(done)
        })
        .await
}

async fn forgotten(
    session: &Session,
    client: &Client,
    bindings: &[Binding],
) -> Result<Vec<EntityName>, ConnectorError> {
    let ours = session.ours();
    let there = "SELECT to_regclass($1) IS NOT NULL";
    let feeds = format!("{ours}.feeds");
    let row = client.query_typed_one(there, &[(&feeds, Type::TEXT)]).await;
    if !row.map_err(|error| session.error(&error))?.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let mapped: Vec<&str> = bindings.iter().map(|binding| binding.entity.as_str()).collect();
    let sql = format!("SELECT entity FROM {feeds} WHERE entity <> ALL ($1) ORDER BY 1");
    let rows = client.query_typed(&sql, &[(&mapped, Type::TEXT_ARRAY)]).await;
    let rows = rows.map_err(|error| session.error(&error))?;
    Ok(rows.iter().map(|row| EntityName::new(row.get::<_, String>(0))).collect())
}
