//! `avowal runs`: what ran, on whose word, how it ended, and what it did.

use crate::arguments::RunsCommand;
use crate::clock::now;
use crate::compose;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::{Mark, Output, all_counted, counted};
use avowal_core::data::ids::RunId;
use avowal_core::explain::short_text;
use avowal_engine::ports::store::{Run, RunCounts, RunEnd};
use avowal_engine::{RunAccount, account_of};

/// Runs the sub-command.
pub async fn run(config: &Config, command: &RunsCommand, output: &Output) -> Result<Exit, Failure> {
    match command {
        RunsCommand::List { last } => list(config, *last, output).await,
        RunsCommand::Show { id } => show(config, RunId::new(*id), output).await,
    }
}

async fn list(config: &Config, last: u32, output: &Output) -> Result<Exit, Failure> {
    let store = compose::open_to_read(config).await?;
    let limit = usize::try_from(last).unwrap_or(usize::MAX);
    let runs: Vec<Run> = store.runs(None, limit).await?.into_iter().map(|run| run.as_of(now())).collect();
    if output.is_json() {
        output.json(&runs)?;
        return Ok(Exit::Done);
    }
    if runs.is_empty() {
        output.line("Nothing has run yet. `avowal sync` begins the first run.");
    }
    for run in &runs {
        let id = output.mark(Mark::Strong, run.id.to_string());
        let (kind, by) = (run.kind.as_str(), short_text(&run.by));
        let made = made(&run.counts);
        output.line(format!("{id}  {}  {kind} by {by}: {}; {made}", run.began_at, end(run, output)));
    }
    Ok(Exit::Done)
}

async fn show(config: &Config, id: RunId, output: &Output) -> Result<Exit, Failure> {
    let store = compose::open_to_read(config).await?;
    let Some(mut account) = account_of(store.as_ref(), id).await? else {
        return Err(Failure::usage(format!(
            "there is no run {id}, or it made nothing and was forgotten. `avowal runs list` shows the newest"
        )));
    };
    account.run = account.run.as_of(now());
    if output.is_json() {
        output.json(&account)?;
    } else {
        print(&account, output);
    }
    Ok(Exit::Done)
}

fn print(account: &RunAccount, output: &Output) {
    let run = &account.run;
    let title = format!("Run {}: {} by {}", run.id, run.kind.as_str(), short_text(&run.by));
    output.line(format!("{}: {}", output.mark(Mark::Strong, title), short_text(&run.why)));
    output.line(match (run.ended_at, run.end) {
        (Some(at), _) => format!("Began at {}, ended at {at}: {}.", run.began_at, end(run, output)),
        (None, Some(_)) => {
            format!("Began at {}, last seen at {}: {}.", run.began_at, run.seen_at, end(run, output))
        }
        (None, None) => format!("Began at {}, and goes on.", run.began_at),
    });
    output.line(format!("Configuration: {}.", run.configuration));
    output.line(format!("Made: {}.", made(&run.counts)));
    for (entity, records) in &account.records {
        let changed = account.fields.get(entity).map(|fields| {
            let each = fields.iter().map(|(field, times)| format!("{field} {times}"));
            format!("; beliefs changed: {}", each.collect::<Vec<_>>().join(", "))
        });
        let touched = counted(*records, "record touched", "records touched");
        output.line(format!("{entity}: {touched}{}", changed.unwrap_or_default()));
    }
    for (system, did) in &account.systems {
        let counts = [
            (did.observations, "observation", "observations"),
            (did.writes_confirmed, "write confirmed", "writes confirmed"),
            (did.writes_failed, "attempt failed", "attempts failed"),
            (did.set_aside, "set aside", "set aside"),
        ];
        output.line(format!("{system}: {}", all_counted(&counts, "nothing")));
    }
    for touched in &account.touched {
        let events = counted(touched.events, "event", "events");
        output.line(format!("  {events}: avowal timeline {} {}", touched.entity, touched.record));
    }
    let all: u64 = account.records.values().sum();
    if all > account.touched.len() as u64 {
        output.line(format!("  and {} more.", all - account.touched.len() as u64));
    }
}

/// How a run ended, in one or a few words.
fn end(run: &Run, output: &Output) -> String {
    let (mark, words) = match run.end {
        None => return "goes on".to_owned(),
        Some(RunEnd::Done) => (Mark::Good, "done"),
        Some(RunEnd::Waiting) => (Mark::Warn, "done, and something waits"),
        Some(RunEnd::Held) => (Mark::Warn, "held"),
        Some(RunEnd::Failed) => (Mark::Bad, "failed"),
        Some(RunEnd::Killed) => (Mark::Bad, "killed before it ended"),
    };
    output.mark(mark, words)
}

fn made(counts: &RunCounts) -> String {
    let figures = [
        (counts.events, "event", "events"),
        (counts.observations, "observation", "observations"),
        (counts.fields_changed, "belief changed", "beliefs changed"),
        (counts.writes_confirmed, "write confirmed", "writes confirmed"),
        (counts.writes_failed, "attempt failed", "attempts failed"),
        (counts.reviews_opened, "question asked", "questions asked"),
        (counts.set_aside, "set aside", "set aside"),
    ];
    all_counted(&figures, "nothing to record")
}
