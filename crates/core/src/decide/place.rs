//! Where an observation stands among the states of its copy: before, at or after the newest one that is known.

use crate::data::ids::FieldName;
use crate::data::value::Value;
use crate::record::observation::{Look, Observation, Place};
use crate::record::{Copy, Shadow};

/// Whether the source's own order proves that a newer state of the copy is known already.
pub(crate) fn is_proven_older(copy: &Copy, observation: &Observation) -> bool {
    matches!((&observation.order, &copy.order), (Some(shown), Some(known)) if shown.proven_older_than(known))
}

/// Whether it is proven that the copy was not in this state before. A log shows each state once, and in order.
pub(crate) fn is_proven_newer(copy: &Copy, observation: &Observation) -> bool {
    match (&observation.order, &copy.order) {
        (Some(shown), Some(known)) => shown.proven_newer_than(known),
        (Some(_), None) | (None, Some(_)) | (None, None) => observation.place == Place::InLog,
    }
}

/// Whether the source's own sequence has moved on since the newest state that is known.
pub(crate) fn is_newer_sequence(copy: &Copy, observation: &Observation) -> bool {
    matches!((&observation.order, &copy.order), (Some(shown), Some(known)) if shown.proven_newer_than(known))
}

/// Whether the absence of a copy may be believed: by the system's order, or after the final look, if the system's lag
/// cannot explain it. A lagging read may not show yet what has just been made.
pub(crate) fn is_absence_credible(observation: &Observation) -> bool {
    observation.place.is_proven() || (observation.look == Look::Final && !observation.lags)
}

/// Whether it has the order of the newest state that is known. That state was folded in before, so it differs from the
/// shadow only by what we have written since.
pub(crate) fn has_known_order(copy: &Copy, observation: &Observation) -> bool {
    matches!((&observation.order, &copy.order), (Some(shown), Some(known)) if shown.proven_same_as(known))
}

/// Whether the source's clock suggests that it is older than the newest state that is known.
pub(crate) fn has_older_clock(copy: &Copy, observation: &Observation) -> bool {
    matches!((&observation.order, &copy.order), (Some(shown), Some(known)) if shown.suspected_older_than(known))
}

/// Whether a value stood in the field before, and nothing proves that it was put there anew.
pub(crate) fn has_returned(copy: &Copy, observation: &Observation, field: &FieldName, value: &Value) -> bool {
    let is_in_log = observation.place == Place::InLog;
    let may_be_older = |shadow: &Shadow| match (&observation.order, &copy.order) {
        // It is newer than all that the system has shown. It need not be newer than what we have written since,
        // because a receipt may come without an order; a change log shows our own writes in their place.
        (Some(shown), Some(known)) if shown.proven_newer_than(known) => !is_in_log && shadow.is_our_write(),
        (Some(_), Some(_)) => true,
        (Some(_), None) | (None, Some(_)) | (None, None) => !is_in_log,
    };
    copy.fields.get(field).is_some_and(|shadow| {
        !shadow.older.is_empty() && may_be_older(shadow) && shadow.older.contains(&value.digest())
    })
}
