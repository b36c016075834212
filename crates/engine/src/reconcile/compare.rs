//! One reconciliation: a snapshot of each system, a pause, a second look at what differed, and the report.

use crate::inbound::reading::Source;
use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::parts::progress::{Progress, Step};
use crate::parts::stops::is_stopped;
use crate::ports::bucket::Shares;
use crate::ports::store::{
    BATCH_RECORDS_MAX, Direction, EntitySnapshot, FieldAgreement, Reconciliation, ReconciliationDifference,
    ReconciliationSummary, UnsettledCopy,
};
use crate::reconcile::drift::{Found, Verdict, owner_of};
use crate::reconcile::second_look::{Looked, look_again};
use crate::reconcile::snapshot::{SUSPECTS_MAX, Snapshot, take};
use crate::reconcile::sum::RowSum;
use avowal_core::data::ids::{EntityName, RecordId, RunId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::policy::EntityPolicy;
use avowal_core::record::Subject;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most differences that one reconciliation keeps.
const DIFFERENCES_MAX: usize = 100_000;

/// The most unsettled copies that are named, and snapshots that are kept.
const NAMED_MAX: usize = 1_000;

/// The most open questions, and writes under way to one system, that are looked through.
const OPEN_MAX: usize = 10_000;

/// What a reconciliation shall compare.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReconcileOptions {
    /// Only this system.
    pub system: Option<SystemName>,
    /// Only this entity.
    pub entity: Option<EntityName>,
    /// How long after a change nothing is concluded, in milliseconds; how late each system may be by default.
    pub settle_ms: Option<u64>,
}

/// Compares the systems with the store, keeps what is found, and changes nothing else.
pub(crate) async fn reconcile(
    parts: &Parts,
    run: RunId,
    options: &ReconcileOptions,
    progress: &dyn Progress,
) -> Result<Reconciliation, EngineError> {
    parts.quarantined.load().await?;
    parts.lags.load().await?;
    let mut report = Report::new(parts, run);
    let mut compared = Vec::new();
    for (system, entity, policy) in pairs(parts, options).await? {
        let settle_ms = options.settle_ms.unwrap_or_else(|| parts.longest_lag_ms(system).unsigned_abs());
        report.kept.settle_ms.insert(system.clone(), settle_ms);
        compared.push(compare(parts, (system, entity, policy), settle_ms, progress).await?);
    }
    let pauses =
        compared.iter().filter(|one| !one.snapshot.suspects.is_empty()).map(|one| one.left_ms(parts));
    if let Some(ms) = pauses.max().filter(|ms| *ms > 0) {
        progress.tell(Step::Waiting { ms });
        parts.clock.sleep(ms).await;
    }
    for one in compared {
        parts.runs.give_sign_of_life(parts.clock.now()).await;
        report.add(one).await?;
    }
    let Report { mut kept, differences, .. } = report;
    kept.made_at = parts.clock.now();
    kept.differences = differences.len() as u64;
    parts.store.keep_reconciliation(&kept, &differences).await?;
    Ok(kept)
}

/// The systems and entities that are compared, with the rules as they hold now.
async fn pairs<'a>(
    parts: &'a Parts,
    options: &ReconcileOptions,
) -> Result<Vec<(&'a SystemName, &'a EntityName, Arc<EntityPolicy>)>, EngineError> {
    let mut pairs = Vec::new();
    for system in parts.systems.names() {
        for entity in parts.systems.entities(system) {
            let is_wanted = options.system.as_ref().is_none_or(|only| only == system)
                && options.entity.as_ref().is_none_or(|only| only == entity);
            if is_wanted && let Some(policy) = parts.rules(entity).await? {
                pairs.push((system, entity, policy));
            }
        }
    }
    Ok(pairs)
}

/// One system's copies of one entity, compared once.
struct Compared<'a> {
    system: &'a SystemName,
    entity: &'a EntityName,
    policy: Arc<EntityPolicy>,
    settle_ms: u64,
    snapshot: Snapshot,
    /// Why nothing is concluded.
    incomplete: Option<String>,
}

impl Compared<'_> {
    /// How long until the settle window after the snapshot is over, in milliseconds.
    fn left_ms(&self, parts: &Parts) -> u64 {
        let since = parts.clock.now().millis().saturating_sub(self.snapshot.captured.1.millis());
        self.settle_ms.saturating_sub(since.max(0).unsigned_abs())
    }
}

async fn compare<'a>(
    parts: &Parts,
    (system, entity, policy): (&'a SystemName, &'a EntityName, Arc<EntityPolicy>),
    settle_ms: u64,
    progress: &dyn Progress,
) -> Result<Compared<'a>, EngineError> {
    let mut compared =
        Compared { system, entity, policy, settle_ms, snapshot: Snapshot::default(), incomplete: None };
    compared.snapshot.captured = (parts.clock.now(), parts.clock.now());
    if is_stopped(parts, system, Direction::In).await? {
        compared.incomplete = Some(format!("{system} is paused: `avowal resume {system}`"));
        return Ok(compared);
    }
    if !parts.readiness.is_listed(system, entity).await? {
        compared.incomplete = Some("it was never listed: run `avowal sync` first".to_owned());
        return Ok(compared);
    }
    let Some(source) = Source::new(parts, system, entity) else { return Ok(compared) };
    let open = open_copies(parts, system, entity).await?;
    match take(source, &compared.policy, open, progress).await {
        Ok(snapshot) => compared.snapshot = snapshot,
        // A listing that broke off says nothing about what it has not shown.
        Err(EngineError::System { error, .. }) => {
            progress.tell(Step::Problem { system: system.clone(), message: error.to_string() });
            compared.incomplete = Some(error.to_string());
        }
        Err(error) => return Err(error),
    }
    if compared.snapshot.too_many {
        compared.incomplete =
            Some(format!("more than {SUSPECTS_MAX} copies differ; is it the right system?"));
    }
    Ok(compared)
}

/// The copies whose records have an open question, or a write to this system under way: their digests may agree although
/// they do not show what is believed.
async fn open_copies(
    parts: &Parts,
    system: &SystemName,
    entity: &EntityName,
) -> Result<BTreeSet<avowal_core::data::ids::RemoteId>, EngineError> {
    let ever = Timestamp::from_millis(i64::MAX);
    let reviews = parts.store.open_reviews(OPEN_MAX).await?;
    let intents = parts.store.due_intents(system, Shares::ALL, ever, OPEN_MAX).await?;
    let items = parts.store.quarantined(OPEN_MAX).await?;
    let mut records: BTreeSet<RecordId> = reviews.into_iter().map(|open| open.record).collect();
    records.extend(intents.into_iter().map(|intent| intent.record));
    records.extend(items.into_iter().filter_map(|item| item.record));
    let records: Vec<RecordId> = records.into_iter().collect();
    let mut copies = BTreeSet::new();
    for page in records.chunks(BATCH_RECORDS_MAX) {
        let loaded = parts.store.load(page).await?.into_iter().flatten();
        let mine = loaded.filter(|record| record.entity == *entity);
        copies.extend(mine.filter_map(|record| Some(record.live_copy(system)?.remote_id.clone())));
    }
    Ok(copies)
}

/// The report in the making.
struct Report<'a> {
    parts: &'a Parts,
    kept: Reconciliation,
    differences: Vec<ReconciliationDifference>,
}

impl<'a> Report<'a> {
    fn new(parts: &'a Parts, run: RunId) -> Self {
        let kept = Reconciliation {
            run,
            made_at: parts.clock.now(),
            settle_ms: BTreeMap::new(),
            summaries: Vec::new(),
            unsettled: Vec::new(),
            differences: 0,
            actions: BTreeMap::new(),
            differences_left_out: 0,
            snapshots: Vec::new(),
        };
        Self { parts, kept, differences: Vec::new() }
    }

    /// Looks a second time at what differed, and adds up one system's copies of one entity.
    async fn add(&mut self, mut compared: Compared<'_>) -> Result<(), EngineError> {
        let mut counted = Counted::new(&compared);
        let parts = self.parts;
        if compared.incomplete.is_none()
            && let Some(source) = Source::new(parts, compared.system, compared.entity)
        {
            let suspects = std::mem::take(&mut compared.snapshot.suspects);
            let policy = compared.policy.clone();
            let looked = look_again(source, &policy, &suspects, compared.settle_ms, |looked| {
                self.note(&compared, &mut counted, looked);
            });
            match looked.await {
                Ok(()) => {}
                Err(EngineError::System { error, .. }) => compared.incomplete = Some(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        self.kept.summaries.push(counted.summary(compared));
        Ok(())
    }

    fn note(&mut self, compared: &Compared<'_>, counted: &mut Counted, looked: Looked) {
        match &looked.verdict {
            Verdict::Agrees => counted.agrees(&looked),
            Verdict::Unsettled(reason) => {
                counted.summary.unsettled += 1;
                if self.kept.unsettled.len() < NAMED_MAX {
                    self.kept.unsettled.push(UnsettledCopy {
                        entity_type: compared.entity.clone(),
                        system: compared.system.clone(),
                        remote_id: looked.id.clone(),
                        reason: reason.clone(),
                    });
                }
            }
            Verdict::Differs(found) => {
                counted.differs(&looked, found);
                if self.kept.snapshots.len() < NAMED_MAX {
                    let number = self.kept.snapshots.len() + 1;
                    self.kept.snapshots.push(EntitySnapshot {
                        id: format!("{}-{number}", self.kept.run),
                        entity_type: compared.entity.clone(),
                        entity_id: looked.record.clone(),
                        system: compared.system.clone(),
                        remote_id: looked.id.clone(),
                        state: looked.state.clone(),
                        version: looked.version.clone(),
                        captured_at: looked.asked_at,
                    });
                }
                found.iter().for_each(|found| self.keep(compared, &looked, found));
            }
        }
    }

    fn keep(&mut self, compared: &Compared<'_>, looked: &Looked, found: &Found) {
        *self.kept.actions.entry(found.action).or_default() += 1;
        if self.differences.len() >= DIFFERENCES_MAX {
            self.kept.differences_left_out += 1;
            return;
        }
        self.differences.push(ReconciliationDifference {
            number: self.differences.len() as u64 + 1,
            entity_type: compared.entity.clone(),
            entity_id: looked.record.clone(),
            system: compared.system.clone(),
            remote_id: looked.id.clone(),
            field_name: found.subject.clone(),
            local_value: found.local.clone(),
            external_value: found.external.clone(),
            owner: owner_of(&compared.policy, &found.subject),
            recommended_action: found.action,
            repair: found.repair,
            reason: found.reason.clone(),
        });
    }
}

/// Both sides of one comparison, added up.
struct Counted {
    local: RowSum,
    external: RowSum,
    summary: ReconciliationSummary,
}

impl Counted {
    fn new(compared: &Compared<'_>) -> Self {
        let Snapshot { captured, marks, agreeing, .. } = &compared.snapshot;
        let mapped = compared.policy.mappings.get(compared.system);
        let fields = mapped.into_iter().flat_map(|mapping| mapping.columns.keys().cloned());
        let compared_rows = FieldAgreement { compared: agreeing.rows, differing: 0 };
        Self {
            local: *agreeing,
            external: *agreeing,
            summary: ReconciliationSummary {
                system: compared.system.clone(),
                entity_type: compared.entity.clone(),
                captured_at: captured.0,
                captured_until: captured.1,
                mark_before: marks.0.as_ref().map(|cursor| cursor.0.clone()),
                mark_after: marks.1.as_ref().map(|cursor| cursor.0.clone()),
                incomplete: None,
                local_record_count: 0,
                external_record_count: 0,
                local_hash: String::new(),
                external_hash: String::new(),
                matches: false,
                fields: fields.map(|field| (field, compared_rows)).collect(),
                missing: 0,
                unknown: 0,
                unsettled: 0,
            },
        }
    }

    /// A copy agrees: what it shows counts on both sides, however it is spelled.
    fn agrees(&mut self, looked: &Looked) {
        if let Some(shown) = looked.external.as_ref().filter(|_| looked.local.is_some()) {
            self.local.add(&looked.id, shown);
            self.external.add(&looked.id, shown);
            self.summary.fields.values_mut().for_each(|field| field.compared += 1);
        }
    }

    fn differs(&mut self, looked: &Looked, found: &[Found]) {
        let (local, external) = (looked.local.as_ref(), looked.external.as_ref());
        if let Some(local) = local {
            self.local.add(&looked.id, local);
        }
        if let Some(external) = external {
            self.external.add(&looked.id, external);
        }
        match (local, external) {
            (Some(_), None) => self.summary.missing += 1,
            (None, Some(_)) => self.summary.unknown += 1,
            (Some(_), Some(_)) => self.summary.fields.values_mut().for_each(|field| field.compared += 1),
            (None, None) => {}
        }
        for found in found {
            if let Subject::Field(field) = &found.subject {
                self.summary.fields.entry(field.clone()).or_default().differing += 1;
            }
        }
    }

    fn summary(self, compared: Compared<'_>) -> ReconciliationSummary {
        let Self { local, external, summary } = self;
        let differs =
            summary.missing + summary.unknown > 0 || summary.fields.values().any(|field| field.differing > 0);
        ReconciliationSummary {
            matches: compared.incomplete.is_none() && !differs && local == external,
            incomplete: compared.incomplete,
            local_record_count: local.rows,
            external_record_count: external.rows,
            local_hash: local.hash(),
            external_hash: external.hash(),
            ..summary
        }
    }
}
