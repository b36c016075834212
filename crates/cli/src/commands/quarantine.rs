//! `avowal quarantine`: what could not be understood or accepted.

use crate::arguments::QuarantineCommand;
use crate::compose;
use crate::conduct::Conduct;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::{Mark, Output, counted};
use avowal_engine::ports::store::{QuarantineItem, ReadOverview, RunKind};
use avowal_engine::{Engine, EngineError, OPEN_ITEMS_MAX};

/// Runs the sub-command.
pub async fn run(config: &Config, command: &QuarantineCommand, output: &Output) -> Result<Exit, Failure> {
    match command {
        QuarantineCommand::List => list(config, output).await,
        QuarantineCommand::Show { id } => show(config, *id, output).await,
        QuarantineCommand::Replay { id, by, .. } => {
            replay(config, *id, &super::person(by.as_deref()), output).await
        }
    }
}

async fn list(config: &Config, output: &Output) -> Result<Exit, Failure> {
    let items = compose::open_to_read(config).await?.quarantined(OPEN_ITEMS_MAX).await?;
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
    let item = find(compose::open_to_read(config).await?.as_ref(), id).await?;
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
async fn replay(config: &Config, id: Option<i64>, by: &str, output: &Output) -> Result<Exit, Failure> {
    let store = compose::open_to_write(config).await?;
    let items = match id {
        Some(id) => vec![find(store.as_ref(), id).await?],
        None => store.quarantined(OPEN_ITEMS_MAX).await?,
    };
    let conduct = Conduct { config, kind: RunKind::Replay, by: by.to_owned() };
    conduct.work(store, async move |engine| replay_items(&engine, &items, by, output).await).await
}

/// Replays the items one by one.
async fn replay_items(
    engine: &Engine,
    items: &[QuarantineItem],
    by: &str,
    output: &Output,
) -> Result<Exit, Failure> {
    let (mut replayed, mut refused) = (Vec::new(), Vec::new());
    for item in items {
        match engine.replay(item, by).await {
            Ok(()) => replayed.push(item.id),
            Err(EngineError::Usage(reason)) => refused.push((item.id, reason)),
            Err(
                error @ (EngineError::Store(_) | EngineError::System { .. } | EngineError::Contended { .. }),
            ) => {
                return Err(error.into());
            }
        }
    }
    let exit = if refused.is_empty() { Exit::Done } else { Exit::Failed };
    if output.is_json() {
        let refused: Vec<_> =
            refused.iter().map(|(id, reason)| serde_json::json!({ "id": id, "reason": reason })).collect();
        output.json(&serde_json::json!({ "replayed": replayed, "refused": refused }))?;
        return Ok(exit);
    }
    for (_, reason) in &refused {
        output.line(plain(reason));
    }
    output.line(format!(
        "The next `avowal sync` tries {} again.",
        counted(replayed.len() as u64, "item", "items")
    ));
    Ok(exit)
}

async fn find(store: &dyn ReadOverview, id: i64) -> Result<QuarantineItem, Failure> {
    let items = store.quarantined(OPEN_ITEMS_MAX).await?;
    items.into_iter().find(|item| item.id == id).ok_or_else(|| {
        Failure::usage(format!("no open item has the number {id}. `avowal quarantine list` shows them"))
    })
}

fn line(item: &QuarantineItem, output: &Output) -> String {
    format!("{}: {}", output.mark(Mark::Strong, item.id.to_string()), plain_line(item))
}

/// One item without its number.
pub(super) fn plain_line(item: &QuarantineItem) -> String {
    let way = if item.record.is_some() { "to" } else { "from" };
    let copy = item.remote_id.as_ref().map(|id| format!(" {}", plain(id.as_str()))).unwrap_or_default();
    format!("{}{copy} {way} {}: {}", item.entity, item.system, plain(&item.reason))
}

/// Foreign text whole, but without anything that moves a terminal's cursor.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() { out.extend(char.escape_default()) } else { out.push(char) }
    }
    out
}
