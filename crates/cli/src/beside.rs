//! Beside a running daemon: whoever cannot have the store to write asks the process that holds it.

use crate::compose;
use crate::config::{Config, StoreLocation};
use crate::failure::Failure;
use crate::output::Output;
use avowal_engine::ports::store::{Store, StoreError};
#[cfg(unix)]
use avowal_server::client::Client;
use avowal_stores::sqlite::SqliteStore;
use avowal_view::Decide;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a command waits for another one that holds the store.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it waits before it says so.
const SILENCE: Duration = Duration::from_secs(1);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Who has the store.
pub enum Holder {
    /// This process, for writing.
    Here(Arc<dyn Store>),
    /// A daemon that answers on its socket.
    #[cfg(unix)]
    Daemon(Client),
}

/// Who carries out a decision.
pub struct Decider {
    /// Carries it out.
    pub decide: Box<dyn Decide>,
    /// Whether that is a running daemon, which goes on from there by itself.
    pub is_daemon: bool,
}

/// The store for writing, made if it does not exist; or the daemon that holds it. A command that holds it is awaited for a
/// while.
pub async fn holder(config: &Config, output: &Output) -> Result<Holder, Failure> {
    match &config.store {
        StoreLocation::Sqlite(path) => sqlite(config, path, output).await,
        // Any number of processes share it.
        StoreLocation::Postgres(_) => Ok(Holder::Here(compose::open_to_write(config).await?)),
    }
}

/// The store for this process alone. `why_alone` tells why a running daemon must be stopped before.
pub async fn alone(config: &Config, output: &Output, why_alone: &str) -> Result<Arc<dyn Store>, Failure> {
    match holder(config, output).await? {
        Holder::Here(store) => Ok(store),
        #[cfg(unix)]
        Holder::Daemon(_) => {
            Err(Failure::failed(format!("`avowal run` is running and holds the store; {why_alone}")))
        }
    }
}

/// Who carries out a decision: this process, or the daemon that holds the store.
pub async fn decider(config: &Config, output: &Output) -> Result<Decider, Failure> {
    Ok(match holder(config, output).await? {
        Holder::Here(store) => {
            Decider { decide: Box::new(compose::desk(config, store, None).await?), is_daemon: false }
        }
        #[cfg(unix)]
        Holder::Daemon(client) => Decider { decide: Box::new(client), is_daemon: true },
    })
}

async fn sqlite(config: &Config, path: &Path, output: &Output) -> Result<Holder, Failure> {
    let began = Instant::now();
    let mut is_said = false;
    loop {
        let who = match SqliteStore::open(path) {
            Ok(store) => return Ok(Holder::Here(Arc::new(store))),
            Err(StoreError::Locked(who)) => who,
            Err(error @ (StoreError::Full(_) | StoreError::Corrupt { .. } | StoreError::Unavailable(_))) => {
                return Err(error.into());
            }
        };
        #[cfg(unix)]
        if let Some(client) = Client::connect(&config.socket).await {
            return Ok(Holder::Daemon(client));
        }
        if began.elapsed() >= PATIENCE {
            return Err(Failure::failed(format!(
                "the store is in use by another process: {who}, and nobody answers at {}. Wait until the command that \
                 holds it has ended. If it is an `avowal run` that could not make its socket, it has said why at its start",
                config.socket.display()
            )));
        }
        if !is_said && began.elapsed() >= SILENCE {
            output.remark(format!("Waiting for the store: {who}."));
            is_said = true;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
