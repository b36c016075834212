//! The connector `sqlite`: tables of a SQLite file.
//!
//! In here: the change log, its feed, reads and writes. Never in here: canonical names, policy, other systems.
//! Begin with `kind.rs` (what is declared), `install.rs` (the change log) and `feed.rs` (how it is read).
//!
//! Changes are seen through a log that triggers feed inside the same file, so a change and its log row commit
//! together. Our own writes set a marker row in their transaction, which the triggers copy: an echo is proven.
//!
//! What the triggers cannot see: changes made while `PRAGMA` or a tool has removed them. Installing them again
//! starts a new epoch, and a cursor of an older epoch has expired, so everything is listed again. A cursor that the
//! file does not know is another matter: the file is not the one that was read (`identity.rs`).

mod catalogue;
mod check;
mod example;
mod feed;
mod identity;
mod install;
mod kind;
mod names;
mod read;
mod row;
mod session;
mod time_spelling;
mod triggers;
mod truth_spelling;
mod unique;
mod write;

pub use kind::{Sqlite, SqliteKeys};

use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RemoteId};
use avowal_engine::ports::connector::{
    Binding, Capabilities, Change, Connector, ConnectorError, ConnectorErrorKind, Delivery, Fields, Finding,
    Installation, OrderKind, Page, Write, WriteOutcome,
};
use avowal_engine::ports::store::Cursor;
use names::{Mapped, Names};
use session::{Failure, Session};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How often `wait` asks whether the file has changed.
const POLL_EVERY_MS: u64 = 200;

/// How long a statement waits for another writer.
const BUSY_MS: u64 = 5_000;

/// The most writes one transaction carries.
const BATCH_WRITES_MAX: usize = 500;

/// Where the database is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SqliteOptions {
    /// The file. It must exist: a missing file is an error, never a new database.
    pub path: PathBuf,
    /// By which name our triggers go there.
    pub installation: Installation,
}

/// Tables of one SQLite file.
#[derive(Debug)]
pub struct SqliteConnector {
    session: Session,
    names: Names,
    mapped: Vec<Arc<Mapped>>,
    /// The file's change counter as `wait` last saw it; −1 before.
    seen_version: AtomicI64,
}

impl SqliteConnector {
    /// Binds tables of an existing file. The file is opened here, the tables are looked at by `check`.
    pub fn open(options: SqliteOptions, bindings: Vec<Binding>) -> Result<Self, ConnectorError> {
        let session = Session::open(options.path)?;
        let names = Names::of(&options.installation);
        let mapped =
            bindings.into_iter().map(|binding| Arc::new(Mapped { binding, names: names.clone() })).collect();
        Ok(Self { session, names, mapped, seen_version: AtomicI64::new(-1) })
    }

    fn mapped(&self, entity: &EntityName) -> Result<Arc<Mapped>, ConnectorError> {
        self.mapped.iter().find(|mapped| &mapped.binding.entity == entity).cloned().ok_or_else(|| {
            ConnectorError::new(
                ConnectorErrorKind::SchemaDrift,
                format!("{} has no table for entity {entity}", self.session.place()),
                Some("Map the entity to a table in the configuration"),
            )
        })
    }
}

/// What every table with our change log proves; known without opening it.
pub fn capabilities() -> Capabilities {
    Capabilities {
        order: OrderKind::CommitLog,
        correlation: true,
        precondition: true,
        idempotent: true,
        searchable: true,
        receipt: true,
        deletes_in_feed: true,
        images: true,
        feed: true,
        batch_writes_max: BATCH_WRITES_MAX,
    }
}

#[async_trait]
impl Connector for SqliteConnector {
    fn capabilities(&self, _entity: &EntityName) -> Capabilities {
        capabilities()
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        let (mapped, names) = (self.mapped.clone(), self.names.clone());
        let place = self.session.place();
        self.session.run(move |connection| check::check(connection, &mapped, &names, &place)).await
    }

    async fn install(&self) -> Result<Vec<String>, ConnectorError> {
        let mapped = self.mapped.clone();
        self.session.run(move |connection| install::install(connection, &mapped)).await
    }

    async fn uninstall(&self) -> Result<Vec<String>, ConnectorError> {
        let names = self.names.clone();
        self.session.run(move |connection| install::uninstall(connection, &names)).await
    }

    async fn adopt(&self, entity: &EntityName, cursor: &Cursor) -> Result<(), ConnectorError> {
        let (mapped, cursor) = (self.mapped(entity)?, cursor.clone());
        self.session.run(move |connection| identity::adopt(connection, &mapped, &cursor)).await
    }

    async fn feed_position(&self, entity: &EntityName) -> Result<Cursor, ConnectorError> {
        let mapped = self.mapped(entity)?;
        self.session.run(move |connection| feed::position(connection, &mapped)).await
    }

    async fn list(
        &self,
        entity: &EntityName,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, ConnectorError> {
        let (mapped, cursor) = (self.mapped(entity)?, cursor.cloned());
        self.session.run(move |connection| read::list(connection, &mapped, cursor.as_ref(), limit)).await
    }

    async fn changes(
        &self,
        entity: &EntityName,
        cursor: &Cursor,
        limit: usize,
    ) -> Result<Page, ConnectorError> {
        let (mapped, cursor) = (self.mapped(entity)?, cursor.clone());
        self.session.run(move |connection| feed::changes(connection, &mapped, &cursor, limit)).await
    }

    async fn peek(&self, entity: &EntityName, cursor: &Cursor, limit: usize) -> Result<Page, ConnectorError> {
        let (mapped, cursor) = (self.mapped(entity)?, cursor.clone());
        self.session.run(move |connection| feed::peek(connection, &mapped, &cursor, limit)).await
    }

    async fn read(&self, entity: &EntityName, ids: &[RemoteId]) -> Result<Vec<Change>, ConnectorError> {
        let (mapped, ids) = (self.mapped(entity)?, ids.to_vec());
        self.session.run(move |connection| read::read(connection, &mapped, &ids)).await
    }

    async fn find(&self, entity: &EntityName, fields: &Fields) -> Result<Vec<Change>, ConnectorError> {
        let (mapped, fields) = (self.mapped(entity)?, fields.clone());
        self.session.run(move |connection| read::find(connection, &mapped, &fields)).await
    }

    async fn write(&self, entity: &EntityName, writes: &[Write]) -> Vec<WriteOutcome> {
        let mapped = match self.mapped(entity) {
            Ok(mapped) => mapped,
            Err(error) => return vec![retry(&error); writes.len()],
        };
        let owned = writes.to_vec();
        let run = move |connection: &mut rusqlite::Connection| {
            Ok::<_, Failure>(write::write(connection, &mapped, &owned))
        };
        // Whatever fails outside of `write::write` fails before it begins or after it has ended in a panic.
        match self.session.run(run).await {
            Ok(outcomes) => outcomes,
            Err(error) => vec![retry(&error); writes.len()],
        }
    }

    fn decode(&self, _delivery: &Delivery) -> Result<Vec<(EntityName, Change)>, ConnectorError> {
        Err(ConnectorError::new(
            ConnectorErrorKind::Protocol,
            format!("{} sends no webhooks", self.session.place()),
            Some("Remove the webhook from this system's configuration"),
        ))
    }

    async fn wait(&self) {
        loop {
            // A file that cannot be asked now is asked again; `changes` tells what is wrong with it.
            let version = self.session.run(|connection| feed::data_version(connection)).await.unwrap_or(-1);
            if version != self.seen_version.swap(version, Ordering::Relaxed) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(POLL_EVERY_MS)).await;
        }
    }
}

fn retry(error: &ConnectorError) -> WriteOutcome {
    WriteOutcome::Retry { after_ms: None, reason: error.to_string() }
}
