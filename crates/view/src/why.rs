//! Why a field holds what it holds, also where nothing is believed of it.

use crate::LOOKED_AT_MAX;
use crate::reader::{Reader, known_field};
use crate::refusal::Refusal;
use avowal_core::data::ids::{FieldName, SystemName};
use avowal_core::data::value::Value;
use avowal_core::explain::{Why, not_understood, not_understood_line, short_text, why};
use avowal_core::history::IntegrationEvent;
use avowal_core::policy::{EntityPolicy, Owner};
use avowal_core::record::Record;
use avowal_engine::ports::store::WaitingIntent;
use serde::Serialize;
use std::collections::BTreeMap;

/// How many events are read at once.
const PAGE_EVENTS: usize = 1000;

/// The most events, the newest ones, that an answer is drawn from.
const EVENTS_MAX: u64 = 100_000;

/// Why a field holds what it holds.
#[derive(Clone, PartialEq, Debug)]
pub struct WhyView {
    /// What programs are told.
    pub answer: WhyAnswer,
    /// The same for people, in sentences.
    pub story: String,
    /// The record's writes that were delayed.
    pub waiting: Vec<WaitingIntent>,
}

/// What programs are told about a field.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub enum WhyAnswer {
    /// Something is believed of it.
    Believed(Box<Why>),
    /// Nothing is, although something stands in copies.
    Unbelieved(Unbelieved),
}

/// A field of which nothing is believed.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Unbelieved {
    /// Which field.
    pub field: FieldName,
    /// What stands there in copies of systems that may not decide it, by system.
    pub held: BTreeMap<SystemName, Value>,
    /// What stands there in copies and cannot be understood, with the reason, by system.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub not_understood: BTreeMap<SystemName, String>,
}

impl Reader<'_> {
    /// Why a field of one record holds what it holds.
    pub async fn why(&self, entity: &str, key: &str, field: &str) -> Result<WhyView, Refusal> {
        let policy = self.policy(entity)?;
        let field = known_field(policy, field)?;
        let record = self.find(policy, key).await?;
        let events = self.history(&record).await?;
        let Some(why) = why(policy, &record, &events, &field) else {
            return unbelieved(policy, &record, field);
        };
        let waiting = self.store.waiting_intents(LOOKED_AT_MAX).await?;
        let waiting = waiting.into_iter().filter(|waiting| waiting.record == record.id).collect();
        Ok(WhyView { story: why.story(), answer: WhyAnswer::Believed(Box::new(why)), waiting })
    }

    async fn history(&self, record: &Record) -> Result<Vec<IntegrationEvent>, Refusal> {
        let mut from_seq = record.seq.saturating_sub(EVENTS_MAX) + 1;
        if from_seq > 1 {
            (self.remark)(format!("only the newest {EVENTS_MAX} of {} events are looked at", record.seq));
        }
        let mut events = Vec::new();
        while from_seq <= record.seq {
            let page = self.store.events(&record.id, from_seq, PAGE_EVENTS).await?;
            let Some(last) = page.last() else { break };
            from_seq = last.seq + 1;
            events.extend(page);
        }
        Ok(events)
    }
}

/// Tells what stands there all the same, and why it is not believed.
fn unbelieved(policy: &EntityPolicy, record: &Record, field: FieldName) -> Result<WhyView, Refusal> {
    let held: BTreeMap<SystemName, Value> = record
        .copies
        .iter()
        .filter(|(_, copy)| copy.alive)
        .filter_map(|(system, copy)| Some((system.clone(), copy.fields.get(&field)?.content.clone())))
        .filter(|(_, value)| !value.is_null())
        .collect();
    let aside = not_understood(record, &field);
    if held.is_empty() && aside.is_empty() {
        return Err(Refusal::nothing_there(format!(
            "nothing is believed of {field} yet: no system has shown it"
        )));
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
    let answer = WhyAnswer::Unbelieved(Unbelieved { field, held, not_understood: aside });
    Ok(WhyView { answer, story: told.join(" "), waiting: Vec::new() })
}
