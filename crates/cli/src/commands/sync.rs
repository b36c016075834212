//! `avowal sync`: until quiet, then exit.

use crate::arguments::SyncArguments;
use crate::commands::pause::{Approved, told};
use crate::compose;
use crate::conduct::Conduct;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::{Mark, Output, all_counted, counted};
use crate::undelivered;
use crate::watch::Watch;
use avowal_core::explain::short_text;
use avowal_engine::ports::connector::Finding;
use avowal_engine::ports::store::{RunKind, StopCause, Store};
use avowal_engine::{FirstWrite, FirstWrites, SyncOptions, SyncReport, SystemReport};
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
    let store = compose::open_to_write(&config).await?;
    approve(&config, arguments, store.as_ref()).await?;
    let conduct = Conduct { config: &config, kind: RunKind::Sync, by: super::person(None) };
    let full = arguments.full;
    conduct
        .work(store, async move |engine| {
            let watch = Watch::new();
            let report = engine.sync(SyncOptions { full }, &watch).await;
            watch.finish();
            let report = report?;
            if output.is_json() {
                output.json(&report)?;
            } else {
                print(&report, output);
            }
            Ok(exit(&report))
        })
        .await
}

/// Keeps what a person lets go.
async fn approve(config: &Config, arguments: &SyncArguments, store: &dyn Store) -> Result<(), Failure> {
    let by = super::person(None);
    let kinds = [
        (&arguments.approve_creates, Approved { creates: true, ..Approved::default() }),
        (&arguments.approve_deletes, Approved { deletes: true, ..Approved::default() }),
        (&arguments.approve_changes, Approved { changes: true, ..Approved::default() }),
    ];
    for (names, approved) in kinds {
        for name in names {
            let system = super::pause::known(config, name)?;
            super::pause::approve(store, &system, approved, &by).await?;
        }
    }
    Ok(())
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
