//! How a change stands to what we believe: by shadows and dots, never by a clock.

use crate::data::ids::FieldName;
use crate::data::value::Value;
use crate::data::version::Dot;
use crate::history::{Evidence, FieldRelation};
use crate::planted::{Mistake, planted};
use crate::record::Record;
use crate::record::observation::{Observation, Place};

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
