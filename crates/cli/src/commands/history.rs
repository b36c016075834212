//! `avowal history verify` and `avowal history rebuild`.

use crate::arguments::HistoryCommand;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::history::{Fault, Stream, Walk};
use crate::output::{Mark, Output, counted};
use crate::{beside, compose};
use avowal_core::history::HistoryError;
use avowal_engine::match_keys;
use avowal_engine::ports::store::{CommitChanges, Store};
use serde::Serialize;
use std::sync::Arc;

/// The most faults that are named; all are counted.
const NAMED_MAX: usize = 100;

/// What a walk through all histories found.
#[derive(Default, Serialize)]
struct Walked {
    records: u64,
    events: u64,
    faults: u64,
    /// The first ones, by name.
    named: Vec<Fault>,
    restated: u64,
}

impl Walked {
    fn fault(&mut self, error: &HistoryError) {
        self.faults += 1;
        if self.named.len() < NAMED_MAX {
            self.named.push(error.into());
        }
    }

    fn exit(&self) -> Exit {
        if self.faults == 0 { Exit::Done } else { Exit::Failed }
    }
}

/// Runs the sub-command.
pub async fn run(config: &Config, command: &HistoryCommand, output: &Output) -> Result<Exit, Failure> {
    let walked = match command {
        HistoryCommand::Verify => verify(config).await?,
        HistoryCommand::Rebuild { write: false } => {
            rebuild(config, compose::open_to_read(config).await?, false).await?
        }
        HistoryCommand::Rebuild { write: true } => {
            let why =
                "it would go on with the states as they were. Stop it, run this command, then start it again";
            rebuild(config, beside::alone(config, output, why).await?, true).await?
        }
    };
    if output.is_json() {
        output.json(&walked)?;
    } else {
        print(&walked, command, output);
    }
    Ok(walked.exit())
}

async fn verify(config: &Config) -> Result<Walked, Failure> {
    let store = compose::open_to_read(config).await?;
    let mut walk = Walk::new(store.as_ref());
    let mut walked = Walked::default();
    while let Some(mut stream) = walk.next().await? {
        if stream.fault().is_some() {
            stream = walk.again(&stream.id).await?;
        }
        walked.records += 1;
        walked.events += stream.events;
        if let Some(fault) = stream.fault() {
            walked.fault(&fault);
        }
    }
    Ok(walked)
}

/// A state is restated only from a history that verifies: a broken one proves nothing.
async fn rebuild(config: &Config, store: Arc<dyn Store>, write: bool) -> Result<Walked, Failure> {
    let mut walk = Walk::new(store.as_ref());
    let mut walked = Walked::default();
    while let Some(mut stream) = walk.next().await? {
        if stream.difference().is_some() {
            stream = walk.again(&stream.id).await?;
        }
        walked.records += 1;
        walked.events += stream.events;
        if let Some(broken) = &stream.broken {
            walked.fault(broken);
            continue;
        }
        // A state that is as it should be is stored again as well: the rows that point to it may not be.
        let is_restated = write && restate(config, store.as_ref(), &stream).await?;
        match stream.difference() {
            Some(_) if is_restated => walked.restated += 1,
            Some(place) => walked.fault(&HistoryError::State { record: stream.id.clone(), place }),
            None => {}
        }
    }
    Ok(walked)
}

/// Stores the fold; not where the history ends before the state does, because then the tail is missing.
async fn restate(config: &Config, store: &dyn CommitChanges, stream: &Stream) -> Result<bool, Failure> {
    let Some(folded) = &stream.folded else { return Ok(false) };
    let is_cut = stream.stored.as_ref().is_some_and(|stored| stored.seq > folded.seq);
    let Some(policy) = config.policies.get(&folded.entity).filter(|_| !is_cut) else { return Ok(false) };
    store.restate(folded, &match_keys(policy, folded)).await?;
    Ok(true)
}

fn print(walked: &Walked, command: &HistoryCommand, output: &Output) {
    for fault in &walked.named {
        output.line(&fault.fault);
    }
    if walked.faults > walked.named.len() as u64 {
        output.line(format!("and {} more", walked.faults - walked.named.len() as u64));
    }
    if walked.restated > 0 {
        output.line(format!("{} restated from the history", counted(walked.restated, "record", "records")));
    }
    let events = counted(walked.events, "event", "events");
    let looked_at = format!("{events} of {}", counted(walked.records, "record", "records"));
    let words = match (command, walked.faults) {
        (HistoryCommand::Verify, 0) => "the history is whole: nothing missing, doubled, changed or cut",
        (HistoryCommand::Rebuild { .. }, 0) => "every state is the fold of its history",
        (HistoryCommand::Verify, _) => "the history is not what was written",
        (HistoryCommand::Rebuild { .. }, _) => "not every state is the fold of its history",
    };
    let mark = if walked.faults == 0 { Mark::Good } else { Mark::Bad };
    output.line(format!("{looked_at}: {}", output.mark(mark, words)));
}
