//! Whether a row that is shown under the id of a copy which is gone is that copy again, or another thing: ids come again.

use crate::inbound::draft::CommitDraft;
use crate::inbound::facts::{Fact, is_in_log};
use crate::parts::match_keys::is_another_thing;
use crate::parts::translate::Canonical;
use crate::ports::store::CursorKind;
use avowal_core::data::ids::RecordId;
use avowal_core::decide::identity::keys_of_copy;
use avowal_core::decide::lifecycle::may_delete;
use avowal_core::history::chronicle::Chronicle;
use avowal_core::record::Copy;

/// What a row under a known id is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sameness {
    /// The copy that was linked.
    Same,
    /// Perhaps another thing, perhaps an old state of the copy: a second look tells.
    Doubtful,
    /// The log will show what became of the copy, and has not come so far.
    ToldByLog,
    /// Another thing, to which the system has given the id.
    Another,
}

/// What a row is that is shown under the id of a record's copy. A living link is believed, but where a log will tell
/// whether the copy went in between. Where the copy is gone, the key decides: another key is another thing. The same key
/// is the same thing, unless its record was deleted and the system has no say in that: then it is a new thing of the same
/// name.
pub(crate) fn sameness(
    draft: &CommitDraft<'_>,
    fact: &Fact<'_>,
    fields: &Canonical,
    record: &RecordId,
) -> Sameness {
    let system = &draft.batch.system;
    let Some(state) = draft.chronicles.get(record).map(Chronicle::record) else { return Sameness::Same };
    // An earlier fact of the batch may have linked the record with the copy that was made in place of this one, or have
    // found that this id is another row's.
    let Some(copy) = state.copies.get(system).filter(|copy| copy.is_found_by(&fact.copy.remote_id)) else {
        return Sameness::Another;
    };
    let is_other_thing = is_another_thing(&fact.policy, state, copy, fields);
    if copy.alive {
        return if is_other_thing { sameness_of_living(draft, fact, copy) } else { Sameness::Same };
    }
    if is_made_by_another(fact, record) {
        return Sameness::Another;
    }
    let is_proven_newer = is_proven_newer(draft, fact, copy);
    let has_keys = !keys_of_copy(&fact.policy, fields).is_empty();
    let is_new_generation =
        has_keys && state.deleted.is_some() && !may_delete(&fact.policy, system) && is_proven_newer;
    if !is_other_thing && !is_new_generation {
        Sameness::Same
    } else if is_proven_newer || draft.batch.confirmed {
        Sameness::Another
    } else {
        Sameness::Doubtful
    }
}

/// What a row with another key is whose copy is alive as far as we know: its key was edited, or the copy went and the row
/// has got its id. A log tells, unless everything is listed because it has lost our place.
fn sameness_of_living(draft: &CommitDraft<'_>, fact: &Fact<'_>, copy: &Copy) -> Sameness {
    let (parts, batch) = (draft.parts, draft.batch);
    let is_listed_anew = batch.cursors.iter().any(|step| step.name.kind == CursorKind::Listing);
    let is_told = is_in_log(parts, batch, fact) || is_listed_anew || batch.trusts_ids;
    if !parts.systems.has_log(&batch.system, &fact.entity) || is_told {
        return Sameness::Same;
    }
    let is_ahead = match (&fact.change.order, &copy.order) {
        (Some(shown), Some(known)) => shown.proven_newer_than(known),
        (Some(_), None) => true,
        (None, Some(_)) | (None, None) => false,
    };
    match (is_ahead, batch.confirmed) {
        (true, _) => Sameness::ToldByLog,
        (false, true) => Sameness::Same,
        (false, false) => Sameness::Doubtful,
    }
}

/// Whether the row carries the key of a write for another record, which has made it.
fn is_made_by_another(fact: &Fact<'_>, record: &RecordId) -> bool {
    let Some(key) = &fact.change.correlation else { return false };
    let rest = key.strip_prefix(fact.entity.as_str()).and_then(|rest| rest.strip_prefix('.'));
    rest.and_then(|rest| rest.split('.').next()).is_some_and(|id| id != record.as_str())
}

/// Whether the system's own order proves that the row came after the state in which we know the copy.
fn is_proven_newer(draft: &CommitDraft<'_>, fact: &Fact<'_>, copy: &Copy) -> bool {
    match (&fact.change.order, &copy.order) {
        (Some(shown), Some(known)) => shown.proven_newer_than(known),
        (Some(_), None) | (None, Some(_)) | (None, None) => is_in_log(draft.parts, draft.batch, fact),
    }
}
