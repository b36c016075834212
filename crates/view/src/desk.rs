//! Where people decide: over an engine and its store.

use crate::quarantine::{RefusedReplay, ReplayRequest, Replayed};
use crate::reader::{Policies, Reader};
use crate::refusal::{Refusal, RefusalKind};
use crate::review::{AnswerRequest, Resolved};
use crate::status::{AskedSystem, Status, lags, status};
use crate::stop::{
    Approved, PauseRequest, ResumeRequest, SystemView, approve, keep_lifted, of, pause, resume_stops,
};
use async_trait::async_trait;
use avowal_core::data::ids::SystemName;
use avowal_core::explain::short_text;
use avowal_engine::ports::clock::Clock;
use avowal_engine::ports::store::{NewRun, RunEnd, RunKind, Stop, StopCause, Store};
use avowal_engine::{Engine, EngineError, EngineParts, Guards, SyncOptions, SyncReport, Unwatched};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Mutex;

/// What a sync that is asked of a running daemon shall do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncRequest {
    /// List everything once more.
    #[serde(default)]
    pub full: bool,
    /// Write also into systems that hold records and were never written to.
    #[serde(default)]
    pub yes: bool,
    /// Let what guards hold go in these systems, for a day.
    #[serde(default)]
    pub approved: BTreeMap<SystemName, Approved>,
    /// Who asks for it.
    pub by: String,
}

/// Who carries out what people decide: a [`Desk`] at a store of its own, or a daemon that is asked.
#[async_trait]
pub trait Decide: Send + Sync {
    /// Carries out the answer to an open review.
    async fn resolve(&self, review: &str, request: &AnswerRequest) -> Result<Resolved, Refusal>;

    /// Tries one item in quarantine again, or all of them.
    async fn replay(&self, item: Option<i64>, request: &ReplayRequest) -> Result<Replayed, Refusal>;

    /// Lets a system go on, and answers all stops that stand.
    async fn resume(&self, system: &SystemName, request: &ResumeRequest) -> Result<Vec<Stop>, Refusal>;
}

/// Where people ask and decide, over an engine and its store.
pub struct Desk {
    engine: Arc<Engine>,
    configuration: String,
    policies: Policies,
    systems: Vec<AskedSystem>,
    guards: Guards,
    clock: Arc<dyn Clock>,
    /// One sync at a time.
    sync: Mutex<()>,
}

impl Desk {
    /// A desk with an engine of these parts, under the configuration of this short digest.
    pub fn new(parts: EngineParts, configuration: String) -> Self {
        let asked = parts.systems.iter().map(|(name, port)| AskedSystem {
            name: name.clone(),
            lag_ms: port.lag_ms,
            connector: Some(port.connector.clone()),
        });
        Self {
            configuration,
            policies: parts.policies.clone(),
            systems: asked.collect(),
            guards: parts.settings.guards.clone(),
            clock: parts.clock.clone(),
            engine: Arc::new(Engine::new(parts)),
            sync: Mutex::new(()),
        }
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// One who asks the store.
    pub fn reader<'a>(&'a self, remark: &'a (dyn Fn(String) + Sync)) -> Reader<'a> {
        Reader { store: self.store(), policies: &self.policies, remark }
    }

    /// How much there is, what is under way, what waits for a person.
    pub async fn status(&self) -> Result<Status, Refusal> {
        status(self.store(), &self.systems, &self.guards, self.clock.now()).await
    }

    /// Each system with its stops.
    pub async fn systems(&self) -> Result<Vec<SystemView>, Refusal> {
        let stops = self.store().stops().await?;
        let mut lags = lags(&self.systems, &self.store().lags().await?);
        let view = |system: &AskedSystem| SystemView {
            system: system.name.clone(),
            stops: of(stops.clone(), &system.name),
            lag: lags.remove(&system.name),
        };
        Ok(self.systems.iter().map(view).collect())
    }

    /// The system of this name.
    pub fn known(&self, name: &str) -> Result<SystemName, Refusal> {
        let known = self.systems.iter().map(|system| &system.name);
        known.clone().find(|known| known.as_str() == name).cloned().ok_or_else(|| {
            let names: Vec<&str> = known.map(SystemName::as_str).collect();
            Refusal::unknown_name(format!("no system is called {name:?}. There are: {}", names.join(", ")))
        })
    }

    /// Stops a system, and answers all stops that stand.
    pub async fn pause(&self, system: &SystemName, request: &PauseRequest) -> Result<Vec<Stop>, Refusal> {
        named(&request.by)?;
        pause(self.store(), system, request, self.clock.now()).await
    }

    /// Brings all systems into agreement now, beside the engine's own run. One at a time: a second one is sent away.
    pub async fn sync(&self, request: &SyncRequest) -> Result<SyncReport, Refusal> {
        named(&request.by)?;
        let Ok(_alone) = self.sync.try_lock() else {
            return Err(Refusal::new(
                RefusalKind::Busy,
                "a sync is under way already. Wait for it to end, then ask again",
            ));
        };
        let (store, now) = (self.store(), self.clock.now());
        for (name, approved) in &request.approved {
            approve(store, &self.known(name.as_str())?, *approved, &request.by, now).await?;
        }
        if request.yes {
            for system in &self.systems {
                keep_lifted(store, &system.name, StopCause::FirstWrite, &request.by, now).await?;
            }
        }
        Ok(self.engine.sync_beside_run(SyncOptions { full: request.full }, &Unwatched).await?)
    }

    fn store(&self) -> &dyn Store {
        self.engine.store().as_ref()
    }

    /// Begins a run of what a person does here; what the engine does by itself names its own.
    async fn begin(&self, kind: RunKind, by: &str, why: String) -> Result<Engine, Refusal> {
        let configuration = self.configuration.clone();
        let run = NewRun { kind, by: by.to_owned(), why, configuration, began_at: self.clock.now() };
        Ok(self.engine.begin_run(&run).await?)
    }

    /// Lifts the stop of a system that is itself again, or that a person takes for itself.
    async fn answer_identity(&self, system: &SystemName, restored: bool, by: &str) -> Result<(), Refusal> {
        if restored {
            self.engine.adopt(system).await?;
        } else {
            self.engine.recognise(system).await?;
        }
        let store = self.store();
        for stop in of(store.stops().await?, system) {
            if stop.cause == StopCause::Identity {
                store.lift_stop(&stop, by, self.clock.now()).await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Decide for Desk {
    async fn resolve(&self, review: &str, request: &AnswerRequest) -> Result<Resolved, Refusal> {
        named(&request.by)?;
        let reader = self.reader(&silent);
        let view = reader.review(review).await?;
        let (answer, remark) = reader.meaning(&view, &request.answer)?;
        let why = format!("review resolve {}", short_text(review));
        let engine = self.begin(RunKind::Decision, &request.by, why).await?;
        let decided = engine.decide_review(review, answer, &request.by, request.note.clone()).await;
        engine.end_run(if decided.is_ok() { RunEnd::Done } else { RunEnd::Failed }).await?;
        let record = decided?;
        Ok(Resolved { by: request.by.clone(), record, remark, review: review.to_owned() })
    }

    /// An item that cannot be tried again does not hold up the others.
    async fn replay(&self, item: Option<i64>, request: &ReplayRequest) -> Result<Replayed, Refusal> {
        named(&request.by)?;
        let reader = self.reader(&silent);
        let items = match item {
            Some(id) => vec![reader.quarantined(id).await?],
            None => reader.quarantine().await?,
        };
        let mut done = Replayed::default();
        if items.is_empty() {
            return Ok(done);
        }
        let why =
            item.map_or_else(|| "quarantine replay --all".to_owned(), |id| format!("quarantine replay {id}"));
        let engine = self.begin(RunKind::Replay, &request.by, why).await?;
        for item in &items {
            match engine.replay(item, &request.by).await {
                Ok(()) => done.replayed.push(item.id),
                Err(EngineError::Usage(reason)) => done.refused.push(RefusedReplay { id: item.id, reason }),
                Err(
                    error @ (EngineError::Store(_)
                    | EngineError::System { .. }
                    | EngineError::Contended { .. }),
                ) => {
                    engine.end_run(RunEnd::Failed).await?;
                    return Err(error.into());
                }
            }
        }
        engine.end_run(if done.refused.is_empty() { RunEnd::Done } else { RunEnd::Failed }).await?;
        Ok(done)
    }

    /// A stop that Avowal set because the system is not the one that it was is lifted only when that is cured, or when the
    /// person says that it was restored.
    async fn resume(&self, system: &SystemName, request: &ResumeRequest) -> Result<Vec<Stop>, Refusal> {
        named(&request.by)?;
        if resume_stops(self.store(), system, request, self.clock.now()).await? {
            self.answer_identity(system, request.restored, &request.by).await?;
        }
        Ok(self.store().stops().await?)
    }
}

/// The history shows who has decided, so nobody decides without a name.
fn named(by: &str) -> Result<(), Refusal> {
    if by.trim().is_empty() {
        return Err(Refusal::usage("nobody is named: say who decides, by `by`"));
    }
    Ok(())
}

/// What is said beside an answer goes nowhere.
fn silent(_: String) {}
