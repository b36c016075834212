//! What a row writes down: gathered from the sight first, because an event changes the record that the sight shows.

use crate::data::ids::FieldName;
use crate::data::value::Value;
use crate::data::version::{Causality, Dot, VersionVector};
use crate::decide::Decision;
use crate::decide::emit::{ChangeOrigin, emit};
use crate::decide::judge::{Judgement, judge};
use crate::decide::lifecycle::{Departure, Existence, existence};
use crate::decide::place::is_newer_sequence;
use crate::decide::sight::{Related, Sight};
use crate::decide::table::Assessment;
use crate::history::chronicle::Chronicle;
use crate::history::fold::suspicion;
use crate::history::{Basis, Body, Classification, Doubt, Evidence, FieldRelation, FieldSeen, NewEvent};
use crate::policy::EntityPolicy;
use crate::record::observation::{Channel, CopyState, Observation, Place};
use crate::record::{Copy, Record, Shadow};
use std::collections::{BTreeMap, BTreeSet};

/// What one row is about to write down.
pub(crate) enum Entry {
    /// At most one event, which changes no belief.
    Note(Decision, Option<NewEvent>),
    /// The copy's departure, and what the rule of deletes says to it.
    Departure(Departure),
    /// The copy's change, and what the policy says to it.
    Change(Box<Change>),
}

/// What has been decided, and whether the observing system's own change was refused and will be corrected.
pub(crate) struct Recorded {
    pub(crate) decision: Decision,
    pub(crate) is_corrected: bool,
}

impl Entry {
    /// Gathers what the row of a sight writes down.
    pub(crate) fn of(sight: Sight<'_>, assessment: Assessment) -> Self {
        let known = |class| Entry::Note(Decision::Recorded(class), None);
        let again = |doubt| Entry::Note(Decision::LookAgain(doubt), None);
        match assessment {
            Assessment::Late => Entry::Note(Decision::Recorded(Classification::Stale), late(&sight)),
            Assessment::GoneTooSoon => again(Doubt::GoneTooSoon),
            // The write was confirmed when it was recognised.
            Assessment::GoneAsAsked => known(Classification::Confirmation),
            Assessment::AlreadyGone => known(Classification::Duplicate),
            Assessment::Gone => Entry::Departure(Departure::of(&sight)),
            Assessment::BackTooSoon => again(Doubt::BackTooSoon),
            Assessment::Back => Entry::Change(Box::new(Change::of(sight, true))),
            Assessment::Unchanged => unchanged(&sight),
            Assessment::AnotherWritesKey => again(Doubt::AnotherWritesKey),
            Assessment::ReadMayLag => again(Doubt::ReadMayLag),
            Assessment::SameOrderOtherContents => suspect(&sight, Doubt::SameOrderOtherContents),
            Assessment::ClockWentBack => suspect(&sight, Doubt::ClockWentBack),
            Assessment::ValueReturned => suspect(&sight, Doubt::ValueReturned),
            Assessment::OursMayBeOnItsWay => again(Doubt::OursMayBeOnItsWay),
            Assessment::Changed => Entry::Change(Box::new(Change::of(sight, false))),
        }
    }

    /// Records it.
    pub(crate) fn record(
        self,
        policy: &EntityPolicy,
        chronicle: &mut Chronicle,
        observation: &Observation,
    ) -> Recorded {
        match self {
            Entry::Note(decision, event) => {
                if let Some(event) = event {
                    chronicle.push_event(event);
                }
                Recorded { decision, is_corrected: false }
            }
            Entry::Departure(departure) => {
                let class = departure.record(policy, chronicle, &observation.system);
                Recorded { decision: Decision::Recorded(class), is_corrected: false }
            }
            Entry::Change(change) => change.record(chronicle, observation),
        }
    }
}

/// The changed fields of a sight and what stands in them.
fn values(sight: &Sight<'_>) -> BTreeMap<FieldName, Value> {
    sight.changed.iter().map(|related| (related.found.field.clone(), related.found.to.clone())).collect()
}

/// The source's own order proves that a newer state is known already: nothing of this one may come back.
fn late(sight: &Sight<'_>) -> Option<NewEvent> {
    // A late state without a difference is dropped without an event.
    if sight.changed.is_empty() && !sight.is_gone() {
        return None;
    }
    let body = Body::StaleDropped {
        system: sight.observation.system.clone(),
        channel: sight.observation.channel,
        fields: values(sight),
        order: sight.observation.order.clone(),
    };
    let evidence = Evidence::proven(Basis::OlderOrder);
    Some(NewEvent::with(body, evidence))
}

/// Nothing proves that it is older, but it looks so: the history says why the copy is read again.
fn suspect(sight: &Sight<'_>, why: Doubt) -> Entry {
    let shown = values(sight);
    if sight.copy.suspected == Some(suspicion(&shown)) {
        // The history says so already. A system that is slow for long would fill it.
        return Entry::Note(Decision::LookAgain(why), None);
    }
    let body = Body::StaleSuspected {
        system: sight.observation.system.clone(),
        channel: sight.observation.channel,
        fields: shown,
        why,
    };
    let evidence = Evidence::inferred(Basis::EarlierValue);
    Entry::Note(Decision::LookAgain(why), Some(NewEvent::with(body, evidence)))
}

/// The copy holds what we knew already. Pushed deliveries are noted, because somebody will ask about them.
fn unchanged(sight: &Sight<'_>) -> Entry {
    let Sight { copy, observation, .. } = sight;
    let is_echo = sight.is_own_echo();
    let ours = is_echo || observation.correlation.is_some() || copy.fields.values().any(Shadow::is_our_write);
    let class = if ours { Classification::Confirmation } else { Classification::Duplicate };
    let new_version = observation.version.is_some() && observation.version != copy.version;
    let system = observation.system.clone();
    let event = match observation.channel {
        Channel::Webhook | Channel::Signal if ours => {
            let evidence = match &observation.correlation {
                Some(_) => Evidence::proven(Basis::WriteKey),
                None => Evidence::inferred(Basis::LastWrite),
            };
            let body = Body::EchoRecognised {
                system,
                channel: observation.channel,
                key: observation.correlation.clone(),
                order: observation.order.clone(),
                version: observation.version.clone(),
            };
            Some(NewEvent::with(body, evidence))
        }
        // The same content in a newer state: what stood there in between must not win when it comes late. A log shows
        // its states in order, so nothing comes late there.
        _ if observation.place != Place::InLog && !is_echo && is_newer_sequence(copy, observation) => {
            Some(touched(sight))
        }
        Channel::Webhook | Channel::Signal => {
            let body = Body::DuplicateDropped { system, channel: observation.channel };
            Some(NewEvent::plain(body))
        }
        // What was presumed to stand there does: from here on another spelling is a change.
        _ if !is_echo && copy.fields.values().any(Shadow::is_presumed) => Some(touched(sight)),
        // A write was refused because its version had moved on without any mapped change: learn the new one.
        Channel::Read | Channel::Receipt | Channel::Manual if new_version && !is_echo => Some(touched(sight)),
        Channel::Feed | Channel::Listing | Channel::Read | Channel::Receipt | Channel::Manual => None,
    };
    Entry::Note(Decision::Recorded(class), event)
}

/// An observation that only moves the copy's order and version.
fn touched(sight: &Sight<'_>) -> NewEvent {
    NewEvent::plain(Body::Observed {
        system: sight.observation.system.clone(),
        channel: sight.observation.channel,
        class: Classification::Duplicate,
        causality: Causality::Same,
        copy_vector: sight.copy.seen.clone(),
        dot: None,
        fields: BTreeMap::new(),
        gone: false,
        empty: BTreeSet::new(),
        order: sight.observation.order.clone(),
        version: sight.observation.version.clone(),
    })
}

/// A changed copy after the judgement of each of its fields.
pub(crate) struct Change {
    /// The dot of the change; `None` if the copy only shows what we wrote, or nothing that could change a belief.
    dot: Option<Dot>,
    copy_vector: VersionVector,
    class: Classification,
    existence: Existence,
    observed: Body,
    evidence: Evidence,
    judged: Vec<Judged>,
}

/// A changed field after its judgement.
struct Judged {
    field: FieldName,
    seen: FieldSeen,
    judgement: Judgement,
    evidence: Evidence,
}

impl Change {
    /// Judges every field for itself, against the state before the change.
    fn of(sight: Sight<'_>, revived: bool) -> Self {
        let Sight { policy, record, copy, observation, changed, .. } = sight;
        let judge = |related| Judged::of(policy, record, observation, related);
        let judged: Vec<_> = changed.into_iter().map(judge).collect();
        let says_something = judged.iter().any(Judged::says_something);
        let dot = (says_something || revived).then(|| record.vector.next(&observation.system));
        let copy_vector = dot.as_ref().map_or_else(|| copy.seen.clone(), |dot| copy.seen.with(dot));
        let class = classification(&judged);
        let existence = existence(policy, record, observation, revived);
        let rebase = |Judged { field, seen, judgement, .. }: &Judged| {
            let base = if existence.lets_count(judgement) {
                rebased(record, field, seen, judgement, dot.as_ref())
            } else {
                seen.base.clone()
            };
            (field.clone(), FieldSeen { base, ..seen.clone() })
        };
        let observed = Body::Observed {
            system: observation.system.clone(),
            channel: observation.channel,
            class,
            causality: copy_vector.compare(&record.vector),
            copy_vector: copy_vector.clone(),
            dot: dot.clone(),
            fields: judged.iter().map(rebase).collect(),
            gone: false,
            empty: if revived { not_shown(copy, observation) } else { BTreeSet::new() },
            order: observation.order.clone(),
            version: observation.version.clone(),
        };
        let evidence = overall(&judged);
        Self { dot, copy_vector, class, existence, observed, evidence, judged }
    }

    /// The system changed its copy.
    fn record(self, chronicle: &mut Chronicle, observation: &Observation) -> Recorded {
        let decision = Decision::Recorded(self.class);
        let seq = chronicle.push_with(self.observed, self.evidence);
        chronicle.set_cause(Some(seq));
        let Some(dot) = self.dot else { return Recorded { decision, is_corrected: false } };
        let mut is_corrected = self.existence.is_corrected();
        let mut judged = self.judged;
        judged.retain(|judged| self.existence.lets_count(&judged.judgement));
        self.existence.record(chronicle, &observation.system, &dot);
        let origin = ChangeOrigin { observation, dot: &dot, copy_vector: &self.copy_vector };
        for Judged { field, seen, judgement, evidence } in judged {
            is_corrected |= emit(chronicle, &origin, &field, &seen, judgement, evidence);
        }
        Recorded { decision, is_corrected }
    }
}

/// The fields that stood in a copy which is gone, and that the one made in its place does not show. What a delivery shows
/// may be a part.
fn not_shown(copy: &Copy, observation: &Observation) -> BTreeSet<FieldName> {
    let CopyState::Present(shown) = &observation.shown else { return BTreeSet::new() };
    if observation.channel == Channel::Webhook {
        return BTreeSet::new();
    }
    let stood = copy.fields.iter().filter(|(_, shadow)| !shadow.content.is_null());
    let is_shown = |field: &FieldName| shown.contains_key(field) || observation.aside.contains_key(field);
    stood.map(|(field, _)| field).filter(|field| !is_shown(field)).cloned().collect()
}

impl Judged {
    fn of(
        policy: &EntityPolicy,
        record: &Record,
        observation: &Observation,
        Related { found, base, relation, evidence }: Related<'_>,
    ) -> Self {
        let judgement = judge(policy, record, observation, &found, relation);
        let (from, to) = (found.from.cloned(), found.to.clone());
        let seen = FieldSeen { from, to, base: base.cloned(), relation };
        Self { field: found.field.clone(), seen, judgement, evidence }
    }

    /// Whether it is a change of the system's own. An empty field that was never filled is none.
    fn says_something(&self) -> bool {
        let is_ours = matches!(self.judgement, Judgement::Arrived { .. });
        !is_ours && (self.seen.from.is_some() || !self.seen.to.is_null())
    }
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
        Judgement::Accept { .. } | Judgement::ClosesReview => dot.cloned(),
        Judgement::Arrived { dot } => Some(dot.clone()),
        Judgement::Agree => record.fields.get(field).map(|belief| belief.dot.clone()),
        Judgement::Nothing
        | Judgement::Refuse { .. }
        | Judgement::Conflict { .. }
        | Judgement::Ask { .. }
        | Judgement::Contested => seen.base.clone(),
    }
}

fn classification(judged: &[Judged]) -> Classification {
    // A null that means "not known" cannot conflict.
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

/// The event carries the evidence of its first concurrent or indeterminate field.
fn overall(judged: &[Judged]) -> Evidence {
    let is_contested = |judged: &&Judged| {
        matches!(judged.seen.relation, FieldRelation::Concurrent | FieldRelation::Indeterminate)
    };
    let weakest = judged.iter().find(is_contested).or(judged.first());
    weakest.map_or_else(|| Evidence::inferred(Basis::CopyExistsAgain), |judged| judged.evidence.clone())
}
