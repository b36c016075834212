//! `avowal reconcile`: compares the systems with what is believed, and repairs what differs when somebody says so.

use crate::arguments::{ReconcileArguments, ReconcileCommand};
use crate::conduct::Conduct;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::{Mark, Output, counted};
use crate::watch::Watch;
use crate::{beside, compose};
use avowal_core::data::ids::RunId;
use avowal_core::data::value::Value;
use avowal_core::explain::{short_text, short_value};
use avowal_engine::ports::store::{
    Reconciliation, ReconciliationDifference, ReconciliationSummary, RunKind, Store,
};
use avowal_engine::{ReconcileOptions, RepairOptions, RepairReport};
use serde::Serialize;
use std::path::Path;

/// How many differences and unsettled copies are named one by one.
const NAMED_MAX: usize = 30;

/// How many differences are read at once.
const PAGE_DIFFERENCES: usize = 1_000;

/// How many reconciliations are listed.
const LISTED_MAX: usize = 30;

/// Runs the sub-command, or compares.
pub async fn run(config: &Config, arguments: &ReconcileArguments, output: &Output) -> Result<Exit, Failure> {
    match &arguments.command {
        None => compare(config, arguments, output).await,
        Some(ReconcileCommand::List) => list(config, output).await,
        Some(ReconcileCommand::Show { run }) => show(config, RunId::new(*run), output).await,
        Some(ReconcileCommand::Repair { run, only }) => {
            let options = RepairOptions { found_by: RunId::new(*run), only: only.clone() };
            repair(config, options, output).await
        }
    }
}

/// A report with all its differences.
#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    report: Reconciliation,
    /// Sorted by system, entity and field.
    found: Vec<ReconciliationDifference>,
}

/// Compares, also while a daemon runs.
async fn compare(config: &Config, arguments: &ReconcileArguments, output: &Output) -> Result<Exit, Failure> {
    let system = arguments.system.as_deref().map(|name| super::pause::known(config, name)).transpose()?;
    let entity =
        arguments.entity.as_deref().map(|name| super::plan::known_entity(config, name)).transpose()?;
    let options = ReconcileOptions { system, entity, settle_ms: arguments.settle };
    let store = compose::open_to_control(config).await?;
    let conduct = Conduct { config, kind: RunKind::Reconcile, by: super::person(None) };
    conduct
        .work(store, async move |engine| {
            let watch = Watch::new();
            let report = engine.reconcile(&options, &watch).await;
            watch.finish();
            let whole = whole(engine.store().as_ref(), report?).await?;
            if let Some(path) = &arguments.out {
                keep(path, &whole)?;
                output.remark(format!("Kept in {}.", path.display()));
            }
            tell(&whole, output)
        })
        .await
}

async fn list(config: &Config, output: &Output) -> Result<Exit, Failure> {
    let reports = compose::open_to_read(config).await?.reconciliations(LISTED_MAX).await?;
    if output.is_json() {
        output.json(&reports)?;
        return Ok(Exit::Done);
    }
    if reports.is_empty() {
        output.line("No reconciliation is kept. `avowal reconcile` makes one.");
    }
    for report in &reports {
        let id = output.mark(Mark::Strong, report.run.to_string());
        output.line(format!("{id}  {}  {}", report.made_at, result(report)));
    }
    Ok(Exit::Done)
}

async fn show(config: &Config, run: RunId, output: &Output) -> Result<Exit, Failure> {
    let store = compose::open_to_read(config).await?;
    let Some(report) = store.reconciliation(run).await? else {
        return Err(Failure::usage(format!(
            "run {run} has left no reconciliation, or it was forgotten. `avowal reconcile list` shows those that are kept"
        )));
    };
    tell(&whole(store.as_ref(), report).await?, output)
}

async fn repair(config: &Config, options: RepairOptions, output: &Output) -> Result<Exit, Failure> {
    let why = "a repair needs it for itself. Stop it, run this command, then start it again";
    let store = beside::alone(config, output, why).await?;
    let conduct = Conduct { config, kind: RunKind::Repair, by: super::person(None) };
    conduct
        .work(store, async move |engine| {
            let watch = Watch::new();
            let report = engine.repair(&options, &watch).await;
            watch.finish();
            let report = report?;
            let run = engine.run_id();
            if output.is_json() {
                output.json(&serde_json::json!({ "run": run, "repair": report }))?;
            } else {
                print_repair(&report, run, output);
            }
            Ok(exit_of_repair(&report))
        })
        .await
}

/// The report with its differences, sorted as people read them.
async fn whole(store: &dyn Store, report: Reconciliation) -> Result<Whole, Failure> {
    let mut found = Vec::new();
    let mut after = 0;
    loop {
        let page = store.differences(report.run, after, PAGE_DIFFERENCES).await?;
        let Some(last) = page.last() else { break };
        after = last.number;
        found.extend(page);
    }
    found.sort_by(|a, b| {
        let key = |one: &ReconciliationDifference| {
            (one.system.clone(), one.entity_type.clone(), one.field_name.clone(), one.number)
        };
        key(a).cmp(&key(b))
    });
    Ok(Whole { report, found })
}

fn keep(path: &Path, whole: &Whole) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(whole)
        .map_err(|error| Failure::failed(format!("the report cannot be written as JSON: {error}")))?;
    std::fs::write(path, text)
        .map_err(|error| Failure::failed(format!("{} cannot be written: {error}", path.display())))
}

/// Prints a report, and says how the command ends.
fn tell(whole: &Whole, output: &Output) -> Result<Exit, Failure> {
    if output.is_json() {
        output.json(whole)?;
    } else {
        print(whole, output);
    }
    let report = &whole.report;
    let is_paused = |summary: &ReconciliationSummary| {
        summary.incomplete.as_ref().is_some_and(|why| why.contains("is paused"))
    };
    Ok(if report.incomplete().any(|summary| !is_paused(summary)) {
        Exit::Failed
    } else if report.incomplete().next().is_some() {
        Exit::Held
    } else if report.waiting() > 0 {
        Exit::Waiting
    } else {
        Exit::Done
    })
}

fn print(whole: &Whole, output: &Output) {
    let Whole { report, found } = whole;
    let title = format!("Reconciliation {} of {}", report.run, report.made_at);
    output.line(format!("{}: {}.", output.mark(Mark::Strong, title), result(report)));
    report.summaries.iter().for_each(|summary| print_summary(summary, output));
    let mut subject = String::new();
    for difference in found.iter().take(NAMED_MAX) {
        let now = format!(
            "{} of {} in {}",
            difference.field_name.as_str(),
            difference.entity_type,
            difference.system
        );
        if now != subject {
            output.line(format!("{}:", output.mark(Mark::Strong, &now)));
            subject = now;
        }
        print_difference(difference, output);
    }
    if found.len() > NAMED_MAX {
        let more = counted((found.len() - NAMED_MAX) as u64, "more difference", "more differences");
        output.line(format!("… and {more}: `avowal reconcile show {} --json`", report.run));
    }
    if report.differences_left_out > 0 {
        let left = counted(report.differences_left_out, "difference is", "differences are");
        output.line(format!("{left} counted and not kept. Repair these and reconcile again."));
    }
    for copy in report.unsettled.iter().take(NAMED_MAX) {
        let id = short_text(copy.remote_id.as_str());
        let reason = short_reason(&copy.reason);
        output.line(format!("not counted: {} {}:{id}: {reason}", copy.entity_type, copy.system));
    }
    if report.waiting() > 0 {
        output.line(format!(
            "Look, and then `avowal reconcile repair {}`, which decides by the rules and writes what follows.",
            report.run
        ));
    }
}

/// What was found, in a few words.
fn result(report: &Reconciliation) -> String {
    let incomplete = report.incomplete().count() as u64;
    let all: u64 = report.actions.values().sum();
    let mut words = match all {
        0 if incomplete > 0 => "nothing differs in what was compared".to_owned(),
        0 => "all agree".to_owned(),
        _ => {
            let each = report.actions.iter().map(|(action, count)| format!("{count} {}", action.as_str()));
            let each = each.collect::<Vec<_>>().join(", ");
            format!("{} ({each})", counted(all, "difference", "differences"))
        }
    };
    if incomplete > 0 {
        let not = counted(incomplete, "comparison was not whole", "comparisons were not whole");
        words.push_str(&format!(", and {not}"));
    }
    words
}

fn print_summary(summary: &ReconciliationSummary, output: &Output) {
    let place = format!("{}: {}", summary.system, summary.entity_type);
    if let Some(why) = &summary.incomplete {
        let not = output.mark(Mark::Bad, "nothing is concluded");
        output.line(format!("{place}: {not}: {}", short_reason(why)));
        return;
    }
    let (local, external) = (summary.local_record_count, summary.external_record_count);
    let verdict =
        if summary.matches { output.mark(Mark::Good, "agrees") } else { output.mark(Mark::Warn, "differs") };
    let shown = counted(external, "copy shown", "copies shown");
    let mut words = format!("{place}: {verdict}: {shown}, {local} held");
    for (count, what) in
        [(summary.missing, "missing"), (summary.unknown, "unknown"), (summary.unsettled, "not counted")]
    {
        if count > 0 {
            words.push_str(&format!(", {count} {what}"));
        }
    }
    output.line(words);
    for (field, agreement) in summary.fields.iter().filter(|(_, agreement)| agreement.differing > 0) {
        output.line(format!("  {field}: {} of {} differ", agreement.differing, agreement.compared));
    }
}

fn print_difference(difference: &ReconciliationDifference, output: &Output) {
    let value = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), short_value);
    let (believed, shown) = (value(&difference.local_value), value(&difference.external_value));
    let id = short_text(difference.remote_id.as_str());
    let (entity, system) = (&difference.entity_type, &difference.system);
    let action = difference.recommended_action.as_str();
    let reason = short_reason(&difference.reason);
    output.line(format!(
        "  {}. {system}:{id}: believed {believed}, {system} shows {shown}; owner {}; {action}: {reason}",
        difference.number, difference.owner
    ));
    let Some(record) = &difference.entity_id else { return };
    output.line(match difference.field_name.field() {
        Some(field) => format!("     avowal why {entity} {record} {field}"),
        None => format!("     avowal timeline {entity} {record}"),
    });
}

/// A reason on one line, cut where it is long. It may repeat foreign words.
fn short_reason(reason: &str) -> String {
    let clean: String = reason.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    if clean.chars().count() <= 200 { clean } else { clean.chars().take(200).chain(['…']).collect() }
}

fn print_repair(report: &RepairReport, run: Option<RunId>, output: &Output) {
    let wanted = counted(report.wanted, "difference", "differences");
    output.line(format!(
        "Of {wanted} of reconciliation {}: {} handed in, {} recorded, {} confirmed.",
        report.found_by,
        counted(report.copies, "copy", "copies"),
        counted(report.events, "event", "events"),
        counted(report.written, "write", "writes"),
    ));
    for (count, why) in [
        (report.left, "left as the rules say (ignore)"),
        (report.not_allowed, "never repaired (repair = \"never\")"),
        (report.reported, "reported by the change feed by now; the next `avowal sync` takes them in"),
        (report.in_doubt, "in doubt, because a late read may explain it; the next `avowal sync` reads again"),
        (report.questions, "asked of a person: `avowal review list`"),
        (report.failed, "attempts to write not confirmed; the next `avowal sync` tries again"),
    ] {
        if count > 0 {
            output.line(format!("{count} {why}."));
        }
    }
    for copy in &report.doubtful {
        let left = output.mark(Mark::Warn, "Left alone");
        output.line(format!(
            "{left}: {} carries another key than it had. If it is the same thing: `avowal reconcile repair {} --only {}`",
            short_text(copy),
            report.found_by,
            short_text(copy),
        ));
    }
    for (system, problem) in &report.problems {
        let not = output.mark(Mark::Bad, "not repaired");
        output.line(format!("{system}: {not}: {problem}"));
    }
    for held in &report.held {
        output.line(format!("{}: {held}", output.mark(Mark::Warn, "Held")));
    }
    if let Some(run) = run {
        output.line(format!("What it did: `avowal runs show {run}`."));
    }
}

fn exit_of_repair(report: &RepairReport) -> Exit {
    if !report.problems.is_empty() {
        Exit::Failed
    } else if !report.held.is_empty() {
        Exit::Held
    } else if report.failed + report.questions + report.reported + report.in_doubt > 0
        || !report.doubtful.is_empty()
    {
        Exit::Waiting
    } else {
        Exit::Done
    }
}
