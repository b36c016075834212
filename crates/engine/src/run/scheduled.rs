//! Reconciling on a schedule while the daemon runs: one worker at a time, as often as declared, never all installations in
//! the same minute.

use crate::parts::assembly::Parts;
use crate::parts::error::EngineError;
use crate::parts::progress::{Progress, Step};
use crate::parts::settings::ReconcileSchedule;
use crate::ports::lanes::Lane;
use crate::ports::store::{NewRun, Run, RunEnd, RunKind};
use crate::reconcile::{ReconcileOptions, RepairOptions, hand_in, reconcile};
use avowal_core::data::ids::RunId;
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::Digest;
use futures::future::{Either, select};
use tokio::sync::watch;

/// How often it is looked whether a reconciliation is due, in milliseconds, at most; more often if it is due sooner.
const LOOK_EVERY_MS: u64 = 30_000;

/// How many of the newest runs are looked through for the last reconciliation.
const RUNS_MAX: usize = 1_000;

/// By which part of the interval a reconciliation may be late on purpose.
const JITTER_PART: u64 = 10;

/// Who asks for a run of the schedule.
const SCHEDULE: &str = "schedule";

/// Reconciles as often as declared, until told to stop. What is under way then is broken off: it only reads, and what a
/// repair has handed in by then is durable.
pub(crate) async fn reconcile_now_and_then(
    parts: &Parts,
    schedule: &ReconcileSchedule,
    mut stop: watch::Receiver<bool>,
    progress: &dyn Progress,
) -> Result<(), EngineError> {
    while !*stop.borrow() {
        let wait_ms = {
            let work = std::pin::pin!(look(parts, schedule, progress));
            let stopped = std::pin::pin!(stop.changed());
            match select(work, stopped).await {
                Either::Left((Ok(wait_ms), _)) => wait_ms,
                Either::Left((Err(error), _)) => {
                    // It is tried again at the next look.
                    tracing::warn!(%error, "the scheduled reconciliation was not done");
                    LOOK_EVERY_MS
                }
                Either::Right(_) => return Ok(()),
            }
        };
        tokio::select! {
            () = parts.clock.sleep(wait_ms) => {}
            _ = stop.changed() => {}
        }
    }
    Ok(())
}

/// Reconciles if it is due and no other worker does. Answers after how many milliseconds to look again.
async fn look(
    parts: &Parts,
    schedule: &ReconcileSchedule,
    progress: &dyn Progress,
) -> Result<u64, EngineError> {
    let claim = parts.store.claim(&[Lane::Reconcile]).await?;
    if claim.is_empty() {
        return Ok(LOOK_EVERY_MS.min(schedule.every_ms));
    }
    // Asked under the claim, so that no other worker has begun one meanwhile.
    let due_at = due_at(parts, schedule).await?;
    let left = due_at.millis().saturating_sub(parts.clock.now().millis()).max(0).unsigned_abs();
    if left > 0 {
        claim.release().await;
        return Ok(left.min(LOOK_EVERY_MS));
    }
    let done = reconcile_and_repair(parts, schedule, progress).await;
    claim.release().await;
    done.map(|()| LOOK_EVERY_MS.min(schedule.every_ms))
}

/// When the next reconciliation is due.
async fn due_at(parts: &Parts, schedule: &ReconcileSchedule) -> Result<Timestamp, EngineError> {
    let runs = parts.store.runs(None, RUNS_MAX).await?;
    let last = runs.iter().find(|run| run.kind == RunKind::Reconcile);
    let installation = parts.store.installation().await?;
    let jitter = |id: u64| {
        let text = format!("{} {id}", installation.as_str());
        let digest = Digest::of(text.as_bytes()).to_string();
        let number = digest.get(..8).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or_default();
        i64::try_from(number % (schedule.every_ms / JITTER_PART).max(1)).unwrap_or_default()
    };
    Ok(match last {
        Some(Run { id, began_at, .. }) => {
            let every = i64::try_from(schedule.every_ms).unwrap_or(i64::MAX);
            began_at.plus_millis(every).plus_millis(jitter(id.number()))
        }
        None => parts.began_at.plus_millis(jitter(0)),
    })
}

async fn reconcile_and_repair(
    parts: &Parts,
    schedule: &ReconcileSchedule,
    progress: &dyn Progress,
) -> Result<(), EngineError> {
    let run = begin(parts, schedule, RunKind::Reconcile).await?;
    let options = ReconcileOptions { settle_ms: schedule.settle_ms, ..ReconcileOptions::default() };
    let report = match reconcile(parts, run, &options, progress).await {
        Ok(report) => report,
        Err(error) => {
            end(parts, run, RunEnd::Failed).await?;
            return Err(error);
        }
    };
    let waiting = report.waiting();
    for summary in report.incomplete() {
        let message = summary.incomplete.clone().unwrap_or_default();
        let message = format!("reconciliation {run} concludes nothing of {}: {message}", summary.entity_type);
        progress.tell(Step::Notice { system: summary.system.clone(), message });
    }
    end(parts, run, if waiting > 0 { RunEnd::Waiting } else { RunEnd::Done }).await?;
    if waiting == 0 || !schedule.repair {
        return Ok(());
    }
    let repair = begin(parts, schedule, RunKind::Repair).await?;
    let options = RepairOptions { found_by: run, only: None };
    let repaired = hand_in(parts, Some(repair), &options, progress).await;
    let ended = match &repaired {
        Ok(report) if report.problems.is_empty() => RunEnd::Done,
        Ok(_) | Err(_) => RunEnd::Failed,
    };
    end(parts, repair, ended).await?;
    repaired.map(|_| ())
}

async fn begin(parts: &Parts, schedule: &ReconcileSchedule, kind: RunKind) -> Result<RunId, EngineError> {
    let new = NewRun {
        kind,
        by: SCHEDULE.to_owned(),
        why: "as declared under [reconcile]".to_owned(),
        configuration: schedule.configuration.clone(),
        began_at: parts.clock.now(),
    };
    let run = parts.store.begin_run(&new).await?;
    parts.runs.enter(run);
    Ok(run)
}

async fn end(parts: &Parts, run: RunId, end: RunEnd) -> Result<(), EngineError> {
    let counts = parts.runs.leave(run);
    Ok(parts.store.end_run(run, end, &counts, parts.clock.now()).await?)
}
