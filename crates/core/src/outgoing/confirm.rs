//! The end of an outgoing change: what the system stored becomes the shadow, even where it made something else
//! of the value.

use crate::data::ids::{FieldName, SystemName};
use crate::data::spelling::is_spelling_of;
use crate::data::value::Value;
use crate::history::chronicle::Chronicle;
use crate::history::{Body, ConfirmedBy, Evidence, Failure, FieldStored};
use crate::policy::EntityPolicy;
use crate::record::Copy;
use crate::record::intent::Intent;
use crate::record::observation::OrderToken;
use crate::record::reason::FailureReason;
use std::collections::BTreeMap;

/// What is known of a copy after a write of ours.
#[derive(Clone, Debug)]
pub struct Receipt<'a> {
    /// Which system.
    pub system: &'a SystemName,
    /// The key of the write.
    pub key: &'a str,
    /// The copy's canonical contents afterwards, as far as they are known.
    pub after: &'a BTreeMap<FieldName, Value>,
    /// The copy's order token afterwards.
    pub order: Option<OrderToken>,
    /// The copy's opaque version afterwards.
    pub version: Option<String>,
    /// How it was learned.
    pub by: ConfirmedBy,
}

/// Confirms the intent in flight with a system, if it still is the one with this key. A field that the receipt
/// does not show is taken to hold what was sent.
pub fn confirm(chronicle: &mut Chronicle, receipt: &Receipt<'_>, evidence: Evidence) -> bool {
    let Some(intent) = chronicle.record().intents.get(receipt.system) else { return false };
    if intent.key != receipt.key {
        return false;
    }
    let mut fields = stored(intent, receipt.after, receipt.by);
    if let Some(copy) = chronicle.record().copies.get(receipt.system)
        && may_be_past(intent, copy, receipt)
    {
        leave_what_came_since(copy, receipt.after, &mut fields);
    }
    let body = Body::IntentConfirmed {
        system: receipt.system.clone(),
        key: receipt.key.to_owned(),
        by: receipt.by,
        fields,
        order: receipt.order.clone(),
        version: receipt.version.clone(),
    };
    chronicle.push_with(body, evidence);
    if chronicle.record().held.contains_key(receipt.system) {
        // What the system refused before is another change, if it is wanted again.
        chronicle.push(Body::Released { system: receipt.system.clone() });
    }
    true
}

/// Records that an attempt did not come to a confirmed end, if the intent still is the one with this key.
pub fn fail(
    chronicle: &mut Chronicle,
    system: &SystemName,
    key: &str,
    failure: Failure,
    reason: FailureReason,
) -> bool {
    if chronicle.record().intents.get(system).is_none_or(|intent| intent.key != key) {
        return false;
    }
    chronicle.push(Body::IntentFailed { system: system.clone(), key: key.to_owned(), failure, reason });
    true
}

/// Records, before the call goes out, that it does.
pub fn send(chronicle: &mut Chronicle, system: &SystemName) -> bool {
    let Some(intent) = chronicle.record().intents.get(system) else { return false };
    let (key, attempt) = (intent.key.clone(), intent.attempt + 1);
    chronicle.push(Body::IntentSent { system: system.clone(), key, attempt });
    true
}

/// Whether a create of open outcome has made a copy that nobody has seen before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CreateMatch {
    /// Most of what it sent stands there: it has, and somebody may have changed the copy since.
    Probable,
    /// Some of it does, which may be chance.
    Possible,
    /// Nothing of it does, beside the key; or no create is open.
    Unlikely,
}

/// Whether the intent has made the copy: by the fields that no key is made of.
pub fn create_match(
    policy: &EntityPolicy,
    intent: &Intent,
    shown: &BTreeMap<FieldName, Value>,
) -> CreateMatch {
    let is_key = |field: &FieldName| policy.match_on.iter().flatten().any(|key| key == field);
    let (mut sent, mut stands) = (0_usize, 0_usize);
    for (field, outgoing) in intent.fields.iter().filter(|(field, _)| !is_key(field)) {
        sent += 1;
        stands += usize::from(shown.get(field).is_some_and(|shown| is_spelling_of(shown, &outgoing.value)));
    }
    match (intent.is_open_create(), stands) {
        (true, stands) if sent == 0 || stands * 2 > sent => CreateMatch::Probable,
        (true, 1..) => CreateMatch::Possible,
        (true, 0) | (false, _) => CreateMatch::Unlikely,
    }
}

/// Whether the answer to a write that was sent again may tell of a state that is past: whoever remembers the key
/// answers as the first time, and the system has changed its copy since the write was planned.
fn may_be_past(intent: &Intent, copy: &Copy, receipt: &Receipt<'_>) -> bool {
    let is_asked_again = intent.attempt > 1 && receipt.by != ConfirmedBy::Echo;
    is_asked_again && copy.seen.get(receipt.system) > intent.vector.get(receipt.system)
}

/// What the system has shown meanwhile, and still holds, stays: the difference is planned anew.
fn leave_what_came_since(
    copy: &Copy,
    after: &BTreeMap<FieldName, Value>,
    fields: &mut BTreeMap<FieldName, FieldStored>,
) {
    for (field, stored) in fields {
        let Some(shadow) = copy.fields.get(field) else { continue };
        let still_stands = after.get(field).is_some_and(|shown| shadow.is_equivalent_to(shown));
        if still_stands && !shadow.is_equivalent_to(&stored.content) {
            stored.content = shadow.content.clone();
            stored.sent_as = None;
            stored.base = shadow.base.clone().unwrap_or_else(|| stored.base.clone());
        }
    }
}

/// What each field holds after the write. The system's own answer is believed whatever it says. A read that came
/// later may show what a person has done since: only another spelling of ours is what the system made of it, and
/// anything else is left for the observation that follows. Of what was not shown, ours is presumed to stand there.
fn stored(
    intent: &Intent,
    after: &BTreeMap<FieldName, Value>,
    by: ConfirmedBy,
) -> BTreeMap<FieldName, FieldStored> {
    let is_answer = match by {
        ConfirmedBy::Receipt | ConfirmedBy::Echo => true,
        ConfirmedBy::ReadBack | ConfirmedBy::LookUp => false,
    };
    intent
        .fields
        .iter()
        .map(|(field, outgoing)| {
            let shown = after.get(field).filter(|shown| is_answer || is_spelling_of(shown, &outgoing.value));
            let content = shown.unwrap_or(&outgoing.value).clone();
            let is_told = shown.is_some() && content == outgoing.value;
            let sent_as = (!is_told).then(|| outgoing.value.clone());
            let stored =
                FieldStored { content, sent_as, wrote: outgoing.value.digest(), base: outgoing.dot.clone() };
            (field.clone(), stored)
        })
        .collect()
}
