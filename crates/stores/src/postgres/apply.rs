//! Writes the accepted commits of a group: a few statements for all of them, whatever their number.

use super::connection::Link;
use super::encode::PreparedCommit;
use super::error::Fault;
use super::facts::Facts;
use super::statements::run;
use super::{
    cursors, deliveries, effects, events, intents, links, match_keys, quarantine, records, reviews, signals,
};

/// Every statement that a group may send, to be prepared before.
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    let parts = [
        deliveries::STATEMENTS,
        cursors::STATEMENTS,
        records::STATEMENTS,
        events::STATEMENTS,
        links::STATEMENTS,
        match_keys::STATEMENTS,
        intents::STATEMENTS,
        reviews::STATEMENTS,
        quarantine::STATEMENTS,
        signals::STATEMENTS,
        effects::STATEMENTS,
    ];
    parts.into_iter().flatten().copied()
}

/// Writes the commits into the open transaction. Answers whether all of it went in: somebody may have written a row
/// since it was looked for, which only the next look shows.
pub(super) async fn write(
    link: &Link,
    commits: &[&PreparedCommit],
    facts: &Facts,
    slot: i16,
) -> Result<bool, Fault> {
    let mut steps = Vec::new();
    deliveries::write(commits, &mut steps);
    cursors::write(commits, facts, &mut steps);
    records::write(commits, facts, &mut steps)?;
    events::write(commits, slot, &mut steps);
    links::write(commits, facts, &mut steps);
    match_keys::write(commits, facts, &mut steps);
    intents::write(commits, facts, &mut steps)?;
    reviews::write(commits, facts, &mut steps);
    for prepared in commits {
        quarantine::write(&prepared.rest, &mut steps);
        signals::write(&prepared.rest, &mut steps);
    }
    // Last, because all processes count in the same rows.
    effects::write(commits, &mut steps);
    run(link, steps).await
}
