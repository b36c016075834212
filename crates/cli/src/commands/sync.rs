//! `avowal sync`: until quiet, then exit.

use crate::arguments::SyncArguments;
use crate::beside::{self, Holder};
use crate::clock::now;
use crate::conduct::Conduct;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::{Mark, Output, all_counted, counted};
use crate::undelivered;
use crate::watch::Watch;
use avowal_core::data::ids::SystemName;
use avowal_core::explain::short_text;
use avowal_engine::ports::connector::Finding;
use avowal_engine::ports::store::{RunKind, StopCause};
use avowal_engine::{FirstWrite, FirstWrites, SyncOptions, SyncReport, SystemReport};
#[cfg(unix)]
use avowal_server::client::Client;
#[cfg(unix)]
use avowal_view::SyncRequest;
use avowal_view::{Approved, approve, told};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is said of a system with which nothing was done.
const NOTHING: &str = "nothing to do";

/// Runs one sync and tells what it did.
pub async fn run(mut config: Config, arguments: &SyncArguments, output: &Output) -> Result<Exit, Failure> {
    if arguments.yes {
        config.settings.first_writes = FirstWrites::Agreed { by: super::person(None) };
    }
    if let Some(path) = &arguments.plan {
        let plan = Arc::new(super::plan::to_keep(&config, path)?);
        config.settings.first_writes = FirstWrites::Planned { by: super::person(None), plan };
    }
    let approved = approved(&config, arguments)?;
    let store = match beside::holder(&config, output).await? {
        Holder::Here(store) => store,
        #[cfg(unix)]
        Holder::Daemon(daemon) => {
            let report = by_daemon(&daemon, arguments, approved, output).await?;
            return tell(&report, output);
        }
    };
    for (system, approved) in &approved {
        approve(store.as_ref(), system, *approved, &super::person(None), now()).await?;
    }
    let conduct = Conduct { config: &config, kind: RunKind::Sync, by: super::person(None) };
    let full = arguments.full;
    conduct
        .work(store, async move |engine| {
            let watch = Watch::new();
            let report = engine.sync(SyncOptions { full }, &watch).await;
            watch.finish();
            tell(&report?, output)
        })
        .await
}

/// What a person lets go, by system.
fn approved(config: &Config, arguments: &SyncArguments) -> Result<BTreeMap<SystemName, Approved>, Failure> {
    let mut approved: BTreeMap<SystemName, Approved> = BTreeMap::new();
    for name in &arguments.approve_creates {
        approved.entry(super::pause::known(config, name)?).or_default().creates = true;
    }
    for name in &arguments.approve_deletes {
        approved.entry(super::pause::known(config, name)?).or_default().deletes = true;
    }
    for name in &arguments.approve_changes {
        approved.entry(super::pause::known(config, name)?).or_default().changes = true;
    }
    Ok(approved)
}

fn tell(report: &SyncReport, output: &Output) -> Result<Exit, Failure> {
    if output.is_json() {
        output.json(report)?;
    } else {
        print(report, output);
    }
    Ok(exit(report))
}

/// Has the daemon that holds the store do it, beside what it does anyhow.
#[cfg(unix)]
async fn by_daemon(
    daemon: &Client,
    arguments: &SyncArguments,
    approved: BTreeMap<SystemName, Approved>,
    output: &Output,
) -> Result<SyncReport, Failure> {
    let refused = |why: &str| {
        let cure = "Stop `avowal run`, run this command, then start it again";
        Failure::failed(format!("`avowal run` is running and holds the store; {why}. {cure}"))
    };
    if arguments.plan.is_some() {
        return Err(refused("it writes by itself, so nothing would be held to the plan"));
    }
    output.remark(
        "`avowal run` is running and holds the store; it does this now. What it does by itself meanwhile is not counted.",
    );
    let request = SyncRequest { full: arguments.full, yes: arguments.yes, approved, by: super::person(None) };
    Ok(daemon.sync(&request).await?)
}

/// What a person must act on first decides: credentials, then what is held, then what failed, then what waits.
fn exit(report: &SyncReport) -> Exit {
    if report.has_refused_credentials() {
        Exit::Refused
    } else if report.is_held() {
        Exit::Held
    } else if !report.is_complete() {
        Exit::Failed
    } else if report.has_something_waiting() {
        Exit::Waiting
    } else {
        Exit::Done
    }
}

fn print(report: &SyncReport, output: &Output) {
    for (name, system) in &report.systems {
        let words = words(system);
        // Of a system that could not be used "nothing to do" would be untrue.
        if system.problem.is_none() || words != NOTHING {
            output.line(format!("{name}: {words}"));
        }
        if let Some(problem) = &system.problem {
            output.line(format!("{name}: {}: {problem}", output.mark(Mark::Bad, "not in agreement")));
        }
        for Finding { place, problem, cure, .. } in &system.notices {
            output.line(format!("{name}: {}: {place}: {problem}. {cure}", output.mark(Mark::Warn, "notice")));
        }
    }
    let written = counted(report.written(), "write", "writes");
    output.line(format!("{written} confirmed, {} recorded.", counted(report.events, "event", "events")));
    let waits = |count: u64, one: &str, many: &str, command: &str| {
        if count > 0 {
            output.line(format!("{}: `{command}`.", counted(count, one, many)));
        }
    };
    let quarantine = "avowal quarantine list";
    waits(report.quarantined, "item was set aside", "items were set aside", quarantine);
    waits(
        report.reviews_open,
        "question waits for a person",
        "questions wait for a person",
        "avowal review list",
    );
    waits(
        report.intents_open,
        "change is not confirmed yet",
        "changes are not confirmed yet",
        "avowal status",
    );
    waits(
        report.reads_open,
        "copy is in doubt and is read again by the next run",
        "copies are in doubt and are read again by the next run",
        "avowal sync",
    );
    waits(
        report.quarantine_open.saturating_sub(report.quarantined),
        "item stands in quarantine from before",
        "items stand in quarantine from before",
        quarantine,
    );
    undelivered::print(&report.undelivered, output);
    print_held(report, output);
}

/// What is held, by guards, a plan and stops, each with its cure.
fn print_held(report: &SyncReport, output: &Output) {
    for (system, moved) in &report.moved_on {
        let records = counted(moved.records, "record has", "records have");
        let named = moved.examples.iter().map(|name| short_text(name)).collect::<Vec<_>>().join("; ");
        output.line(format!(
            "{}: {records} moved on since the plan of {} to {system} was made, and what would be written now is held: \
             {named}. Plan anew: `avowal plan --out FILE`",
            output.mark(Mark::Warn, "Not as planned"),
            counted(moved.planned, "write", "writes"),
        ));
    }
    for first in report.first_writes.iter().filter(|first| first.count() > 0) {
        output.line(format!("{}: {first}", output.mark(Mark::Warn, "Held until you have looked")));
    }
    if report.first_writes.iter().any(|first| first.count() > 0) {
        output.line(format!("{}.", FirstWrite::CURE));
    }
    for used in &report.used_up {
        output.line(format!("{}: {used}", output.mark(Mark::Warn, "Write budget used up")));
    }
    for stop in told(&report.stops).filter(|stop| stop.cause != StopCause::FirstWrite) {
        let by = if stop.is_by_guard() { "Held by a guard" } else { "Held by a stop" };
        output.line(format!("{}: {stop}", output.mark(Mark::Warn, by)));
    }
}

fn words(system: &SystemReport) -> String {
    let counts = [
        (system.listed, "copy listed", "copies listed"),
        (system.followed, "change followed", "changes followed"),
        (system.read, "copy read again", "copies read again"),
        (system.written, "write confirmed", "writes confirmed"),
        (system.failed, "write attempt without a confirmed end", "write attempts without a confirmed end"),
    ];
    all_counted(&counts, NOTHING)
}
