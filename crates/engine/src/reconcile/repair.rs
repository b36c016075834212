//! Repairing what a reconciliation has found: the copies are read once more and handed in like every other fact, so that
//! what becomes of them is decided by the same rules, recorded in the same history and written by the same road.

use crate::inbound::batch::Batch;
use crate::inbound::ingest::ingest;
use crate::inbound::reading::Source;
use crate::outbound::dispatch::dispatch;
use crate::outbound::turn::Dispatched;
use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::parts::match_keys::is_another_thing;
use crate::parts::progress::{Progress, Step};
use crate::parts::stops::is_stopped;
use crate::parts::translate::{Translated, translate};
use crate::ports::connector::{Change, Fields, RemoteState};
use crate::ports::store::{Direction, ReconciliationDifference};
use crate::reconcile::unread_feed::unread;
use avowal_core::data::ids::{EntityName, RemoteId, RunId, SystemName};
use avowal_core::history::RecommendedAction;
use avowal_core::policy::{EntityPolicy, Repair};
use avowal_core::record::observation::Channel;
use avowal_core::record::{CopyKey, Subject};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How many differences are read at once.
const PAGE_DIFFERENCES: usize = 1_000;

/// How many copies are read and handed in at once.
const COPIES_AT_ONCE: usize = 200;

/// The most copies that are named one by one.
const NAMED_MAX: usize = 100;

/// The most rounds over all systems in which writes are sent.
const ROUNDS_MAX: u32 = 1_000;

/// What a repair shall do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RepairOptions {
    /// The run whose differences are repaired.
    pub found_by: RunId,
    /// Only what this names: a field, an action, or a copy by its id or its record's.
    pub only: Option<String>,
}

/// What a repair did.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct RepairReport {
    /// The run whose differences were repaired.
    pub found_by: u64,
    /// Differences that the report holds and that were asked for.
    pub wanted: u64,
    /// Of these, those that the rules leave as they are (`ignore`).
    pub left: u64,
    /// Of these, those that are never repaired (`repair = "never"`).
    pub not_allowed: u64,
    /// Copies that were left alone because they carry another key than they had, so that they may be other things; the first
    /// of them.
    pub doubtful: Vec<String>,
    /// Copies that the change feed reports by now, so that the next `sync` takes them in.
    pub reported: u64,
    /// Copies that are in doubt, because the system's lag may explain what they show: the next `sync` reads them again.
    pub in_doubt: u64,
    /// Questions that were opened for a person.
    pub questions: u64,
    /// Copies that were read and handed in.
    pub copies: u64,
    /// Events that were recorded.
    pub events: u64,
    /// Writes that were confirmed.
    pub written: u64,
    /// Attempts that were not.
    pub failed: u64,
    /// Systems that could not be used, with the reason.
    pub problems: BTreeMap<SystemName, String>,
    /// The stops that hold writes, in words.
    pub held: BTreeSet<String>,
}

/// The subjects of each copy that are repaired.
type Wanted = BTreeMap<(SystemName, EntityName), BTreeMap<RemoteId, BTreeSet<Subject>>>;

/// Repairs the differences of one report, in the given run, and sends what follows.
pub(crate) async fn repair(
    parts: &Parts,
    run: Option<RunId>,
    options: &RepairOptions,
    progress: &dyn Progress,
) -> Result<RepairReport, EngineError> {
    let mut report = hand_in(parts, run, options, progress).await?;
    send(parts, progress, &mut report).await?;
    report.in_doubt = parts.store.open_counts().await?.signals;
    Ok(report)
}

/// Hands the differing copies of one report in, as facts of the given run. What follows is sent like any other write.
pub(crate) async fn hand_in(
    parts: &Parts,
    run: Option<RunId>,
    options: &RepairOptions,
    progress: &dyn Progress,
) -> Result<RepairReport, EngineError> {
    let found_by = options.found_by;
    if parts.store.reconciliation(found_by).await?.is_none() {
        return Err(EngineError::Usage(format!(
            "run {found_by} has left no reconciliation, or it was forgotten; `avowal reconcile list` shows those that are kept"
        )));
    }
    wait_until_quiet(parts).await;
    let mut report = RepairReport { found_by: found_by.number(), ..RepairReport::default() };
    let asked_before = run.map(|run| parts.runs.counts(run).reviews_opened).unwrap_or_default();
    let wanted = wanted(parts, options, &mut report).await?;
    for ((system, entity), copies) in wanted {
        let work = Work { parts, run, options, system: &system, entity: &entity };
        match work.hand_in(copies, &mut report).await {
            Ok(()) => {}
            Err(EngineError::System { error, .. }) => {
                progress.tell(Step::Problem { system: system.clone(), message: error.to_string() });
                report.problems.insert(system, error.to_string());
            }
            Err(error) => return Err(error),
        }
    }
    let asked = run.map(|run| parts.runs.counts(run).reviews_opened).unwrap_or_default();
    report.questions = asked.saturating_sub(asked_before);
    Ok(report)
}

/// Waits until the quiet time has passed since this process began: before that it does not trust its clock, and would look
/// at each copy a second time.
async fn wait_until_quiet(parts: &Parts) {
    let running = parts.clock.now().millis().saturating_sub(parts.began_at.millis()).max(0).unsigned_abs();
    let left = parts.settings.settle_ms.saturating_sub(running);
    if left > 0 {
        parts.clock.sleep(left).await;
    }
}

/// The copies to repair, out of the differences that are kept.
async fn wanted(
    parts: &Parts,
    options: &RepairOptions,
    report: &mut RepairReport,
) -> Result<Wanted, EngineError> {
    let mut wanted = Wanted::new();
    let mut after = 0;
    loop {
        let page = parts.store.differences(options.found_by, after, PAGE_DIFFERENCES).await?;
        let Some(last) = page.last() else { return Ok(wanted) };
        after = last.number;
        for difference in page.into_iter().filter(|one| is_asked_for(one, options.only.as_deref())) {
            report.wanted += 1;
            let may = match repair_now(parts, &difference) {
                Repair::Auto | Repair::Review => true,
                Repair::Never => false,
            };
            if !may {
                report.not_allowed += 1;
            } else if difference.recommended_action == RecommendedAction::Ignore {
                report.left += 1;
            } else {
                let place = (difference.system, difference.entity_type);
                let copy = wanted.entry(place).or_default().entry(difference.remote_id).or_default();
                copy.insert(difference.field_name);
            }
        }
    }
}

/// How far a repair may go by the rules of now, which may be others than those of the report.
fn repair_now(parts: &Parts, difference: &ReconciliationDifference) -> Repair {
    let Some(policy) = parts.policies.get(&difference.entity_type) else { return Repair::Never };
    match &difference.field_name {
        Subject::Existence => policy.repair,
        Subject::Field(field) => policy.field(field).map_or(Repair::Never, |rules| rules.repair),
    }
}

fn is_asked_for(difference: &ReconciliationDifference, only: Option<&str>) -> bool {
    only.is_none_or(|only| {
        difference.field_name.as_str() == only
            || difference.recommended_action.as_str() == only
            || names_copy(only, &difference.system, &difference.remote_id)
            || difference.entity_id.as_ref().is_some_and(|record| record.as_str() == only)
    })
}

/// Whether a key is `SYSTEM:ID` of this copy.
fn names_copy(key: &str, system: &SystemName, id: &RemoteId) -> bool {
    key.strip_prefix(system.as_str()).and_then(|rest| rest.strip_prefix(':')) == Some(id.as_str())
}

/// The copies of one entity in one system that are handed in.
struct Work<'a> {
    parts: &'a Parts,
    run: Option<RunId>,
    options: &'a RepairOptions,
    system: &'a SystemName,
    entity: &'a EntityName,
}

impl Work<'_> {
    async fn hand_in(
        &self,
        copies: BTreeMap<RemoteId, BTreeSet<Subject>>,
        report: &mut RepairReport,
    ) -> Result<(), EngineError> {
        let Self { parts, system, entity, .. } = self;
        let Some(policy) = parts.policies.get(*entity) else { return Ok(()) };
        if is_stopped(parts, system, Direction::In).await? {
            let reason = format!("it is paused: `avowal resume {system}`");
            report.problems.insert((*system).clone(), reason);
            return Ok(());
        }
        let Some(source) = Source::new(parts, system, entity) else { return Ok(()) };
        let unread = unread(source).await?;
        let before = copies.len() as u64;
        let ids: Vec<RemoteId> = copies.keys().filter(|id| !unread.holds(id)).cloned().collect();
        report.reported += before.saturating_sub(ids.len() as u64);
        for ids in ids.chunks(COPIES_AT_ONCE) {
            let asked_at = parts.clock.now();
            let changes = parts.read_copies(system, entity, ids).await?;
            let mut batch = Batch::new(system, Channel::Read, asked_at);
            // What it shows differed before, and was looked at twice.
            batch.confirmed = true;
            batch.drift = true;
            batch.repairs = Some(self.options.found_by);
            batch.run = self.run;
            let doubtful = self.doubtful(policy, &changes).await?;
            for mut change in changes {
                if doubtful.contains(&change.id) {
                    if !self.is_named(&change.id) {
                        report.name_doubtful(system, &change.id);
                        continue;
                    }
                    batch.trusts_ids = true;
                }
                let subjects = copies.get(&change.id);
                narrow(policy, system, &mut change, subjects);
                batch.items.push(((*entity).clone(), change));
            }
            report.copies += batch.items.len() as u64;
            report.events += ingest(parts, &batch).await?.events;
        }
        Ok(())
    }
}

impl Work<'_> {
    /// Whether a person has named this copy, and no other.
    fn is_named(&self, id: &RemoteId) -> bool {
        self.options.only.as_deref().is_some_and(|only| names_copy(only, self.system, id))
    }

    /// The copies that carry another key than they had.
    async fn doubtful(
        &self,
        policy: &EntityPolicy,
        changes: &[Change],
    ) -> Result<BTreeSet<RemoteId>, EngineError> {
        let Self { parts, system, entity, .. } = self;
        let shown: Vec<(&RemoteId, &Fields)> = changes
            .iter()
            .filter_map(|change| match &change.shown {
                RemoteState::Present(fields) => Some((&change.id, fields)),
                RemoteState::Gone
                | RemoteState::Unknown
                | RemoteState::Unreadable { .. }
                | RemoteState::Unread { .. } => None,
            })
            .collect();
        let rows: Vec<&Fields> = shown.iter().map(|(_, fields)| *fields).collect();
        let translated = translate(parts, policy, system, &rows).await?;
        let key = |id: &RemoteId| CopyKey {
            system: (*system).clone(),
            entity: (*entity).clone(),
            remote_id: id.clone(),
        };
        let keys: Vec<CopyKey> = shown.iter().map(|(id, _)| key(id)).collect();
        let located = parts.store.locate(&keys).await?;
        let mut doubtful = BTreeSet::new();
        for (((id, _), row), located) in shown.into_iter().zip(translated).zip(located) {
            let (Translated::Row(row), Some(located)) = (row, located) else { continue };
            let record = parts.store.load(std::slice::from_ref(&located.record)).await?.pop().flatten();
            let is_other = record.as_ref().and_then(|record| Some((record, record.live_copy(system)?)));
            if is_other.is_some_and(|(record, copy)| is_another_thing(policy, record, copy, &row.fields)) {
                doubtful.insert(id.clone());
            }
        }
        Ok(doubtful)
    }
}

impl RepairReport {
    fn name_doubtful(&mut self, system: &SystemName, id: &RemoteId) {
        if self.doubtful.len() < NAMED_MAX {
            self.doubtful.push(format!("{system}:{id}"));
        }
    }
}

/// Leaves of what a copy shows only what is to be repaired: what is absent says nothing. Where its existence is, everything
/// counts that may be repaired.
fn narrow(
    policy: &EntityPolicy,
    system: &SystemName,
    change: &mut Change,
    subjects: Option<&BTreeSet<Subject>>,
) {
    let (RemoteState::Present(fields), Some(mapping), Some(subjects)) =
        (&mut change.shown, policy.mappings.get(system), subjects)
    else {
        return;
    };
    let is_whole = subjects.contains(&Subject::Existence);
    let kept = mapping.columns.iter().filter(|(field, _)| {
        let may = policy.field(field).is_some_and(|rules| rules.repair != Repair::Never);
        may && (is_whole || subjects.contains(&Subject::Field((*field).clone())))
    });
    let names: BTreeSet<&String> = kept.map(|(_, column)| &column.name).collect();
    let narrowed: Fields = std::mem::take(fields);
    *fields = narrowed.into_iter().filter(|(name, _)| names.contains(name)).collect();
}

/// Sends what is due until nothing can be sent. What stays is for the next `sync`.
async fn send(parts: &Parts, progress: &dyn Progress, report: &mut RepairReport) -> Result<(), EngineError> {
    for _ in 0..ROUNDS_MAX {
        let mut tried = 0;
        for system in parts.systems.names().filter(|name| !report.problems.contains_key(*name)).cloned() {
            let mut dispatched = Dispatched::default();
            let result = dispatch(parts, &system, progress, &mut dispatched).await;
            tried += dispatched.tried;
            report.written += dispatched.written;
            report.failed += dispatched.failed;
            report.events += dispatched.events;
            match result {
                Ok(()) => {}
                Err(EngineError::System { error, .. }) => {
                    report.problems.insert(system, error.to_string());
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        if tried == 0 {
            break;
        }
    }
    // A guard that holds something has stopped its system.
    let stops = parts.store.stops().await?.into_iter().filter(|stop| stop.direction == Direction::Out);
    report.held = stops.map(|stop| stop.to_string()).collect();
    Ok(())
}
