//! What the configuration says of a SQLite file.

use super::{SqliteConnector, SqliteOptions, capabilities};
use crate::kind::{KeyFault, Kind, NoKeys};
use avowal_engine::ports::connector::{Binding, Capabilities, Connector, ConnectorError, Installation};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::Path;
use std::sync::Arc;

/// The connector `sqlite`.
#[derive(Clone, Copy, Debug)]
pub enum Sqlite {}

/// The tables of a SQLite file. A change log is kept in the same file, in tables and triggers named `avowal_…`, which
/// `avowal sync` installs. Of your tables only the mapped columns are written.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqliteKeys {
    /// The file, as `sqlite:PATH`. A relative path starts at the configuration's folder. The file must exist.
    #[schemars(example = &"sqlite:app.db")]
    url: String,
}

impl Kind for Sqlite {
    const NAME: &'static str = "sqlite";
    const POLL_MS: u64 = 1_000;
    const WEBHOOKS: bool = false;
    type System = SqliteKeys;
    type Object = NoKeys;

    fn faults(system: &SqliteKeys) -> Vec<KeyFault> {
        let fault = |problem, cure| vec![KeyFault::new("url", problem, cure)];
        match path_of(&system.url) {
            Some("") => fault("the path of the file is missing", "Write `sqlite:PATH`"),
            Some(_) => Vec::new(),
            None => {
                fault("this is no address of a SQLite file", "Write `sqlite:PATH`, as in `sqlite:app.db`")
            }
        }
    }

    fn open(
        system: &SqliteKeys,
        folder: &Path,
        installation: &Installation,
        objects: Vec<(Binding, NoKeys)>,
    ) -> Result<Arc<dyn Connector>, ConnectorError> {
        let path = folder.join(path_of(&system.url).unwrap_or_default());
        let bindings = objects.into_iter().map(|(binding, NoKeys {})| binding).collect();
        Ok(Arc::new(SqliteConnector::open(
            SqliteOptions { path, installation: installation.clone() },
            bindings,
        )?))
    }

    fn capabilities(_object: &NoKeys) -> Capabilities {
        capabilities()
    }
}

/// The path in `sqlite:PATH` or `sqlite://PATH`.
fn path_of(url: &str) -> Option<&str> {
    url.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path))
}
