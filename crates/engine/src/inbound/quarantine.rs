//! Facts that could not be understood, kept whole with a reason until a person repairs and replays them.

use crate::parts::assembly::Parts;
use crate::ports::connector::{Change, RemoteState};
use crate::ports::store::NewQuarantineItem;
use avowal_core::data::value::Value;
use avowal_core::decide::identity::key_words;
use avowal_core::policy::{EntityPolicy, NoKey};
use avowal_core::record::CopyKey;

/// The most bytes of a payload that are kept in quarantine.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// The quarantine item of a fact about `copy`.
pub(crate) fn quarantine_item(
    parts: &Parts,
    copy: &CopyKey,
    reason: String,
    payload: String,
) -> NewQuarantineItem {
    NewQuarantineItem {
        system: copy.system.clone(),
        entity: copy.entity.clone(),
        remote_id: Some(copy.remote_id.clone()),
        record: None,
        reason,
        payload,
        at: parts.clock.now(),
    }
}

/// Why a row without a key goes nowhere, and what to do.
pub(crate) fn no_key_words(policy: &EntityPolicy) -> String {
    let keys = key_words(policy);
    match policy.no_key {
        NoKey::Wait | NoKey::Create => format!(
            "it has no key, because {keys} is empty, so it is made in no other system until it has one. Fill it in, or declare `no_key = \"create\"`"
        ),
        NoKey::Review => {
            format!("it has no key, because {keys} is empty, so a person has to look at it. Fill it in there")
        }
    }
}

/// The copy that a quarantine item is about.
pub(crate) fn copy_of(item: &NewQuarantineItem) -> Option<CopyKey> {
    Some(CopyKey {
        system: item.system.clone(),
        entity: item.entity.clone(),
        remote_id: item.remote_id.clone()?,
    })
}

/// The fields of a change as JSON text, cut at the limit; empty if it has none.
pub(crate) fn payload(change: &Change) -> String {
    let RemoteState::Present(fields) = &change.shown else { return String::new() };
    let object = Value::Object(fields.clone());
    let mut text = object.to_string();
    if text.len() > PAYLOAD_BYTES_MAX {
        let cut = (0..=PAYLOAD_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
    }
    text
}
