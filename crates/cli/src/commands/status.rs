//! `avowal status`: how much there is, what is under way, what waits for a person.

use crate::clock::now;
use crate::commands::pause::told;
use crate::commands::quarantine;
use crate::compose;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::{Mark, Output, counted};
use crate::undelivered;
use avowal_core::data::ids::SystemName;
use avowal_engine::ports::connector::{Finding, Installation};
use avowal_engine::ports::store::{Counts, Stop, StopCause, Store};
use avowal_engine::{BudgetUse, Undelivered};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a system may take to tell what hampers it.
const NOTICES_TIMEOUT: Duration = Duration::from_secs(3);

/// Prints the store's figures.
pub async fn run(config: &Config, output: &Output) -> Result<Exit, Failure> {
    let store = compose::open_to_read(config).await?;
    let stops = store.stops().await?;
    let is_asked = !stops.iter().any(|stop| stop.cause == StopCause::Everything);
    let notices = match is_asked {
        true => notices(config, &store.installation().await?).await,
        false => BTreeMap::new(),
    };
    let budgets = budgets(config, store.as_ref()).await?;
    let items = store.quarantined(NAMED_MAX).await?;
    let set_aside = items.iter().map(quarantine::plain_line).collect();
    let counts = store.counts().await?;
    let lags = lags(config, store.lags().await?);
    let waiting = store.waiting_intents(undelivered::LOOKED_AT_MAX).await?;
    let status = Status {
        counts,
        stops,
        budgets,
        set_aside,
        notices,
        lags,
        undelivered: Undelivered::of(&waiting, &[]),
    };
    if output.is_json() {
        output.json(&status)?;
    } else {
        print(&status.counts, output);
        for (system, lag) in &status.lags {
            output.line(format!("{system}: {}", lag.words()));
        }
        for item in &status.set_aside {
            output.line(format!("  {item}"));
        }
        for used in &status.budgets {
            output.line(format!("Write budget of {used}"));
        }
        for stop in told(&status.stops) {
            let by = if stop.is_by_guard() { "Held by a guard" } else { "Held by a stop" };
            output.line(format!("{}: {stop}", output.mark(Mark::Warn, by)));
        }
        for (system, Finding { place, problem, cure, .. }) in
            status.notices.iter().flat_map(|(system, found)| found.iter().map(move |one| (system, one)))
        {
            output
                .line(format!("{system}: {}: {place}: {problem}. {cure}", output.mark(Mark::Warn, "notice")));
        }
        undelivered::print(&status.undelivered, output);
    }
    Ok(Exit::Done)
}

/// The most items in quarantine that are named one by one.
const NAMED_MAX: usize = 10;

/// Everything that `status` says.
#[derive(Serialize)]
struct Status {
    #[serde(flatten)]
    counts: Counts,
    /// The stops that stand.
    stops: Vec<Stop>,
    /// How much of the write budgets is used up, where they are declared.
    budgets: Vec<BudgetUse>,
    /// What is set aside, with its reason: the first of it.
    set_aside: Vec<String>,
    /// What hampers the systems now. A system that does not answer in time has none: `check` says why.
    notices: BTreeMap<SystemName, Vec<Finding>>,
    /// How late the reads of each system are, where that is declared or was seen.
    lags: BTreeMap<SystemName, Lag>,
    /// What is not delivered, by system and cause.
    undelivered: Vec<Undelivered>,
}

/// How late the reads of a system are.
#[derive(Serialize)]
struct Lag {
    /// By how much at most, as `lag_ms` declares; this is what counts where it is there.
    declared_ms: Option<u64>,
    /// The longest that was seen.
    seen_ms: Option<u64>,
}

impl Lag {
    fn words(&self) -> String {
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

/// How late the reads are of the systems of which that is declared or was seen.
fn lags(config: &Config, seen: BTreeMap<SystemName, u64>) -> BTreeMap<SystemName, Lag> {
    let lag = |(name, declared_ms): (&SystemName, Option<u64>)| {
        let seen_ms = seen.get(name).copied();
        let is_known = declared_ms.is_some() || seen_ms.is_some();
        is_known.then(|| (name.clone(), Lag { declared_ms, seen_ms }))
    };
    config.systems.iter().map(|(name, system)| (name, system.lag_ms)).filter_map(lag).collect()
}

/// How much of its write budget each system has used up; nothing where there is none.
async fn budgets(config: &Config, store: &dyn Store) -> Result<Vec<BudgetUse>, Failure> {
    let guards = &config.settings.guards;
    let (per_hour, per_day) = (guards.writes_per_hour, guards.writes_per_day);
    let mut used = Vec::new();
    if per_hour.is_some() || per_day.is_some() {
        for system in config.systems.keys() {
            used.push(BudgetUse::of(store, system, per_hour, per_day, now()).await?);
        }
    }
    Ok(used)
}

/// Asks every system at once what hampers it.
async fn notices(config: &Config, installation: &Installation) -> BTreeMap<SystemName, Vec<Finding>> {
    let asked = config.systems.iter().map(|(name, system)| async move {
        let connector = compose::connector(name, system, installation, &config.policies).ok()?;
        let found = tokio::time::timeout(NOTICES_TIMEOUT, connector.notices()).await.ok()?.ok()?;
        (!found.is_empty()).then(|| (name.clone(), found))
    });
    futures::future::join_all(asked).await.into_iter().flatten().collect()
}

fn print(counts: &Counts, output: &Output) {
    for (entity, count) in &counts.records {
        output.line(format!("{entity}: {}", counted(*count, "record", "records")));
    }
    for (system, count) in &counts.copies {
        output.line(format!("{system}: {}", counted(*count, "copy", "copies")));
    }
    output.line(format!("{} in the history", counted(counts.events, "event", "events")));
    for (system, status, count) in &counts.intents {
        let changes = counted(*count, "change", "changes");
        output.line(format!("{system}: {changes} {}", output.mark(Mark::Warn, status.as_str())));
    }
    for (system, count) in counts.deletes.iter().filter(|(_, count)| *count > 0) {
        output.line(format!("{system}: {} among them", counted(*count, "delete", "deletes")));
    }
    if counts.signals > 0 {
        output.line(format!("{} to be read", counted(counts.signals, "copy", "copies")));
    }
    let wants = |count: u64, one: &str, many: &str, command: &str| {
        let words = counted(count, one, many);
        if count == 0 { words } else { format!("{}: `{command}`", output.mark(Mark::Warn, words)) }
    };
    output.line(wants(
        counts.reviews,
        "question for a person",
        "questions for a person",
        "avowal review list",
    ));
    output.line(wants(
        counts.quarantine,
        "item in quarantine",
        "items in quarantine",
        "avowal quarantine list",
    ));
}
