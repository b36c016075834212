//! Mistakes that the store makes in the engine's place.

use super::Mistake;
use avowal_core::data::value::Digest;
use avowal_engine::ports::store::{Commit, CommitOutcome, RecordCommit};

/// What is made durable instead of the commit.
pub fn altered(mistake: Option<Mistake>, mut commit: Commit) -> Commit {
    if mistake == Some(Mistake::MissDedupeKey) {
        commit.dedupe.clear();
    }
    if mistake == Some(Mistake::StateBesideHistory) {
        let copies = commit.records.iter_mut().flat_map(|record| record.state.copies.values_mut());
        copies.for_each(|copy| copy.sent = copy.seen.clone());
    }
    if mistake == Some(Mistake::BreakChain) {
        commit.records.iter_mut().for_each(unchain);
    }
    commit
}

/// The part of a commit that is made durable on its own, before the rest.
pub fn early(mistake: Option<Mistake>, commit: &mut Commit) -> Option<Commit> {
    if mistake != Some(Mistake::AdvanceCursorEarly) || commit.cursors.is_empty() {
        return None;
    }
    Some(Commit { cursors: std::mem::take(&mut commit.cursors), ..Commit::default() })
}

/// What the engine is told of the outcome.
pub fn told(mistake: Option<Mistake>, outcome: CommitOutcome) -> CommitOutcome {
    match (mistake, outcome) {
        (Some(Mistake::IgnoreConflict), CommitOutcome::Conflict { .. })
        | (Some(Mistake::AssumeCommitted), CommitOutcome::Unknown { .. }) => CommitOutcome::Committed,
        (_, outcome) => outcome,
    }
}

fn unchain(record: &mut RecordCommit) {
    for event in &mut record.events {
        event.prev = Digest::ZERO;
        *event = event.clone().seal();
        record.state.head = event.hash;
    }
}
