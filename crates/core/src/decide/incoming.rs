//! What one observation changes: a pure function of record, observation and policy.
//!
//! This is the file to prove. `decide` looks at one snapshot of one copy; it answers with events only, and asks
//! for a second look where a decision would be a guess. Fields are independent of each other: agreed ones go
//! through at once, a contested one waits alone.

use crate::data::ids::FieldName;
use crate::data::value::Value;
use crate::data::version::{Causality, Dot};
use crate::decide::classify::{looks_stale, relate};
use crate::decide::diff::{Difference, diff};
use crate::decide::emit::{ChangeOrigin, emit};
use crate::decide::judge::{Judgement, judge};
use crate::decide::lifecycle;
use crate::history::chronicle::Chronicle;
use crate::history::{Body, Classification, Evidence, FieldRelation, FieldSeen};
use crate::outgoing::confirm::{CreateMatch, confirm_echo, confirm_probable, create_match, intent_is_shown};
use crate::outgoing::plan::plan;
use crate::planted::{Mistake, planted};
use crate::policy::EntityPolicy;
use crate::record::observation::{Channel, CopyState, Look, Observation, Place};
use crate::record::{Copy, Record, Shadow};
use std::collections::BTreeMap;

/// What an observation turned out to be, and whether the copy has to be read before it can be believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The word for it.
    pub class: Classification,
    /// Whether the copy must be read again: the observation alone would be a guess. Nothing was decided then.
    pub look_again: bool,
}

impl Outcome {
    pub(crate) fn decided(class: Classification) -> Self {
        Self { class, look_again: false }
    }

    pub(crate) fn look_again(class: Classification) -> Self {
        Self { class, look_again: true }
    }
}

/// Decides one observation of a linked copy, and brings the intents in line.
///
/// An observation of a copy that the record is not linked with changes nothing.
pub fn decide(policy: &EntityPolicy, chronicle: &mut Chronicle, observation: &Observation) -> Outcome {
    let Some(copy) = chronicle.record().copies.get(&observation.system) else {
        return Outcome::decided(Classification::Stale);
    };
    if is_proven_older(copy, observation) {
        return stale(chronicle, observation);
    }
    match &observation.shown {
        CopyState::Present(shown) => present(policy, chronicle, observation, shown),
        CopyState::Gone => lifecycle::gone(policy, chronicle, observation),
    }
}

fn is_proven_older(copy: &Copy, observation: &Observation) -> bool {
    !planted(Mistake::IgnoreOrder)
        && matches!((&observation.order, &copy.order), (Some(shown), Some(known)) if shown.proven_older_than(known))
}

/// The source's own order proves that a newer state is known already: nothing of this one may come back.
fn stale(chronicle: &mut Chronicle, observation: &Observation) -> Outcome {
    let copy = chronicle.record().copies.get(&observation.system);
    let fields: BTreeMap<FieldName, Value> = match (&observation.shown, copy) {
        (CopyState::Present(shown), Some(copy)) => {
            diff(copy, shown).into_iter().map(|found| (found.field.clone(), found.to.clone())).collect()
        }
        (CopyState::Present(_), None) | (CopyState::Gone, _) => BTreeMap::new(),
    };
    // A late state without any difference says nothing and would only fill the history.
    if !fields.is_empty() || observation.shown == CopyState::Gone {
        let body = Body::StaleDropped {
            system: observation.system.clone(),
            channel: observation.channel,
            fields,
            order: observation.order.clone(),
        };
        chronicle.push_with(
            body,
            Evidence::proven("the system's own order says that it is older than what is known"),
        );
    }
    Outcome::decided(Classification::Stale)
}

fn present(
    policy: &EntityPolicy,
    chronicle: &mut Chronicle,
    observation: &Observation,
    shown: &BTreeMap<FieldName, Value>,
) -> Outcome {
    let confirmed = recognise_own_write(policy, chronicle, observation, shown);
    let record = chronicle.record();
    let Some(copy) = record.copies.get(&observation.system) else {
        return Outcome::decided(Classification::Stale);
    };
    let differences = diff(copy, shown);
    if !copy.alive {
        let is_credible = observation.look != Look::First && observation.place != Place::TooEarly;
        if !is_proven_newer(copy, observation) && !is_credible {
            // A lagging read may show what is gone already.
            return Outcome::look_again(Classification::Indeterminate);
        }
        let judged =
            judge_all(policy, record, observation, relate_all(record, copy, observation, differences));
        return change(policy, chronicle, observation, judged, true);
    }
    if differences.is_empty() {
        let outcome = no_difference(chronicle, observation, confirmed);
        plan(policy, chronicle, None);
        return outcome;
    }
    let foreign_key = observation.correlation.is_some() && !confirmed;
    if foreign_key && observation.look == Look::First {
        // An earlier write of ours came back late, or someone changed the copy after it. The order of the source
        // does not help: a receipt without an order may have told us of something newer. Only a read can tell.
        return Outcome::look_again(Classification::Indeterminate);
    }
    if observation.place == Place::TooEarly && !confirmed && !planted(Mistake::BelieveOldValue) {
        // The copy has just changed, and a read may lag behind that: what differs may be older than what we know.
        return Outcome::look_again(Classification::Indeterminate);
    }
    if looks_stale(copy, observation, &differences) {
        return suspect(chronicle, observation, shown);
    }
    let related = relate_all(record, copy, observation, differences);
    if observation.look == Look::First
        && observation.place != Place::InLog
        && related.iter().any(|found| found.relation == FieldRelation::Indeterminate)
    {
        return Outcome::look_again(Classification::Indeterminate);
    }
    let judged = judge_all(policy, record, observation, related);
    change(policy, chronicle, observation, judged, false)
}

fn is_newer_sequence(copy: &Copy, observation: &Observation) -> bool {
    matches!((&observation.order, &copy.order), (Some(shown), Some(known)) if shown.proven_newer_than(known))
}

/// An observation that only moves the copy's order and version.
fn touched(copy: &Copy, observation: &Observation) -> Body {
    Body::Observed {
        system: observation.system.clone(),
        channel: observation.channel,
        class: Classification::Duplicate,
        causality: Causality::Same,
        copy_vector: copy.seen.clone(),
        dot: None,
        fields: BTreeMap::new(),
        gone: false,
        order: observation.order.clone(),
        version: observation.version.clone(),
    }
}

fn is_proven_newer(copy: &Copy, observation: &Observation) -> bool {
    match (&observation.order, &copy.order) {
        (Some(shown), Some(known)) => shown.proven_newer_than(known),
        (Some(_), None) | (None, Some(_)) | (None, None) => observation.place == Place::InLog,
    }
}

/// Settles the write in flight if this is its echo: proven by our key, presumed by equal values.
fn recognise_own_write(
    policy: &EntityPolicy,
    chronicle: &mut Chronicle,
    observation: &Observation,
    shown: &BTreeMap<FieldName, Value>,
) -> bool {
    let record = chronicle.record();
    let Some(intent) = record.intents.get(&observation.system) else { return false };
    if observation.correlation.as_deref() == Some(intent.key.as_str()) {
        let evidence = Evidence::proven("the system carries the key of our write");
        confirm_echo(chronicle, observation, shown, evidence);
        return true;
    }
    if intent_is_shown(intent, shown) && !is_of_another_write(record, observation) {
        // An equal value may be a coincidence. It settles the write, because there is nothing left to do; it
        // never hides a difference.
        let evidence = Evidence::inferred("every value that we sent stands there");
        confirm_echo(chronicle, observation, shown, evidence);
        return true;
    }
    let is_first_sight =
        record.copies.get(&observation.system).is_some_and(|copy| copy.alive && copy.is_unseen());
    if is_first_sight && create_match(policy, intent, shown) == CreateMatch::Probable {
        // What differs from what we sent is a change of our copy, and is judged as one.
        confirm_probable(chronicle, observation, shown);
    }
    false
}

/// Whether this is what another write of ours left, and may come late: a value that went there and back again (A→B→A)
/// equals what is in flight now, and yet says nothing about it.
fn is_of_another_write(record: &Record, observation: &Observation) -> bool {
    let is_newest = || {
        let copy = record.copies.get(&observation.system);
        copy.is_none_or(|copy| is_proven_newer(copy, observation))
    };
    observation.correlation.is_some() && observation.place != Place::InLog && !is_newest()
}

/// The copy holds what we knew already. Pushed deliveries are noted, because somebody will ask about them.
fn no_difference(chronicle: &mut Chronicle, observation: &Observation, confirmed: bool) -> Outcome {
    let record = chronicle.record();
    let Some(copy) = record.copies.get(&observation.system) else {
        return Outcome::decided(Classification::Stale);
    };
    let ours =
        confirmed || observation.correlation.is_some() || copy.fields.values().any(Shadow::is_our_write);
    let class = if ours { Classification::Confirmation } else { Classification::Duplicate };
    let new_version = observation.version.is_some() && observation.version != copy.version;
    let system = observation.system.clone();
    match observation.channel {
        Channel::Webhook | Channel::Signal if ours => {
            let evidence = match &observation.correlation {
                Some(_) => Evidence::proven("it carries the key of our write"),
                None => Evidence::inferred("it shows what we last wrote there (ledger)"),
            };
            let body = Body::EchoRecognised {
                system,
                channel: observation.channel,
                key: observation.correlation.clone(),
                order: observation.order.clone(),
                version: observation.version.clone(),
            };
            chronicle.push_with(body, evidence);
        }
        // The same content in a newer state: what stood there in between must not win when it comes late. A log shows
        // its states in order, so nothing comes late there.
        _ if observation.place != Place::InLog && !confirmed && is_newer_sequence(copy, observation) => {
            chronicle.push(touched(copy, observation));
        }
        Channel::Webhook | Channel::Signal => {
            chronicle.push(Body::DuplicateDropped { system, channel: observation.channel });
        }
        // What was presumed to stand there does: from here on another spelling is a change.
        _ if !confirmed && copy.fields.values().any(Shadow::is_presumed) => {
            chronicle.push(touched(copy, observation));
        }
        // A write was refused because its version had moved on without any mapped change: learn the new one.
        Channel::Read | Channel::Receipt | Channel::Manual if new_version && !confirmed => {
            chronicle.push(touched(copy, observation));
        }
        Channel::Feed | Channel::Listing | Channel::Read | Channel::Receipt | Channel::Manual => {}
    }
    Outcome::decided(class)
}

fn suspect(
    chronicle: &mut Chronicle,
    observation: &Observation,
    shown: &BTreeMap<FieldName, Value>,
) -> Outcome {
    let Some(copy) = chronicle.record().copies.get(&observation.system) else {
        return Outcome::decided(Classification::Stale);
    };
    let fields = diff(copy, shown).into_iter().map(|found| (found.field.clone(), found.to.clone())).collect();
    let body =
        Body::StaleSuspected { system: observation.system.clone(), channel: observation.channel, fields };
    chronicle.push_with(
        body,
        Evidence::inferred("the value stood there before; the copy is read before it is believed"),
    );
    Outcome::look_again(Classification::Indeterminate)
}

/// A changed field, and how the change stands to the belief.
struct Related<'a> {
    found: Difference<'a>,
    base: Option<&'a Dot>,
    relation: FieldRelation,
    evidence: Evidence,
}

fn relate_all<'a>(
    record: &'a Record,
    copy: &'a Copy,
    observation: &Observation,
    differences: Vec<Difference<'a>>,
) -> Vec<Related<'a>> {
    differences
        .into_iter()
        .map(|found| {
            let base = copy.fields.get(found.field).and_then(|shadow| shadow.base.as_ref());
            let (relation, evidence) = relate(record, base, observation, found.field, found.to);
            Related { found, base, relation, evidence }
        })
        .collect()
}

/// A changed field after its judgement.
struct Judged {
    field: FieldName,
    seen: FieldSeen,
    judgement: Judgement,
    evidence: Evidence,
}

/// Judges every field for itself, against the state before the change.
fn judge_all(
    policy: &EntityPolicy,
    record: &Record,
    observation: &Observation,
    related: Vec<Related<'_>>,
) -> Vec<Judged> {
    related
        .into_iter()
        .map(|Related { found, base, relation, evidence }| {
            let judgement = judge(policy, record, observation, &found, relation);
            let (from, to) = (found.from.cloned(), found.to.clone());
            let seen = FieldSeen { from, to, base: base.cloned(), relation };
            Judged { field: found.field.clone(), seen, judgement, evidence }
        })
        .collect()
}

/// The system changed its copy.
fn change(
    policy: &EntityPolicy,
    chronicle: &mut Chronicle,
    observation: &Observation,
    judged: Vec<Judged>,
    revived: bool,
) -> Outcome {
    let record = chronicle.record();
    let Some(copy) = record.copies.get(&observation.system) else {
        return Outcome::decided(Classification::Stale);
    };
    let dot = record.vector.next(&observation.system);
    let said_something = judged.iter().any(|Judged { seen, judgement, .. }| {
        let is_ours = matches!(judgement, Judgement::Arrived { .. });
        !is_ours && (seen.from.is_some() || !seen.to.is_null())
    });
    let dot = (said_something || revived).then_some(dot);
    let copy_vector = dot.as_ref().map_or_else(|| copy.seen.clone(), |dot| copy.seen.with(dot));
    let class = classification(&judged);
    let existence = lifecycle::existence(policy, record, &observation.system, revived);
    let fields_count = existence.lets_fields_count();
    let body = Body::Observed {
        system: observation.system.clone(),
        channel: observation.channel,
        class,
        causality: copy_vector.compare(&record.vector),
        copy_vector: copy_vector.clone(),
        dot: dot.clone(),
        fields: judged
            .iter()
            .map(|Judged { field, seen, judgement, .. }| {
                let base = if fields_count {
                    rebased(record, field, seen, judgement, dot.as_ref())
                } else {
                    seen.base.clone()
                };
                (field.clone(), FieldSeen { base, ..seen.clone() })
            })
            .collect(),
        gone: false,
        order: observation.order.clone(),
        version: observation.version.clone(),
    };
    let seq = chronicle.push_with(body, overall(&judged));
    chronicle.set_cause(Some(seq));
    let mut corrected = false;
    if let Some(dot) = dot {
        existence.record(chronicle, &observation.system, &dot);
        if fields_count {
            let origin = ChangeOrigin { observation, dot: &dot, copy_vector: &copy_vector };
            for Judged { field, seen, judgement, evidence } in judged {
                corrected |= emit(chronicle, &origin, &field, &seen, judgement, evidence);
            }
        } else {
            // The delete prevails, so the edit has nothing left to change; the refusal has told so.
            corrected = true;
        }
    }
    plan(policy, chronicle, corrected.then_some(&observation.system));
    Outcome::decided(class)
}

/// An accepted change moves content and base, an agreement puts the base at the belief, anything else moves the
/// content only.
fn rebased(
    record: &Record,
    field: &FieldName,
    seen: &FieldSeen,
    judgement: &Judgement,
    dot: Option<&Dot>,
) -> Option<Dot> {
    match judgement {
        Judgement::Accept { .. } if planted(Mistake::ForgetBase) => seen.base.clone(),
        Judgement::Accept { .. } | Judgement::ClosesReview => dot.cloned(),
        Judgement::Arrived { dot } => Some(dot.clone()),
        Judgement::Agree => record.fields.get(field).map(|belief| belief.dot.clone()),
        Judgement::Nothing | Judgement::Refuse { .. } | Judgement::Conflict { .. } | Judgement::Contested => {
            seen.base.clone()
        }
    }
}

fn classification(judged: &[Judged]) -> Classification {
    // An empty field that says nothing is in no conflict with anybody.
    let speaks = |judgement: &Judgement| !matches!(judgement, Judgement::Nothing | Judgement::Arrived { .. });
    let any = |wanted: FieldRelation| {
        judged.iter().any(|judged| judged.seen.relation == wanted && speaks(&judged.judgement))
    };
    if any(FieldRelation::Indeterminate) {
        Classification::Indeterminate
    } else if any(FieldRelation::Concurrent) {
        Classification::Concurrent
    } else {
        Classification::New
    }
}

/// The evidence of the whole is that of its weakest contested part.
fn overall(judged: &[Judged]) -> Evidence {
    let is_contested = |judged: &&Judged| {
        matches!(judged.seen.relation, FieldRelation::Concurrent | FieldRelation::Indeterminate)
    };
    let weakest = judged.iter().find(is_contested).or(judged.first());
    weakest.map_or_else(|| Evidence::inferred("the copy exists again"), |judged| judged.evidence.clone())
}
