//! The composition root: the only place that knows which stores there are; `connectors.rs` lists the connectors.

use crate::clock::{SystemClock, now};
use crate::config::{Config, StoreLocation, SystemConfig};
use crate::failure::Failure;
use crate::unopened::Unopened;
use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RunId, SystemName};
use avowal_core::policy::EntityPolicy;
use avowal_engine::ports::clock::Clock;
use avowal_engine::ports::connector::{Binding, Column, Connector, ConnectorError, Delivery, Installation};
use avowal_engine::ports::store::{ControlStops as _, Store};
use avowal_engine::{DeliveryOutcome, Engine, EngineParts, Switched, SystemPort, copy_store};
use avowal_server::webhook::{DeliveryAnswer, Inbox, Now, WebhookEndpoint};
use avowal_stores::postgres::PostgresStore;
use avowal_stores::sqlite::SqliteStore;
use avowal_view::Desk;
use std::collections::BTreeMap;
use std::sync::Arc;
use tempfile::TempDir;

/// When a sender may come back after the store could not take a delivery, in seconds.
const BUSY_RETRY_S: u64 = 5;

/// The store for reading, also while other processes run.
pub async fn open_to_read(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    match &config.store {
        StoreLocation::Sqlite(path) if !path.exists() => {
            let place = path.display();
            Err(Failure::failed(format!("there is no store at {place} yet. Run `avowal sync` first")))
        }
        StoreLocation::Sqlite(path) => Ok(Arc::new(SqliteStore::open_read_only(path)?)),
        StoreLocation::Postgres(url) => Ok(Arc::new(PostgresStore::open_read_only(url).await?)),
    }
}

/// The store for writing; made if it does not exist.
pub async fn open_to_write(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    match &config.store {
        StoreLocation::Sqlite(path) => Ok(Arc::new(SqliteStore::open(path)?)),
        StoreLocation::Postgres(url) => Ok(Arc::new(PostgresStore::open(url).await?)),
    }
}

/// The store for setting and lifting stops, also while a daemon runs.
pub async fn open_to_control(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    match &config.store {
        // Stops need no right to write anything else.
        StoreLocation::Sqlite(_) => open_to_read(config).await,
        StoreLocation::Postgres(_) => open_to_write(config).await,
    }
}

/// The name that what we make in the systems carries. Without a store nothing of ours is there.
pub async fn installation(config: &Config) -> Result<Installation, Failure> {
    match &config.store {
        StoreLocation::Sqlite(path) if !path.exists() => Ok(Installation::none()),
        StoreLocation::Sqlite(_) | StoreLocation::Postgres(_) => {
            Ok(open_to_read(config).await?.installation().await?)
        }
    }
}

/// A copy of the store that a plan may write to. It is removed when this is dropped.
pub struct Scratch {
    /// The copy, or an empty store if there is none yet.
    pub store: Arc<dyn Store>,
    /// The name that what we have made in the systems carries.
    pub installation: Installation,
    /// Last, so that the store is closed before its file goes.
    _folder: TempDir,
}

/// Copies the store for a plan, also while a daemon runs. The store itself is only read.
pub async fn scratch(config: &Config) -> Result<Scratch, Failure> {
    let unusable = |error: std::io::Error| {
        Failure::failed(format!(
            "the plan needs a folder for a copy of the store, and none can be made ({error}). Let TMPDIR name a folder \
             with room for it"
        ))
    };
    let folder = tempfile::tempdir().map_err(unusable)?;
    let path = folder.path().join("plan.db");
    let mut installation = Installation::none();
    let store = match &config.store {
        StoreLocation::Sqlite(from) => {
            if from.exists() {
                SqliteStore::copy(from, &path).await?;
            }
            let store = SqliteStore::open(&path)?;
            if from.exists() {
                installation = store.installation().await?;
            }
            store
        }
        StoreLocation::Postgres(url) => {
            let store = SqliteStore::open(&path)?;
            if let Some(from) = PostgresStore::open_if_there(url).await? {
                copy_store(&from, &store, &config.policies).await?;
                installation = from.installation().await?;
            }
            store
        }
    };
    Ok(Scratch { store: Arc::new(store), installation, _folder: folder })
}

/// The engine over the store, with every system. Its events name the run.
pub async fn engine(config: &Config, store: Arc<dyn Store>, run: Option<RunId>) -> Result<Engine, Failure> {
    let installation = store.installation().await?;
    Ok(Engine::new(EngineParts { run, ..parts(config, store, &installation) }))
}

/// An engine over the store, at which people decide.
pub async fn desk(config: &Config, store: Arc<dyn Store>, run: Option<RunId>) -> Result<Desk, Failure> {
    let installation = store.installation().await?;
    let parts = EngineParts { run, ..parts(config, store, &installation) };
    Ok(Desk::new(parts, config.digest.clone()))
}

/// What an engine is made of. A system that cannot be opened answers with the reason, so that the others go on.
pub fn parts(config: &Config, store: Arc<dyn Store>, installation: &Installation) -> EngineParts {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let systems = config.systems.iter().map(|(name, system)| {
        let connector = connector(name, system, installation, &config.policies)
            .unwrap_or_else(|error| Arc::new(Unopened(error)));
        let connector: Arc<dyn Connector> = Arc::new(Switched::new(connector, store.clone(), clock.clone()));
        (
            name.clone(),
            SystemPort { connector, poll_ms: system.poll_ms, rate: system.rate, lag_ms: system.lag_ms },
        )
    });
    EngineParts {
        systems: systems.collect(),
        clock,
        policies: config.policies.clone(),
        settings: config.settings.clone(),
        run: None,
        store,
    }
}

/// Prepares the way to one system. Nothing is sent yet.
pub fn connector(
    name: &SystemName,
    system: &SystemConfig,
    installation: &Installation,
    policies: &BTreeMap<EntityName, Arc<EntityPolicy>>,
) -> Result<Arc<dyn Connector>, ConnectorError> {
    system.connector.open(&installation.in_system(name), bindings(name, policies))
}

/// What the connector of one system must know of each entity that it holds.
pub fn bindings(name: &SystemName, policies: &BTreeMap<EntityName, Arc<EntityPolicy>>) -> Vec<Binding> {
    policies.values().filter_map(|policy| binding(policy, name)).collect()
}

/// The webhook endpoints of the configured systems.
pub fn endpoints(config: &Config) -> Vec<WebhookEndpoint> {
    config
        .systems
        .iter()
        .filter_map(|(name, system)| {
            let webhook = system.webhook.as_ref()?;
            let endpoint = WebhookEndpoint::new(name.clone(), webhook.secrets.clone());
            let secret_path = webhook.secret_path.clone();
            Some(WebhookEndpoint { secret_path, tolerance_s: webhook.tolerance_s, ..endpoint })
        })
        .collect()
}

/// The time, as the webhook listener asks for it.
pub fn listener_time() -> Now {
    Arc::new(now)
}

/// Hands verified deliveries to the engine.
pub struct EngineInbox(pub Arc<Engine>);

#[async_trait]
impl Inbox for EngineInbox {
    async fn deliver(&self, system: &SystemName, delivery: Delivery) -> DeliveryAnswer {
        match self.0.receive_delivery(system, &delivery).await {
            DeliveryOutcome::Accepted => DeliveryAnswer::Accepted,
            DeliveryOutcome::Duplicate => DeliveryAnswer::Duplicate,
            DeliveryOutcome::Refused { reason } => DeliveryAnswer::Refused { reason },
            DeliveryOutcome::Busy { reason } => {
                tracing::warn!(%system, %reason, "a delivery could not be taken");
                DeliveryAnswer::Busy { retry_after_s: BUSY_RETRY_S }
            }
        }
    }
}

/// What a connector must know of an entity; `None` if its system does not hold it.
fn binding(policy: &EntityPolicy, system: &SystemName) -> Option<Binding> {
    let mapping = policy.mappings.get(system)?;
    let columns = mapping.columns.iter().filter_map(|(field, column)| {
        let field_type = policy.field(field)?.field_type.clone();
        Some(Column { name: column.name.clone(), field_type, writable: !column.read_only })
    });
    Some(Binding {
        entity: policy.entity.clone(),
        object: mapping.object.clone(),
        id: mapping.id.clone(),
        columns: columns.collect(),
    })
}
