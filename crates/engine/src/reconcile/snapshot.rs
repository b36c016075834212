//! A snapshot of one system: a listing between two marks of its change feed, compared page by page with what the store
//! holds, so that only what differs is remembered.

use crate::inbound::reading::Source;
use crate::parts::error::EngineError;
use crate::parts::progress::{Progress, Step};
use crate::parts::translate::{Translated, translate};
use crate::ports::connector::{Change, Page, RemoteState};
use crate::ports::store::{Cursor, Located};
use crate::reconcile::sum::RowSum;
use avowal_core::data::ids::RemoteId;
use avowal_core::data::time::Timestamp;
use avowal_core::policy::EntityPolicy;
use avowal_core::record::CopyKey;
use std::collections::{BTreeSet, HashSet};

/// The most copies that are looked at a second time, of one entity in one system. A system of which more differ is
/// another one, or was restored.
pub(super) const SUSPECTS_MAX: usize = 200_000;

/// One system's copies of an entity, as far as they differ from what the store holds.
#[derive(Default)]
pub(super) struct Snapshot {
    /// When it was begun, and when its last page came.
    pub(super) captured: (Timestamp, Timestamp),
    /// Where the feed stood before and after it.
    pub(super) marks: (Option<Cursor>, Option<Cursor>),
    /// The rows on which both sides agree: the same on both.
    pub(super) agreeing: RowSum,
    /// The copies that differ, or cannot be compared by their digest alone.
    pub(super) suspects: BTreeSet<RemoteId>,
    /// Whether there were more of them.
    pub(super) too_many: bool,
}

/// Takes the snapshot. The system is only read. The `open` copies are looked at again whatever they show.
pub(super) async fn take(
    source: Source<'_>,
    policy: &EntityPolicy,
    open: BTreeSet<RemoteId>,
    progress: &dyn Progress,
) -> Result<Snapshot, EngineError> {
    let clock = &source.parts.clock;
    let captured = (clock.now(), clock.now());
    let mut snapshot = Snapshot { captured, suspects: open, ..Snapshot::default() };
    snapshot.marks.0 = mark(source).await?;
    let mut present = HashSet::new();
    let mut at: Option<Cursor> = None;
    let mut rows = 0;
    loop {
        let page = ask(source, at.as_ref()).await?;
        if page.more && at.as_ref() == Some(&page.next) {
            return Err(source.stuck());
        }
        rows += page.changes.len() as u64;
        snapshot.compare_page(source, policy, &page.changes, &mut present).await?;
        let (system, entity) = (source.system.clone(), source.entity.clone());
        progress.tell(Step::Listed { system, entity, rows });
        if !page.more {
            break;
        }
        at = Some(page.next);
    }
    snapshot.captured.1 = clock.now();
    snapshot.marks.1 = mark(source).await?;
    snapshot.look_for_missing(source, &present).await?;
    Ok(snapshot)
}

/// Where the feed stands now; `None` without one.
async fn mark(source: Source<'_>) -> Result<Option<Cursor>, EngineError> {
    if !source.connector.capabilities(source.entity).feed {
        return Ok(None);
    }
    let position = source.connector.feed_position(source.entity).await;
    position.map(Some).map_err(|error| source.failed(error))
}

async fn ask(source: Source<'_>, at: Option<&Cursor>) -> Result<Page, EngineError> {
    let most = source.parts.settings.batch_records_max;
    source.connector.list(source.entity, at, most).await.map_err(|error| source.failed(error))
}

impl Snapshot {
    fn suspect(&mut self, id: RemoteId) {
        if self.suspects.len() < SUSPECTS_MAX {
            self.suspects.insert(id);
        } else {
            self.too_many |= !self.suspects.contains(&id);
        }
    }

    /// Compares one page by its digests.
    async fn compare_page(
        &mut self,
        source: Source<'_>,
        policy: &EntityPolicy,
        changes: &[Change],
        present: &mut HashSet<RemoteId>,
    ) -> Result<(), EngineError> {
        let (parts, system) = (source.parts, source.system);
        let shown: Vec<(&Change, _)> = changes
            .iter()
            .filter_map(|change| match &change.shown {
                RemoteState::Present(fields) => Some((change, fields)),
                RemoteState::Gone
                | RemoteState::Unknown
                | RemoteState::Unreadable { .. }
                | RemoteState::Unread { .. } => None,
            })
            .collect();
        let rows: Vec<_> = shown.iter().map(|(_, fields)| *fields).collect();
        let translated = translate(parts, policy, system, &rows).await?;
        let keys: Vec<CopyKey> = shown.iter().map(|(change, _)| key(source, &change.id)).collect();
        let located = parts.store.locate(&keys).await?;
        for (((change, _), row), located) in shown.iter().zip(translated).zip(located) {
            // A copy that comes twice is not counted twice; what it shows now is read again.
            if !present.insert(change.id.clone()) {
                self.suspect(change.id.clone());
                continue;
            }
            match agreeing(&row, located.as_ref()) {
                Some(_) if self.suspects.contains(&change.id) => {}
                Some(content) => self.agreeing.add(&change.id, &content),
                None => self.suspect(change.id.clone()),
            }
        }
        for change in changes.iter().filter(|change| !matches!(change.shown, RemoteState::Present(_))) {
            present.insert(change.id.clone());
            self.suspect(change.id.clone());
        }
        Ok(())
    }

    /// Adds the copies that the store holds and the listing does not show.
    async fn look_for_missing(
        &mut self,
        source: Source<'_>,
        present: &HashSet<RemoteId>,
    ) -> Result<(), EngineError> {
        let (parts, most) = (source.parts, source.parts.settings.batch_records_max);
        let mut after = None;
        loop {
            let linked = parts.store.scan_copies(source.system, source.entity, after, most).await?;
            let Some((last, _)) = linked.last() else { return Ok(()) };
            after = Some(last.clone());
            for (_, id) in linked {
                if !present.contains(&id) {
                    self.suspect(id);
                }
            }
        }
    }
}

/// The address of a copy.
pub(super) fn key(source: Source<'_>, id: &RemoteId) -> CopyKey {
    CopyKey { system: source.system.clone(), entity: source.entity.clone(), remote_id: id.clone() }
}

/// The digest of a row that is what the store holds of its copy; `None` if it is not, or has to be looked at closer.
fn agreeing(row: &Translated, located: Option<&Located>) -> Option<avowal_core::data::value::Digest> {
    let located = located?;
    match row {
        Translated::Row(row) => {
            let digest = row.digest();
            (located.alive && !located.in_flight && digest == located.content).then_some(digest)
        }
        Translated::Unreadable(_) | Translated::Waits(_) => None,
    }
}
