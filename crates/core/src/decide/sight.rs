//! Everything that a decision about one observation looks at, and what the rows of the table ask of it.

use crate::data::version::Dot;
use crate::decide::classify::relate;
use crate::decide::diff::{Difference, diff};
use crate::decide::own_write::{OwnWrite, ShownBy};
use crate::decide::place;
use crate::history::{Evidence, FieldRelation};
use crate::policy::EntityPolicy;
use crate::record::observation::{CopyState, Look, Observation, Place};
use crate::record::{Copy, Record, Shadow};

/// The sight of one observation: gathered once, after the write in flight was recognised.
#[derive(Debug)]
pub struct Sight<'a> {
    pub(crate) policy: &'a EntityPolicy,
    pub(crate) record: &'a Record,
    pub(crate) copy: &'a Copy,
    pub(crate) observation: &'a Observation,
    /// What a present copy shows that differs from its shadow; nothing of a copy that is gone.
    pub(crate) changed: Vec<Related<'a>>,
    own: Option<&'a OwnWrite>,
}

/// A changed field, and how the change stands to the belief.
#[derive(Debug)]
pub(crate) struct Related<'a> {
    pub(crate) found: Difference<'a>,
    pub(crate) base: Option<&'a Dot>,
    pub(crate) relation: FieldRelation,
    pub(crate) evidence: Evidence,
}

impl<'a> Sight<'a> {
    /// The sight of an observation; `None` if the record is not linked with that copy, which says nothing of it.
    /// `own` is the write of ours that the observation has shown, already confirmed in `record`.
    pub fn of(
        policy: &'a EntityPolicy,
        record: &'a Record,
        observation: &'a Observation,
        own: Option<&'a OwnWrite>,
    ) -> Option<Self> {
        let copy = record.copies.get(&observation.system)?;
        let differences = match &observation.shown {
            CopyState::Present(shown) => diff(copy, shown),
            CopyState::Gone => Vec::new(),
        };
        let related = |found: Difference<'a>| {
            let base = copy.fields.get(found.field).and_then(|shadow| shadow.base.as_ref());
            let (relation, evidence) = relate(policy, record, base, observation, &found);
            Related { found, base, relation, evidence }
        };
        let changed = differences.into_iter().map(related).collect();
        Some(Self { policy, record, copy, observation, changed, own })
    }

    pub(crate) fn is_gone(&self) -> bool {
        match self.observation.shown {
            CopyState::Gone => true,
            CopyState::Present(_) => false,
        }
    }

    pub(crate) fn is_proven_older(&self) -> bool {
        place::is_proven_older(self.copy, self.observation)
    }

    pub(crate) fn is_absence_credible(&self) -> bool {
        place::is_absence_credible(self.observation)
    }

    /// Whether the copy is gone as a write in flight asked for.
    pub(crate) fn is_delete_done(&self) -> bool {
        self.own.is_some_and(|own| own.shown_by() == ShownBy::Absence)
    }

    /// Whether a copy that was gone may be believed to exist: it is a newer state, or was read again in its place.
    pub(crate) fn is_return_credible(&self) -> bool {
        let is_read_again = match self.observation.look {
            Look::First => false,
            Look::Second | Look::Final => self.observation.place != Place::TooEarly && !self.may_lag_behind(),
        };
        place::is_proven_newer(self.copy, self.observation) || is_read_again
    }

    /// Whether the observation shows the write in flight, which it has ended.
    pub(crate) fn is_own_echo(&self) -> bool {
        self.own.is_some_and(OwnWrite::is_echo)
    }

    /// Whether a first look shows a key of ours, and not that of the write in flight.
    pub(crate) fn carries_another_key(&self) -> bool {
        let has_key = self.observation.correlation.is_some();
        has_key && !self.is_own_echo() && self.observation.look == Look::First
    }

    /// Whether the copy has changed so lately that a read may lag behind it.
    pub(crate) fn may_lag(&self) -> bool {
        self.observation.place == Place::TooEarly && !self.is_own_echo()
    }

    /// Whether another look could tell that it is older. A second look may still be too early for what has changed
    /// since it was asked for.
    fn may_be_older(&self) -> bool {
        self.observation.look != Look::Final
    }

    /// Whether the system's lag may explain that an older state is shown, whatever look this is. A true order tells.
    fn may_lag_behind(&self) -> bool {
        self.observation.lags && !self.observation.place.is_proven()
    }

    /// Whether a known order comes with other contents of a known field.
    pub(crate) fn contradicts_its_order(&self) -> bool {
        self.may_be_older()
            && place::has_known_order(self.copy, self.observation)
            && self.changed.iter().any(|related| self.copy.fields.contains_key(related.found.field))
    }

    /// Whether the source's own clock went back: behind a state that it has shown, unless it is the final look; behind
    /// its answer to our write, whenever we look. What it answered stood there, and nothing of ours is older than that.
    pub(crate) fn has_older_clock(&self) -> bool {
        let is_our_write = |related: &Related<'_>| {
            self.copy.fields.get(related.found.field).is_some_and(Shadow::is_our_write)
        };
        let is_in_doubt =
            self.may_be_older() || self.may_lag_behind() || self.changed.iter().any(is_our_write);
        is_in_doubt && place::has_older_clock(self.copy, self.observation)
    }

    /// Whether a value stood in its field before.
    pub(crate) fn shows_returned_value(&self) -> bool {
        let has_returned = |related: &Related<'_>| {
            place::has_returned(self.copy, self.observation, related.found.field, related.found.to)
        };
        (self.may_be_older() || self.may_lag_behind()) && self.changed.iter().any(has_returned)
    }

    /// Whether a first look shows a change of a field whose belief is under way to the copy.
    pub(crate) fn may_cross_ours(&self) -> bool {
        let is_indeterminate = |related: &Related<'_>| related.relation == FieldRelation::Indeterminate;
        self.observation.look == Look::First
            && self.observation.place != Place::InLog
            && self.changed.iter().any(is_indeterminate)
    }
}
