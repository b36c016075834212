//! The facts of a batch after translation. Raw contents become canonical once, however often the batch is decided.

use crate::inbound::batch::Batch;
use crate::inbound::quarantine::payload;
use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::parts::translate::{Translated, Waiting, translate};
use crate::ports::connector::{Change, RemoteState};
use crate::ports::store::SignalReason;
use avowal_core::data::ids::EntityName;
use avowal_core::data::value::Digest;
use avowal_core::policy::EntityPolicy;
use avowal_core::policy::translate::Understood;
use avowal_core::record::CopyKey;
use avowal_core::record::observation::{Channel, OrderToken};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One fact after translation.
pub(crate) struct Fact<'a> {
    pub(crate) entity: EntityName,
    /// The rules as they held when the batch was translated.
    pub(crate) policy: Arc<EntityPolicy>,
    /// The copy that the fact is about.
    pub(crate) copy: CopyKey,
    pub(crate) change: &'a Change,
    pub(crate) content: Content,
}

/// What a fact says about its copy.
pub(crate) enum Content {
    /// The copy holds these fields, some perhaps set aside; the digest is of all of them.
    Present { row: Understood, digest: Digest },
    /// The copy does not exist.
    Gone,
    /// The fact does not prove what the copy holds now, so the copy must be read.
    Read(SignalReason),
    /// A reference points to a record that is not known yet.
    Waits(Box<Waiting>),
    /// It could not be understood.
    Unreadable { reason: String, payload: String },
    /// The read of this one copy failed, which says nothing about it.
    Unread { reason: String },
}

/// Translates the facts of a batch, in its order. Facts of entities that have no rules are left out.
pub(crate) async fn facts_of<'a>(parts: &Parts, batch: &'a Batch) -> Result<Vec<Fact<'a>>, EngineError> {
    let mut rules: BTreeMap<&EntityName, Arc<EntityPolicy>> = BTreeMap::new();
    for (entity, _) in &batch.items {
        if !rules.contains_key(entity)
            && let Some(found) = parts.rules(entity).await?
        {
            rules.insert(entity, found);
        }
    }
    let mut translated = translate_present(parts, batch).await?;
    let mut facts = Vec::with_capacity(batch.items.len());
    for (at, (entity, change)) in batch.items.iter().enumerate() {
        let Some(policy) = rules.get(entity) else { continue };
        let copy =
            CopyKey { system: batch.system.clone(), entity: entity.clone(), remote_id: change.id.clone() };
        let content = match translated.remove(&at) {
            Some(translated) => content_of(translated, change),
            None => content_without_fields(batch, change),
        };
        facts.push(Fact { entity: entity.clone(), policy: policy.clone(), copy, change, content });
    }
    Ok(facts)
}

/// Translates those items whose fields count as the contents of their copy, by their places in the batch.
async fn translate_present(parts: &Parts, batch: &Batch) -> Result<BTreeMap<usize, Translated>, EngineError> {
    let mut out = BTreeMap::new();
    for policy in parts.policies.values() {
        let mut places = Vec::new();
        let mut rows = Vec::new();
        for (at, (entity, change)) in batch.items.iter().enumerate() {
            if let RemoteState::Present(fields) = &change.shown
                && *entity == policy.entity
                && !is_late_delivery(batch, change)
            {
                places.push(at);
                rows.push(fields);
            }
        }
        out.extend(places.into_iter().zip(translate(parts, policy, &batch.system, &rows).await?));
    }
    Ok(out)
}

fn content_of(translated: Translated, change: &Change) -> Content {
    match translated {
        Translated::Row(row) => {
            let digest = row.digest();
            Content::Present { row, digest }
        }
        Translated::Unreadable(reason) => Content::Unreadable { reason, payload: payload(change) },
        Translated::Waits(waiting) => Content::Waits(waiting),
    }
}

/// What a change says without its fields: they are missing, or a delivery shows them that may be late.
fn content_without_fields(batch: &Batch, change: &Change) -> Content {
    match &change.shown {
        RemoteState::Gone if !is_late_delivery(batch, change) => Content::Gone,
        RemoteState::Present(_) | RemoteState::Gone | RemoteState::Unknown => {
            Content::Read(SignalReason::Webhook)
        }
        RemoteState::Unreadable { reason, payload } => {
            Content::Unreadable { reason: reason.clone(), payload: payload.clone() }
        }
        RemoteState::Unread { reason } => Content::Unread { reason: reason.clone() },
    }
}

/// Whether a delivery may have been overtaken by a later change. It only tells that the copy must be read.
fn is_late_delivery(batch: &Batch, change: &Change) -> bool {
    batch.channel == Channel::Webhook && may_be_late(change)
}

/// Whether nothing tells where these contents belong among the states of their copy. The key of our own write does:
/// the contents are what that write left.
pub(crate) fn may_be_late(change: &Change) -> bool {
    !change.order.as_ref().is_some_and(OrderToken::is_true_order) && change.correlation.is_none()
}

/// Whether the fact came with a log in which our own writes appear, named and in order.
pub(crate) fn is_in_log(parts: &Parts, batch: &Batch, fact: &Fact<'_>) -> bool {
    batch.channel == Channel::Feed && parts.systems.has_log(&batch.system, &fact.entity)
}
