//! Runs: what made events, for how long, on whose word, and how it ended.

use crate::ports::store::StoreError;
use async_trait::async_trait;
use avowal_core::data::ids::{RecordId, RunId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::history::{Body, IntegrationEvent};
use serde::{Deserialize, Serialize};

/// How long a run gives no sign of life before it counts as killed, in milliseconds.
pub const RUN_SILENT_MS: i64 = 5 * 60 * 1000;

/// How many of the newest runs are kept even if they made no event.
pub const QUIET_RUNS_KEPT: u64 = 200;

/// Keeping runs.
///
/// A run is durable when `begin_run` answers, beside the history and without the right to write anything else. Numbers
/// rise in the order in which runs begin; where several processes begin at once some may be left out. A run that has
/// ended, made no event and is older than the newest [`QUIET_RUNS_KEPT`] may be forgotten.
#[async_trait]
pub trait KeepRuns: Send + Sync {
    /// Keeps a run that begins. Answers its number.
    async fn begin_run(&self, run: &NewRun) -> Result<RunId, StoreError>;

    /// Keeps how far a run has come, and that it lives.
    async fn note_run(&self, run: RunId, counts: &RunCounts, at: Timestamp) -> Result<(), StoreError>;

    /// Keeps how a run has ended. The first end of a run stays.
    async fn end_run(
        &self,
        run: RunId,
        end: RunEnd,
        counts: &RunCounts,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Up to `limit` runs that began before the given one, the newest first.
    async fn runs(&self, before: Option<RunId>, limit: usize) -> Result<Vec<Run>, StoreError>;

    /// One run; `None` if there is none of that number.
    async fn find_run(&self, run: RunId) -> Result<Option<Run>, StoreError>;

    /// Up to `limit` events that a run made, by record id, then sequence, after the given place.
    async fn run_events(
        &self,
        run: RunId,
        after: Option<(RecordId, u64)>,
        limit: usize,
    ) -> Result<Vec<IntegrationEvent>, StoreError>;
}

/// A run that begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewRun {
    /// What kind of work it does.
    pub kind: RunKind,
    /// On whose word: the login name, or the name that was given.
    pub by: String,
    /// Why, in the words of the command line.
    pub why: String,
    /// The short digest of the whole configuration, without what it fetches from elsewhere.
    pub configuration: String,
    /// When it begins.
    pub began_at: Timestamp,
}

/// One run: a pass, a service period, or one act of a person that made events.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Run {
    /// Its number.
    pub id: RunId,
    /// What kind of work it does.
    pub kind: RunKind,
    /// On whose word.
    pub by: String,
    /// Why, in the words of the command line.
    pub why: String,
    /// The short digest of the whole configuration.
    pub configuration: String,
    /// When it began.
    pub began_at: Timestamp,
    /// Its last sign of life.
    pub seen_at: Timestamp,
    /// When it ended; absent while it goes on, and for ever where it was killed.
    pub ended_at: Option<Timestamp>,
    /// How it ended; absent while it goes on.
    pub end: Option<RunEnd>,
    /// What it made, as of its last sign of life.
    pub counts: RunCounts,
}

impl Run {
    /// A run that has just begun.
    pub fn begun(id: RunId, new: &NewRun) -> Self {
        Self {
            id,
            kind: new.kind,
            by: new.by.clone(),
            why: new.why.clone(),
            configuration: new.configuration.clone(),
            began_at: new.began_at,
            seen_at: new.began_at,
            ended_at: None,
            end: None,
            counts: RunCounts::default(),
        }
    }

    /// The run as somebody reads it at this moment: one without a sign of life for long was killed.
    #[must_use]
    pub fn as_of(mut self, now: Timestamp) -> Self {
        let silent_ms = now.millis().saturating_sub(self.seen_at.millis());
        if self.end.is_none() && silent_ms > RUN_SILENT_MS {
            self.end = Some(RunEnd::Killed);
        }
        self
    }
}

/// Declares an enum whose variants have one name each, in tables and in JSON.
macro_rules! named {
    ($(#[$doc:meta])* $ty:ident { $($(#[$of:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $ty {
            $($(#[$of])* $variant,)+
        }

        impl $ty {
            /// Every one, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in tables and in JSON.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The one of a name in tables.
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == name)
            }
        }
    };
}

named! {
    /// What kind of work a run does.
    RunKind {
        /// `avowal sync`.
        Sync = "sync",
        /// `avowal run`: one service period.
        Run = "run",
        /// `avowal reconcile`: a comparison, which changes nothing.
        Reconcile = "reconcile",
        /// A repair of what a comparison has found.
        Repair = "repair",
        /// A person's answer to a question.
        Decision = "decision",
        /// A person tries again what was set aside.
        Replay = "replay",
    }
}

named! {
    /// How a run ended.
    RunEnd {
        /// Everything that was asked for is done.
        Done = "done",
        /// Done, but something waits for a person, is set aside or is not delivered yet.
        Waiting = "waiting",
        /// A guard or a stop holds something.
        Held = "held",
        /// Something could not be done.
        Failed = "failed",
        /// It never said that it ended.
        Killed = "killed",
    }
}

/// What a run made, counted from its events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunCounts {
    /// Events of every type.
    pub events: u64,
    /// Observations of copies that told something.
    pub observations: u64,
    /// Beliefs that changed.
    pub fields_changed: u64,
    /// Writes that were confirmed.
    pub writes_confirmed: u64,
    /// Attempts to write that failed, those of unknown outcome included.
    pub writes_failed: u64,
    /// Reviews that were opened.
    pub reviews_opened: u64,
    /// Writes and fields that were set aside.
    pub set_aside: u64,
}

/// What of a run an event counts to, beside the number of events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunFigure {
    /// An observation that told something.
    Observation,
    /// A belief that changed.
    FieldChanged,
    /// A write that was confirmed.
    WriteConfirmed,
    /// An attempt to write that failed.
    WriteFailed,
    /// A review that was opened.
    ReviewOpened,
    /// A write or a field that was set aside.
    SetAside,
}

impl RunFigure {
    /// To what an event counts, with the system that it is about where that is one.
    pub fn of(body: &Body) -> Option<(Self, Option<&SystemName>)> {
        Some(match body {
            Body::Observed { system, .. } => (Self::Observation, Some(system)),
            Body::FieldChanged { .. } => (Self::FieldChanged, None),
            Body::IntentConfirmed { system, .. } => (Self::WriteConfirmed, Some(system)),
            Body::IntentFailed { system, .. } => (Self::WriteFailed, Some(system)),
            Body::ManualReviewRequested { .. } => (Self::ReviewOpened, None),
            Body::Quarantined { system, .. } | Body::FieldSetAside { system, .. } => {
                (Self::SetAside, Some(system))
            }
            Body::Linked { .. }
            | Body::Unlinked { .. }
            | Body::ConflictDetected { .. }
            | Body::ConflictResolved { .. }
            | Body::ReviewDecided { .. }
            | Body::Refused { .. }
            | Body::FieldUnderstood { .. }
            | Body::Deleted { .. }
            | Body::Restored { .. }
            | Body::IntentPlanned { .. }
            | Body::IntentWithdrawn { .. }
            | Body::IntentSent { .. }
            | Body::EchoRecognised { .. }
            | Body::DuplicateDropped { .. }
            | Body::StaleDropped { .. }
            | Body::StaleSuspected { .. }
            | Body::ReconciliationApplied { .. }
            | Body::DriftDetected { .. }
            | Body::PolicyChanged { .. }
            | Body::Released { .. } => return None,
        })
    }
}

impl RunCounts {
    /// Counts one event.
    pub fn count(&mut self, event: &IntegrationEvent) {
        self.events += 1;
        let Some((figure, _)) = RunFigure::of(&event.body) else { return };
        *match figure {
            RunFigure::Observation => &mut self.observations,
            RunFigure::FieldChanged => &mut self.fields_changed,
            RunFigure::WriteConfirmed => &mut self.writes_confirmed,
            RunFigure::WriteFailed => &mut self.writes_failed,
            RunFigure::ReviewOpened => &mut self.reviews_opened,
            RunFigure::SetAside => &mut self.set_aside,
        } += 1;
    }

    /// Adds the figures of another count.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.observations += other.observations;
        self.fields_changed += other.fields_changed;
        self.writes_confirmed += other.writes_confirmed;
        self.writes_failed += other.writes_failed;
        self.reviews_opened += other.reviews_opened;
        self.set_aside += other.set_aside;
    }
}
