//! What the configuration says of a Postgres database.

use super::{PostgresConnector, PostgresOptions, capabilities};
use crate::kind::{KeyFault, Kind, NoKeys};
use avowal_engine::ports::connector::{Binding, Capabilities, Connector, ConnectorError, Installation};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::Path;
use std::sync::Arc;

/// The connector `postgres`.
#[derive(Clone, Copy, Debug)]
pub enum Postgres {}

/// The tables of a Postgres database. A change log is kept in the same database, in a schema and triggers named
/// `avowal_…`, which `avowal sync` installs. Of your tables only the mapped columns are written.
// No `Debug`: the address may hold a password.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresKeys {
    /// The database's address, or libpq's `key=value` form that begins with `host=`. It may hold a password, so keep it in
    /// the environment. A server on another machine is reached over TLS where it offers it; `?sslmode=require` insists on
    /// it, `?sslmode=disable` does without.
    #[schemars(extend("examples" = ["postgres://user@localhost/billing", "env:BILLING_URL"]))]
    url: String,
}

impl Kind for Postgres {
    const NAME: &'static str = "postgres";
    const POLL_MS: u64 = 1_000;
    const WEBHOOKS: bool = false;
    type System = PostgresKeys;
    type Object = NoKeys;

    fn faults(system: &PostgresKeys) -> Vec<KeyFault> {
        let begins = ["postgres://", "postgresql://", "host="];
        if begins.iter().any(|begin| system.url.starts_with(begin)) {
            return Vec::new();
        }
        let problem = "this is no address of a Postgres database";
        vec![KeyFault::new("url", problem, "Write `postgres://user@host/database`")]
    }

    fn open(
        system: &PostgresKeys,
        _folder: &Path,
        installation: &Installation,
        objects: Vec<(Binding, NoKeys)>,
    ) -> Result<Arc<dyn Connector>, ConnectorError> {
        let bindings = objects.into_iter().map(|(binding, NoKeys {})| binding).collect();
        let options = PostgresOptions { url: system.url.clone(), installation: installation.clone() };
        Ok(Arc::new(PostgresConnector::connect(options, bindings)?))
    }

    fn capabilities(_object: &NoKeys) -> Capabilities {
        capabilities()
    }
}
