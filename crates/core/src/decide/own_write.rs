//! Recognising our own write in what a copy shows, and ending the intent that made it.

use crate::data::ids::FieldName;
use crate::data::value::Value;
use crate::decide::classify::may_be_echo;
use crate::decide::place::{is_absence_credible, is_proven_newer, is_proven_older};
use crate::history::chronicle::Chronicle;
use crate::history::{Basis, ConfirmedBy, Evidence};
use crate::outgoing::confirm::{CreateMatch, Receipt, confirm, create_match};
use crate::policy::EntityPolicy;
use crate::record::intent::{Intent, Operation};
use crate::record::observation::{Channel, CopyState, Observation, Place};
use crate::record::{Copy, Record};
use std::collections::BTreeMap;

/// The write in flight that an observation of its copy has shown to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnWrite {
    key: String,
    shown_by: ShownBy,
}

/// By what a write in flight is recognised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShownBy {
    /// The observed state carries its key.
    Key,
    /// Every value that it sent stands there, which may be a coincidence.
    Values,
    /// Most of what it sent stands in a copy that nobody had seen: it has made the copy, which may have changed since.
    MostOfACreate,
    /// It asked for the copy to be deleted, and the copy does not exist.
    Absence,
}

impl OwnWrite {
    /// By what it was recognised.
    pub fn shown_by(&self) -> ShownBy {
        self.shown_by
    }

    /// Whether the observation shows the write itself, not a copy that may have changed after it.
    pub fn is_echo(&self) -> bool {
        match self.shown_by {
            ShownBy::Key | ShownBy::Values | ShownBy::Absence => true,
            ShownBy::MostOfACreate => false,
        }
    }

    fn evidence(&self) -> Evidence {
        match self.shown_by {
            ShownBy::Key => Evidence::proven(Basis::WriteKey),
            ShownBy::Values => Evidence::inferred(Basis::SentValues),
            ShownBy::MostOfACreate => Evidence::inferred(Basis::MostSentValues),
            ShownBy::Absence => Evidence::proven(Basis::CopyMissing),
        }
    }

    fn confirmed_by(&self, channel: Channel) -> ConfirmedBy {
        match (self.shown_by, channel) {
            (ShownBy::MostOfACreate, _) => ConfirmedBy::LookUp,
            (ShownBy::Key | ShownBy::Values | ShownBy::Absence, channel) => match channel {
                Channel::Receipt => ConfirmedBy::Receipt,
                Channel::Read | Channel::Manual => ConfirmedBy::ReadBack,
                Channel::Webhook | Channel::Signal | Channel::Feed | Channel::Listing => ConfirmedBy::Echo,
            },
        }
    }

    /// Ends the intent: what the copy shows becomes its shadow. Equal values confirm the write, because there is
    /// nothing left to do. They never hide a difference, because what differs is assessed afterwards.
    pub fn record(&self, chronicle: &mut Chronicle, observation: &Observation) {
        let nothing = BTreeMap::new();
        let after = match &observation.shown {
            CopyState::Present(fields) => fields,
            CopyState::Gone => &nothing,
        };
        let receipt = Receipt {
            system: &observation.system,
            key: &self.key,
            after,
            order: observation.order.clone(),
            version: observation.version.clone(),
            by: self.confirmed_by(observation.channel),
        };
        confirm(chronicle, &receipt, self.evidence());
    }
}

/// Finds out whether an observation shows that the planned or sent write is done: proven by our key, presumed by equal
/// values, and needless where the copy does not exist.
pub fn recognise(
    policy: &EntityPolicy,
    record: &Record,
    copy: &Copy,
    observation: &Observation,
) -> Option<OwnWrite> {
    let intent = record.intents.get(&observation.system)?;
    if is_proven_older(copy, observation) {
        return None;
    }
    let shown_by = match &observation.shown {
        CopyState::Present(shown) => shown_by(policy, record, intent, observation, shown)?,
        CopyState::Gone => {
            let is_credible = !copy.alive || is_absence_credible(observation);
            (intent.operation == Operation::Delete && is_credible).then_some(ShownBy::Absence)?
        }
    };
    Some(OwnWrite { key: intent.key.clone(), shown_by })
}

fn shown_by(
    policy: &EntityPolicy,
    record: &Record,
    intent: &Intent,
    observation: &Observation,
    shown: &BTreeMap<FieldName, Value>,
) -> Option<ShownBy> {
    let copy = record.copies.get(&observation.system)?;
    if observation.correlation.as_deref() == Some(intent.key.as_str()) {
        return Some(ShownBy::Key);
    }
    if intent_is_shown(policy, record, observation, intent, shown) && !is_of_another_write(copy, observation)
    {
        return Some(ShownBy::Values);
    }
    let is_first_sight = copy.alive && copy.is_unseen();
    let is_made = is_first_sight && create_match(policy, intent, shown) == CreateMatch::Probable;
    is_made.then_some(ShownBy::MostOfACreate)
}

/// Whether this is what another write of ours left, and may come late: a value that went there and back again (A→B→A)
/// equals what is in flight now, and yet says nothing about it.
fn is_of_another_write(copy: &Copy, observation: &Observation) -> bool {
    observation.correlation.is_some()
        && observation.place != Place::InLog
        && !is_proven_newer(copy, observation)
}

/// Whether every value of a write whose outcome is open stands in the copy, as we spelled it or as the system did.
fn intent_is_shown(
    policy: &EntityPolicy,
    record: &Record,
    observation: &Observation,
    intent: &Intent,
    shown: &BTreeMap<FieldName, Value>,
) -> bool {
    let has_fields = match intent.operation {
        Operation::Create | Operation::Update => !intent.fields.is_empty(),
        Operation::Delete => false,
    };
    intent.is_open()
        && has_fields
        && intent.fields.keys().all(|field| {
            shown.get(field).is_some_and(|shown| may_be_echo(policy, record, observation, field, shown))
        })
}
