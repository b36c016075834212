//! One run until nothing is left to do, over all systems.

use crate::inbound::pull::Pull;
use crate::inbound::pulled::Pulled;
use crate::inbound::signals::follow_signals;
use crate::outbound::dispatch::dispatch;
use crate::outbound::guard::stop_deletes;
use crate::outbound::hasten::hasten_all;
use crate::outbound::turn::Dispatched;
use crate::parts::assembly::Parts;
use crate::parts::budget::BudgetUse;
use crate::parts::error::EngineError;
use crate::parts::first_write::{first_writes, lift_where_all_agree};
use crate::parts::moved_on::MovedOn;
use crate::parts::progress::{Progress, Step, SyncReport, SystemReport};
use crate::parts::stops::{holds, is_everything_stopped, stop_for};
use crate::parts::undelivered::undelivered;
use crate::ports::bucket::Shares;
use crate::ports::connector::ConnectorErrorKind;
use crate::ports::store::{Direction, Stop};
use crate::run::attend::next_wait_ms;
use crate::run::prepare::prepare;
use avowal_core::data::ids::{EntityName, RecordId, SystemName};
use avowal_core::data::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What one `sync` shall do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SyncOptions {
    /// List everything once more, to find what no feed has reported.
    pub full: bool,
}

/// More rounds than any run needs. A run that gets here does not converge, and ends with the rest undone.
const ROUNDS_MAX: u32 = 10_000;

/// The shortest pause between two rounds that found nothing to do, in milliseconds.
const WAIT_MS_MIN: u64 = 50;

/// How far that pause grows while nothing can be done, in milliseconds.
const WAIT_MS_MAX: u64 = 1_000;

/// Runs until nothing is left to do, or what is left does not come within `patience_ms`.
pub(crate) async fn sync(
    parts: &Parts,
    options: SyncOptions,
    progress: &dyn Progress,
) -> Result<SyncReport, EngineError> {
    prepare(parts).await?;
    sync_prepared(parts, options, progress).await
}

/// As [`sync`], where the parts have learned what is durable already and may be in use by a service.
pub(crate) async fn sync_prepared(
    parts: &Parts,
    options: SyncOptions,
    progress: &dyn Progress,
) -> Result<SyncReport, EngineError> {
    hasten_all(parts).await?;
    parts.listings().forget_all();
    let mut run = Run {
        parts,
        progress,
        report: SyncReport::default(),
        down: BTreeSet::new(),
        put_off: BTreeSet::new(),
        moved_on: BTreeMap::new(),
        elsewhere: false,
        stopped: BTreeSet::new(),
        refusing: BTreeSet::new(),
        used_up: BTreeMap::new(),
    };
    run.install().await?;
    if options.full {
        run.list_everything().await?;
    }
    run.until_quiet().await?;
    run.finish().await
}

/// One run in the making.
struct Run<'a> {
    parts: &'a Parts,
    progress: &'a dyn Progress,
    report: SyncReport,
    /// Systems that could not be used: left alone for the rest of the run.
    down: BTreeSet<SystemName>,
    /// Intents that wait for something that no retry brings about: a person, a referent, a listing.
    put_off: BTreeSet<(SystemName, RecordId)>,
    /// Whether another process was found doing something in the last round.
    elsewhere: bool,
    /// The records that have moved on since the plan to which the run is held, in words.
    moved_on: BTreeMap<SystemName, BTreeMap<RecordId, String>>,
    /// Systems to which nothing may be written, as of the last round.
    stopped: BTreeSet<SystemName>,
    /// Systems that have refused our credentials for a write: they are not written to for the rest of the run.
    refusing: BTreeSet<SystemName>,
    /// Systems whose write budget is used up.
    used_up: BTreeMap<SystemName, BudgetUse>,
}

impl Run<'_> {
    /// Makes sure that every system's feed is installed.
    async fn install(&mut self) -> Result<(), EngineError> {
        let parts = self.parts;
        let is_stopped = is_everything_stopped(parts).await?;
        for system in parts.systems.names() {
            self.report.system(system);
            let Some(connector) = parts.connector(system).filter(|_| !is_stopped) else { continue };
            if let Err(error) = connector.install().await {
                self.give_up(system, EngineError::of_system(system, error)).await?;
            }
        }
        Ok(())
    }

    /// Lists every system that has been listed before, all of them at once. What another worker reads just now is awaited:
    /// it may not be listing everything.
    async fn list_everything(&mut self) -> Result<(), EngineError> {
        let (parts, usable) = (self.parts, self.usable());
        let entities = |system: &SystemName| (system.clone(), parts.systems.entities(system).to_vec());
        let mut left: BTreeMap<SystemName, Vec<EntityName>> = usable.iter().map(entities).collect();
        let (mut waited_ms, mut pause_ms) = (0, WAIT_MS_MIN);
        loop {
            left = self.list_systems(&left).await?;
            if left.is_empty() || waited_ms >= parts.settings.patience_ms {
                break;
            }
            self.progress.tell(Step::Waiting { ms: pause_ms });
            parts.clock.sleep(pause_ms).await;
            waited_ms += pause_ms;
            pause_ms = pause_ms.saturating_mul(2).min(WAIT_MS_MAX);
        }
        for system in left.into_keys() {
            let problem = "another process reads it; run `avowal sync --full` again".to_owned();
            self.report.system(&system).problem = Some(problem);
        }
        Ok(())
    }

    /// Lists these entities of these systems. Answers what another worker was reading.
    async fn list_systems(
        &mut self,
        wanted: &BTreeMap<SystemName, Vec<EntityName>>,
    ) -> Result<BTreeMap<SystemName, Vec<EntityName>>, EngineError> {
        let (parts, progress) = (self.parts, self.progress);
        let listings = wanted.iter().map(|(system, entities)| list_system(parts, system, entities, progress));
        let listed = futures::future::join_all(listings).await;
        let mut elsewhere = BTreeMap::new();
        for (system, listing) in wanted.keys().zip(listed) {
            let total = self.report.system(system);
            total.listed += listing.report.listed;
            total.read += listing.report.read;
            self.count(Pulled { elsewhere: false, ..listing.pulled });
            match listing.result {
                Ok(()) if listing.elsewhere.is_empty() => {}
                Ok(()) => drop(elsewhere.insert(system.clone(), listing.elsewhere)),
                Err(error) => self.give_up(system, error).await?,
            }
        }
        Ok(elsewhere)
    }

    /// One round over all systems. Answers whether anything happened.
    async fn round(&mut self) -> Result<bool, EngineError> {
        let mut busy = false;
        self.parts.runs.give_sign_of_life(self.parts.clock.now()).await;
        for system in self.usable() {
            match self.pull_system(&system).await {
                Ok(more) => busy |= more,
                Err(error) => self.give_up(&system, error).await?,
            }
        }
        let stops = self.parts.store.stops().await?.into_iter();
        let is_held = |stop: &Stop| stop.direction == Direction::Out && holds(self.parts, stop);
        let stops: Vec<Stop> = stops.filter(is_held).collect();
        let names = self.parts.systems.names();
        let is_stopped = |system: &&SystemName| stops.iter().any(|stop| stop.is_about(system));
        self.stopped = names.filter(is_stopped).cloned().collect();
        // All systems have been asked before anything is sent: what one of them has may be what another lacks.
        let mut names = self.usable();
        names.retain(|system| !self.refusing.contains(system));
        let (parts, progress) = (self.parts, self.progress);
        let sent = futures::future::join_all(names.iter().map(|system| async move {
            let mut dispatched = Dispatched::default();
            let result = dispatch(parts, system, progress, &mut dispatched).await;
            (dispatched, result)
        }))
        .await;
        for (system, (dispatched, result)) in names.iter().zip(sent) {
            busy |= self.count_dispatched(system, dispatched, result).await?;
        }
        Ok(busy)
    }

    /// Counts what was sent to a system. Answers whether that may be what others have waited for.
    async fn count_dispatched(
        &mut self,
        system: &SystemName,
        dispatched: Dispatched,
        result: Result<(), EngineError>,
    ) -> Result<bool, EngineError> {
        let total = self.report.system(system);
        total.written += dispatched.written;
        total.failed += dispatched.failed;
        self.report.events += dispatched.events;
        self.report.quarantined += dispatched.quarantined;
        if let Err(error) = result {
            self.give_up(system, error).await?;
            return Ok(false);
        }
        if let Some(reason) = dispatched.refused {
            self.note_refusal(system, reason);
        }
        match dispatched.used_up {
            Some(used) => drop(self.used_up.insert(system.clone(), used)),
            None => drop(self.used_up.remove(system)),
        }
        self.elsewhere |= dispatched.elsewhere;
        self.moved_on.entry(system.clone()).or_default().extend(dispatched.moved_on);
        if dispatched.tried > 0 {
            self.put_off.clear();
        }
        self.put_off.extend(dispatched.put_off.into_iter().map(|record| (system.clone(), record)));
        Ok(dispatched.tried > 0)
    }

    /// A system refuses our credentials: it is written to no more in this run. It may be readable all the same.
    fn note_refusal(&mut self, system: &SystemName, reason: String) {
        self.refusing.insert(system.clone());
        self.progress.tell(Step::Problem { system: system.clone(), message: reason.clone() });
        let report = self.report.system(system);
        report.problem = Some(reason);
        report.refuses_credentials = true;
    }

    /// Goes round over all systems until nothing is left to do, or what is left does not come within `patience_ms`.
    async fn until_quiet(&mut self) -> Result<(), EngineError> {
        let patience_ms = self.parts.settings.patience_ms;
        // Only waiting counts: a run that had much to do has as much patience left as one that had little.
        let mut waited_ms: u64 = 0;
        let mut pause_ms = WAIT_MS_MIN;
        for _ in 0..ROUNDS_MAX {
            let written = self.report.written();
            let busy = self.round().await?;
            if self.report.written() > written {
                waited_ms = 0;
            }
            if busy {
                pause_ms = WAIT_MS_MIN;
                continue;
            }
            match self.wait_ms(pause_ms).await? {
                Some(ms) if waited_ms.saturating_add(ms) <= patience_ms => {
                    self.progress.tell(Step::Waiting { ms });
                    self.parts.clock.sleep(ms).await;
                    waited_ms = waited_ms.saturating_add(ms);
                    // Work that is due but not possible yet does not justify asking every system often.
                    pause_ms = pause_ms.saturating_mul(2).min(WAIT_MS_MAX);
                }
                Some(_) | None => break,
            }
        }
        Ok(())
    }

    /// How long to wait before the next round, at least `pause_ms`; nothing if no further round can do anything.
    async fn wait_ms(&mut self, pause_ms: u64) -> Result<Option<u64>, EngineError> {
        if std::mem::take(&mut self.elsewhere) {
            // Other processes are working; what they leave is ours to do.
            return Ok(Some(pause_ms));
        }
        if !self.can_go_on().await? {
            return Ok(None);
        }
        Ok(next_wait_ms(self.parts).await?.map(|ms| ms.max(pause_ms)))
    }

    /// Brings everything of one system up to date. Answers whether anything happened.
    async fn pull_system(&mut self, system: &SystemName) -> Result<bool, EngineError> {
        let (parts, progress) = (self.parts, self.progress);
        let mut busy = false;
        for entity in parts.systems.entities(system) {
            let report = self.report.system(system);
            let pulled = Pull { parts, system, entity, report, progress }.up_to_date().await?;
            busy |= pulled.events > 0;
            self.count(pulled);
        }
        let (followed, pulled) = follow_signals(parts, system, self.report.system(system)).await?;
        self.count(pulled);
        Ok(busy || followed > 0)
    }

    /// Whether anything that waits could still be done in this run.
    async fn can_go_on(&self) -> Result<bool, EngineError> {
        let counts = self.parts.store.open_counts().await?;
        let open: u64 = counts
            .intents
            .iter()
            .filter(|(system, ..)| self.may_write(system))
            .map(|(.., count)| count)
            .sum();
        let waiting = self.put_off.iter().filter(|(system, _)| self.may_write(system)).count() as u64;
        Ok(open > waiting || (counts.signals > 0 && self.has_signals().await?))
    }

    /// Whether a signal waits in a system that can be used.
    async fn has_signals(&self) -> Result<bool, EngineError> {
        let ever = Timestamp::from_millis(i64::MAX);
        for system in self.usable() {
            if !self.parts.store.due_signals(&system, Shares::ALL, ever, 1).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_usable(&self, system: &SystemName) -> bool {
        self.parts.systems.contains(system) && !self.down.contains(system)
    }

    fn may_write(&self, system: &SystemName) -> bool {
        let is_free = !self.stopped.contains(system) && !self.used_up.contains_key(system);
        self.is_usable(system) && is_free && !self.refusing.contains(system)
    }

    fn count(&mut self, pulled: Pulled) {
        self.report.events += pulled.events;
        self.report.quarantined += pulled.quarantined;
        self.elsewhere |= pulled.elsewhere;
    }

    fn usable(&self) -> Vec<SystemName> {
        self.parts.systems.names().filter(|system| !self.down.contains(*system)).cloned().collect()
    }

    /// Leaves a system alone that cannot be used. An error of the store ends the run.
    async fn give_up(&mut self, system: &SystemName, error: EngineError) -> Result<(), EngineError> {
        match error {
            EngineError::System { error, .. } => {
                let message = error.to_string();
                self.progress.tell(Step::Problem { system: system.clone(), message: message.clone() });
                stop_for(self.parts, system, &error).await?;
                let report = self.report.system(system);
                report.problem = Some(message);
                report.refuses_credentials = error.kind == ConnectorErrorKind::Unauthorised;
                self.down.insert(system.clone());
                Ok(())
            }
            // Its records are decided again in the next run; the other systems go on.
            error @ EngineError::Contended { .. } => {
                self.report.system(system).problem = Some(error.to_string());
                self.down.insert(system.clone());
                Ok(())
            }
            error @ (EngineError::Store(_) | EngineError::Usage(_)) => Err(error),
        }
    }

    async fn finish(mut self) -> Result<SyncReport, EngineError> {
        lift_where_all_agree(self.parts).await?;
        stop_deletes(self.parts, self.progress).await?;
        self.report.first_writes = first_writes(self.parts).await?;
        let moved_on = std::mem::take(&mut self.moved_on);
        self.report.moved_on = MovedOn::of(self.parts, moved_on);
        let is_stopped = is_everything_stopped(self.parts).await?;
        for system in self.usable() {
            let Some(connector) = self.parts.connector(&system).filter(|_| !is_stopped) else { continue };
            // What could not be asked now is no news; the next run asks again.
            self.report.system(&system).notices = connector.notices().await.unwrap_or_default();
        }
        self.report.stops = self.parts.store.stops().await?;
        self.report.used_up = std::mem::take(&mut self.used_up).into_values().collect();
        let counts = self.parts.store.open_counts().await?;
        self.report.reviews_open = counts.reviews;
        self.report.quarantine_open = counts.quarantine;
        self.report.reads_open = counts.signals;
        self.report.undelivered = undelivered(self.parts.store.as_ref()).await?;
        self.report.intents_open = counts.intents.iter().map(|(_, _, count)| count).sum();
        Ok(self.report)
    }
}

/// What a full listing of one system did.
struct FullListing {
    report: SystemReport,
    pulled: Pulled,
    /// The entities that another worker was reading.
    elsewhere: Vec<EntityName>,
    result: Result<(), EngineError>,
}

/// Lists those of a system's entities that have been listed before.
async fn list_system(
    parts: &Parts,
    system: &SystemName,
    entities: &[EntityName],
    progress: &dyn Progress,
) -> FullListing {
    let mut report = SystemReport::default();
    let mut all = Pulled::default();
    let mut elsewhere = Vec::new();
    let mut result = Ok(());
    for entity in entities {
        let pull = Pull { parts, system, entity, report: &mut report, progress };
        // The feed first: it tells whether the system is still the one that we know.
        let pulled = match parts.readiness.is_listed(system, entity).await {
            Ok(true) => match pull.up_to_date().await {
                Ok(followed) if followed.elsewhere => Ok(followed),
                Ok(followed) => {
                    all.join(followed);
                    Pull { parts, system, entity, report: &mut report, progress }.full_listing().await
                }
                Err(error) => Err(error),
            },
            Ok(false) => continue,
            Err(error) => Err(error),
        };
        match pulled {
            Ok(pulled) => {
                if pulled.elsewhere {
                    elsewhere.push(entity.clone());
                }
                all.join(pulled);
            }
            Err(error) => result = result.and(Err(error)),
        }
    }
    FullListing { report, pulled: all, elsewhere, result }
}
