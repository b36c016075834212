//! `avowal quarantine`: what could not be understood or accepted.

use crate::arguments::QuarantineCommand;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::{Mark, Output, counted};
use crate::{beside, compose};
use avowal_view::{QuarantineItem, QuarantineLine, Reader, ReplayRequest, plain};

/// Runs the sub-command.
pub async fn run(config: &Config, command: &QuarantineCommand, output: &Output) -> Result<Exit, Failure> {
    match command {
        QuarantineCommand::List => list(config, output).await,
        QuarantineCommand::Show { id } => show(config, *id, output).await,
        QuarantineCommand::Replay { id, by, .. } => {
            replay(config, *id, super::person(by.as_deref()), output).await
        }
    }
}

async fn list(config: &Config, output: &Output) -> Result<Exit, Failure> {
    let store = compose::open_to_read(config).await?;
    let remark = |text: String| output.remark(text);
    let reader = Reader { store: store.as_ref(), policies: &config.policies, remark: &remark };
    let items = reader.quarantine().await?;
    if output.is_json() {
        output.json(&items)?;
        return Ok(Exit::Done);
    }
    if items.is_empty() {
        output.line("Nothing is in quarantine.");
    }
    for item in &items {
        output.line(line(item, output));
    }
    Ok(Exit::Done)
}

async fn show(config: &Config, id: i64, output: &Output) -> Result<Exit, Failure> {
    let store = compose::open_to_read(config).await?;
    let remark = |text: String| output.remark(text);
    let reader = Reader { store: store.as_ref(), policies: &config.policies, remark: &remark };
    let item = reader.quarantined(id).await?;
    if output.is_json() {
        output.json(&item)?;
        return Ok(Exit::Done);
    }
    output.line(line(&item, output));
    output.line(format!("Since {}.", item.at));
    if let Some(record) = &item.record {
        output.line(format!("Record: {record}"));
    }
    output.line(format!("What came: {}", plain(&item.payload)));
    Ok(Exit::Done)
}

/// Replays one item, or all; an item that cannot be replayed does not hold up the others.
async fn replay(config: &Config, id: Option<i64>, by: String, output: &Output) -> Result<Exit, Failure> {
    let decider = beside::decider(config, output).await?;
    let done = decider.decide.replay(id, &ReplayRequest { by }).await?;
    let exit = if done.refused.is_empty() { Exit::Done } else { Exit::Failed };
    if output.is_json() {
        output.json(&done)?;
        return Ok(exit);
    }
    for refused in &done.refused {
        output.line(plain(&refused.reason));
    }
    let who = if decider.is_daemon { "The running daemon" } else { "The next `avowal sync`" };
    output.line(format!("{who} tries {} again.", counted(done.replayed.len() as u64, "item", "items")));
    Ok(exit)
}

fn line(item: &QuarantineItem, output: &Output) -> String {
    format!("{}: {}", output.mark(Mark::Strong, item.id.to_string()), QuarantineLine(item))
}
