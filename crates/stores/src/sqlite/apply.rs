//! Applies one task inside its savepoint: first every test, then every row.

use super::encode::{Encoded, RowTexts};
use super::error::{Fault, Refusal};
use super::recent::Recent;
use super::records::Stored;
use super::writer::Task;
use super::{
    admit, cursors, deliveries, effects, events, intents, links, match_keys, quarantine, records, reviews,
    signals,
};
use avowal_core::data::ids::RecordId;
use avowal_core::history::{Body, IntegrationEvent};
use avowal_core::record::Record;
use avowal_engine::ports::store::{Commit, CommitOutcome, StoreError};
use rusqlite::Connection;
use std::collections::BTreeSet;

/// How one task of a group went; durable only after the group's flush.
pub(super) enum Applied {
    /// It is in the transaction.
    Done,
    /// It was undone: something had moved on.
    Refused(CommitOutcome),
    /// It was undone: it could not be written.
    Failed(StoreError),
}

/// A record about to be written: its new state and keys, and what is stored of it.
pub(super) struct Change<'a> {
    pub(super) state: &'a Record,
    pub(super) match_keys: &'a [String],
    pub(super) texts: &'a RowTexts,
    pub(super) before: Option<&'a Stored>,
}

/// Applies `task`; after an error its savepoint must be rolled back.
pub(super) fn task(connection: &Connection, recent: &Recent, task: &Task) -> Result<(), Refusal> {
    match task {
        Task::Commit(encoded) => commit(connection, recent, encoded),
        Task::Restate { record, match_keys } => {
            recent.forget(&record.id);
            restate(connection, record, match_keys).map_err(Refusal::from)
        }
        Task::CountRepeats { system, keys } => {
            deliveries::count_repeats(connection, system, keys).map_err(Refusal::from)
        }
        Task::Forget(deliveries) => deliveries::forget(connection, deliveries).map_err(Refusal::from),
        Task::LimitPages(pages) => limit_pages(connection, *pages).map_err(Refusal::from),
    }
}

fn commit(connection: &Connection, recent: &Recent, encoded: &Encoded) -> Result<(), Refusal> {
    let commit = &encoded.commit;
    deliveries::take(connection, &commit.dedupe)?;
    cursors::advance(connection, &commit.cursors)?;
    let finals = admit::finals(encoded)?;
    let before = admit::continued(connection, recent, &finals)?;
    admit::check_sole_keys(connection, commit)?;
    let changes: Vec<Change<'_>> = finals
        .iter()
        .zip(&before)
        .map(|(admit::Final { last, texts, .. }, before)| Change {
            state: &last.state,
            match_keys: &last.match_keys,
            texts,
            before: before.as_ref(),
        })
        .collect();
    // A remote id may go from one record of the commit to another, so all let go before any takes.
    for change in &changes {
        links::release(connection, change)?;
    }
    for change in &changes {
        write(connection, change)?;
    }
    for (record, texts) in commit.records.iter().zip(&encoded.records) {
        for (event, texts) in record.events.iter().zip(&texts.events) {
            events::append(connection, event, texts)?;
            reviews::note(connection, event)?;
        }
    }
    let asked: BTreeSet<&RecordId> =
        events_of(commit).filter(|event| is_question(event)).map(|event| &event.record).collect();
    for change in &changes {
        // Where there was no question, is none and none came up in between, no row can be open.
        let was_quiet = change.before.is_none_or(|before| before.state.reviews.is_empty());
        if !was_quiet || !change.state.reviews.is_empty() || asked.contains(&change.state.id) {
            reviews::follow_state(connection, change.state)?;
        }
    }
    quarantine::add(connection, &commit.quarantine)?;
    quarantine::close(connection, &commit.quarantine_closed)?;
    quarantine::settle(connection, &commit.quarantine_settled)?;
    quarantine::release(connection, &commit.quarantine_ids_closed)?;
    signals::add(connection, &commit.signals)?;
    signals::remove(connection, &commit.signals_done)?;
    intents::delay(connection, &commit.delays)?;
    effects::count(connection, &commit.effects).map_err(Fault::from)?;
    Ok(())
}

fn events_of(commit: &Commit) -> impl Iterator<Item = &IntegrationEvent> {
    commit.records.iter().flat_map(|record| &record.events)
}

fn is_question(event: &IntegrationEvent) -> bool {
    matches!(event.body, Body::ManualReviewRequested { .. })
}

/// Writes the state and what points to it. A link that another record holds is a conflict.
pub(super) fn write(connection: &Connection, change: &Change<'_>) -> Result<(), Refusal> {
    records::write(connection, change)?;
    links::write(connection, change)?;
    intents::write(connection, change)?;
    match_keys::write(connection, change)?;
    Ok(())
}

/// Replaces what is stored of a record beside its history, and derives again what only the history tells.
fn restate(connection: &Connection, record: &Record, match_keys: &[String]) -> Result<(), Fault> {
    clear(connection, record)?;
    let texts = RowTexts::new(record, match_keys)?;
    let change = Change { state: record, match_keys, texts: &texts, before: None };
    write(connection, &change).map_err(|refusal| match refusal {
        Refusal::Fault(fault) => fault,
        Refusal::Outcome(outcome) => {
            Fault::damaged(format!("links of record {}", record.id), format!("{outcome:?}"))
        }
    })?;
    reviews::forget(connection, &record.id)?;
    events::each_noted(connection, &record.id, |event| reviews::note(connection, event))?;
    reviews::follow_state(connection, record)
}

/// Removes what points to a record, whatever its row says. Intents that the new state has as well keep their schedule.
pub(super) fn clear(connection: &Connection, record: &Record) -> Result<(), Fault> {
    let id = record.id.as_str();
    connection.prepare_cached("DELETE FROM links WHERE record_id = ?1")?.execute([id])?;
    connection.prepare_cached("DELETE FROM match_keys WHERE record_id = ?1")?.execute([id])?;
    let mut select = connection.prepare_cached("SELECT system FROM intents WHERE record_id = ?1")?;
    let systems: Vec<String> = select.query_map([id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for system in systems.iter().filter(|system| !record.intents.contains_key(system.as_str())) {
        intents::remove(connection, record, system)?;
    }
    Ok(())
}

fn limit_pages(connection: &Connection, pages: u32) -> Result<(), Fault> {
    // The pragma answers with the bound that holds now: never below the present size.
    connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
    Ok(())
}
