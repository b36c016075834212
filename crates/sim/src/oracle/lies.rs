//! I22: a system that answers, and shows nothing of what it holds, is not filled a second time.

use super::Oracle;
use super::commits::Stream;
use super::truth::Truth;
use avowal_core::data::ids::{RemoteId, SystemName};
use avowal_fakes::fake::Put;

impl Oracle {
    /// A system begins or ends to answer as if it held nothing.
    pub(crate) fn blinded(&self, system: &str, on: bool) {
        let mut truth = self.truth();
        match on {
            true => {
                truth.liars.insert(system.to_owned());
                truth.blind.insert(system.to_owned())
            }
            false => truth.blind.remove(system),
        };
    }
}

/// Whether a system answers as if it held nothing, and no copy of it was ever linked: then nobody can tell it from one
/// that is empty, and a create of unknown outcome is rightly sent once more.
pub(super) fn seems_empty(truth: &Truth, system: &str) -> bool {
    let name = SystemName::new(system);
    let is_linked =
        |stream: &Stream| stream.folded.as_ref().is_some_and(|record| record.copies.contains_key(&name));
    truth.blind.contains(system) && !truth.streams.values().any(is_linked)
}

/// Whether the copy belongs to a record that counts as deleted: few copies that are gone, by every look, are a delete that
/// no guard holds, and what is made afterwards is another record.
pub(super) fn is_of_deleted(truth: &Truth, system: &str, id: &RemoteId) -> bool {
    let name = SystemName::new(system);
    let is_of_it = |stream: &Stream| {
        let record = stream.folded.as_ref().filter(|record| record.deleted.is_some());
        record.and_then(|record| record.copies.get(&name)).is_some_and(|copy| copy.remote_id == *id)
    };
    truth.streams.values().any(is_of_it)
}

/// Nothing is created in a system that answers as if it held nothing, where the engine knew the row that is there.
pub(super) fn judge_blind_create(truth: &mut Truth, put: &Put<'_>, key: &str, thing: &str) {
    if !truth.blind.contains(put.system) || seems_empty(truth, put.system) {
        return;
    }
    let known = truth.rows_of(put.system, thing).into_iter().find(|id| {
        let is_of = |edit: &&super::Edit| edit.system == put.system && edit.row == *id && edit.shown;
        let row = truth.rows.get(&(put.system.to_owned(), id.clone()));
        *id != *put.id
            && !is_of_deleted(truth, put.system, id)
            && (row.is_some_and(|row| row.ours) || truth.edits.iter().any(|edit| is_of(&edit)))
    });
    if let Some(other) = known {
        let what =
            format!("{key} made {} in {}, which does not show that it holds {other}", put.id, put.system);
        truth.accuse("I22", Some(thing), what);
    }
}
