//! The engine as its callers see it.

use crate::inbound::batch::{Batch, Ingested};
use crate::inbound::ingest::ingest;
use crate::inbound::webhook::{DeliveryOutcome, receive};
use crate::parts::assembly::{EngineParts, Parts};
use crate::parts::error::EngineError;
use crate::parts::progress::{Progress, SyncReport};
use crate::ports::connector::{Connector, Delivery};
use crate::ports::store::{NewRun, QuarantineItem, Reconciliation, RunEnd, Store};
use crate::reconcile::{ReconcileOptions, RepairOptions, RepairReport, reconcile, repair};
use crate::run::adopt::{adopt, recognise, uninstall};
use crate::run::attend::turn;
use crate::run::people::Person;
use crate::run::prepare::prepare;
use crate::run::runner;
use crate::run::sync::{SyncOptions, sync, sync_prepared};
use avowal_core::data::ids::{EntityName, RecordId, RunId, SystemName};
use avowal_core::history::ReviewAnswer;
use avowal_core::policy::EntityPolicy;
use std::sync::Arc;
use tokio::sync::watch;

/// Runs the cycle: ingest, decide, record, dispatch, confirm.
pub struct Engine {
    parts: Arc<Parts>,
    /// The run in which its callers act.
    run: Option<RunId>,
}

impl Engine {
    /// Puts the parts together.
    pub fn new(parts: EngineParts) -> Self {
        let run = parts.run;
        Self { parts: Arc::new(Parts::new(parts)), run }
    }

    /// Begins a run of its own, and answers this engine as whoever acts in it sees it: what a person does through it, and
    /// what is handed to [`Self::ingest`], names the new run. What the engine does by itself goes on to name its own.
    pub async fn begin_run(&self, new: &NewRun) -> Result<Self, EngineError> {
        let run = self.parts.store.begin_run(new).await?;
        self.parts.runs.enter(run);
        Ok(Self { parts: self.parts.clone(), run: Some(run) })
    }

    /// The run in which callers of this engine act.
    pub fn run_id(&self) -> Option<RunId> {
        self.run
    }

    /// Keeps how the run of this engine ended, and what it made. Does nothing without one.
    pub async fn end_run(&self, end: RunEnd) -> Result<(), EngineError> {
        let Some(run) = self.run else { return Ok(()) };
        let counts = self.parts.runs.leave(run);
        Ok(self.parts.store.end_run(run, end, &counts, self.parts.clock.now()).await?)
    }

    /// The store, for reading.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.parts.store
    }

    /// The rules of an entity.
    pub fn policy(&self, entity: &EntityName) -> Option<&Arc<EntityPolicy>> {
        self.parts.policies.get(entity)
    }

    /// The connector of a system.
    pub fn connector(&self, system: &SystemName) -> Option<&Arc<dyn Connector>> {
        self.parts.connector(system)
    }

    /// Learns what is durable, and records the policies that decide from here on. Before the first turn.
    pub async fn prepare(&self) -> Result<(), EngineError> {
        prepare(&self.parts).await
    }

    /// Runs until nothing is left to do: every system is followed to its end, every intent is confirmed or waits for
    /// something that does not come within `patience_ms`. A system that cannot be used is reported and left alone;
    /// the others go on.
    pub async fn sync(
        &self,
        options: SyncOptions,
        progress: &dyn Progress,
    ) -> Result<SyncReport, EngineError> {
        sync(&self.parts, options, progress).await
    }

    /// As [`Engine::sync`], while [`Engine::run`] goes on: what the service is doing just now is left to it, and awaited.
    pub async fn sync_beside_run(
        &self,
        options: SyncOptions,
        progress: &dyn Progress,
    ) -> Result<SyncReport, EngineError> {
        sync_prepared(&self.parts, options, progress).await
    }

    /// Runs until `stop` says so: feeds are followed as they report changes or as often as declared, intents are sent
    /// as they are planned, signals are followed. What is under way when it stops is finished first.
    pub async fn run(
        self: Arc<Self>,
        stop: watch::Receiver<bool>,
        progress: Arc<dyn Progress>,
    ) -> Result<(), EngineError> {
        runner::run(&self.parts, stop, progress).await
    }

    /// Attends to one system once: follows its feed to the end, then the signals, then sends what is due. Answers
    /// whether anything happened.
    pub async fn turn(&self, system: &SystemName, progress: &dyn Progress) -> Result<bool, EngineError> {
        turn(&self.parts, system, progress).await
    }

    /// Takes a batch in. Either everything of it is durable afterwards, or nothing.
    pub async fn ingest(&self, mut batch: Batch) -> Result<Ingested, EngineError> {
        batch.run = batch.run.or(self.run);
        ingest(&self.parts, &batch).await
    }

    /// Takes a verified delivery in. Answers only when it is durable, or certainly not.
    pub async fn receive_delivery(&self, system: &SystemName, delivery: &Delivery) -> DeliveryOutcome {
        receive(&self.parts, system, delivery).await
    }

    /// Carries out a person's answer to an open review, judged against the state of this moment.
    pub async fn decide_review(
        &self,
        review: &str,
        answer: ReviewAnswer,
        by: &str,
        note: Option<String>,
    ) -> Result<RecordId, EngineError> {
        Person { parts: &self.parts, by, run: self.run }.decide_review(review, answer, note).await
    }

    /// Takes a system for the one that we know although its identity has changed ([`StopCause::Identity`]): everything is
    /// listed again. The caller lifts the stop.
    ///
    /// [`StopCause::Identity`]: crate::ports::store::StopCause::Identity
    pub async fn adopt(&self, system: &SystemName) -> Result<(), EngineError> {
        adopt(&self.parts, system).await
    }

    /// Makes sure that a system is the one that we know: its feed goes on where it was read last.
    pub async fn recognise(&self, system: &SystemName) -> Result<(), EngineError> {
        recognise(&self.parts, system).await
    }

    /// Removes everything of ours from a system, and answers what that was. The next run installs it anew.
    pub async fn uninstall(&self, system: &SystemName) -> Result<Vec<String>, EngineError> {
        uninstall(&self.parts, system).await
    }

    /// Compares the systems with the store, keeps what is found under the run of this engine, and changes nothing else. It
    /// may be done beside a process that writes.
    pub async fn reconcile(
        &self,
        options: &ReconcileOptions,
        progress: &dyn Progress,
    ) -> Result<Reconciliation, EngineError> {
        let Some(run) = self.run else {
            return Err(EngineError::Usage(
                "a reconciliation is kept under a run; begin one first".to_owned(),
            ));
        };
        reconcile(&self.parts, run, options, progress).await
    }

    /// Repairs what a reconciliation has found, as far as the rules let a repair go, and sends what follows.
    pub async fn repair(
        &self,
        options: &RepairOptions,
        progress: &dyn Progress,
    ) -> Result<RepairReport, EngineError> {
        prepare(&self.parts).await?;
        repair(&self.parts, self.run, options, progress).await
    }

    /// Tries a quarantined item again: an incoming copy is read anew, a refused write may be planned anew.
    pub async fn replay(&self, item: &QuarantineItem, by: &str) -> Result<(), EngineError> {
        Person { parts: &self.parts, by, run: self.run }.replay(item).await
    }
}
