//! Attending to one system while the daemon runs: it is asked, its signals are followed, and what is due is sent.

use crate::inbound::pull::Pull;
use crate::inbound::signals::follow_signals;
use crate::outbound::dispatch::dispatch;
use crate::outbound::guard::stop_deletes;
use crate::outbound::turn::Dispatched;
use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::parts::first_write::{FirstWrite, first_writes, lift_where_all_agree};
use crate::parts::progress::{Progress, Step, SystemReport};
use crate::parts::stops::{is_everything_stopped, stop_for};
use crate::ports::connector::{Advice, Finding};
use crate::ports::store::{Stop, StopCause};
use avowal_core::data::ids::SystemName;
use avowal_core::data::time::Timestamp;
use std::sync::Arc;
use tokio::sync::watch;

/// The shortest wait between two turns, in milliseconds.
const WAIT_MS_MIN: u64 = 20;

/// The shortest wait between two turns while a stop stands, in milliseconds.
const WAIT_MS_WHILE_HELD: u64 = 1_000;

/// How long a turn that is under way may go on after the order to stop, in milliseconds.
const GRACE_MS: u64 = 3_000;

/// How often a system is asked what hampers it, in milliseconds.
const NOTICES_EVERY_MS: u64 = 60_000;

/// How often it is looked what waits for the first word of a person, in milliseconds.
const FIRST_WRITES_EVERY_MS: u64 = 2_000;

/// Attends to one system once: follows its feed to the end, then the signals, then sends what is due. Answers whether
/// anything happened.
pub(crate) async fn turn(
    parts: &Parts,
    system: &SystemName,
    progress: &dyn Progress,
) -> Result<bool, EngineError> {
    let mut report = SystemReport::default();
    let mut busy = false;
    for entity in parts.systems.entities(system) {
        let pull = Pull { parts, system, entity, report: &mut report, progress };
        busy |= pull.up_to_date().await?.events > 0;
    }
    let (followed, _) = follow_signals(parts, system, &mut report).await?;
    let mut dispatched = Dispatched::default();
    dispatch(parts, system, progress, &mut dispatched).await?;
    if let Some(message) = dispatched.refused {
        progress.tell(Step::Problem { system: system.clone(), message });
    }
    Ok(busy || followed > 0 || dispatched.tried > 0)
}

/// How long until something becomes due, in milliseconds; `None` if nothing waits.
pub(crate) async fn next_wait_ms(parts: &Parts) -> Result<Option<u64>, EngineError> {
    let now = parts.clock.now();
    let due = parts.store.next_due().await?;
    Ok(due.map(|due| due.millis().saturating_sub(now.millis()).max(0).unsigned_abs()))
}

/// Resolves some time after the order to end.
async fn long_ended(parts: Arc<Parts>) {
    parts.ending.begun().await;
    parts.clock.sleep(GRACE_MS).await;
}

/// Attends to one system for as long as the daemon runs.
pub(crate) struct Attendant {
    parts: Arc<Parts>,
    system: SystemName,
    progress: Arc<dyn Progress>,
    /// How often in a row a turn has failed.
    failures: u32,
    /// Whether the feed is installed.
    is_installed: bool,
    /// When the system is asked next what hampers it, and when the stops are told next.
    notices_due: Timestamp,
    /// When it is looked next what waits for the first word of a person.
    first_writes_due: Timestamp,
    /// What was found to wait for it last.
    first_told: Option<FirstWrite>,
    /// When it was told last.
    first_told_at: Timestamp,
}

impl Attendant {
    pub(crate) fn new(parts: Arc<Parts>, system: SystemName, progress: Arc<dyn Progress>) -> Self {
        Self {
            parts,
            system,
            progress,
            failures: 0,
            is_installed: false,
            notices_due: Timestamp::default(),
            first_writes_due: Timestamp::default(),
            first_told: None,
            first_told_at: Timestamp::default(),
        }
    }

    /// Attends to the system until told to stop.
    pub(crate) async fn until_stopped(mut self, mut stop: watch::Receiver<bool>) -> Result<(), EngineError> {
        while !*stop.borrow() {
            let parts = self.parts.clone();
            let turn = tokio::select! {
                turn = self.attend_once() => turn,
                // A write that is dropped has an unknown outcome, which the next start finds out.
                () = long_ended(parts) => return Ok(()),
            };
            let wait_ms = match turn {
                Ok(true) => {
                    self.failures = 0;
                    continue;
                }
                Ok(false) => {
                    self.failures = 0;
                    // If the store cannot say it now, the next turn asks again.
                    let _ = lift_where_all_agree(&self.parts).await;
                    let _ = stop_deletes(&self.parts, self.progress.as_ref()).await;
                    self.tell_notices().await;
                    self.tell_first_writes().await;
                    self.idle_ms().await
                }
                Err(error) => self.failed(&error).await,
            };
            self.wait_for_work(wait_ms, &mut stop).await;
        }
        Ok(())
    }

    /// One turn for the system, which has its feed installed first. Answers whether anything happened.
    async fn attend_once(&mut self) -> Result<bool, EngineError> {
        let (parts, system) = (&self.parts, &self.system);
        if is_everything_stopped(parts).await? {
            return Ok(false);
        }
        if !self.is_installed
            && let Some(connector) = parts.connector(system)
        {
            connector.install().await.map_err(|error| EngineError::of_system(system, error))?;
            self.is_installed = true;
        }
        turn(parts, system, self.progress.as_ref()).await
    }

    /// Reports an error, and answers for how long to wait after it.
    async fn failed(&mut self, error: &EngineError) -> u64 {
        let settings = &self.parts.settings;
        match error {
            EngineError::System { error, .. } => {
                self.failures += 1;
                self.tell_problem(error.to_string());
                if let Err(error) = stop_for(&self.parts, &self.system, error).await {
                    self.tell_problem(error.to_string());
                }
                // The application may have rebuilt its table, and our triggers went with it: they are made again.
                self.is_installed = false;
                match error.kind.advice() {
                    Advice::RetryLater(Some(ms)) => ms,
                    Advice::RetryLater(None) | Advice::NeedsPerson | Advice::ListAgain => {
                        settings.backoff_ms(self.failures)
                    }
                }
            }
            EngineError::Contended { .. } => settings.backoff_ms(0),
            EngineError::Store(_) | EngineError::Usage(_) => {
                self.failures += 1;
                self.tell_problem(error.to_string());
                settings.backoff_ms(self.failures)
            }
        }
    }

    /// Tells what hampers the system and which stops stand, once a minute.
    async fn tell_notices(&mut self) {
        let (parts, system) = (&self.parts, &self.system);
        let now = parts.clock.now();
        if now < self.notices_due {
            return;
        }
        self.notices_due = parts.in_ms(NOTICES_EVERY_MS);
        let is_stopped = is_everything_stopped(parts).await.unwrap_or_default();
        let found = match parts.connector(system).filter(|_| !is_stopped) {
            Some(connector) => connector.notices().await.unwrap_or_default(),
            None => Vec::new(),
        };
        for Finding { place, problem, cure, .. } in found {
            self.tell_notice(format!("{place}: {problem}. {cure}"));
        }
        // If the store cannot say it, the next turn reports why.
        let stops = parts.store.stops().await.unwrap_or_default();
        // What waits for a first word is told apart, with how much it is.
        let is_told = |stop: &&Stop| stop.is_about(system) && stop.cause != StopCause::FirstWrite;
        for stop in stops.iter().filter(is_told) {
            self.tell_notice(stop.to_string());
        }
        if let Some(used) = parts.is_used_up(system) {
            self.tell_notice(format!("the write budget is used up: {used}"));
        }
    }

    /// Tells how many writes to the system wait for the first word of a person: when there are some, when their number has
    /// changed, and once a minute.
    async fn tell_first_writes(&mut self) {
        let (parts, system) = (&self.parts, &self.system);
        let now = parts.clock.now();
        if now < self.first_writes_due {
            return;
        }
        // If the store cannot say it, the next turn reports why.
        let waiting = first_writes(parts).await.unwrap_or_default();
        let waiting = waiting.into_iter().find(|first| first.system == *system && first.count() > 0);
        let is_long_ago =
            now >= self.first_told_at.plus_millis(i64::try_from(NOTICES_EVERY_MS).unwrap_or(i64::MAX));
        if let Some(first) =
            waiting.as_ref().filter(|first| is_long_ago || Some(*first) != self.first_told.as_ref())
        {
            self.tell_notice(format!(
                "{first}. {}; beside a running daemon `avowal resume {system} --yes`",
                FirstWrite::CURE
            ));
            self.first_told_at = now;
        }
        self.first_told = waiting;
        self.first_writes_due = parts.in_ms(FIRST_WRITES_EVERY_MS);
    }

    fn tell_notice(&self, message: String) {
        self.progress.tell(Step::Notice { system: self.system.clone(), message });
    }

    fn tell_problem(&self, message: String) {
        self.progress.tell(Step::Problem { system: self.system.clone(), message });
    }

    /// How long to wait when there is nothing to do: until something becomes due, or until the feed is asked again.
    async fn idle_ms(&self) -> u64 {
        let poll = self.parts.systems.poll_ms(&self.system).map_or(1_000, |ms| ms.max(WAIT_MS_MIN));
        // If the store cannot say what is due, the next turn finds out, and reports why.
        let due = next_wait_ms(&self.parts).await.unwrap_or_default();
        // What is due for a system that is stopped stays due, and nobody does it.
        let is_held = self.parts.is_used_up(&self.system).is_some()
            || self.parts.store.stops().await.is_ok_and(|stops| !stops.is_empty());
        let least = if is_held { WAIT_MS_WHILE_HELD } else { WAIT_MS_MIN };
        due.map_or(poll, |due| due.clamp(least.min(poll), poll))
    }

    /// Waits until a time passes, the system reports a change, another system adds work, or the daemon stops. After a
    /// failure only time counts, so that a failing system is not asked again at once.
    async fn wait_for_work(&self, wait_ms: u64, stop: &mut watch::Receiver<bool>) {
        let (parts, system) = (&self.parts, &self.system);
        let (Some(connector), Some(work)) = (parts.connector(system), parts.systems.work(system)) else {
            return;
        };
        let healthy = self.failures == 0;
        tokio::select! {
            () = parts.clock.sleep(wait_ms) => {}
            () = connector.wait(), if healthy => {}
            () = work.notified(), if healthy => {}
            () = work_available(parts, system), if healthy => {}
            _ = stop.changed() => {}
        }
    }
}

/// Waits until another process may have left work for a system.
async fn work_available(parts: &Parts, system: &SystemName) {
    match parts.store.shared() {
        Some(shared) => shared.work_available(system).await,
        None => std::future::pending().await,
    }
}
