//! Waking when the triggers notify.

use super::session::{Session, Wire};
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_postgres::{AsyncMessage, Client, Error};

/// How long to wait where the server cannot be listened to.
const FALLBACK_MS: u64 = 2_000;

/// How long one wait lasts at most. A connection that has silently died is found by its end.
const WAIT_S_MAX: u64 = 60;

/// A connection of its own, which listens.
#[derive(Default)]
pub(super) struct Listener {
    open: Mutex<Option<Open>>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listener { .. }")
    }
}

struct Open {
    /// Closing it would end the connection.
    _client: Client,
    wire: Wire,
}

impl Listener {
    /// Resolves when something was logged, or might have been while nobody listened.
    pub async fn wait(&self, session: &Session) {
        let mut open = self.open.lock().await;
        if let Some(listening) = open.as_mut() {
            let notified = tokio::time::timeout(Duration::from_secs(WAIT_S_MAX), listening.wire.notified());
            match notified.await {
                Ok(true) => return,
                Ok(false) | Err(_) => *open = None,
            }
        }
        match listen(session).await {
            // What was logged before we listened is not announced again, so this wait ends at once.
            Some(listening) => *open = Some(listening),
            None => tokio::time::sleep(Duration::from_millis(FALLBACK_MS)).await,
        }
    }
}

/// Failures are not reported here: the next call of `changes` meets the same failure and reports it.
async fn listen(session: &Session) -> Option<Open> {
    let (client, mut wire) = session.open().await.ok()?;
    let listening = tokio::select! {
        asked = client.batch_execute("LISTEN avowal") => asked.is_ok(),
        // The connection must be driven for the request to go out; its end is a failure.
        () = wire.closed() => false,
    };
    listening.then_some(Open { _client: client, wire })
}

impl Wire {
    /// Whether a notification came, taking all that are there; `false` where the connection ended.
    async fn notified(&mut self) -> bool {
        let mut any = false;
        poll_fn(|context| {
            loop {
                match self.poll(context) {
                    Poll::Ready(Some(Ok(AsyncMessage::Notification(_)))) => any = true,
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(any),
                    Poll::Pending if any => return Poll::Ready(true),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }

    async fn closed(&mut self) {
        poll_fn(|context| {
            loop {
                match self.poll(context) {
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }

    fn poll(&mut self, context: &mut std::task::Context<'_>) -> Poll<Option<Result<AsyncMessage, Error>>> {
        match self {
            Wire::Plain(connection) => connection.poll_message(context),
            Wire::Tls(connection) => connection.poll_message(context),
        }
    }
}
