//! What stands beside the webhooks: a route that commits one row a request, by the same kind of writer (one thread,
//! one flush for all that wait, full sync), without signatures, mapping, decisions or history.

use crate::Outcome;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use rusqlite::Connection;
use std::path::Path;
use tokio::sync::{mpsc, oneshot};

/// The word by which the program serves the route instead of measuring.
pub const COMMAND: &str = "serve-bare-route";

type Job = (Bytes, oneshot::Sender<()>);

/// Serves on a free port of 127.0.0.1, says on stdout which, and ends when it is killed.
pub fn serve(file: &Path) -> Outcome<()> {
    let connection = Connection::open(file)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch("create table deliveries (n integer primary key, body text)")?;
    let (jobs, queue) = mpsc::channel(256);
    std::thread::spawn(move || write(&connection, queue));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("{}", socket.local_addr()?);
        let router = Router::new().route("/", post(receive)).with_state(jobs);
        Ok(axum::serve(socket, router).await?)
    })
}

async fn receive(State(jobs): State<mpsc::Sender<Job>>, body: Bytes) -> StatusCode {
    let (done, is_done) = oneshot::channel();
    if jobs.send((body, done)).await.is_err() || is_done.await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    StatusCode::ACCEPTED
}

/// A fault ends the thread, and with it every request with 503.
fn write(connection: &Connection, mut queue: mpsc::Receiver<Job>) {
    while let Some(first) = queue.blocking_recv() {
        let mut group = vec![first];
        while group.len() < 256
            && let Ok(job) = queue.try_recv()
        {
            group.push(job);
        }
        if commit(connection, &group).is_err() {
            return;
        }
        for (_, done) in group {
            let _ = done.send(());
        }
    }
}

fn commit(connection: &Connection, group: &[Job]) -> rusqlite::Result<()> {
    connection.execute_batch("begin immediate")?;
    let mut insert = connection.prepare_cached("insert into deliveries (body) values (?1)")?;
    for (body, _) in group {
        insert.execute([String::from_utf8_lossy(body)])?;
    }
    connection.execute_batch("commit")
}
