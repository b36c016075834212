//! Rows that refer to records which are not known yet: they wait, or go on without the reference until it is known.

use crate::inbound::batch::Batch;
use crate::inbound::draft::CommitDraft;
use crate::inbound::facts::{Content, Fact, is_in_log};
use crate::inbound::quarantine::payload;
use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::ports::store::SignalReason;
use avowal_core::record::CopyKey;
use std::collections::BTreeSet;

/// How often a row is read in vain before it goes on without its references. Until then referents usually arrive, and a
/// system that demands a reference is given it with the row.
const READS_MIN: u32 = 3;

/// Lets those rows go on without their references that would otherwise wait for ever, or whose other fields must not wait:
/// what they refer to waits too, so perhaps for them, or the row's record is known already. What a log shows of a known
/// record goes on at once, because the log shows it only once and a read is no proof of its place. The answer is the
/// copies of those rows, which are read again until the references are known.
pub(crate) async fn go_on_without(
    parts: &Parts,
    batch: &Batch,
    facts: &mut [Fact<'_>],
) -> Result<BTreeSet<CopyKey>, EngineError> {
    let was_read_often = batch.attempts >= READS_MIN;
    let referents: Vec<(CopyKey, Vec<CopyKey>)> = facts
        .iter()
        .filter(|fact| was_read_often || is_in_log(parts, batch, fact))
        .filter_map(|fact| match &fact.content {
            Content::Waits(waiting) => Some((fact.copy.clone(), waiting.referents.clone())),
            Content::Present { .. }
            | Content::Gone
            | Content::Read(_)
            | Content::Unreadable { .. }
            | Content::Unread { .. } => None,
        })
        .collect();
    let mut going = BTreeSet::new();
    if referents.is_empty() {
        return Ok(going);
    }
    let copies: Vec<CopyKey> = referents.iter().map(|(copy, _)| copy.clone()).collect();
    let located = parts.store.locate(&copies).await?;
    let asked: Vec<CopyKey> = referents.iter().flat_map(|(_, asked)| asked.clone()).collect();
    let mut waiting = parts.awaited.among(&asked).await?;
    waiting.extend(copies.iter().cloned());
    for ((copy, asked), located) in referents.iter().zip(located) {
        let is_known = located.is_some_and(|located| located.alive);
        if is_known || (was_read_often && asked.iter().all(|key| waiting.contains(key))) {
            going.insert(copy.clone());
        }
    }
    for fact in facts.iter_mut().filter(|fact| going.contains(&fact.copy)) {
        if let Content::Waits(waiting) = &fact.content {
            let row = waiting.row.clone();
            fact.content = Content::Present { digest: row.digest(), row };
        }
    }
    Ok(going)
}

/// The referent usually arrives within moments. Until then the copy is read again now and then, and at last
/// quarantined.
pub(crate) fn wait_for_referent(draft: &mut CommitDraft<'_>, fact: &Fact<'_>, reason: &str) {
    if !read_again(draft, &fact.copy) {
        draft.quarantine(&fact.copy, reason.to_owned(), payload(fact.change));
    }
}

/// Asks for a read of a copy whose references are not known, unless it has been read often enough.
pub(crate) fn read_again(draft: &mut CommitDraft<'_>, copy: &CopyKey) -> bool {
    let (settings, attempts) = (&draft.parts.settings, draft.batch.attempts);
    if attempts >= settings.attempts_max {
        return false;
    }
    if !draft.awaited.contains(copy) {
        draft.ask_for_read(copy, SignalReason::Replay, settings.backoff_ms(attempts));
    }
    true
}
