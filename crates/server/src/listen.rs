//! The socket: where to listen, how long to wait for whom, and how to stop.

use crate::crowd::{Crowd, Place};
use crate::webhook::WebhookEndpoint;
use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How long the headers of a request may take to arrive.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(10);
/// How many connections may be open unless it is told otherwise.
pub const CONNECTIONS_MAX: usize = 512;
/// How long requests under way may take to finish after the order to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(4);
/// The pause after a failed accept, for example because too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the listener does not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Anybody who can reach the address could deliver anything.
    #[error(
        "webhooks would be taken unsigned on {address}, which others can reach: give {system} `webhook.secrets` or a \
         `webhook.secret_path`, or listen on 127.0.0.1"
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

/// Listens on `address`. Beyond loopback every endpoint must have a secret, be it in the path.
pub async fn bind(address: SocketAddr, endpoints: &[WebhookEndpoint]) -> Result<TcpListener, BindError> {
    let open =
        endpoints.iter().find(|endpoint| endpoint.secrets.is_empty() && endpoint.secret_path.is_none());
    if let (Some(endpoint), false) = (open, address.ip().is_loopback()) {
        return Err(BindError::Open { address, system: endpoint.system.to_string() });
    }
    TcpListener::bind(address).await.map_err(|source| BindError::Address { address, source })
}

/// Where connections come from.
pub trait Connections: Send {
    /// What a connection is read from and written to.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection.
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Connections for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

/// Serves until `shutdown` resolves; requests under way may finish, new connections are not taken any more. Beyond
/// `connections_max` a new connection takes the place of the one that has dawdled longest.
pub async fn serve(
    listener: impl Connections,
    router: Router,
    connections_max: usize,
    shutdown: impl Future<Output = ()> + Send,
) {
    let graceful = GracefulShutdown::new();
    let crowd = Crowd::new(connections_max);
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = listener.next() => accepted,
        };
        let (Ok(stream), Some(place)) = (accepted, crowd.enter()) else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let place = Arc::new(place);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS_TIMEOUT)
            .serve_connection(TokioIo::new(stream), with_place(&router, &place));
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            // A broken connection is the other side's affair; whatever it delivered is answered or sent again.
            tokio::select! {
                _ = connection => {}
                () = place.sent_away() => {}
            }
        });
    }
    drop(listener);
    // What has not finished by then is cut when `connections` is dropped.
    let _ = tokio::time::timeout(STOP_TIMEOUT, graceful.shutdown()).await;
}

/// The router, which finds the connection's place beside each request.
fn with_place(
    router: &Router,
    place: &Arc<Place>,
) -> impl HttpService<Incoming, ResBody = Body, Error = Infallible, Future: Send> + use<> {
    let (router, place) = (TowerToHyperService::new(router.clone()), Arc::clone(place));
    service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Arc::clone(&place));
        router.call(request)
    })
}
