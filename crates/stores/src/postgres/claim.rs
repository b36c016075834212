//! Claims: fixed rows that a worker keeps locked in an open transaction, on a connection of its own.
//!
//! A process that dies closes its connection, and its rows are free at once. One that is stopped keeps standing
//! still in its transaction, which the server ends after [`STANDSTILL_S_MAX`]; when it wakes, its claim has not been
//! firm for a while by its own clock, so it does not even have to ask.

use super::connection::{Link, Server};
use super::error::Fault;
use super::in_order::in_order;
use async_trait::async_trait;
use avowal_engine::ports::lanes::{Claim, Hold, Lane};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long the server lets a claiming transaction stand still.
const STANDSTILL_S_MAX: u32 = 6;

/// How often a claim that is held shows that its worker lives.
const TOUCH_MS: u64 = 1_500;

/// How long after the last sign of life a claim is certainly held. Shorter than the server's patience, so that who
/// was stopped for longer knows it before anybody else has the lanes.
const FIRM_MS: u64 = 4_500;

const ADD_LANES: &str = "INSERT INTO lanes (lane) SELECT * FROM unnest($1::text[]) ON CONFLICT DO NOTHING";

const TAKE_LANES: &str = "SELECT l.lane FROM unnest($1::text[]) WITH ORDINALITY AS k (lane, place)
    JOIN lanes l ON l.lane = k.lane ORDER BY k.place LIMIT $2 FOR UPDATE OF l SKIP LOCKED";

/// Where claims are made.
pub(super) struct Claims {
    server: Arc<Server>,
    idle: Arc<Mutex<Vec<Link>>>,
    /// Lanes whose rows are known to be there.
    known: Mutex<BTreeSet<Lane>>,
    turn: AtomicU64,
}

impl Claims {
    /// Nothing is claimed yet.
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server, idle: Arc::default(), known: Mutex::default(), turn: AtomicU64::new(0) }
    }

    /// Locks up to `most` of the lanes that nobody else has locked.
    pub(super) async fn claim(&self, lanes: &[Lane], most: usize) -> Result<Claim, Fault> {
        if lanes.is_empty() {
            return Ok(Claim::none());
        }
        let idle = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain(|link| !link.is_closed());
            idle.pop()
        };
        let link = match idle {
            Some(link) => link,
            None => self.connect().await?,
        };
        self.make_rows(&link, lanes).await?;
        let asked_at = Instant::now();
        let wanted = self.in_turn(lanes);
        let names: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let begin = async { link.execute("BEGIN").await.map(|()| Vec::new()) };
        let take = async { link.query(TAKE_LANES, &[&names, &most]).await };
        let begin: std::pin::Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(begin);
        let mut rows = Vec::new();
        for answer in in_order(vec![begin, Box::pin(take)]).await {
            rows = answer?;
        }
        let mut taken = BTreeSet::new();
        for row in rows {
            let name: String = row.try_get(0)?;
            taken.extend(wanted.iter().filter(|lane| lane.to_string() == name).map(|lane| (*lane).clone()));
        }
        if taken.is_empty() {
            link.execute("ROLLBACK").await?;
            give_back(&self.idle, link);
            return Ok(Claim::none());
        }
        Ok(Claim::of(taken, Box::new(Held::start(link, asked_at, Arc::clone(&self.idle)))))
    }

    async fn connect(&self) -> Result<Link, Fault> {
        let link = self.server.connect().await?;
        link.execute(&format!("SET idle_in_transaction_session_timeout = '{STANDSTILL_S_MAX}s'")).await?;
        // Statements that are sent together must have been prepared.
        link.prepared(ADD_LANES).await?;
        link.prepared(TAKE_LANES).await?;
        Ok(link)
    }

    async fn make_rows(&self, link: &Link, lanes: &[Lane]) -> Result<(), Fault> {
        let missing: Vec<Lane> = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            lanes.iter().filter(|lane| !known.contains(*lane)).cloned().collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        let mut names: Vec<String> = missing.iter().map(ToString::to_string).collect();
        names.sort();
        link.change(ADD_LANES, &[&names]).await?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).extend(missing);
        Ok(())
    }

    /// The lanes from another one on each time, so that none waits for ever behind the same others.
    fn in_turn<'a>(&self, lanes: &'a [Lane]) -> Vec<&'a Lane> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mixed = (turn ^ u64::from(std::process::id())).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let first = usize::try_from(mixed).unwrap_or_default() % lanes.len();
        lanes[first..].iter().chain(&lanes[..first]).collect()
    }
}

fn give_back(idle: &Mutex<Vec<Link>>, link: Link) {
    if !link.is_closed() {
        idle.lock().unwrap_or_else(PoisonError::into_inner).push(link);
    }
}

/// A transaction with locked rows. A task of its own keeps it alive until it is told to end it.
struct Held {
    began: Instant,
    /// Milliseconds after `began` of the last sign of life that the server has answered.
    touched_ms: Arc<AtomicU64>,
    lost: Arc<AtomicBool>,
    /// Dropping it ends the transaction; sending on it tells when it has ended.
    end: Option<oneshot::Sender<oneshot::Sender<()>>>,
}

impl Held {
    fn start(link: Link, began: Instant, idle: Arc<Mutex<Vec<Link>>>) -> Self {
        let (end, ended) = oneshot::channel();
        let (touched_ms, lost) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        tokio::spawn(keep(link, began, Arc::clone(&touched_ms), Arc::clone(&lost), ended, idle));
        Self { began, touched_ms, lost, end: Some(end) }
    }
}

async fn keep(
    link: Link,
    began: Instant,
    touched_ms: Arc<AtomicU64>,
    lost: Arc<AtomicBool>,
    mut ended: oneshot::Receiver<oneshot::Sender<()>>,
    idle: Arc<Mutex<Vec<Link>>>,
) {
    let answer = loop {
        tokio::select! {
            answer = &mut ended => break answer.ok(),
            () = tokio::time::sleep(Duration::from_millis(TOUCH_MS)) => {}
        }
        let asked_ms = elapsed_ms(began);
        let touch = tokio::time::timeout(Duration::from_millis(FIRM_MS), link.execute("SELECT 1"));
        match touch.await {
            Ok(Ok(())) => touched_ms.store(asked_ms, Ordering::Relaxed),
            Ok(Err(_)) | Err(_) => {
                lost.store(true, Ordering::Relaxed);
                break None;
            }
        }
    };
    // A connection that cannot end its transaction is closed, which ends it.
    if !lost.load(Ordering::Relaxed) && link.execute("ROLLBACK").await.is_ok() {
        give_back(&idle, link);
    }
    if let Some(answer) = answer {
        let _ = answer.send(());
    }
}

fn elapsed_ms(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl Hold for Held {
    fn is_firm(&self) -> bool {
        let since = elapsed_ms(self.began).saturating_sub(self.touched_ms.load(Ordering::Relaxed));
        !self.lost.load(Ordering::Relaxed) && since < FIRM_MS
    }

    async fn release(mut self: Box<Self>) {
        let (answer, answered) = oneshot::channel();
        if let Some(end) = self.end.take()
            && end.send(answer).is_ok()
        {
            // The task is gone where the claim was lost; then there is nothing left to give back.
            let _ = answered.await;
        }
    }
}
