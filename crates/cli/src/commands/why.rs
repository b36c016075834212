//! `avowal why`: why a field holds what it holds.

use crate::arguments::WhyArguments;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::{compose, key, undelivered};
use avowal_core::data::ids::FieldName;
use avowal_core::explain::{not_understood, not_understood_line, why};
use avowal_core::history::IntegrationEvent;
use avowal_core::record::Record;
use avowal_engine::ports::store::{ReadHistory, ReadOverview, WaitingIntent};

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
        let aside = not_understood(&record, &field);
        if let (Some((system, why)), false) = (aside.first_key_value(), output.is_json()) {
            output.line(format!("Nothing is believed of {field} yet. {}", not_understood_line(system, why)));
            return Ok(Exit::Done);
        }
        return Err(Failure::failed(format!("nothing is believed of {field} yet: no system has shown it")));
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
