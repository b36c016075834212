//! `avowal status`: how much there is, what is under way, what waits for a person.

use crate::compose;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::{Mark, Output};
use avowal_engine::store::Counts;

/// Prints the store's figures.
pub async fn run(config: &Config, output: &Output) -> Result<Exit, Failure> {
    let counts = compose::open_to_read(config)?.counts().await?;
    if output.is_json() {
        output.json(&counts)?;
    } else {
        print(&counts, output);
    }
    Ok(Exit::Done)
}

fn print(counts: &Counts, output: &Output) {
    for (entity, count) in &counts.records {
        output.line(format!("{entity}: {count} records"));
    }
    for (system, count) in &counts.copies {
        output.line(format!("{system}: {count} copies"));
    }
    output.line(format!("{} events in the history", counts.events));
    for (system, status, count) in &counts.intents {
        output.line(format!("{system}: {count} changes {}", output.mark(Mark::Warn, status)));
    }
    for (system, count) in counts.deletes.iter().filter(|(_, count)| *count > 0) {
        output.line(format!("{system}: {count} of them are deletes"));
    }
    if counts.signals > 0 {
        output.line(format!("{} copies wait to be read", counts.signals));
    }
    let wants = |count: u64, what: &str, command: &str| match count {
        0 => format!("no {what}"),
        count => format!("{}: `{command}` shows them", output.mark(Mark::Warn, format!("{count} {what}"))),
    };
    output.line(wants(counts.reviews, "questions for a person", "avowal review list"));
    output.line(wants(counts.quarantine, "items in quarantine", "avowal quarantine list"));
}
