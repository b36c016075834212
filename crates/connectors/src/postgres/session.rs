//! One connection, made on demand and again after it was lost.

use super::table::Table;
use avowal_core::data::ids::EntityName;
use avowal_engine::ports::connector::{ConnectorError, ConnectorErrorKind, Installation};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{MakeTlsConnect, NoTlsStream};
use tokio_postgres::{Client, Config, Connection, Error, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long a connection may take to be made.
const CONNECT_S_MAX: u64 = 10;

/// How long one call may take, all its statements together.
const CALL_S_MAX: u64 = 120;

/// Values print the same way whatever the database's defaults are, and nobody waits for a lock for ever. Rows that a policy
/// hides from us are an error: left out, they would look deleted.
const SETTINGS: &str = "SET timezone = 'UTC'; SET datestyle = 'ISO'; SET intervalstyle = 'iso_8601'; \
    SET bytea_output = 'hex'; SET extra_float_digits = 1; SET lock_timeout = '10s'; \
    SET statement_timeout = '60s'; SET idle_in_transaction_session_timeout = '180s'; \
    SET client_min_messages = 'error'; SET row_security = off";

/// The database and its connection.
pub(super) struct Session {
    config: Config,
    place: String,
    ours: String,
    client: AsyncMutex<Option<Client>>,
    connections: AtomicU64,
    tables: Mutex<BTreeMap<EntityName, Arc<Table>>>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("place", &self.place).finish_non_exhaustive()
    }
}

type TlsStream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// A connection to drive by hand, in the two ways it may be secured.
pub(super) enum Wire {
    /// In the clear.
    Plain(Box<Connection<Socket, NoTlsStream>>),
    /// Over TLS.
    Tls(Box<Connection<Socket, TlsStream>>),
}

impl Session {
    /// Reads the URL. Nothing is reached yet. What is ours there stands in a schema named by the installation.
    pub fn new(url: &str, installation: &Installation) -> Result<Self, ConnectorError> {
        let mut config: Config = url.parse().map_err(|_| {
            // Not the parser's words: they may repeat a piece of the URL, and so of the password.
            ConnectorError::new(
                ConnectorErrorKind::Protocol,
                "the Postgres url cannot be read",
                Some("Write it as postgres://user:password@host:5432/database?sslmode=require"),
            )
        })?;
        config.connect_timeout(Duration::from_secs(CONNECT_S_MAX));
        if config.get_application_name().is_none() {
            config.application_name("avowal");
        }
        let place = place(&config);
        let (client, tables) = (AsyncMutex::new(None), Mutex::new(BTreeMap::new()));
        Ok(Self {
            config,
            place,
            ours: format!("avowal_{installation}"),
            client,
            connections: AtomicU64::new(0),
            tables,
        })
    }

    /// What errors call this system. Without the password.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The schema that holds what is ours; a plain name, which needs no quotation marks.
    pub fn ours(&self) -> &str {
        &self.ours
    }

    /// The connection, made if there is none. Calls take turns.
    pub async fn client(&self) -> Result<Lease<'_>, ConnectorError> {
        let mut client = self.client.lock().await;
        if client.as_ref().is_none_or(Client::is_closed) {
            *client = None;
            let (made, wire) = self.open().await?;
            // The task ends when the client is dropped or the connection is lost.
            tokio::spawn(async move {
                let _ = match wire {
                    Wire::Plain(connection) => connection.await,
                    Wire::Tls(connection) => connection.await,
                };
            });
            made.batch_execute(SETTINGS).await.map_err(|error| self.error(&error))?;
            // It may be another server than before.
            self.forget_tables();
            self.connections.fetch_add(1, Ordering::Relaxed);
            *client = Some(made);
        }
        Ok(Lease(client))
    }

    /// How many connections were made so far; another number may mean another server.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// A connection of its own, to be driven by the caller.
    pub async fn open(&self) -> Result<(Client, Wire), ConnectorError> {
        let opened = if plain(&self.config) {
            self.config.connect(NoTls).await.map(|(client, wire)| (client, Wire::Plain(Box::new(wire))))
        } else {
            let tls = self.config.connect(self.tls()?).await;
            tls.map(|(client, wire)| (client, Wire::Tls(Box::new(wire))))
        };
        opened.map_err(|error| self.error(&error))
    }

    /// Bounds a call. One that takes too long is dropped with its connection.
    pub async fn bounded<T>(
        &self,
        call: impl Future<Output = Result<T, ConnectorError>>,
    ) -> Result<T, ConnectorError> {
        match tokio::time::timeout(Duration::from_secs(CALL_S_MAX), call).await {
            Ok(result) => {
                if result.as_ref().is_err_and(|error| error.kind == ConnectorErrorKind::SchemaDrift) {
                    self.forget_tables();
                }
                result
            }
            Err(_) => {
                self.disconnect().await;
                Err(self.timed_out())
            }
        }
    }

    /// Drops the connection; the next call makes another.
    pub async fn disconnect(&self) {
        *self.client.lock().await = None;
    }

    /// The error of a call that took too long.
    pub fn timed_out(&self) -> ConnectorError {
        ConnectorError::new(
            ConnectorErrorKind::Unreachable,
            format!("{} did not answer within {CALL_S_MAX} s", self.place),
            Some("Check the server's load and its long-running transactions"),
        )
    }

    /// A table as it was last looked up.
    pub fn known_table(&self, entity: &EntityName) -> Option<Arc<Table>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner).get(entity).cloned()
    }

    /// Remembers a table that was looked up.
    pub fn know_table(&self, entity: &EntityName, table: Arc<Table>) {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner).insert(entity.clone(), table);
    }

    /// Looks tables up again: the schema may have changed.
    pub fn forget_tables(&self) {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// An error of ours, with the place before it.
    pub fn port_error(&self, kind: ConnectorErrorKind, message: &str, cure: &str) -> ConnectorError {
        ConnectorError::new(kind, format!("{}: {message}", self.place), Some(cure))
    }

    /// The port's error for the server's.
    pub fn error(&self, error: &Error) -> ConnectorError {
        let (kind, cure) = classify(error);
        ConnectorError::new(kind, format!("{}: {}", self.place, words(error)), Some(cure))
    }

    fn tls(&self) -> Result<MakeRustlsConnect, ConnectorError> {
        let config = avowal_tls::client_config().map_err(|error| {
            let message = format!("{}: TLS cannot be set up: {error}", self.place);
            let cure = "Install the system's root certificates (package ca-certificates)";
            ConnectorError::new(ConnectorErrorKind::Unreachable, message, Some(cure))
        })?;
        Ok(MakeRustlsConnect::new(config))
    }
}

/// The connection for the length of a call.
pub(super) struct Lease<'a>(MutexGuard<'a, Option<Client>>);

impl Lease<'_> {
    /// The client, or the error of a connection that is gone.
    pub fn get(&mut self, session: &Session) -> Result<&mut Client, ConnectorError> {
        self.0.as_mut().ok_or_else(|| session.timed_out())
    }
}

/// The server's words, without the detail, which repeats contents of rows.
pub(super) fn words(error: &Error) -> String {
    use std::error::Error as _;
    match error.as_db_error() {
        Some(db) => db.message().to_owned(),
        None => match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}

fn classify(error: &Error) -> (ConnectorErrorKind, &'static str) {
    let Some(code) = error.code() else {
        return (ConnectorErrorKind::Unreachable, "Check that the server runs and can be reached from here");
    };
    if *code == SqlState::INVALID_CATALOG_NAME {
        return (ConnectorErrorKind::SchemaDrift, "Correct the database's name in the system's url");
    }
    if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        let cure = "Run `avowal check`, which names the right that is missing";
        return (ConnectorErrorKind::Unauthorised, cure);
    }
    match &code.code()[..2] {
        "28" => (ConnectorErrorKind::Unauthorised, "Correct the user or password in the system's url"),
        "42" => (ConnectorErrorKind::SchemaDrift, "Run `avowal check`, which names what is not there"),
        "08" | "53" | "57" | "58" | "40" | "55" | "25" => {
            (ConnectorErrorKind::Unreachable, "It is tried again; check the server's log if it stays")
        }
        _ => (ConnectorErrorKind::Protocol, "Check the server's log for this statement"),
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
    format!("Postgres {host}:{port}/{}", config.get_dbname().or(config.get_user()).unwrap_or("postgres"))
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
