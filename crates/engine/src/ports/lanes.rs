//! Lanes: the parts of the work that only one worker may do at a time, and the claims to them.

use crate::ports::bucket::{Share, Shares};
use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, SystemName};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A part of the work with one worker at a time, among all processes that use one store.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Lane {
    /// Reading the listing and the change feed of an entity.
    Feed {
        /// In which system.
        system: SystemName,
        /// Of which entity.
        entity: EntityName,
    },
    /// Sending the intents of a share of the records, and resolving their outcomes.
    Deliver {
        /// To which system.
        system: SystemName,
        /// Which share.
        share: Share,
    },
    /// Reading the copies of a share of those that signals name.
    Read {
        /// In which system.
        system: SystemName,
        /// Which share.
        share: Share,
    },
    /// Reconciling on a schedule.
    Reconcile,
}

impl Lane {
    /// Whether it is a share of work that can be divided among any number of workers.
    pub fn is_divided(&self) -> bool {
        match self {
            Lane::Feed { .. } | Lane::Reconcile => false,
            Lane::Deliver { .. } | Lane::Read { .. } => true,
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lane::Reconcile => f.write_str("reconcile"),
            Lane::Feed { system, entity } => write!(f, "feed/{system}/{entity}"),
            Lane::Deliver { system, share } => write!(f, "deliver/{system}/{}", share.number()),
            Lane::Read { system, share } => write!(f, "read/{system}/{}", share.number()),
        }
    }
}

/// Keeps some lanes from every other worker. Dropping it releases them soon, also when its process dies.
#[async_trait]
pub trait Hold: Send + Sync {
    /// Whether it certainly still keeps them. A process that was stopped for a while may have lost its hold, and must
    /// then not go on.
    fn is_firm(&self) -> bool;

    /// Releases the lanes; they are free when this returns.
    async fn release(self: Box<Self>);
}

/// One worker's exclusive right to some lanes, for a while.
pub struct Claim {
    lanes: BTreeSet<Lane>,
    hold: Option<Box<dyn Hold>>,
}

impl Claim {
    /// A claim to no lanes.
    pub fn none() -> Self {
        Self { lanes: BTreeSet::new(), hold: None }
    }

    /// The claim to these lanes, as long as `hold` keeps them.
    pub fn of(lanes: BTreeSet<Lane>, hold: Box<dyn Hold>) -> Self {
        Self { lanes, hold: Some(hold) }
    }

    /// The lanes, in order.
    pub fn lanes(&self) -> &BTreeSet<Lane> {
        &self.lanes
    }

    /// Whether it is a claim to no lanes.
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// The shares of its lanes, whatever kind of work they are for.
    pub fn shares(&self) -> Shares {
        let share = |lane: &Lane| match lane {
            Lane::Feed { .. } | Lane::Reconcile => None,
            Lane::Deliver { share, .. } | Lane::Read { share, .. } => Some(*share),
        };
        self.lanes.iter().filter_map(share).collect()
    }

    /// Whether the lanes are certainly still ours. Asked before anything is done that others can see.
    pub fn is_firm(&self) -> bool {
        self.hold.as_ref().is_none_or(|hold| hold.is_firm())
    }

    /// Releases the lanes; they are free when this returns.
    pub async fn release(self) {
        if let Some(hold) = self.hold {
            hold.release().await;
        }
    }
}

impl Default for Claim {
    fn default() -> Self {
        Self::none()
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").field("lanes", &self.lanes).finish_non_exhaustive()
    }
}

/// The lanes of a store that one process has for itself.
#[derive(Clone, Debug, Default)]
pub struct LocalLanes {
    taken: Arc<Mutex<BTreeSet<Lane>>>,
}

impl LocalLanes {
    /// Claims those lanes that are free.
    pub fn claim(&self, lanes: &[Lane]) -> Claim {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let free: BTreeSet<Lane> = lanes.iter().filter(|lane| !taken.contains(*lane)).cloned().collect();
        if free.is_empty() {
            return Claim::none();
        }
        taken.extend(free.iter().cloned());
        Claim::of(free.clone(), Box::new(LocalHold { all: self.clone(), mine: free }))
    }
}

struct LocalHold {
    all: LocalLanes,
    mine: BTreeSet<Lane>,
}

#[async_trait]
impl Hold for LocalHold {
    fn is_firm(&self) -> bool {
        true
    }

    async fn release(self: Box<Self>) {}
}

impl Drop for LocalHold {
    fn drop(&mut self) {
        let mut taken = self.all.taken.lock().unwrap_or_else(PoisonError::into_inner);
        self.mine.iter().for_each(|lane| {
            taken.remove(lane);
        });
    }
}
