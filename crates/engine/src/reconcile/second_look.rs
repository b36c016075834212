//! The second look at the copies that differed: each is read by its id after the settle window, and compared with what the
//! store holds by then.

use crate::inbound::reading::Source;
use crate::parts::error::EngineError;
use crate::parts::translate::{Translated, translate};
use crate::ports::connector::{Change, RemoteState};
use crate::ports::store::Located;
use crate::reconcile::drift::{Found, SecondLook, Verdict};
use crate::reconcile::snapshot::key;
use crate::reconcile::unread_feed::{Unread, unread};
use avowal_core::data::ids::{FieldName, RecordId, RemoteId};
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::{Digest, Value};
use avowal_core::data::version::VersionVector;
use avowal_core::decide::identity::{has_no_key, keys_of_copy};
use avowal_core::history::RecommendedAction;
use avowal_core::policy::{EntityPolicy, NoKey};
use avowal_core::record::{CopyKey, Record, Subject};
use std::collections::{BTreeMap, BTreeSet};

/// The most copies that are read at once.
const READ_AT_ONCE: usize = 500;

/// What a second look found at one copy.
pub(super) struct Looked {
    pub(super) id: RemoteId,
    /// The record, where the copy is linked.
    pub(super) record: Option<RecordId>,
    pub(super) verdict: Verdict,
    /// The digest of what the store holds of it, where it holds a living copy.
    pub(super) local: Option<Digest>,
    /// The digest of what the system shows.
    pub(super) external: Option<Digest>,
    /// What the system shows, in canonical terms.
    pub(super) state: Option<BTreeMap<FieldName, Value>>,
    pub(super) version: VersionVector,
    pub(super) asked_at: Timestamp,
}

/// Looks at the copies, in order, and hands each to `each`.
pub(super) async fn look_again(
    source: Source<'_>,
    policy: &EntityPolicy,
    suspects: &BTreeSet<RemoteId>,
    settle_ms: u64,
    mut each: impl FnMut(Looked),
) -> Result<(), EngineError> {
    let unread = unread(source).await?;
    let ids: Vec<RemoteId> = suspects.iter().cloned().collect();
    for ids in ids.chunks(READ_AT_ONCE) {
        let asked_at = source.parts.clock.now();
        let changes = source.parts.read_copies(source.system, source.entity, ids).await?;
        let look = Looks { source, policy, settle_ms, asked_at, unread: &unread };
        look.at(&changes, &mut each).await?;
    }
    Ok(())
}

/// Looks at several copies at one time.
struct Looks<'a> {
    source: Source<'a>,
    policy: &'a EntityPolicy,
    settle_ms: u64,
    asked_at: Timestamp,
    unread: &'a Unread,
}

impl Looks<'_> {
    async fn at(&self, changes: &[Change], each: &mut impl FnMut(Looked)) -> Result<(), EngineError> {
        let (source, parts) = (self.source, self.source.parts);
        let keys: Vec<CopyKey> = changes.iter().map(|change| key(source, &change.id)).collect();
        let located = parts.store.locate(&keys).await?;
        let wanted: BTreeSet<RecordId> =
            located.iter().flatten().map(|located| located.record.clone()).collect();
        let wanted: Vec<RecordId> = wanted.into_iter().collect();
        let loaded = parts.store.load(&wanted).await?;
        let records: BTreeMap<RecordId, Record> =
            loaded.into_iter().flatten().map(|record| (record.id.clone(), record)).collect();
        let set_aside = parts.quarantined.among(&keys).await?;
        let rows: Vec<_> = changes.iter().filter_map(|change| fields(change)).collect();
        let mut translated = translate(parts, self.policy, source.system, &rows).await?.into_iter();
        for ((change, located), key) in changes.iter().zip(located).zip(&keys) {
            let row = fields(change).and_then(|_| translated.next());
            let record = located.as_ref().and_then(|located| records.get(&located.record));
            let shown = match &row {
                Some(Translated::Row(row)) => Some(row),
                Some(Translated::Unreadable(_) | Translated::Waits(_)) | None => None,
            };
            let verdict = match self.undecidable(change, row.as_ref(), set_aside.contains(key)) {
                Some(reason) => Verdict::Unsettled(reason),
                None => self.verdict(change, shown.map(|row| &row.fields), record).await?,
            };
            let copy = record.and_then(|record| record.copies.get(source.system));
            each(Looked {
                id: change.id.clone(),
                record: located.as_ref().map(|located| located.record.clone()),
                verdict,
                local: located.filter(|located| located.alive).map(|located: Located| located.content),
                external: shown.map(avowal_core::policy::translate::Understood::digest),
                state: shown.map(|row| row.fields.clone()),
                version: copy.map(|copy| copy.seen.clone()).unwrap_or_default(),
                asked_at: self.asked_at,
            });
        }
        Ok(())
    }

    /// Why nothing can be told of a copy, whatever is believed.
    fn undecidable(&self, change: &Change, row: Option<&Translated>, is_set_aside: bool) -> Option<String> {
        if self.unread.holds(&change.id) {
            return Some("the change feed reports it, and the next `avowal sync` takes it in".to_owned());
        }
        if is_set_aside {
            return Some("it is set aside: `avowal quarantine list` says why".to_owned());
        }
        match (&change.shown, row) {
            (RemoteState::Unread { reason } | RemoteState::Unreadable { reason, .. }, _) => {
                Some(format!("it could not be read: {reason}"))
            }
            (RemoteState::Unknown, _) => Some("the system does not say what it holds".to_owned()),
            (_, Some(Translated::Unreadable(reason))) => Some(format!("it cannot be understood: {reason}")),
            (_, Some(Translated::Waits(waiting))) => Some(waiting.reason.clone()),
            (RemoteState::Present(_) | RemoteState::Gone, Some(Translated::Row(_)) | None) => None,
        }
    }

    async fn verdict(
        &self,
        change: &Change,
        shown: Option<&BTreeMap<FieldName, Value>>,
        record: Option<&Record>,
    ) -> Result<Verdict, EngineError> {
        let Some(record) = record else {
            return match shown {
                Some(shown) => self.unknown(shown).await,
                None => Ok(Verdict::Agrees),
            };
        };
        let look = SecondLook {
            policy: self.policy,
            system: self.source.system,
            record,
            change,
            shown,
            asked_at: self.asked_at,
            settle_ms: self.settle_ms,
        };
        Ok(look.verdict())
    }

    /// What the rules say to a copy that is linked with no record.
    async fn unknown(&self, shown: &BTreeMap<FieldName, Value>) -> Result<Verdict, EngineError> {
        let (policy, parts) = (self.policy, self.source.parts);
        let keys = keys_of_copy(policy, shown);
        let found = parts.store.match_records(&policy.entity, &keys).await?;
        let candidates: BTreeSet<RecordId> = found.into_iter().flatten().collect();
        let (action, reason) = match candidates.iter().next() {
            Some(_) if candidates.len() > 1 => {
                (RecommendedAction::ManualReview, "several records carry its key".to_owned())
            }
            Some(record) => self.of_candidate(record).await?,
            None if policy.no_key == NoKey::Review && has_no_key(policy, shown) => {
                (RecommendedAction::ManualReview, "it has no key (no_key = \"review\")".to_owned())
            }
            None => (
                RecommendedAction::UpdateLocal,
                "no record carries its key, so one begins with it".to_owned(),
            ),
        };
        let found = Found {
            subject: Subject::Existence,
            local: None,
            external: Some(Value::text("exists")),
            action,
            repair: policy.repair,
            reason,
        };
        Ok(Verdict::Differs(vec![found]))
    }

    async fn of_candidate(&self, record: &RecordId) -> Result<(RecommendedAction, String), EngineError> {
        let loaded = self.source.parts.store.load(std::slice::from_ref(record)).await?.pop().flatten();
        let system = self.source.system;
        let other = loaded.as_ref().and_then(|record| record.live_copy(system)).map(|copy| &copy.remote_id);
        Ok(match other {
            Some(other) => (
                RecommendedAction::ManualReview,
                format!("it carries the key of record {record}, whose copy in {system} is {other}"),
            ),
            None => (RecommendedAction::UpdateLocal, format!("it carries the key of record {record}")),
        })
    }
}

/// The raw fields that a copy shows.
fn fields(change: &Change) -> Option<&crate::ports::connector::Fields> {
    match &change.shown {
        RemoteState::Present(fields) => Some(fields),
        RemoteState::Gone
        | RemoteState::Unknown
        | RemoteState::Unreadable { .. }
        | RemoteState::Unread { .. } => None,
    }
}
