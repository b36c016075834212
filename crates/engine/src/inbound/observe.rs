//! One fact of a batch becomes an observation of its record and is decided, or says why it cannot be yet.

use crate::inbound::batch::Batch;
use crate::inbound::draft::CommitDraft;
use crate::inbound::facts::{Content, Fact, is_in_log};
use crate::inbound::identify::{Matches, identify};
use crate::inbound::lag::note_lag;
use crate::inbound::quarantine::{no_key_words, payload};
use crate::inbound::referents::{read_again, wait_for_referent};
use crate::inbound::sameness::{Sameness, sameness};
use crate::inbound::unread::{is_settled_by_listing, read_again_later};
use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::parts::translate::Aside;
use crate::ports::store::{Located, SignalReason};
use avowal_core::data::ids::{RecordId, RunId, SystemName};
use avowal_core::decide::decide;
use avowal_core::decide::diff::diff;
use avowal_core::decide::identity::{has_no_key, waits_for_key};
use avowal_core::decide::lifecycle::unlink;
use avowal_core::decide::repair::actions_of;
use avowal_core::history::chronicle::Chronicle;
use avowal_core::history::{Body, Doubt};
use avowal_core::policy::translate::Understood;
use avowal_core::record::observation::{Channel, CopyState, Look, Observation, Place};
use avowal_core::record::{Copy, Record};
use std::sync::Arc;

/// Takes one fact into the draft.
pub(crate) async fn observe_fact<'a>(
    draft: &mut CommitDraft<'a>,
    fact: &Fact<'a>,
    located: Option<&Located>,
    matches: &Matches,
) -> Result<(), EngineError> {
    match &fact.content {
        Content::Unreadable { reason, payload } => {
            draft.quarantine(&fact.copy, reason.clone(), payload.clone());
        }
        Content::Unread { reason } => read_again_later(draft, fact, reason),
        Content::Waits(waiting) => wait_for_referent(draft, fact, &waiting.reason),
        Content::Read(reason) => draft.ask_for_read(&fact.copy, *reason, 0),
        Content::Gone => observe_gone(draft, fact, located),
        Content::Present { row, .. } => observe_present(draft, fact, row, located, matches).await?,
    }
    Ok(())
}

fn observe_gone(draft: &mut CommitDraft<'_>, fact: &Fact<'_>, located: Option<&Located>) {
    draft.close_quarantine(&fact.copy);
    let batch = draft.batch;
    let is_found = |record: &RecordId| {
        let copies = draft.chronicles.get(record).map(|chronicle| &chronicle.record().copies);
        let copy = copies.and_then(|copies| copies.get(&batch.system));
        copy.is_some_and(|copy| copy.is_found_by(&fact.copy.remote_id))
    };
    match draft.record_of(&fact.copy, located) {
        // The record has another copy by now.
        Some(record) if !is_found(&record) => {}
        Some(record) => {
            observe(draft, fact, &record, CopyState::Gone, &Aside::new());
        }
        // A lagging read may miss a copy that was just created, so we look again.
        None if located.is_none() && batch.channel == Channel::Signal && !batch.confirmed => {
            let reason = SignalReason::SecondLook(Doubt::GoneTooSoon);
            draft.ask_for_read(&fact.copy, reason, draft.parts.settings.settle_ms);
        }
        None => {}
    }
}

async fn observe_present<'a>(
    draft: &mut CommitDraft<'a>,
    fact: &Fact<'a>,
    row: &Understood,
    located: Option<&Located>,
    matches: &Matches,
) -> Result<(), EngineError> {
    let known = draft.record_of(&fact.copy, located);
    if known.is_none() && located.is_some() {
        // The record was not loaded, because the copy has not changed.
        let reasons = problems(draft, fact, &row.aside, None);
        // Whether its record has a key from another copy is not known here.
        if !reasons.is_empty() || !has_no_key(&fact.policy, &row.fields) {
            note_aside(draft, fact, reasons, false);
        }
        return Ok(());
    }
    let record = match known {
        Some(record) => match sameness(draft, fact, &row.fields, &record) {
            Sameness::Same => Some(record),
            Sameness::Doubtful => {
                let reason = SignalReason::SecondLook(Doubt::BackTooSoon);
                draft.ask_for_read(&fact.copy, reason, draft.parts.settings.settle_ms);
                return Ok(());
            }
            Sameness::ToldByLog => return Ok(()),
            Sameness::Another => identify_again(draft, fact, matches, &record).await?,
        },
        None => identify(draft, fact, matches).await?,
    };
    if let Some(record) = record {
        let before = problems(draft, fact, &aside_of(draft, &record), Some(&record));
        let observed = observe(draft, fact, &record, CopyState::Present(row.fields.clone()), &row.aside);
        let mut after = problems(draft, fact, &aside_of(draft, &record), Some(&record));
        let has_changed = before != after;
        match observed {
            Observed::Decided => note_aside(draft, fact, after, has_changed),
            Observed::LooksOlder => {
                after.push(LOOKS_OLDER.to_owned());
                note_aside(draft, fact, after, has_changed);
            }
            // Whether it still looks older is not known before the next look.
            Observed::Later if after.is_empty() => {}
            Observed::Later => note_aside(draft, fact, after, has_changed),
        }
        draft.remember_keys(fact, &record);
    }
    Ok(())
}

/// Finds or begins the record of a row that has got the id of a row which is gone. The record of that one lets go of it.
async fn identify_again<'a>(
    draft: &mut CommitDraft<'a>,
    fact: &Fact<'a>,
    matches: &Matches,
    before: &RecordId,
) -> Result<Option<RecordId>, EngineError> {
    let found = identify(draft, fact, matches).await?;
    let context = draft.context(Some(fact.change), &fact.entity);
    let other = found.as_ref().filter(|found| *found != before);
    if let Some(chronicle) = other.and_then(|_| draft.chronicles.get_mut(before)) {
        chronicle.set_context(context);
        unlink(chronicle, &draft.batch.system);
    }
    Ok(found)
}

/// The fields of the record's copy that are set aside.
fn aside_of(draft: &CommitDraft<'_>, record: &RecordId) -> Aside {
    let copy =
        draft.chronicles.get(record).and_then(|chronicle| chronicle.record().copies.get(&draft.batch.system));
    copy.map(|copy| copy.aside.clone()).unwrap_or_default()
}

/// What keeps the copy in quarantine: fields that nobody understands, and the want of a key.
fn problems(
    draft: &CommitDraft<'_>,
    fact: &Fact<'_>,
    aside: &Aside,
    record: Option<&RecordId>,
) -> Vec<String> {
    let mapping = fact.policy.mappings.get(&draft.batch.system);
    let mut problems = mapping.map(|mapping| mapping.problems(aside)).unwrap_or_default();
    let record = record.and_then(|record| draft.chronicles.get(record)).map(Chronicle::record);
    // Before all systems have been listed the rules make nothing anywhere, so those that will hold are asked.
    let policy = draft.parts.policies.get(&fact.entity).unwrap_or(&fact.policy);
    if record.is_some_and(|record| waits_for_key(policy, record)) {
        problems.push(no_key_words(policy));
    }
    problems
}

/// Keeps the copy in quarantine while something is wrong with it, and takes it out when nothing is.
fn note_aside(draft: &mut CommitDraft<'_>, fact: &Fact<'_>, problems: Vec<String>, has_changed: bool) {
    if draft.without_references.contains(&fact.copy) && read_again(draft, &fact.copy) {
        return;
    }
    if problems.is_empty() {
        draft.close_quarantine(&fact.copy);
    } else if has_changed || !draft.quarantined.contains(&fact.copy) {
        draft.quarantine(&fact.copy, problems.join("; "), payload(fact.change));
    }
}

/// Why a copy is not believed whose own time is older than that of its answer to our write.
const LOOKS_OLDER: &str = "its own time is older than the time in its system's answer to our last write, so it is not \
    believed, and is read again until it shows a newer one. If it is right, save it there once more";

/// What became of an observation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Observed {
    /// It was decided.
    Decided,
    /// It will be decided at a later look.
    Later,
    /// It looks older than an answer of its system, and no lag explains that any more.
    LooksOlder,
}

/// Decides what a copy shows of its record.
fn observe(
    draft: &mut CommitDraft<'_>,
    fact: &Fact<'_>,
    record: &RecordId,
    shown: CopyState,
    aside: &Aside,
) -> Observed {
    let (parts, batch) = (draft.parts, draft.batch);
    let (settings, key) = (&parts.settings, &fact.copy);
    let context = draft.context(Some(fact.change), &fact.entity);
    let is_settled = is_settled_by_listing(draft, key);
    let is_read = batch.confirmed || is_settled;
    let Some(chronicle) = draft.chronicles.get_mut(record) else { return Observed::Later };
    let copy = chronicle.record().copies.get(&batch.system);
    let is_known = copy.is_some_and(|copy| !copy.is_unseen());
    // The first sight of a copy cannot be older than a known state, and other facts must find its record.
    if is_known && !is_in_log(parts, batch, fact) && !is_read && draft.awaited.contains(key) {
        if copy.is_some_and(|copy| differs(copy, &shown)) {
            // The read that is due may lag behind what is shown here.
            draft.ask_for_read(key, SignalReason::SecondLook(Doubt::ReadMayLag), settings.settle_ms);
        }
        return Observed::Later;
    }
    let quiescent = is_quiescent(parts, batch, chronicle.record(), &shown)
        || (is_settled && is_settled_by_now(parts, batch, chronicle.record()));
    let changed_at = chronicle.record().copies.get(&batch.system).map(|copy| copy.changed_at);
    // By the system's own clock it was saved after the state that we know: no late read explains it.
    let looks_newer = looks_newer(chronicle.record().copies.get(&batch.system), fact);
    let lags = changed_at.is_some_and(|at| parts.may_lag(&batch.system, at, batch.asked_at));
    let look = Look::of(is_read, quiescent);
    let observation =
        Observation { aside: aside.clone(), lags, look, ..observation(parts, batch, fact, shown, quiescent) };
    chronicle.set_context(context);
    // What a late read may explain is no drift yet; a later listing shows it, if it is one.
    if batch.drift && !lags {
        note_drift(chronicle, &observation);
    }
    let in_flight = chronicle.record().intents.get(&batch.system).filter(|intent| intent.is_open());
    let in_flight = in_flight.map(|intent| intent.key.clone());
    let before = chronicle.events().len();
    let decision = decide(&fact.policy, chronicle, &observation);
    if let Some(found_by) = batch.repairs.filter(|_| decision.doubt().is_none()) {
        note_repair(chronicle, &batch.system, found_by, before);
    }
    let left = chronicle.record().intents.get(&batch.system).map(|intent| &intent.key);
    if let Some(shown) = in_flight.as_ref().filter(|key| left != Some(*key)) {
        parts.note_shown(&batch.system, shown);
    }
    note_lag(parts, key, decision, changed_at.filter(|_| !looks_newer), batch.asked_at);
    if let Some(doubt) = decision.doubt() {
        let is_over = doubt == Doubt::ClockWentBack && observation.look == Look::Final && !lags;
        let patience = parts.patience_ms(&batch.system, batch.attempts);
        let delay = if is_over { patience.max(settings.backoff_ms(batch.attempts)) } else { patience };
        draft.ask_for_read(key, SignalReason::SecondLook(doubt), delay);
        return if is_over { Observed::LooksOlder } else { Observed::Later };
    } else if is_before_listing(parts, batch, fact) {
        // If the listing ends before this commit is durable and we stop then, no sweep would plan what that system
        // lacks.
        let delay = settings.settle_ms.max(settings.backoff_ms(batch.attempts));
        draft.ask_for_read(key, SignalReason::BeforeListing, delay);
    }
    Observed::Decided
}

fn observation(
    parts: &Parts,
    batch: &Batch,
    fact: &Fact<'_>,
    shown: CopyState,
    quiescent: bool,
) -> Observation {
    let change = fact.change;
    Observation {
        system: batch.system.clone(),
        entity: fact.entity.clone(),
        remote_id: change.id.clone(),
        shown,
        aside: Aside::new(),
        channel: batch.channel,
        order: change.order.clone(),
        version: change.version.clone(),
        correlation: change.correlation.clone(),
        actor: change.actor.clone(),
        occurred_at: change.occurred_at,
        received_at: batch.received_at,
        place: Place::of(is_in_log(parts, batch, fact), change.order.as_ref(), quiescent),
        look: Look::of(batch.confirmed, quiescent),
        is_repair: batch.repairs.is_some(),
        lags: false,
    }
}

/// Whether the copy last changed so long ago that even a lagging read shows at least that state.
fn is_quiescent(parts: &Parts, batch: &Batch, record: &Record, shown: &CopyState) -> bool {
    let Some(copy) = record.copies.get(&batch.system) else { return true };
    let is_first_sight = copy.is_unseen() && matches!(shown, CopyState::Present(_));
    is_first_sight || parts.was_quiescent(copy.changed_at, batch.asked_at, batch.confirmed)
}

/// Whether the quiet time has passed since a copy changed that only listings show. Nothing will be read that could tell more,
/// so a process that has just begun believes its clock.
fn is_settled_by_now(parts: &Parts, batch: &Batch, record: &Record) -> bool {
    let settle = i64::try_from(parts.settings.settle_ms).unwrap_or(i64::MAX);
    let changed_at = record.copies.get(&batch.system).map(|copy| copy.changed_at);
    changed_at.is_none_or(|at| batch.asked_at.millis().saturating_sub(at.millis()) >= settle)
}

/// Whether some system has not been listed yet, and no sweep after a listing of ours will look at this record again.
fn is_before_listing(parts: &Parts, batch: &Batch, fact: &Fact<'_>) -> bool {
    let all_listed = parts.policies.get(&fact.entity).is_some_and(|full| Arc::ptr_eq(full, &fact.policy));
    batch.channel != Channel::Listing && !all_listed
}

/// Whether the system's own clock says that what is shown is newer than what is known of the copy.
fn looks_newer(copy: Option<&Copy>, fact: &Fact<'_>) -> bool {
    let both = copy.and_then(|copy| copy.order.as_ref()).zip(fact.change.order.as_ref());
    both.is_some_and(|(known, shown)| known.suspected_older_than(shown))
}

/// Whether what is shown differs from the last known content of the copy.
fn differs(copy: &Copy, shown: &CopyState) -> bool {
    match shown {
        CopyState::Present(fields) => !copy.alive || !diff(copy, fields).is_empty(),
        CopyState::Gone => copy.alive,
    }
}

/// Records a difference that no feed had reported.
fn note_drift(chronicle: &mut Chronicle, observation: &Observation) {
    let Some(copy) = chronicle.record().copies.get(&observation.system) else { return };
    let fields: Vec<_> = match &observation.shown {
        CopyState::Present(shown) => diff(copy, shown).into_iter().map(|found| found.field.clone()).collect(),
        CopyState::Gone => Vec::new(),
    };
    let gone = observation.shown == CopyState::Gone && copy.alive;
    if !fields.is_empty() || gone {
        chronicle.push(Body::DriftDetected { system: observation.system.clone(), fields });
    }
}

/// Records what a decision has done about what a reconciliation had found, unless it had nothing left to do.
fn note_repair(chronicle: &mut Chronicle, system: &SystemName, found_by: RunId, before: usize) {
    let decided = &chronicle.events()[before..];
    let cause = decided.iter().find(|event| matches!(event.body, Body::Observed { .. }));
    let Some(cause) = cause.map(|event| event.seq) else { return };
    let actions = actions_of(decided, system);
    chronicle.set_cause(Some(cause));
    chronicle.push(Body::ReconciliationApplied { system: system.clone(), found_by, actions });
}
