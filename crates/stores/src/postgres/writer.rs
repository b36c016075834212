//! The one task that writes. It takes all waiting commits that touch different things, writes them in one
//! transaction and answers then: a durable commit costs a share of a flush and of a few round trips.

use super::admit::{TakenByGroup, refusal};
use super::connection::{Link, Server};
use super::encode::PreparedCommit;
use super::error::{Fault, Remedy, rolled_back, words};
use super::facts::Facts;
use super::{apply, facts};
use avowal_engine::ports::store::{CommitOutcome, StoreError};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How many commits may wait; more callers wait for room.
const WAITING_MAX: usize = 256;
/// How many commits share a transaction at most.
const GROUP_COMMITS_MAX: usize = 256;
/// How many records share a transaction at most, so that nobody waits long for somebody else's bulk.
const GROUP_RECORDS_MAX: usize = 4_000;
/// How often a group is tried while the server cannot be reached or others are in its way, and how long it waits
/// in between at first: some ten seconds in all.
const TRIES_MAX: u32 = 9;
const PAUSE_MS: u64 = 20;
/// How long one try may take. The server's own bounds are shorter; this one is for a network that swallows.
const TRY_S_MAX: u64 = 90;

type Answer = Result<CommitOutcome, StoreError>;

struct Job {
    prepared: PreparedCommit,
    answer: oneshot::Sender<Answer>,
}

/// The writing connection's front.
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Starts the task that writes. It ends when the writer is dropped and everything queued is done.
    pub(super) fn start(server: Arc<Server>, link: Link) -> Self {
        let (jobs, queue) = mpsc::channel(WAITING_MAX);
        // Any number will do: processes that share a slot only wait for each other's transactions.
        let slot = i16::from(std::process::id().to_le_bytes()[0] % 64);
        tokio::spawn(Group { server, link: Some(link), slot }.serve(queue));
        Self { jobs }
    }

    /// Has the commit written and made durable. It is done even if the caller goes away meanwhile.
    pub(super) async fn commit(&self, prepared: PreparedCommit) -> Answer {
        let stopped = || StoreError::Unavailable("the store's writer has stopped".to_owned());
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job { prepared, answer }).await.map_err(|_| stopped())?;
        match answered.await {
            Ok(answer) => answer,
            // The task ended between taking the job and answering it.
            Err(_) => Ok(CommitOutcome::Unknown { reason: "the store's writer has stopped".to_owned() }),
        }
    }
}

struct Group {
    server: Arc<Server>,
    link: Option<Link>,
    slot: i16,
}

/// How a try to write a group ended.
enum Tried {
    /// Durable, but for those that were refused.
    Done(Vec<CommitOutcome>),
    /// Nothing was written: somebody had written a row after it was looked for.
    Overtaken,
    /// Nothing was written.
    Failed(Fault),
    /// COMMIT was sent and not answered. Those that were refused are known all the same.
    Unknown(Vec<CommitOutcome>),
}

impl Group {
    async fn serve(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut put_back = None;
        loop {
            let first = match put_back.take() {
                Some(job) => Some(job),
                None => queue.recv().await,
            };
            let Some(first) = first else { return };
            let (group, rest) = waiting_with(first, &mut queue);
            put_back = rest;
            let (commits, answers): (Vec<PreparedCommit>, Vec<_>) =
                group.into_iter().map(|job| (job.prepared, job.answer)).unzip();
            let commits: Vec<&PreparedCommit> = commits.iter().collect();
            for (result, answer) in self.run(&commits).await.into_iter().zip(answers) {
                // The caller may have gone; the commit stands all the same.
                let _ = answer.send(result);
            }
        }
    }

    /// Writes the commits together, or one by one where one of them fails for all.
    async fn run(&mut self, commits: &[&PreparedCommit]) -> Vec<Answer> {
        match self.persist(commits).await {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            Err(error) if commits.len() == 1 => vec![Err(error)],
            // Without the server, each would only wait in turn.
            Err(error) if self.link.is_none() => commits.iter().map(|_| Err(error.clone())).collect(),
            Err(_) => {
                let mut answers = Vec::with_capacity(commits.len());
                for prepared in commits {
                    let one = self.persist(std::slice::from_ref(prepared)).await;
                    answers.push(one.map(|mut outcomes| outcomes.remove(0)));
                }
                answers
            }
        }
    }

    /// Tries until the group is written, or cannot be.
    async fn persist(&mut self, commits: &[&PreparedCommit]) -> Result<Vec<CommitOutcome>, StoreError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let fault = match self.try_once(commits).await {
                Tried::Done(outcomes) | Tried::Unknown(outcomes) => return Ok(outcomes),
                Tried::Failed(fault) if fault.remedy() == Remedy::GiveUp => Some(fault),
                Tried::Failed(fault) if tries >= TRIES_MAX => Some(fault),
                Tried::Failed(_) => None,
                Tried::Overtaken if tries >= TRIES_MAX => {
                    let what = "others kept writing what this commit touches".to_owned();
                    return Ok(commits
                        .iter()
                        .map(|_| CommitOutcome::Conflict { what: what.clone() })
                        .collect());
                }
                Tried::Overtaken => None,
            };
            if let Some(fault) = fault {
                return Err(fault.into_store_error(self.server.place()));
            }
            tokio::time::sleep(Duration::from_millis(PAUSE_MS << tries)).await;
        }
    }

    async fn try_once(&mut self, commits: &[&PreparedCommit]) -> Tried {
        let link = match self.link.take().filter(|link| !link.is_closed()) {
            Some(link) => link,
            None => match connect(&self.server).await {
                Ok(link) => link,
                Err(fault) => return Tried::Failed(fault),
            },
        };
        let written = match bounded(self.write(&link, commits)).await {
            Ok(written) => written,
            Err(fault) => {
                self.keep(link, &fault).await;
                return Tried::Failed(fault);
            }
        };
        let Some(outcomes) = written else {
            return match link.execute("ROLLBACK").await {
                Ok(()) => {
                    self.link = Some(link);
                    Tried::Overtaken
                }
                Err(fault) => Tried::Failed(fault),
            };
        };
        if outcomes.iter().all(|outcome| *outcome != CommitOutcome::Committed) {
            // Nothing was written; what was locked is given back, whatever the answer.
            if link.execute("ROLLBACK").await.is_ok() {
                self.link = Some(link);
            }
            return Tried::Done(outcomes);
        }
        self.finish(link, outcomes).await
    }

    /// From here on nobody can tell how it ends until the server has said so.
    async fn finish(&mut self, link: Link, outcomes: Vec<CommitOutcome>) -> Tried {
        let committed = tokio::time::timeout(Duration::from_secs(TRY_S_MAX), link.commit()).await;
        let reason = match committed {
            Ok(Ok(())) => {
                self.link = Some(link);
                return Tried::Done(outcomes);
            }
            Ok(Err(error)) if rolled_back(&error) => {
                self.link = Some(link);
                return Tried::Failed(Fault::Sql(error));
            }
            Ok(Err(error)) => words(&error),
            Err(_) => format!("no answer within {TRY_S_MAX} s"),
        };
        let place = self.server.place();
        let unknown = |outcome| match outcome {
            CommitOutcome::Committed => {
                CommitOutcome::Unknown { reason: format!("{place}: COMMIT was sent, then: {reason}") }
            }
            other @ (CommitOutcome::Conflict { .. }
            | CommitOutcome::Duplicate { .. }
            | CommitOutcome::Unknown { .. }) => other,
        };
        Tried::Unknown(outcomes.into_iter().map(unknown).collect())
    }

    /// Writes what may be written into an open transaction. `None`: somebody came in between.
    async fn write(
        &self,
        link: &Link,
        commits: &[&PreparedCommit],
    ) -> Result<Option<Vec<CommitOutcome>>, Fault> {
        link.execute("BEGIN").await?;
        let facts = Facts::gather(link, commits).await?;
        let mut taken = TakenByGroup::default();
        let mut accepted = Vec::new();
        let mut outcomes = Vec::with_capacity(commits.len());
        for prepared in commits {
            let refusal = refusal(prepared, &facts, &mut taken);
            if refusal.is_none() {
                accepted.push(*prepared);
            }
            outcomes.push(refusal.unwrap_or(CommitOutcome::Committed));
        }
        let all = accepted.is_empty() || apply::write(link, &accepted, &facts, self.slot).await?;
        Ok(all.then_some(outcomes))
    }

    /// Keeps a connection that is still good, its transaction undone.
    async fn keep(&mut self, link: Link, fault: &Fault) {
        let usable = fault.remedy() != Remedy::Reconnect && !link.is_closed();
        if usable && link.execute("ROLLBACK").await.is_ok() {
            self.link = Some(link);
        }
    }
}

/// A connection that has prepared everything a group may send.
pub(super) async fn connect(server: &Server) -> Result<Link, Fault> {
    let link = server.connect().await?;
    for sql in facts::STATEMENTS.iter().copied().chain(apply::statements()) {
        link.prepared(sql).await?;
    }
    Ok(link)
}

async fn bounded<T>(work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    match tokio::time::timeout(Duration::from_secs(TRY_S_MAX), work).await {
        Ok(result) => result,
        Err(_) => Err(Fault::Unreachable(format!("no answer within {TRY_S_MAX} s"))),
    }
}

/// Takes what waits behind `first`, up to the bounds of a group and as long as all touch different things. The one
/// that does not comes back, to begin the next group.
fn waiting_with(first: Job, queue: &mut mpsc::Receiver<Job>) -> (Vec<Job>, Option<Job>) {
    let mut records = first.prepared.records.len();
    let mut touched: BTreeSet<u64> = first.prepared.touched.iter().copied().collect();
    let mut group = vec![first];
    while group.len() < GROUP_COMMITS_MAX && records < GROUP_RECORDS_MAX {
        let Ok(job) = queue.try_recv() else { break };
        if job.prepared.touched.iter().any(|what| touched.contains(what)) {
            return (group, Some(job));
        }
        touched.extend(&job.prepared.touched);
        records += job.prepared.records.len();
        group.push(job);
    }
    (group, None)
}
