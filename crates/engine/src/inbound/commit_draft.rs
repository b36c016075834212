//! A batch on its way to a commit: its facts after translation, and the commit under construction.

use crate::inbound::translate::Canonical;
use crate::ports::connector::Change;
use crate::ports::store::{MatchKey, NewQuarantineItem, NewSignal, SignalReason};
use avowal_core::data::ids::{EntityName, RecordId};
use avowal_core::data::value::Digest;
use avowal_core::history::chronicle::Chronicle;
use avowal_core::policy::EntityPolicy;
use avowal_core::record::CopyKey;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One fact after translation.
pub(crate) struct Fact<'a> {
    pub(crate) entity: EntityName,
    pub(crate) policy: Arc<EntityPolicy>,
    pub(crate) change: &'a Change,
    pub(crate) content: Content,
    pub(crate) digest: Option<Digest>,
}

pub(crate) enum Content {
    Present(Canonical),
    Gone,
    Read(SignalReason),
    Waits(String),
    Unreadable { reason: String, payload: String },
}

/// The commit under construction.
#[derive(Default)]
pub(crate) struct CommitDraft {
    pub(crate) chronicles: BTreeMap<RecordId, Chronicle>,
    /// Copies linked in this batch, before the store knows them.
    pub(crate) linked: BTreeMap<CopyKey, RecordId>,
    /// Keys of records that are new or changed in this batch.
    pub(crate) keys: BTreeMap<(EntityName, String), RecordId>,
    pub(crate) quarantine: Vec<NewQuarantineItem>,
    pub(crate) closed: Vec<CopyKey>,
    pub(crate) signals: Vec<NewSignal>,
    /// Copies with open quarantine items.
    pub(crate) aside: BTreeSet<CopyKey>,
    /// Copies that a signal will have read, where that tells more than this batch does.
    pub(crate) awaited: BTreeSet<CopyKey>,
    /// The keys for which records were begun: nobody else may carry them.
    pub(crate) sole_keys: Vec<MatchKey>,
}

impl CommitDraft {
    /// A copy is set aside by what comes last of it.
    pub(crate) fn add_quarantine(&mut self, key: &CopyKey, item: NewQuarantineItem) {
        self.closed.retain(|closed| closed != key);
        self.aside.insert(key.clone());
        self.quarantine.push(item);
    }
}
