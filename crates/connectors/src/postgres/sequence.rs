//! A sequence follows the ids that we give to rows, so that the application's next row finds its number free.

use super::table::{Table, quote};
use avowal_core::data::ids::RemoteId;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, GenericClient};

/// Moves the sequences of the columns that were written beyond the values that stand in the new rows.
pub(super) async fn follow(
    client: &impl GenericClient,
    table: &Table,
    written: &[String],
    made: &[RemoteId],
) -> Result<(), Error> {
    let ids: Vec<_> = made.iter().map(RemoteId::as_str).collect();
    let columns = table.columns.iter().filter(|column| written.contains(&column.remote));
    for column in columns {
        let Some(sequence) = table.sequences.iter().find(|sequence| sequence.column == column.name) else {
            continue;
        };
        let sql = format!(
            "SELECT setval('{}', m.value) FROM (SELECT max(t.{}) AS value FROM {} t WHERE {}) m, {} s \
             WHERE m.value > s.last_value OR (m.value = s.last_value AND NOT s.is_called)",
            sequence.sql.replace('\'', "''"),
            quote(&column.name),
            table.sql,
            super::document::ids_sql(table),
            sequence.sql,
        );
        client.query_typed(&sql, &[(&ids, Type::TEXT_ARRAY)]).await?;
    }
    Ok(())
}
