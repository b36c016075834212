//! `avowal status`: how much there is, what is under way, what waits for a person.

use crate::clock::now;
use crate::compose;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::{Mark, Output, counted};
use crate::undelivered;
use avowal_engine::ports::connector::Finding;
use avowal_engine::ports::store::Counts;
use avowal_view::{AskedSystem, status, told};

/// Prints the store's figures.
pub async fn run(config: &Config, output: &Output) -> Result<Exit, Failure> {
    let store = compose::open_to_read(config).await?;
    let installation = store.installation().await?;
    let asked = config.systems.iter().map(|(name, system)| AskedSystem {
        name: name.clone(),
        lag_ms: system.lag_ms,
        connector: compose::connector(name, system, &installation, &config.policies).ok(),
    });
    let asked: Vec<AskedSystem> = asked.collect();
    let status = status(store.as_ref(), &asked, &config.settings.guards, now()).await?;
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
