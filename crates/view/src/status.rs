//! How much there is, what is under way, what waits for a person.

use crate::LOOKED_AT_MAX;
use crate::quarantine::QuarantineLine;
use crate::refusal::Refusal;
use avowal_core::data::ids::SystemName;
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::connector::{Connector, Finding};
use avowal_engine::ports::store::{Counts, Stop, Store};
use avowal_engine::{BudgetUse, Guards, Undelivered};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a system may take to tell what hampers it.
const NOTICES_TIMEOUT: Duration = Duration::from_secs(3);

/// The most items in quarantine that are named one by one.
const NAMED_MAX: usize = 10;

/// Everything that `status` says.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Status {
    /// How much there is, and what is under way.
    #[serde(flatten)]
    pub counts: Counts,
    /// The stops that stand.
    pub stops: Vec<Stop>,
    /// How much of the write budgets is used up, where they are declared.
    pub budgets: Vec<BudgetUse>,
    /// What is set aside, with its reason: the first of it.
    pub set_aside: Vec<String>,
    /// What hampers the systems now. A system that does not answer in time has none: `check` says why.
    pub notices: BTreeMap<SystemName, Vec<Finding>>,
    /// How late the reads of each system are, where that is declared or was seen.
    pub lags: BTreeMap<SystemName, Lag>,
    /// What is not delivered, by system and cause.
    pub undelivered: Vec<Undelivered>,
}

/// How late the reads of a system are.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Lag {
    /// By how much at most, as `lag_ms` declares; this is what counts where it is there.
    pub declared_ms: Option<u64>,
    /// The longest that was seen.
    pub seen_ms: Option<u64>,
}

/// A system that is asked how it is.
pub struct AskedSystem {
    /// Its name.
    pub name: SystemName,
    /// How late its reads are at most, where that is declared.
    pub lag_ms: Option<u64>,
    /// The way to it; `None` if it cannot be had.
    pub connector: Option<Arc<dyn Connector>>,
}

/// Asks the store, and every system at once what hampers it, unless everything is stopped.
pub async fn status(
    store: &dyn Store,
    systems: &[AskedSystem],
    guards: &Guards,
    now: Timestamp,
) -> Result<Status, Refusal> {
    let stops = store.stops().await?;
    let is_asked = !Stop::is_everything_among(&stops);
    let notices = if is_asked { notices(systems).await } else { BTreeMap::new() };
    let items = store.quarantined(NAMED_MAX).await?;
    let waiting = store.waiting_intents(LOOKED_AT_MAX).await?;
    Ok(Status {
        counts: store.counts().await?,
        stops,
        budgets: budgets(store, systems, guards, now).await?,
        set_aside: items.iter().map(|item| QuarantineLine(item).to_string()).collect(),
        notices,
        lags: lags(systems, &store.lags().await?),
        undelivered: Undelivered::of(&waiting, &[]),
    })
}

/// How much of its write budget each system has used up; nothing where there is none.
async fn budgets(
    store: &dyn Store,
    systems: &[AskedSystem],
    guards: &Guards,
    now: Timestamp,
) -> Result<Vec<BudgetUse>, Refusal> {
    let (per_hour, per_day) = (guards.writes_per_hour, guards.writes_per_day);
    let mut used = Vec::new();
    if per_hour.is_some() || per_day.is_some() {
        for system in systems {
            used.push(BudgetUse::of(store, &system.name, per_hour, per_day, now).await?);
        }
    }
    Ok(used)
}

async fn notices(systems: &[AskedSystem]) -> BTreeMap<SystemName, Vec<Finding>> {
    let asked = systems.iter().map(|system| async move {
        let connector = system.connector.as_ref()?;
        let found = tokio::time::timeout(NOTICES_TIMEOUT, connector.notices()).await.ok()?.ok()?;
        (!found.is_empty()).then(|| (system.name.clone(), found))
    });
    futures::future::join_all(asked).await.into_iter().flatten().collect()
}

/// How late the reads are of the systems of which that is declared or was seen.
pub(crate) fn lags(systems: &[AskedSystem], seen: &BTreeMap<SystemName, u64>) -> BTreeMap<SystemName, Lag> {
    let lag = |system: &AskedSystem| {
        let (declared_ms, seen_ms) = (system.lag_ms, seen.get(&system.name).copied());
        let is_known = declared_ms.is_some() || seen_ms.is_some();
        is_known.then(|| (system.name.clone(), Lag { declared_ms, seen_ms }))
    };
    systems.iter().filter_map(lag).collect()
}

impl Lag {
    /// In words.
    pub fn words(&self) -> String {
        let seen = match self.seen_ms {
            Some(ms) => format!("its reads were seen to be late by {} s", seconds(ms)),
            None => "its reads were never seen to be late".to_owned(),
        };
        match self.declared_ms {
            Some(ms) => format!("{seen}; `lag_ms` allows for {} s", seconds(ms)),
            None => seen,
        }
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{}", ms / 1_000, ms % 1_000 / 100)
}
