//! Runs the steps: once until quiet, or for ever. The only place that spawns.

use crate::inbound::pull::Pulled;
use crate::outbound::dispatch::Dispatched;
use crate::ports::bucket::Shares;
use crate::ports::connector::Advice;
use crate::run::engine::{Engine, EngineError};
use crate::run::progress::{Progress, Step, SyncReport, SystemReport};
use avowal_core::data::ids::{RecordId, SystemName};
use avowal_core::data::time::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;

/// What one `sync` shall do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SyncOptions {
    /// List everything once more, to find what no feed has reported.
    pub full: bool,
}

/// One run in the making.
struct Run<'a> {
    engine: &'a Engine,
    progress: &'a dyn Progress,
    report: SyncReport,
    /// Systems that could not be used: left alone for the rest of the run.
    down: BTreeSet<SystemName>,
    /// Intents that wait for something that no retry brings about: a person, a referent, a listing.
    put_off: BTreeSet<(SystemName, RecordId)>,
    /// Whether another process was found doing something in the last round.
    elsewhere: bool,
}

/// More rounds than any honest run needs; a run that gets here chases its own tail and says so.
const ROUNDS_MAX: u32 = 10_000;

/// The shortest pause between two rounds that found nothing to do.
const WAIT_MS_MIN: u64 = 50;

/// How often old deliveries are forgotten.
const HOUSEKEEPING_MS: u64 = 600_000;

/// How many old deliveries are forgotten in one step, and in how many steps at once.
const FORGET_MAX: usize = 1_000;
const FORGET_STEPS_MAX: u32 = 100;

/// How far that pause grows while nothing can be done.
const WAIT_MS_MAX: u64 = 1_000;

impl Engine {
    /// Runs until nothing is left to do: every system is followed to its end, every intent confirmed or waiting
    /// for something that does not come within `patience_ms`. A system that cannot be used is reported and left
    /// alone; the others go on.
    pub async fn sync(
        &self,
        options: SyncOptions,
        progress: &dyn Progress,
    ) -> Result<SyncReport, EngineError> {
        self.prepare().await?;
        let mut run = Run {
            engine: self,
            progress,
            report: SyncReport::default(),
            down: BTreeSet::new(),
            put_off: BTreeSet::new(),
            elsewhere: false,
        };
        run.install().await?;
        if options.full {
            run.list_everything().await?;
        }
        let began = self.clock.now();
        let mut pause_ms = WAIT_MS_MIN;
        for _ in 0..ROUNDS_MAX {
            let busy = run.round().await?;
            if busy {
                pause_ms = WAIT_MS_MIN;
                continue;
            }
            let waited = self.clock.now().millis().saturating_sub(began.millis()).max(0).unsigned_abs();
            if std::mem::take(&mut run.elsewhere) && waited <= self.settings.patience_ms {
                // Other processes are at it; what they leave is ours.
                self.clock.sleep(pause_ms).await;
                pause_ms = pause_ms.saturating_mul(2).min(WAIT_MS_MAX);
                continue;
            }
            if !run.can_go_on().await? {
                break;
            }
            match self.next_wait_ms().await? {
                Some(ms) if waited.saturating_add(ms.max(pause_ms)) <= self.settings.patience_ms => {
                    let ms = ms.max(pause_ms);
                    progress.tell(Step::Waiting { ms });
                    self.clock.sleep(ms).await;
                    // What is due but not possible yet is not worth asking everybody ever so often.
                    pause_ms = pause_ms.saturating_mul(2).min(WAIT_MS_MAX);
                }
                Some(_) | None => break,
            }
        }
        run.finish().await
    }

    /// Learns what is durable, and records the policies that decide from here on. Before the first turn.
    pub async fn prepare(&self) -> Result<(), EngineError> {
        self.load_quarantined().await?;
        self.load_awaited().await?;
        self.note_policies().await
    }

    /// How long until something becomes due; `None` if nothing waits.
    async fn next_wait_ms(&self) -> Result<Option<u64>, EngineError> {
        let now = self.clock.now();
        let due = self.store.next_due().await?;
        Ok(due.map(|due| due.millis().saturating_sub(now.millis()).max(0).unsigned_abs()))
    }

    /// Runs until `stop` says so: feeds are followed as they wake us or as often as declared, intents go out as
    /// they are planned, hints are followed. What is under way when it stops is finished first.
    pub async fn run(
        self: Arc<Self>,
        mut stop: watch::Receiver<bool>,
        progress: Arc<dyn Progress>,
    ) -> Result<(), EngineError> {
        self.prepare().await?;
        let mut tasks = tokio::task::JoinSet::new();
        for system in self.systems.keys().cloned() {
            let (engine, stop, progress) = (self.clone(), stop.clone(), progress.clone());
            tasks.spawn(async move { engine.attend(system, stop, progress).await });
        }
        let (engine, stopped) = (self.clone(), stop.clone());
        tasks.spawn(async move { engine.keep_house(stopped).await });
        let mut first_error = None;
        loop {
            tokio::select! {
                ended = tasks.join_next() => match ended {
                    None => break,
                    Some(Ok(Ok(()))) => {}
                    Some(Ok(Err(error))) => { first_error.get_or_insert(error); tasks.shutdown().await; break }
                    Some(Err(error)) => {
                        let text = format!("a task ended unexpectedly: {error}");
                        first_error.get_or_insert(EngineError::Usage(text));
                    }
                },
                changed = stop.changed(), if !*stop.borrow() => {
                    if changed.is_err() { break }
                }
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Forgets old deliveries now and then, until told to stop.
    async fn keep_house(&self, mut stop: watch::Receiver<bool>) -> Result<(), EngineError> {
        while !*stop.borrow() {
            if let Err(error) = self.forget_deliveries().await {
                // The next time will do as well.
                tracing::warn!(%error, "old deliveries could not be forgotten");
            }
            tokio::select! {
                () = self.clock.sleep(HOUSEKEEPING_MS) => {}
                _ = stop.changed() => {}
            }
        }
        Ok(())
    }

    /// Forgets the deliveries that no sender repeats any more, in small steps.
    async fn forget_deliveries(&self) -> Result<(), EngineError> {
        let kept_ms = i64::from(self.settings.deliveries_kept_days).saturating_mul(24 * 60 * 60 * 1000);
        let before = self.clock.now().plus_millis(kept_ms.saturating_neg());
        for _ in 0..FORGET_STEPS_MAX {
            if self.store.prune(before, FORGET_MAX).await? < FORGET_MAX as u64 {
                break;
            }
        }
        Ok(())
    }

    /// Attends to one system until told to stop.
    async fn attend(
        &self,
        system: SystemName,
        mut stop: watch::Receiver<bool>,
        progress: Arc<dyn Progress>,
    ) -> Result<(), EngineError> {
        let mut failures = 0;
        let mut installed = false;
        while !*stop.borrow() {
            let wait_ms = match self.attend_once(&system, &mut installed, progress.as_ref()).await {
                Ok(true) => {
                    failures = 0;
                    continue;
                }
                Ok(false) => {
                    failures = 0;
                    self.idle_ms(&system).await
                }
                Err(EngineError::System { error, .. }) => {
                    progress.tell(Step::Problem { system: system.clone(), message: error.to_string() });
                    failures += 1;
                    match error.kind.advice() {
                        Advice::RetryLater(Some(ms)) => ms,
                        Advice::RetryLater(None) | Advice::NeedsPerson | Advice::ListAgain => {
                            self.backoff_ms(failures)
                        }
                    }
                }
                Err(EngineError::Contended { .. }) => self.backoff_ms(0),
                Err(error @ (EngineError::Store(_) | EngineError::Usage(_))) => {
                    progress.tell(Step::Problem { system: system.clone(), message: error.to_string() });
                    failures += 1;
                    self.backoff_ms(failures)
                }
            };
            self.wait_for_work(&system, wait_ms, failures == 0, &mut stop).await;
        }
        Ok(())
    }

    /// One turn for one system, which has its feed installed first. Answers whether anything happened.
    async fn attend_once(
        &self,
        system: &SystemName,
        installed: &mut bool,
        progress: &dyn Progress,
    ) -> Result<bool, EngineError> {
        if !*installed && let Some(connector) = self.connector(system) {
            connector.install().await.map_err(|error| self.failed(system, error))?;
            *installed = true;
        }
        self.turn(system, progress).await
    }

    /// Attends to one system once: follows its feed to the end, then the hints, then sends what is due. Answers
    /// whether anything happened.
    pub async fn turn(&self, system: &SystemName, progress: &dyn Progress) -> Result<bool, EngineError> {
        let mut report = SystemReport::default();
        let mut busy = false;
        for entity in self.entities_of(system) {
            busy |= self.pull(system, &entity, &mut report, progress).await?.events > 0;
        }
        let (followed, _) = self.follow_signals(system, &mut report).await?;
        let mut dispatched = Dispatched::default();
        self.dispatch(system, progress, &mut dispatched).await?;
        if let Some(held) = dispatched.held {
            progress.tell(Step::Problem { system: system.clone(), message: held });
        }
        Ok(busy || followed > 0 || dispatched.tried > 0)
    }

    async fn idle_ms(&self, system: &SystemName) -> u64 {
        let poll = self.systems.get(system).map_or(1_000, |port| port.poll_ms.max(20));
        // If the store cannot say what is due, the next turn finds out, and says why.
        let due = self.next_wait_ms().await.unwrap_or_default();
        due.map_or(poll, |due| due.clamp(20, poll))
    }

    /// Waits for time, for the system's own word, for work from other systems, or for the end.
    async fn wait_for_work(
        &self,
        system: &SystemName,
        wait_ms: u64,
        healthy: bool,
        stop: &mut watch::Receiver<bool>,
    ) {
        let Some(port) = self.systems.get(system) else { return };
        let Some(wake) = self.wakes.get(system) else { return };
        tokio::select! {
            () = self.clock.sleep(wait_ms) => {}
            () = port.connector.wait(), if healthy => {}
            () = wake.notified(), if healthy => {}
            () = self.work_available(system), if healthy => {}
            _ = stop.changed() => {}
        }
    }
}

impl Run<'_> {
    /// Makes sure that every system's feed is installed.
    async fn install(&mut self) -> Result<(), EngineError> {
        for (system, port) in &self.engine.systems {
            self.report.system(system);
            if let Err(error) = port.connector.install().await {
                let error = self.engine.failed(system, error);
                self.give_up(system, error)?;
            }
        }
        Ok(())
    }

    /// Lists every system that has been listed before, all of them at once.
    async fn list_everything(&mut self) -> Result<(), EngineError> {
        let names = self.usable();
        let (engine, progress) = (self.engine, self.progress);
        let listed = futures::future::join_all(names.iter().map(|system| async move {
            let mut report = SystemReport::default();
            let mut all = Pulled::default();
            let mut result = Ok(());
            for entity in engine.entities_of(system) {
                let pulled = match engine.is_listed(system, &entity).await {
                    Ok(true) => engine.list_all(system, &entity, true, &mut report, progress).await,
                    Ok(false) => continue,
                    Err(error) => Err(error),
                };
                match pulled {
                    Ok(pulled) => all.join(pulled),
                    Err(error) => result = result.and(Err(error)),
                }
            }
            (report, all, result)
        }))
        .await;
        for (system, (report, pulled, result)) in names.iter().zip(listed) {
            let total = self.report.system(system);
            total.listed += report.listed;
            total.read += report.read;
            if pulled.elsewhere {
                // Whoever reads it meanwhile may not be listing everything, so it is told.
                total.problem = Some("another process reads it; run `avowal sync --full` again".to_owned());
            }
            self.count(Pulled { elsewhere: false, ..pulled });
            if let Err(error) = result {
                self.give_up(system, error)?;
            }
        }
        Ok(())
    }

    /// One round over all systems. Answers whether anything happened.
    async fn round(&mut self) -> Result<bool, EngineError> {
        let mut busy = false;
        for system in self.usable() {
            match self.pull_system(&system).await {
                Ok(more) => busy |= more,
                Err(error) => self.give_up(&system, error)?,
            }
        }
        // All systems have been asked before anything goes out: what one of them has may be what another lacks.
        let names = self.usable();
        let engine = self.engine;
        let progress = self.progress;
        let sent = futures::future::join_all(names.iter().map(|system| async move {
            let mut dispatched = Dispatched::default();
            let result = engine.dispatch(system, progress, &mut dispatched).await;
            (dispatched, result)
        }))
        .await;
        for (system, (dispatched, result)) in names.iter().zip(sent) {
            let total = self.report.system(system);
            total.written += dispatched.written;
            total.failed += dispatched.failed;
            self.report.events += dispatched.events;
            self.report.quarantined += dispatched.quarantined;
            if let Err(error) = result {
                self.give_up(system, error)?;
                continue;
            }
            self.elsewhere |= dispatched.elsewhere;
            if dispatched.tried > 0 {
                // What was done may be what others have waited for.
                busy = true;
                self.put_off.clear();
            }
            self.put_off.extend(dispatched.put_off.into_iter().map(|record| (system.clone(), record)));
            if let Some(held) = dispatched.held
                && !self.report.held.contains(&held)
            {
                self.report.held.push(held);
            }
        }
        Ok(busy)
    }

    async fn pull_system(&mut self, system: &SystemName) -> Result<bool, EngineError> {
        let mut busy = false;
        for entity in self.engine.entities_of(system) {
            let mut report = std::mem::take(self.report.system(system));
            let pulled = self.engine.pull(system, &entity, &mut report, self.progress).await;
            *self.report.system(system) = report;
            let pulled = pulled?;
            busy |= pulled.events > 0;
            self.count(pulled);
        }
        let mut report = std::mem::take(self.report.system(system));
        let followed = self.engine.follow_signals(system, &mut report).await;
        *self.report.system(system) = report;
        let (followed, pulled) = followed?;
        self.count(pulled);
        Ok(busy || followed > 0)
    }

    /// Whether anything that waits could still be done in this run.
    async fn can_go_on(&self) -> Result<bool, EngineError> {
        let counts = self.engine.store.open_counts().await?;
        let open: u64 = counts
            .intents
            .iter()
            .filter(|(system, ..)| self.is_usable(system))
            .map(|(.., count)| count)
            .sum();
        let waiting = self.put_off.iter().filter(|(system, _)| self.is_usable(system)).count() as u64;
        Ok(open > waiting || (counts.signals > 0 && self.has_signals().await?))
    }

    /// Whether a copy in a system that can be used waits to be read.
    async fn has_signals(&self) -> Result<bool, EngineError> {
        let ever = Timestamp::from_millis(i64::MAX);
        for system in self.usable() {
            if !self.engine.store.due_signals(&system, Shares::ALL, ever, 1).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_usable(&self, system: &SystemName) -> bool {
        self.engine.systems.contains_key(system) && !self.down.contains(system)
    }

    fn count(&mut self, pulled: Pulled) {
        self.report.events += pulled.events;
        self.report.quarantined += pulled.quarantined;
        self.elsewhere |= pulled.elsewhere;
    }

    fn usable(&self) -> Vec<SystemName> {
        self.engine.systems.keys().filter(|system| !self.down.contains(*system)).cloned().collect()
    }

    /// A system that cannot be used is left alone; without the store nothing can go on.
    fn give_up(&mut self, system: &SystemName, error: EngineError) -> Result<(), EngineError> {
        match error {
            EngineError::System { error, .. } => {
                let message = error.to_string();
                self.progress.tell(Step::Problem { system: system.clone(), message: message.clone() });
                self.report.system(system).problem = Some(message);
                self.down.insert(system.clone());
                Ok(())
            }
            // Whoever keeps changing what we decide is met again in the next run; the others go on.
            error @ EngineError::Contended { .. } => {
                self.report.system(system).problem = Some(error.to_string());
                self.down.insert(system.clone());
                Ok(())
            }
            error @ (EngineError::Store(_) | EngineError::Usage(_)) => Err(error),
        }
    }

    async fn finish(mut self) -> Result<SyncReport, EngineError> {
        let counts = self.engine.store.open_counts().await?;
        self.report.reviews_open = counts.reviews;
        self.report.intents_open = counts.intents.iter().map(|(_, _, count)| count).sum();
        Ok(self.report)
    }
}
