//! The one thread that writes. It takes all waiting jobs, applies each in a savepoint of its own, flushes once
//! for all of them and answers then: durable commits cost a share of a flush, not a flush each.

use super::apply::{self, Applied};
use super::encode::Encoded;
use super::error::{Fault, Refusal, leaves_commit_open};
use super::recent::Recent;
use super::records::Stored;
use avowal_core::data::ids::SystemName;
use avowal_core::record::Record;
use avowal_engine::ports::store::{CommitOutcome, StoreError};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// How many jobs may wait; more callers wait for room.
const WAITING_JOBS_MAX: usize = 256;
/// How many jobs share a flush at most.
const GROUP_JOBS_MAX: usize = 256;
/// How many records share a flush at most, so that nobody waits long for somebody else's bulk.
const GROUP_RECORDS_MAX: usize = 4_000;

/// What the writing thread can be asked for.
pub(super) enum Task {
    /// A commit of the port.
    Commit(Box<Encoded>),
    /// The end of `history rebuild`.
    Restate {
        /// The state.
        record: Box<Record>,
        /// Its match keys.
        match_keys: Vec<String>,
    },
    /// Deliveries that came again.
    CountRepeats {
        /// From which system.
        system: SystemName,
        /// Their ids.
        keys: Vec<String>,
    },
    /// Deliveries that are remembered no more, by system and key.
    Forget(Vec<(String, String)>),
    /// Another bound for the size of the file.
    LimitPages(u32),
}

type Answer = Result<CommitOutcome, StoreError>;

struct Job {
    task: Task,
    answer: oneshot::Sender<Answer>,
}

/// The writing connection's front.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread that owns `connection`.
    pub(super) fn start(
        connection: Connection,
        path: &Path,
        recent: Arc<Recent>,
    ) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel(WAITING_JOBS_MAX);
        let path = path.to_owned();
        let thread = std::thread::Builder::new()
            .name("store-write".to_owned())
            .spawn(move || Group { connection, path, recent }.serve(queue))
            .map_err(|error| StoreError::Unavailable(format!("no thread for writing: {error}")))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Has `task` done and made durable. A caller that goes away leaves the task in the queue: it is done.
    pub(super) async fn ask(&self, task: Task) -> Answer {
        let stopped = || StoreError::Unavailable("the store's writer has stopped".to_owned());
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        let (answer, answered) = oneshot::channel();
        jobs.send(Job { task, answer }).await.map_err(|_| stopped())?;
        match answered.await {
            Ok(answer) => answer,
            // The thread ended between taking the job and answering it.
            Err(_) => Ok(CommitOutcome::Unknown { reason: "the store's writer has stopped".to_owned() }),
        }
    }
}

impl Drop for Writer {
    /// Does what is still queued, then closes the file.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has closed its connection; SQLite rolled the open transaction back.
            let _ = thread.join();
        }
    }
}

struct Group {
    connection: Connection,
    path: PathBuf,
    recent: Arc<Recent>,
}

impl Group {
    fn serve(mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(first) = queue.blocking_recv() {
            let group = waiting_with(first, &mut queue);
            let (tasks, answers): (Vec<Task>, Vec<_>) =
                group.into_iter().map(|job| (job.task, job.answer)).unzip();
            let results = self.run(&tasks);
            self.remember(tasks, &results);
            for (result, answer) in results.into_iter().zip(answers) {
                // The caller may have gone; the commit stands all the same.
                let _ = answer.send(result);
            }
        }
    }

    /// Enters the states that are durable now; not those that were replaced beside their history.
    fn remember(&self, tasks: Vec<Task>, results: &[Answer]) {
        let mut restated = Vec::new();
        let mut committed = Vec::new();
        for (task, result) in tasks.into_iter().zip(results) {
            match (task, result) {
                (Task::Commit(encoded), Ok(CommitOutcome::Committed)) => {
                    committed.extend(encoded.commit.records)
                }
                (Task::Restate { record, .. }, _) => restated.push(record.id),
                (Task::Commit(_) | Task::CountRepeats { .. } | Task::Forget(_) | Task::LimitPages(_), _) => {}
            }
        }
        self.recent.enter(
            committed
                .into_iter()
                .map(|record| Stored { state: Arc::new(record.state), match_keys: record.match_keys.into() }),
        );
        restated.iter().for_each(|id| self.recent.forget(id));
    }

    /// Applies the tasks in one transaction and answers each, in order.
    fn run(&mut self, tasks: &[Task]) -> Vec<Answer> {
        match self.apply_all(tasks) {
            Ok(results) => self.finish(results),
            Err(fault) => {
                self.roll_back();
                let error = fault.into_store_error(&self.path);
                tasks.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    /// An error here means that the transaction is lost and with it every task of the group.
    fn apply_all(&mut self, tasks: &[Task]) -> Result<Vec<Applied>, Fault> {
        self.execute("BEGIN IMMEDIATE")?;
        tasks.iter().map(|task| self.apply_one(task)).collect()
    }

    fn apply_one(&mut self, task: &Task) -> Result<Applied, Fault> {
        self.execute("SAVEPOINT one")?;
        let refusal = match apply::task(&self.connection, &self.recent, task) {
            Ok(()) => {
                self.execute("RELEASE one")?;
                return Ok(Applied::Done);
            }
            Err(refusal) => refusal,
        };
        // SQLite gives up the whole transaction where it cannot keep it: a full disk, an I/O error.
        let lost = self.connection.is_autocommit();
        match refusal {
            Refusal::Fault(fault) if lost || is_fatal(&fault) => Err(fault),
            Refusal::Fault(fault) => {
                self.undo_one()?;
                Ok(Applied::Failed(fault.into_store_error(&self.path)))
            }
            Refusal::Outcome(outcome) => {
                self.undo_one()?;
                Ok(Applied::Refused(outcome))
            }
        }
    }

    fn undo_one(&self) -> Result<(), Fault> {
        self.execute("ROLLBACK TO one")?;
        self.execute("RELEASE one")
    }

    fn finish(&mut self, results: Vec<Applied>) -> Vec<Answer> {
        let done = match self.connection.execute_batch("COMMIT") {
            Ok(()) => Ok(CommitOutcome::Committed),
            Err(error) => {
                self.roll_back();
                self.failed_commit(error)
            }
        };
        let answer = |applied| match applied {
            Applied::Done => done.clone(),
            Applied::Refused(outcome) => Ok(outcome),
            Applied::Failed(error) => Err(error),
        };
        results.into_iter().map(answer).collect()
    }

    fn failed_commit(&self, error: rusqlite::Error) -> Answer {
        if leaves_commit_open(&error, &self.path) {
            let reason = format!("flushing {} failed ({error})", self.path.display());
            return Ok(CommitOutcome::Unknown { reason });
        }
        Err(Fault::from(error).into_store_error(&self.path))
    }

    fn roll_back(&self) {
        if self.connection.is_autocommit() {
            return;
        }
        if let Err(error) = self.connection.execute_batch("ROLLBACK") {
            tracing::error!(path = %self.path.display(), %error, "rolling back failed; the next commit will tell");
        }
    }

    fn execute(&self, sql: &str) -> Result<(), Fault> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

/// Takes what waits behind `first`, up to the bounds of a group.
fn waiting_with(first: Job, queue: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    let mut records = first.task.records();
    let mut group = vec![first];
    while group.len() < GROUP_JOBS_MAX && records < GROUP_RECORDS_MAX {
        match queue.try_recv() {
            Ok(job) => {
                records += job.task.records();
                group.push(job);
            }
            Err(mpsc::error::TryRecvError::Empty | mpsc::error::TryRecvError::Disconnected) => break,
        }
    }
    group
}

impl Task {
    fn records(&self) -> usize {
        match self {
            Task::Commit(encoded) => encoded.records.len(),
            Task::Restate { .. } => 1,
            Task::CountRepeats { .. } | Task::Forget(_) | Task::LimitPages(_) => 0,
        }
    }
}

/// Whether an error leaves the transaction in doubt, so that undoing one savepoint is not enough.
fn is_fatal(fault: &Fault) -> bool {
    use rusqlite::ErrorCode;
    match fault {
        Fault::Damaged { .. } => false,
        Fault::Sql(error) => matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::OutOfMemory
                    | ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::OperationInterrupted
            )
        ),
    }
}
