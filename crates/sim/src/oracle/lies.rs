//! I22: a system that answers, and shows nothing of what it holds, is not filled a second time.

use super::Oracle;
use super::truth::Truth;
use avowal_fakes::fake::Put;

impl Oracle {
    /// A system begins or ends to answer as if it held nothing.
    pub(crate) fn blinded(&self, system: &str, on: bool) {
        let blind = &mut self.truth().blind;
        match on {
            true => blind.insert(system.to_owned()),
            false => blind.remove(system),
        };
    }
}

/// Nothing is created in a system that answers as if it held nothing, where the engine knew the row that is there.
pub(super) fn judge_blind_create(truth: &mut Truth, put: &Put<'_>, key: &str, thing: &str) {
    if !truth.blind.contains(put.system) {
        return;
    }
    let known = truth.rows_of(put.system, thing).into_iter().find(|id| {
        let is_of = |edit: &&super::Edit| edit.system == put.system && edit.row == *id && edit.shown;
        let row = truth.rows.get(&(put.system.to_owned(), id.clone()));
        *id != *put.id && (row.is_some_and(|row| row.ours) || truth.edits.iter().any(|edit| is_of(&edit)))
    });
    if let Some(other) = known {
        let what =
            format!("{key} made {} in {}, which does not show that it holds {other}", put.id, put.system);
        truth.accuse("I22", Some(thing), what);
    }
}
