//! The socket: where to listen, how long to wait for whom, and how to stop.

use crate::webhook::WebhookEndpoint;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How long the headers of a request may take to arrive.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(10);
/// How many connections may be open.
const CONNECTIONS_MAX: usize = 512;
/// How long requests under way may take to finish after the order to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after a failed accept, for example because too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the listener does not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Anybody who can reach the address could deliver anything.
    #[error(
        "webhooks would be taken unsigned on {address}, which others can reach: give {system} a `secret`, or \
         listen on 127.0.0.1"
    )]
    Open {
        /// The address.
        address: SocketAddr,
        /// The system without a secret.
        system: String,
    },
    /// The address cannot be had.
    #[error("cannot listen on {address}: {source}. Choose another port, or stop what uses this one")]
    Address {
        /// The address.
        address: SocketAddr,
        /// The system's word.
        source: io::Error,
    },
}

/// Listens on `address`. Beyond loopback every endpoint must have a secret.
pub async fn bind(address: SocketAddr, endpoints: &[WebhookEndpoint]) -> Result<TcpListener, BindError> {
    let open = endpoints.iter().find(|endpoint| endpoint.secrets.is_empty());
    if let (Some(endpoint), false) = (open, address.ip().is_loopback()) {
        return Err(BindError::Open { address, system: endpoint.system.to_string() });
    }
    TcpListener::bind(address).await.map_err(|source| BindError::Address { address, source })
}

/// Serves until `shutdown` resolves; requests under way may finish, new connections are not taken any more.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()> + Send) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, place)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS_TIMEOUT)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            // A broken connection is the other side's affair; whatever it delivered is answered or sent again.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    // What has not finished by then is cut when `connections` is dropped.
    let _ = tokio::time::timeout(STOP_TIMEOUT, graceful.shutdown()).await;
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    let (stream, _) = listener.accept().await.ok()?;
    Some((stream, place))
}
