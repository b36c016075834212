//! What every connector exports: its name, its configuration keys, its promises, and how a system is opened.
//!
//! A kind says nothing about files and lines. The reader of the configuration decodes [`Kind::System`] and
//! [`Kind::Object`] through serde and adds the place; their schemas become the reference of the configuration.

use avowal_engine::ports::connector::{
    Binding, Capabilities, Connector, ConnectorError, Finding, Installation,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use std::sync::Arc;

/// One kind of system, chosen with `connector = "…"`.
///
/// Nothing here reaches a system: [`Kind::open`] prepares the way, and the first call of the [`Connector`] goes it.
pub trait Kind: Send + Sync + 'static {
    /// The word after `connector =`; also the name of the table with the keys of [`Kind::Object`].
    const NAME: &'static str;
    /// The milliseconds between two questions to a change feed, where `poll_ms` is not written.
    const POLL_MS: u64;
    /// Whether its systems may send webhooks.
    const WEBHOOKS: bool;

    /// The keys of `[systems.NAME]`, beside those that every system has. A key of the same name replaces the common one.
    type System: DeserializeOwned + JsonSchema + Send + Sync;

    /// The keys of `[entities.NAME.systems.SYSTEM.KIND]`; [`NoKeys`] if there is no such table.
    type Object: DeserializeOwned + JsonSchema + Default + Clone + Send + Sync;

    /// What is wrong with keys that have the right type.
    fn faults(system: &Self::System) -> Vec<KeyFault>;

    /// Prepares the way to a system. Relative paths start at `folder`, the configuration's. What we make in the system is
    /// named by `installation`.
    fn open(
        system: &Self::System,
        folder: &Path,
        installation: &Installation,
        objects: Vec<(Binding, Self::Object)>,
    ) -> Result<Arc<dyn Connector>, ConnectorError>;

    /// What the declared object proves, known without opening anything.
    fn capabilities(object: &Self::Object) -> Capabilities;

    /// Whether the bodies of its webhooks are believed, so that no read follows them.
    fn believes_deliveries(_object: &Self::Object) -> bool {
        false
    }

    /// Checks the declarations as far as that goes without reaching the system.
    fn check_offline(
        _system: &Self::System,
        _folder: &Path,
        _objects: Vec<(Binding, Self::Object)>,
    ) -> Result<Vec<Finding>, ConnectorError> {
        Ok(Vec::new())
    }
}

/// A key with the right type and a wrong value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyFault {
    /// The key in `[systems.NAME]`.
    pub key: &'static str,
    /// What is wrong, without the value: it may be a secret.
    pub problem: String,
    /// What to write instead.
    pub cure: String,
}

impl KeyFault {
    /// The fault of one key.
    pub fn new(key: &'static str, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { key, problem: problem.into(), cure: cure.into() }
    }
}

/// The keys of an object whose connector needs none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoKeys {}
