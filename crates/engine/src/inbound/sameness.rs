//! Whether a row that is shown under the id of a copy which is gone is that copy again, or another thing: ids come again.

use crate::inbound::draft::CommitDraft;
use crate::inbound::facts::{Fact, is_in_log};
use crate::parts::translate::Canonical;
use avowal_core::data::ids::{FieldName, RecordId};
use avowal_core::data::value::Value;
use avowal_core::decide::identity::keys_of_copy;
use avowal_core::decide::lifecycle::may_delete;
use avowal_core::history::chronicle::Chronicle;
use avowal_core::record::{Copy, Record};
use std::collections::BTreeMap;

/// What a row under a known id is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sameness {
    /// The copy that was linked.
    Same,
    /// Perhaps another thing, perhaps an old state of the copy: a second look tells.
    Doubtful,
    /// Another thing, to which the system has given the id.
    Another,
}

/// What a row is that is shown under the id of a record's copy. A living link is believed. Where the copy is gone, the key
/// decides: another key is another thing. The same key is the same thing, unless its record was deleted and the system
/// has no say in that: then it is a new thing of the same name.
pub(crate) fn sameness(
    draft: &CommitDraft<'_>,
    fact: &Fact<'_>,
    fields: &Canonical,
    record: &RecordId,
) -> Sameness {
    let system = &draft.batch.system;
    let Some(state) = draft.chronicles.get(record).map(Chronicle::record) else { return Sameness::Same };
    let gone = state.copies.get(system).filter(|copy| !copy.alive && copy.remote_id == fact.copy.remote_id);
    let Some(copy) = gone else { return Sameness::Same };
    if is_made_by_another(fact, record) {
        return Sameness::Another;
    }
    let (shown, known) = (keys_of_copy(&fact.policy, fields), known_keys(fact, state, copy));
    let has_keys = !shown.is_empty() && !known.is_empty();
    let is_other_thing = has_keys && !shown.iter().any(|key| known.contains(key));
    let is_proven_newer = is_proven_newer(draft, fact, copy);
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

/// Whether the row carries the key of a write for another record, which has made it.
fn is_made_by_another(fact: &Fact<'_>, record: &RecordId) -> bool {
    let Some(key) = &fact.change.correlation else { return false };
    let rest = key.strip_prefix(fact.entity.as_str()).and_then(|rest| rest.strip_prefix('.'));
    rest.and_then(|rest| rest.split('.').next()).is_some_and(|id| id != record.as_str())
}

/// The keys of the copy as it was shown last, and those of the record as it was believed last.
fn known_keys(fact: &Fact<'_>, state: &Record, copy: &Copy) -> Vec<String> {
    let content = copy.fields.iter().map(|(field, shadow)| (field.clone(), shadow.content.clone()));
    let shown: BTreeMap<FieldName, Value> = content.collect();
    let belief = state.fields.iter().map(|(field, belief)| (field.clone(), belief.value.clone()));
    let believed: BTreeMap<FieldName, Value> = belief.collect();
    let mut keys = keys_of_copy(&fact.policy, &shown);
    keys.extend(keys_of_copy(&fact.policy, &believed));
    keys
}

/// Whether the system's own order proves that the row came after the state in which we know the copy.
fn is_proven_newer(draft: &CommitDraft<'_>, fact: &Fact<'_>, copy: &Copy) -> bool {
    match (&fact.change.order, &copy.order) {
        (Some(shown), Some(known)) => shown.proven_newer_than(known),
        (Some(_), None) | (None, Some(_)) | (None, None) => is_in_log(draft.parts, draft.batch, fact),
    }
}
