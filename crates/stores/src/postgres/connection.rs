//! How the server is reached: the address, the encryption, and what every connection is told first.

use super::error::{Fault, words};
use avowal_engine::ports::store::StoreError;
use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The schema that holds all our tables, so that they may stand beside somebody else's.
pub(super) const SCHEMA: &str = "avowal_store";

/// How long a connection may take to be made.
const CONNECT_S_MAX: u64 = 10;

/// Values come and go the same way whatever the database's defaults are, and nobody waits for a lock for ever.
/// A transaction that stands still for seconds belongs to a process that was stopped: its locks are given back.
const SETTINGS: &str = "SET timezone = 'UTC'; SET lock_timeout = '10s'; SET statement_timeout = '60s'; \
    SET idle_in_transaction_session_timeout = '5s'; SET client_min_messages = 'error'; \
    SET search_path = avowal_store";

/// All keyed statements go through an index, whatever a plan that was made while the tables were small would do.
const PLANNING: &str = "SET jit = off; SET enable_seqscan = off; SET enable_hashjoin = off; \
    SET enable_mergejoin = off";

/// A parameter of a statement.
pub(super) type Param = Box<dyn ToSql + Sync + Send>;

/// A server with a database.
pub(super) struct Server {
    config: Config,
    place: String,
    is_read_only: bool,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Server {
    /// Reads the URL. Nothing is reached yet.
    pub(super) fn new(url: &str, is_read_only: bool) -> Result<Self, StoreError> {
        let mut config: Config = url.parse().map_err(|_| {
            // Not the parser's words: they may repeat a piece of the URL, and so of the password.
            StoreError::Unavailable(
                "the Postgres url of [store] cannot be read. Write it as \
                 postgres://user:password@host:5432/database?sslmode=require"
                    .to_owned(),
            )
        })?;
        config.connect_timeout(Duration::from_secs(CONNECT_S_MAX));
        config.keepalives_idle(Duration::from_secs(15));
        config.tcp_user_timeout(Duration::from_secs(30));
        if config.get_application_name().is_none() {
            config.application_name("avowal store");
        }
        Ok(Self { place: place(&config), config, is_read_only })
    }

    /// What errors call it. Without the password.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// A new connection.
    pub(super) async fn connect(&self) -> Result<Link, Fault> {
        self.open(None).await
    }

    /// A new connection whose notifications are handed on, until it is lost or nobody wants them.
    pub(super) async fn connect_and_hear(&self, heard: mpsc::Sender<String>) -> Result<Link, Fault> {
        self.open(Some(heard)).await
    }

    async fn open(&self, heard: Option<mpsc::Sender<String>>) -> Result<Link, Fault> {
        // The task ends when the client is dropped or the connection is lost.
        let client = if plain(&self.config) {
            let (client, wire) = self.config.connect(NoTls).await.map_err(refused)?;
            tokio::spawn(attend(wire, heard));
            client
        } else {
            let (client, wire) = self.config.connect(self.tls()?).await.map_err(refused)?;
            tokio::spawn(attend(wire, heard));
            client
        };
        client.batch_execute(SETTINGS).await?;
        // Where the server does not know them, they are not needed.
        let _ = client.batch_execute(PLANNING).await;
        if self.is_read_only {
            client.batch_execute("SET default_transaction_read_only = on").await?;
        }
        Ok(Link { client, statements: Mutex::new(HashMap::new()) })
    }

    fn tls(&self) -> Result<MakeRustlsConnect, Fault> {
        let config = avowal_tls::client_config();
        let config = config.map_err(|error| Fault::Unreachable(format!("TLS cannot be set up: {error}")))?;
        Ok(MakeRustlsConnect::new(config))
    }
}

/// Moves bytes to and fro, and hands on what the server says unasked.
async fn attend<S, T>(mut wire: Connection<S, T>, heard: Option<mpsc::Sender<String>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = poll_fn(|context| wire.poll_message(context)).await {
        if let (AsyncMessage::Notification(notification), Some(heard)) = (message, &heard) {
            // Who cannot follow misses a hint.
            let _ = heard.try_send(notification.payload().to_owned());
        }
    }
}

/// A refusal by the server keeps its code; anything else is a server that cannot be reached.
fn refused(error: tokio_postgres::Error) -> Fault {
    match error.code() {
        Some(_) => Fault::Sql(error),
        None => Fault::Unreachable(words(&error)),
    }
}

/// One connection with its prepared statements.
pub(super) struct Link {
    client: Client,
    statements: Mutex<HashMap<&'static str, Statement>>,
}

impl Link {
    /// Whether it can be used no more.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs statements without parameters or answers.
    pub(super) async fn execute(&self, sql: &str) -> Result<(), Fault> {
        Ok(self.client.batch_execute(sql).await?)
    }

    /// Runs a statement without parameters or answers, with the driver's own error.
    pub(super) async fn commit(&self) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute("COMMIT").await
    }

    /// The rows of a prepared statement.
    pub(super) async fn query(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Fault> {
        let statement = self.prepared(sql).await?;
        Ok(self.client.query(&statement, params).await?)
    }

    /// The rows of a prepared statement, or none if there is nothing to ask.
    pub(super) async fn query_if(
        &self,
        asked: bool,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Fault> {
        if asked { self.query(sql, params).await } else { Ok(Vec::new()) }
    }

    /// How many rows a prepared statement has changed.
    pub(super) async fn change(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Fault> {
        let statement = self.prepared(sql).await?;
        Ok(self.client.execute(&statement, params).await?)
    }

    /// Prepares a statement, once a connection. Statements that are sent together must be prepared before, or
    /// they would overtake each other.
    pub(super) async fn prepared(&self, sql: &'static str) -> Result<Statement, Fault> {
        let known = self.statements.lock().unwrap_or_else(PoisonError::into_inner).get(sql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        self.statements.lock().unwrap_or_else(PoisonError::into_inner).insert(sql, statement.clone());
        Ok(statement)
    }
}

fn place(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let database = config.get_dbname().or(config.get_user()).unwrap_or("postgres");
    format!("the store Postgres {host}:{port}/{database}")
}

/// Whether the connection goes in the clear: by request, or because it does not leave this machine.
fn plain(config: &Config) -> bool {
    let here = |host: &Host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    };
    match config.get_ssl_mode() {
        SslMode::Disable => true,
        SslMode::Prefer => config.get_hosts().iter().all(here),
        // `require`, and whatever stricter modes there will be.
        _ => false,
    }
}
