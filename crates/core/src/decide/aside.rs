//! Fields that could not be understood: set aside one by one, and taken up again when they can be.

use crate::data::ids::FieldName;
use crate::history::Body;
use crate::history::chronicle::Chronicle;
use crate::record::observation::{CopyState, Observation};

/// Records which fields of a copy cannot be understood now, and which can be again. What was known of them stays as it
/// was: neither the belief nor the shadow changes by what nobody understands.
pub(crate) fn record(chronicle: &mut Chronicle, observation: &Observation) {
    let system = &observation.system;
    let CopyState::Present(shown) = &observation.shown else { return };
    let Some(copy) = chronicle.record().copies.get(system) else { return };
    let known = |(field, misread): &(&FieldName, &_)| copy.aside.get(*field) != Some(*misread);
    let set_aside: Vec<Body> = observation
        .aside
        .iter()
        .filter(known)
        .map(|(field, misread)| Body::FieldSetAside {
            system: system.clone(),
            field: field.clone(),
            misread: misread.clone(),
        })
        .collect();
    let understood: Vec<Body> = copy
        .aside
        .keys()
        .filter(|field| shown.contains_key(*field))
        .map(|field| Body::FieldUnderstood { system: system.clone(), field: field.clone() })
        .collect();
    set_aside.into_iter().chain(understood).for_each(|body| {
        chronicle.push(body);
    });
}
