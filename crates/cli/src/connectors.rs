//! The connectors of this binary. A new one is a folder in `avowal-connectors` and a line here.

use crate::config::ConnectorKind;
use avowal_connectors::http::Http;
use avowal_connectors::postgres::Postgres;
use avowal_connectors::sqlite::Sqlite;

/// Every kind of system that `connector = "…"` may name.
pub static KINDS: &[ConnectorKind] =
    &[ConnectorKind::of::<Sqlite>(), ConnectorKind::of::<Postgres>(), ConnectorKind::of::<Http>()];
