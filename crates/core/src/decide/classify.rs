//! How a change stands to what we believe: by shadows and dots, never by a clock.

use crate::data::ids::FieldName;
use crate::data::value::Value;
use crate::data::version::Dot;
use crate::decide::diff::Difference;
use crate::history::{Evidence, FieldRelation};
use crate::planted::{Mistake, planted};
use crate::record::observation::{Look, Observation, Place};
use crate::record::{Copy, Record, Shadow};

/// How a change of one field by the observed system stands to the belief, and why we think so. `base` is that of
/// the field's shadow.
pub fn relate(
    record: &Record,
    base: Option<&Dot>,
    observation: &Observation,
    field: &FieldName,
    to: &Value,
) -> (FieldRelation, Evidence) {
    let Some(belief) = record.fields.get(field) else {
        return (FieldRelation::First, Evidence::inferred("no system had shown this field before"));
    };
    if belief.value == *to {
        return (FieldRelation::Agreement, Evidence::inferred("the value equals what is believed"));
    }
    if base == Some(&belief.dot) {
        // The copy provably carried the belief when it was changed, so order is proven by the shadow.
        let by = format!("its copy carried {} when it changed", belief.dot);
        return (FieldRelation::Sequential, Evidence::inferred(by));
    }
    if !on_its_way(record, observation, field) {
        let by = match base {
            Some(base) => format!("its copy carried {base}, not {}, when it changed", belief.dot),
            None => format!("its copy had not seen {} when it was first shown", belief.dot),
        };
        return (FieldRelation::Concurrent, Evidence::inferred(by));
    }
    if observation.place == Place::InLog {
        // The change log holds our own writes too, in order. Ours has not come by, so this change is before it.
        let by = format!("the change log shows it before {} arrived there", belief.dot);
        return (FieldRelation::Concurrent, Evidence::proven(by));
    }
    let by = format!("{} was on its way to it, and nothing tells whether it had arrived", belief.dot);
    (FieldRelation::Indeterminate, Evidence::unknown(by))
}

/// Whether the belief of this field has been sent to the system without a known outcome.
fn on_its_way(record: &Record, observation: &Observation, field: &FieldName) -> bool {
    let Some(intent) = record.intents.get(&observation.system) else { return false };
    if planted(Mistake::IgnoreSent) {
        return false;
    }
    let belief = record.fields.get(field).map(|belief| &belief.dot);
    intent.is_open() && intent.fields.get(field).is_some_and(|outgoing| Some(&outgoing.dot) == belief)
}

/// Whether the shown state looks like an older one of the same copy although nothing proves it: a value that
/// stood there before, or a source time that went back.
pub fn looks_stale(copy: &Copy, observation: &Observation, changed: &[Difference<'_>]) -> bool {
    // A second look may still be too early for what has changed since it was asked for.
    if observation.look == Look::Final || planted(Mistake::BelieveOldValue) {
        return false;
    }
    let returned = |field: &FieldName, value: &Value, shadow_counts: fn(&Shadow) -> bool| {
        let shadow = copy.fields.get(field).filter(|shadow| shadow_counts(shadow));
        shadow.is_some_and(|shadow| !shadow.older.is_empty() && shadow.older.contains(&value.digest()))
    };
    let any_returned = |shadow_counts: fn(&Shadow) -> bool| {
        changed.iter().any(|found| returned(found.field, found.to, shadow_counts))
    };
    match (&observation.order, &copy.order) {
        // It is newer than all that the system has shown. It need not be newer than what we have written since,
        // because a receipt may come without an order; a change log shows our own writes in their place.
        (Some(shown), Some(known)) if shown.proven_newer_than(known) => {
            observation.place != Place::InLog && any_returned(Shadow::is_our_write)
        }
        // That state was folded in before, so it differs from the shadow only by what we have written since.
        (Some(shown), Some(known)) if shown.proven_same_as(known) => {
            changed.iter().any(|found| copy.fields.contains_key(found.field))
        }
        (Some(shown), Some(known)) => shown.suspected_older_than(known) || any_returned(|_| true),
        (Some(_), None) | (None, Some(_)) | (None, None) => {
            observation.place != Place::InLog && any_returned(|_| true)
        }
    }
}
