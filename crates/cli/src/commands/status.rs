//! `avowal status`: how much there is, what is under way, what waits for a person.

use crate::compose;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::{Mark, Output, counted};
use avowal_engine::ports::store::Counts;

/// Prints the store's figures.
pub async fn run(config: &Config, output: &Output) -> Result<Exit, Failure> {
    let counts = compose::open_to_read(config).await?.counts().await?;
    if output.is_json() {
        output.json(&counts)?;
    } else {
        print(&counts, output);
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
