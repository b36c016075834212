//! The connector `postgres`: tables of a Postgres database.
//!
//! In here: the change log, its feed, reads and writes. Never in here: canonical names, policy, other systems.
//! Begin with `kind.rs` (what is declared), `capture.rs` and `install.rs` (the change log) and `feed.rs` (how it is read).
//!
//! Changes are seen through a log that statement-level triggers feed inside the same database, so a change and
//! its log row commit together. Everything of ours stands in one schema that is named by the installation. Our own writes carry a transaction-local marker and leave their keys in a table
//! beside the log, so an echo is proven by row and transaction.
//!
//! A transaction that took its log ids early may commit late. Therefore the feed goes by (transaction id, log
//! id) and shows only what lies below the oldest transaction that is still running: nothing can appear behind
//! the cursor. The price is that one long writing transaction holds up the feed until it ends.
//!
//! The triggers sit on the mapped table and on each of its partitions and children; a row trigger for replicas sees what
//! logical replication applies. What they cannot see: changes made while a superuser has disabled them, and foreign
//! partitions.

mod behind;
mod capture;
mod catalogue;
mod check;
mod digits;
mod document;
mod feed;
mod image;
mod install;
mod kind;
mod leftovers;
mod listen;
mod locks;
mod notices;
mod plain;
mod position;
mod prune;
mod read;
mod refusal;
mod reserve;
mod rights;
mod sequence;
mod session;
mod statement;
mod table;
mod uninstall;
mod write;

pub use kind::{Postgres, PostgresKeys};

use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RemoteId};
use avowal_engine::ports::connector::{
    Binding, Capabilities, Change, Connector, ConnectorError, ConnectorErrorKind, Delivery, Fields, Finding,
    Installation, OrderKind, Page, Write, WriteOutcome,
};
use avowal_engine::ports::store::Cursor;
use behind::Behind;
use feed::ReadRows;
use install::Ours;
use listen::Listener;
use session::Session;
use std::fmt;

/// The most writes one transaction carries.
const BATCH_WRITES_MAX: usize = 500;

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/database`, or libpq's `key=value` form. With `sslmode=require` (and
    /// by default beyond this machine) the server's certificate is verified against the system's roots.
    pub url: String,
    /// By which name our triggers go there.
    pub installation: Installation,
}

impl fmt::Debug for PostgresOptions {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresOptions { .. }")
    }
}

/// Tables of one Postgres database.
#[derive(Debug)]
pub struct PostgresConnector {
    session: Session,
    installation: Installation,
    bindings: Vec<Binding>,
    listener: Listener,
    behind: Behind,
}

impl PostgresConnector {
    /// Binds tables of a database. The server is reached at the first call.
    pub fn connect(options: PostgresOptions, bindings: Vec<Binding>) -> Result<Self, ConnectorError> {
        let session = Session::new(&options.url, &options.installation)?;
        let installation = options.installation;
        Ok(Self { session, installation, bindings, listener: Listener::default(), behind: Behind::default() })
    }

    fn ours(&self) -> Ours<'_> {
        Ours { session: &self.session, installation: &self.installation }
    }

    fn binding(&self, entity: &EntityName) -> Result<&Binding, ConnectorError> {
        self.bindings.iter().find(|binding| &binding.entity == entity).ok_or_else(|| {
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
impl Connector for PostgresConnector {
    fn capabilities(&self, _entity: &EntityName) -> Capabilities {
        capabilities()
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        check::check(&self.ours(), &self.bindings).await
    }

    async fn install(&self) -> Result<Vec<String>, ConnectorError> {
        let mut done = self.ours().install(&self.bindings).await?;
        done.extend(leftovers::remove_leftovers(&self.session, &self.bindings).await?);
        Ok(done)
    }

    async fn uninstall(&self) -> Result<Vec<String>, ConnectorError> {
        uninstall::uninstall(&self.session).await
    }

    async fn feed_position(&self, entity: &EntityName) -> Result<Cursor, ConnectorError> {
        feed::position(&self.ours(), self.binding(entity)?, &self.behind).await
    }

    async fn list(
        &self,
        entity: &EntityName,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, ConnectorError> {
        read::list(&self.session, self.binding(entity)?, cursor, limit).await
    }

    async fn changes(
        &self,
        entity: &EntityName,
        cursor: &Cursor,
        limit: usize,
    ) -> Result<Page, ConnectorError> {
        let read = (&self.behind, ReadRows::Pruned);
        feed::changes(&self.ours(), self.binding(entity)?, cursor, limit, read).await
    }

    async fn peek(&self, entity: &EntityName, cursor: &Cursor, limit: usize) -> Result<Page, ConnectorError> {
        let read = (&self.behind, ReadRows::Kept);
        feed::changes(&self.ours(), self.binding(entity)?, cursor, limit, read).await
    }

    async fn read(&self, entity: &EntityName, ids: &[RemoteId]) -> Result<Vec<Change>, ConnectorError> {
        read::read(&self.session, self.binding(entity)?, ids).await
    }

    async fn find(&self, entity: &EntityName, fields: &Fields) -> Result<Vec<Change>, ConnectorError> {
        read::find(&self.session, self.binding(entity)?, fields).await
    }

    async fn write(&self, entity: &EntityName, writes: &[Write]) -> Vec<WriteOutcome> {
        match self.binding(entity) {
            Ok(binding) => write::write(&self.ours(), &self.behind, binding, writes).await,
            Err(error) => {
                vec![WriteOutcome::Retry { after_ms: None, reason: error.to_string() }; writes.len()]
            }
        }
    }

    fn decode(&self, _delivery: &Delivery) -> Result<Vec<(EntityName, Change)>, ConnectorError> {
        Err(ConnectorError::new(
            ConnectorErrorKind::Protocol,
            format!("{} sends no webhooks", self.session.place()),
            Some("Remove the webhook from this system's configuration"),
        ))
    }

    async fn notices(&self) -> Result<Vec<Finding>, ConnectorError> {
        notices::notices(&self.session).await
    }

    async fn adopt(&self, entity: &EntityName, cursor: &Cursor) -> Result<(), ConnectorError> {
        self.ours().adopt(self.binding(entity)?, cursor).await
    }

    async fn wait(&self) {
        // Rows that have committed but are not shown yet cause no further notification.
        match self.behind.pause() {
            Some(pause) => tokio::time::sleep(pause).await,
            None => self.listener.wait(&self.session).await,
        }
    }
}
