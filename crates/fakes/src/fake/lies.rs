//! How a fake system lies although it answers: it shows nothing, or rows later than they are there.

use super::rows::Version;
use super::{FakeSystem, State};
use avowal_core::data::ids::{EntityName, RemoteId};
use avowal_engine::ports::connector::OrderKind;

impl FakeSystem {
    /// Whether the system does not show a row that may be there.
    pub(super) fn hides(&self, state: &State, id: &RemoteId) -> bool {
        let is_early = |from: &i64| self.now_ms() < *from;
        state.is_blind || state.shown_from.get(id).is_some_and(is_early)
    }

    /// The rows that a listing or a search shows, which may lag.
    pub(super) fn rows_shown<'s>(
        &self,
        state: &'s State,
        entity: &EntityName,
        lag_ms: i64,
    ) -> Vec<(&'s RemoteId, &'s Version)> {
        let at_ms = |id: &RemoteId| match self.profile.capabilities.order {
            // The log and the rows are one database: a listing that began after a line of the log holds that line.
            OrderKind::CommitLog => self.now_ms().saturating_sub(state.lag_ms),
            OrderKind::Counter | OrderKind::Time | OrderKind::None => self.read_at_ms(state, id),
        };
        let mut rows = state.rows.all_at(entity, |id| at_ms(id).saturating_sub(lag_ms));
        rows.retain(|(id, _)| !self.hides(state, id));
        rows
    }

    /// The last line of the log before the first one of a row that is not shown yet: the feed stops there.
    pub(super) fn first_hidden(&self, state: &State, entity: &EntityName, after: u64) -> u64 {
        if state.shown_from.is_empty() {
            return u64::MAX;
        }
        let mut hidden = state.rows.after(entity, after).filter(|entry| self.hides(state, &entry.id));
        hidden.next().map_or(u64::MAX, |entry| entry.version.seq.saturating_sub(1))
    }
}
