//! What has been read long ago goes from the log.

use super::position::Position;
use super::table::{Table, literal};
use avowal_engine::ports::connector::Binding;
use tokio_postgres::Client;

/// Log rows behind the reader's cursor are kept for a week, so that an older cursor still works; keys for longer, so that
/// a repeated write is still recognised. The cursor's own row stays: it proves that the log is the one that was read.
/// Only the oldest rows are looked at, for the log may be long; the keys' index by age tells which blocks may hold old
/// ones. Failing to prune is no failure of the read: it is tried again after as many rows.
pub(super) async fn prune(client: &Client, table: &Table, binding: &Binding, read: &Position) {
    let (ours, entity) = (&table.ours, literal(binding.entity.as_str()));
    let old = "at < clock_timestamp() - interval '7 days'";
    let has_old = format!(
        "SELECT coalesce((SELECT {old} FROM {ours}.log WHERE entity = {entity} ORDER BY xid, id LIMIT 1), false)"
    );
    if client.query_typed_one(&has_old, &[]).await.is_ok_and(|row| row.get(0)) {
        let (xid, id) = (read.xid, read.id);
        let log = format!(
            "WITH oldest AS (SELECT id, xid, at FROM {ours}.log \
                WHERE entity = {entity} AND (xid, id) < ('{xid}'::xid8, {id}) ORDER BY xid, id LIMIT 20000), \
             gone AS (DELETE FROM {ours}.log l USING oldest o WHERE l.entity = {entity} AND l.xid = o.xid AND l.id = o.id \
                AND o.{old} RETURNING l.xid, l.id) \
             UPDATE {ours}.feeds SET (pruned_xid, pruned_id) = \
                (SELECT xid, id FROM gone ORDER BY xid DESC, id DESC LIMIT 1) \
             WHERE entity = {entity} AND EXISTS (SELECT 1 FROM gone)"
        );
        let _ = client.batch_execute(&log).await;
    }
    let keys = format!(
        "DELETE FROM {ours}.ops WHERE key IN (SELECT key FROM {ours}.ops \
         WHERE at < clock_timestamp() - interval '60 days' LIMIT 20000)"
    );
    let _ = client.batch_execute(&keys).await;
}
