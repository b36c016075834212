//! A few connections on threads of their own, so that a long read holds up neither commits nor the runtime.

use super::connection::open_reader;
use super::error::Fault;
use avowal_engine::ports::store::StoreError;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// How many connections read.
const READERS: usize = 3;
/// How many reads may wait; more callers wait for room.
const WAITING_READS_MAX: usize = 64;

type Job = Box<dyn FnOnce(&Connection) + Send>;
type Queue = Arc<Mutex<mpsc::Receiver<Job>>>;

/// The reading connections.
pub(super) struct Readers {
    path: PathBuf,
    jobs: Option<mpsc::Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Opens the connections and starts their threads.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel(WAITING_READS_MAX);
        let queue: Queue = Arc::new(Mutex::new(queue));
        let mut readers = Self { path: path.to_owned(), jobs: Some(jobs), threads: Vec::new() };
        for number in 0..READERS {
            let connection = open_reader(path).map_err(|fault| fault.into_store_error(path))?;
            let queue = Arc::clone(&queue);
            let thread = std::thread::Builder::new()
                .name(format!("store-read-{number}"))
                .spawn(move || serve(&connection, &queue))
                .map_err(|error| StoreError::Unavailable(format!("no thread for reading: {error}")))?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// Runs `query` on one state of the store: all that was committed before the call, and nothing half.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // The caller may have gone; then nobody needs the answer.
            let _ = answer.send(in_snapshot(connection, query));
        });
        let stopped = || StoreError::Unavailable("the store's readers have stopped".to_owned());
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        jobs.send(job).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?.map_err(|fault| fault.into_store_error(&self.path))
    }
}

impl Drop for Readers {
    /// Ends the threads and waits for them, so that the file is free when the store is gone.
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A reader that panicked has already closed its connection.
            let _ = thread.join();
        }
    }
}

fn serve(connection: &Connection, queue: &Queue) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        match job {
            Some(job) => job(connection),
            None => return,
        }
    }
}

fn in_snapshot<T>(
    connection: &Connection,
    query: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let snapshot = connection.unchecked_transaction()?;
    let result = query(&snapshot);
    snapshot.finish()?;
    result
}
