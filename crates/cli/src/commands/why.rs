//! `avowal why`: why a field holds what it holds.

use crate::arguments::WhyArguments;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::{compose, key, undelivered};
use avowal_core::data::ids::{FieldName, SystemName};
use avowal_core::data::value::Value;
use avowal_core::explain::{not_understood, not_understood_line, short_text, why};
use avowal_core::history::IntegrationEvent;
use avowal_core::policy::{EntityPolicy, Owner};
use avowal_core::record::Record;
use avowal_engine::ports::store::{ReadHistory, ReadOverview, WaitingIntent};
use serde::Serialize;
use std::collections::BTreeMap;

/// How many events are read at once.
const PAGE_EVENTS: usize = 1000;

/// The most events, the newest ones, that an answer is drawn from.
const EVENTS_MAX: u64 = 100_000;

/// Prints the story of the belief.
pub async fn run(config: &Config, arguments: &WhyArguments, output: &Output) -> Result<Exit, Failure> {
    let policy = key::policy(config, &arguments.record.entity)?;
    let field = FieldName::new(&arguments.field);
    if policy.field(&field).is_none() {
        let known: Vec<&str> = policy.fields.keys().map(FieldName::as_str).collect();
        let text =
            format!("{} has no field {:?}. There are: {}", policy.entity, arguments.field, known.join(", "));
        return Err(Failure::usage(text));
    }
    let store = compose::open_to_read(config).await?;
    let record = key::find(store.as_ref(), policy, &arguments.record.key, output).await?;
    let events = history(store.as_ref(), &record, output).await?;
    let Some(why) = why(policy, &record, &events, &field) else {
        return unbelieved(policy, &record, field, output);
    };
    if output.is_json() {
        output.json(&why)?;
    } else {
        output.line(why.story());
        for waiting in waiting_of(store.as_ref(), &record).await? {
            output.line(format!("{}: {}", waiting.system, undelivered::tries(&waiting)));
        }
    }
    Ok(Exit::Done)
}

/// A field of which nothing is believed.
#[derive(Serialize)]
struct Unbelieved {
    field: FieldName,
    /// What stands there in copies of systems that may not decide it, by system.
    held: BTreeMap<SystemName, Value>,
}

/// Tells what stands there all the same, and why it is not believed.
fn unbelieved(
    policy: &EntityPolicy,
    record: &Record,
    field: FieldName,
    output: &Output,
) -> Result<Exit, Failure> {
    let held: BTreeMap<SystemName, Value> = record
        .copies
        .iter()
        .filter(|(_, copy)| copy.alive)
        .filter_map(|(system, copy)| Some((system.clone(), copy.fields.get(&field)?.content.clone())))
        .filter(|(_, value)| !value.is_null())
        .collect();
    let aside = not_understood(record, &field);
    if held.is_empty() && (aside.is_empty() || output.is_json()) {
        return Err(Failure::failed(format!("nothing is believed of {field} yet: no system has shown it")));
    }
    if output.is_json() {
        output.json(&Unbelieved { field, held })?;
        return Ok(Exit::Done);
    }
    let mut told = vec![format!("Nothing is believed of {field} yet.")];
    told.extend(aside.iter().map(|(system, why)| not_understood_line(system, why)));
    told.extend(held.iter().map(|(system, value)| {
        let value = short_text(&value.to_string());
        match policy.field(&field).map(|rules| &rules.owner) {
            Some(Owner::System(owner)) if owner != system => {
                format!("{system} holds {value}, which is not believed: {owner} owns {field}, and has set nothing.")
            }
            Some(Owner::System(_) | Owner::Shared) | None => format!("{system} holds {value}."),
        }
    }));
    output.line(told.join(" "));
    Ok(Exit::Done)
}

/// The record's writes that were delayed.
async fn waiting_of(store: &dyn ReadOverview, record: &Record) -> Result<Vec<WaitingIntent>, Failure> {
    let waiting = store.waiting_intents(undelivered::LOOKED_AT_MAX).await?;
    Ok(waiting.into_iter().filter(|waiting| waiting.record == record.id).collect())
}

async fn history(
    store: &dyn ReadHistory,
    record: &Record,
    output: &Output,
) -> Result<Vec<IntegrationEvent>, Failure> {
    let mut from_seq = record.seq.saturating_sub(EVENTS_MAX) + 1;
    if from_seq > 1 {
        output.remark(format!("only the newest {EVENTS_MAX} of {} events are looked at", record.seq));
    }
    let mut events = Vec::new();
    while from_seq <= record.seq {
        let page = store.events(&record.id, from_seq, PAGE_EVENTS).await?;
        let Some(last) = page.last() else { break };
        from_seq = last.seq + 1;
        events.extend(page);
    }
    Ok(events)
}
