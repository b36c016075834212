//! Stops: what may not go on with a system until somebody lets it.

use crate::ports::connector::Installation;
use crate::ports::store::StoreError;
use async_trait::async_trait;
use avowal_core::data::ids::SystemName;
use avowal_core::data::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Setting, reading and lifting stops, and who we are to the systems.
///
/// A stop is durable when `set_stop` answers, and every process that uses the store sees it from then on. Setting and
/// lifting one needs no right to write anything else: a person may do it while a daemon runs.
#[async_trait]
pub trait ControlStops: Send + Sync {
    /// The name of this installation, made with the store and the same for ever.
    async fn installation(&self) -> Result<Installation, StoreError>;

    /// The stops that stand, oldest first.
    async fn stops(&self) -> Result<Vec<Stop>, StoreError>;

    /// Sets a stop. Answers whether it is new: one for the same system, direction and cause stays as it was set.
    async fn set_stop(&self, stop: &Stop) -> Result<bool, StoreError>;

    /// Lifts the stop of this system, direction and cause. Answers whether it stood. Who lifted it and when is kept.
    async fn lift_stop(&self, stop: &Stop, by: &str, at: Timestamp) -> Result<bool, StoreError>;

    /// Keeps that what a stop of this cause would hold may go from now on, whether or not one stands.
    async fn keep_lifted(&self, stop: &Stop, by: &str, at: Timestamp) -> Result<(), StoreError> {
        self.set_stop(stop).await?;
        self.lift_stop(stop, by, at).await?;
        Ok(())
    }

    /// When a stop of this cause was lifted last in a system; `None` if none ever was.
    async fn last_lifted(
        &self,
        system: &SystemName,
        cause: StopCause,
    ) -> Result<Option<Timestamp>, StoreError>;
}

/// One direction of one system that is stopped.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stop {
    /// Which system.
    pub system: SystemName,
    /// Which direction.
    pub direction: Direction,
    /// What kind of reason it has.
    pub cause: StopCause,
    /// The person who set it; `None` where Avowal did.
    pub by: Option<String>,
    /// Why, in words.
    pub note: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// The direction that a stop stops.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// What the system shows is not taken in; its webhooks are kept as signals, its feed keeps its place. What it answers
    /// to a write of ours belongs to that write.
    In,
    /// Nothing is written to the system; what comes in is recorded, and writes are planned.
    Out,
}

/// What kind of reason a stop has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopCause {
    /// A person paused it.
    Person,
    /// The system is not the one that it was, or has gone back in time.
    Identity,
    /// The guard on creates: too much would be made, or made again. Everything else is written.
    Creates,
    /// The guard on deletes: too much would be removed. Everything else is written.
    Deletes,
    /// The guards on updates: what would be changed looks like a mistake that spreads.
    Changes,
    /// One of the first writes of a run could not be written.
    Canary,
    /// A person stopped everything: every system, in both directions. It is kept under [`Stop::EVERY_SYSTEM`].
    Everything,
    /// What the guard on deletes holds was approved. It is set and lifted at once, so that the store knows since when.
    ApprovedDeletes,
    /// What the guards on updates hold was approved. It is set and lifted at once, so that the store knows since when.
    ApprovedChanges,
    /// The first fill of a system, which needs no word. It is set and lifted at once, so that the store knows since when.
    FirstFill,
    /// The system holds something and was never written to: a person has to look first. Lifted once and for all.
    FirstWrite,
}

impl Direction {
    /// Every direction.
    pub const ALL: [Self; 2] = [Self::In, Self::Out];

    /// The name in tables and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::In => "in",
            Direction::Out => "out",
        }
    }

    /// The direction of a name in tables.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|direction| direction.as_str() == name)
    }
}

impl StopCause {
    /// Every cause.
    pub const ALL: [Self; 11] = [
        Self::Person,
        Self::Identity,
        Self::Creates,
        Self::Deletes,
        Self::Changes,
        Self::Canary,
        Self::Everything,
        Self::ApprovedDeletes,
        Self::ApprovedChanges,
        Self::FirstFill,
        Self::FirstWrite,
    ];

    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            StopCause::Person => "person",
            StopCause::Identity => "identity",
            StopCause::Creates => "creates",
            StopCause::Deletes => "deletes",
            StopCause::Changes => "changes",
            StopCause::Canary => "canary",
            StopCause::Everything => "everything",
            StopCause::ApprovedDeletes => "approved_deletes",
            StopCause::ApprovedChanges => "approved_changes",
            StopCause::FirstFill => "first_fill",
            StopCause::FirstWrite => "first_write",
        }
    }

    /// The cause of a name in tables.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == name)
    }
}

impl StopCause {
    /// Whether it stops everything in its direction.
    pub fn is_whole(self) -> bool {
        match self {
            StopCause::Person
            | StopCause::Identity
            | StopCause::Changes
            | StopCause::Canary
            | StopCause::Everything
            | StopCause::FirstWrite => true,
            StopCause::Creates
            | StopCause::Deletes
            | StopCause::ApprovedDeletes
            | StopCause::ApprovedChanges
            | StopCause::FirstFill => false,
        }
    }
}

impl Stop {
    /// The name under which a stop of everything is kept. No system is called so.
    pub const EVERY_SYSTEM: &str = "*";

    /// Whether it is about this system.
    pub fn is_about(&self, system: &SystemName) -> bool {
        self.system == *system || self.cause == StopCause::Everything
    }

    /// Whether everything is stopped by one of these.
    pub fn is_everything_among(stops: &[Stop]) -> bool {
        stops.iter().any(|stop| stop.cause == StopCause::Everything)
    }

    /// Whether a guard has set it.
    pub fn is_by_guard(&self) -> bool {
        match self.cause {
            StopCause::Creates | StopCause::Deletes | StopCause::Changes | StopCause::Canary => true,
            StopCause::Person
            | StopCause::Identity
            | StopCause::Everything
            | StopCause::ApprovedDeletes
            | StopCause::ApprovedChanges
            | StopCause::FirstFill
            | StopCause::FirstWrite => false,
        }
    }

    /// Whether it stops the same thing for the same reason.
    pub fn is_for_the_same(&self, other: &Self) -> bool {
        (&self.system, self.direction, self.cause) == (&other.system, other.direction, other.cause)
    }
}

/// The stop as a sentence, with the way to lift it.
impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let system = &self.system;
        match (self.direction, self.cause) {
            (_, StopCause::Everything) => write!(f, "no system is asked or written to")?,
            (Direction::In, _) => write!(f, "what {system} shows is not taken in")?,
            (
                Direction::Out,
                StopCause::Person
                | StopCause::Identity
                | StopCause::Changes
                | StopCause::Canary
                | StopCause::ApprovedChanges
                | StopCause::FirstWrite,
            ) => {
                write!(f, "nothing is written to {system}")?;
            }
            (Direction::Out, StopCause::Deletes | StopCause::ApprovedDeletes) => {
                write!(f, "nothing is deleted in {system}")?
            }
            (Direction::Out, StopCause::Creates | StopCause::FirstFill) => {
                write!(f, "nothing is created in {system}")?;
            }
        }
        write!(f, " since {}", self.since)?;
        if let Some(by) = &self.by {
            write!(f, ", stopped by {by}")?;
        }
        if let Some(note) = &self.note {
            write!(f, ": {note}")?;
        }
        match self.cause {
            StopCause::Person => write!(f, ". Run `avowal resume {system}` to go on"),
            StopCause::Creates | StopCause::FirstFill => write!(
                f,
                ". Look whether {system} shows what it holds, and at `avowal status`. If it is right that they are made, \
                 run `avowal resume {system} --approve-creates`"
            ),
            StopCause::Everything => write!(f, ". Run `avowal resume --all` to go on"),
            StopCause::Canary => write!(
                f,
                ". Look with `avowal quarantine list`, and put right why they were refused; then run `avowal resume {system}`"
            ),
            StopCause::Deletes | StopCause::ApprovedDeletes => write!(
                f,
                ". Look with `avowal plan --system {system}`. If it is right that they are deleted, run `avowal resume \
                 {system} --approve-deletes`; if it is cured where it comes from, `avowal resume {system}`"
            ),
            StopCause::Changes | StopCause::ApprovedChanges => write!(
                f,
                ". Look with `avowal plan --system {system}`. If it is right that this is written, run `avowal resume \
                 {system} --approve-changes`; if it is cured where it comes from, `avowal resume {system}`"
            ),
            StopCause::FirstWrite => write!(
                f,
                ". Look with `avowal plan`; then run `avowal sync --yes`, or beside a running daemon `avowal resume {system} \
                 --yes`"
            ),
            StopCause::Identity => write!(
                f,
                ". Put the right one back and run `avowal resume {system}`; or, if this is the right one and it was \
                 restored or made anew, run `avowal resume {system} --restored`, which lists all of it. If it is another \
                 system, give it a name of its own in the configuration"
            ),
        }
    }
}
