//! Runs: begun, noted, ended once, and found again by the events that name them.

use super::committed;
use super::sample::{Stream, at};
use avowal_core::data::ids::RunId;
use avowal_core::history::Body;
use avowal_engine::ports::store::{Commit, NewRun, QUIET_RUNS_KEPT, Run, RunCounts, RunEnd, RunKind, Store};
use std::sync::Arc;

fn new(kind: RunKind, second: i64) -> NewRun {
    NewRun {
        kind,
        by: "Ada \u{0}Ω".to_owned(),
        why: "avowal sync --full".to_owned(),
        configuration: "0123456789ab".to_owned(),
        began_at: at(second),
    }
}

fn counts(events: u64) -> RunCounts {
    RunCounts { events, observations: 2, writes_failed: 3, ..RunCounts::default() }
}

/// Numbers rise, what is noted stays, the first end counts, and the newest run is told first.
pub async fn runs_are_kept_and_end_once(store: Arc<dyn Store>) {
    assert_eq!(store.runs(None, 10).await.unwrap(), []);
    let (first, second) = (new(RunKind::Sync, 1), new(RunKind::Decision, 5));
    let one = store.begin_run(&first).await.unwrap();
    let two = store.begin_run(&second).await.unwrap();
    assert!(one < two, "{one} began before {two}");
    store.note_run(one, &counts(4), at(2)).await.unwrap();
    let noted = Run { counts: counts(4), seen_at: at(2), ..Run::begun(one, &first) };
    assert_eq!(store.runs(None, 10).await.unwrap(), [Run::begun(two, &second), noted.clone()]);

    store.end_run(one, RunEnd::Held, &counts(7), at(3)).await.unwrap();
    store.end_run(one, RunEnd::Done, &counts(8), at(4)).await.unwrap();
    store.note_run(one, &counts(9), at(5)).await.unwrap();
    let ended = Run {
        counts: counts(7),
        seen_at: at(3),
        ended_at: Some(at(3)),
        end: Some(RunEnd::Held),
        ..Run::begun(one, &first)
    };
    assert_eq!(store.find_run(one).await.unwrap(), Some(ended.clone()));
    assert_eq!(store.find_run(RunId::new(two.number() + 9)).await.unwrap(), None);
    assert_eq!(store.runs(None, 1).await.unwrap(), [Run::begun(two, &second)]);
    assert_eq!(store.runs(Some(two), 10).await.unwrap(), [ended]);
}

/// The events of a run are told by record and place, page by page; those of others and of none are not among them.
pub async fn events_are_found_by_their_run(store: Arc<dyn Store>) {
    let run = store.begin_run(&new(RunKind::Sync, 1)).await.unwrap();
    let other = store.begin_run(&new(RunKind::Run, 1)).await.unwrap();
    let mut commit = Commit::default();
    let mut made = Vec::new();
    for id in ["r1", "r2", "r3"] {
        let mut stream = Stream::new(id);
        for of in [Some(run), None, Some(other), Some(run)] {
            stream.run = of;
            stream.push(Body::Released { system: "crm".into() });
        }
        let step = stream.step();
        made.extend(step.events.iter().filter(|event| event.run == Some(run)).cloned());
        commit.records.push(step);
    }
    committed(store.as_ref(), commit).await;
    assert_eq!(store.run_events(run, None, 10).await.unwrap(), made);
    let after = Some((made[2].record.clone(), made[2].seq));
    assert_eq!(store.run_events(run, after, 2).await.unwrap(), made[3..5]);
    assert_eq!(store.run_events(other, None, 10).await.unwrap().len(), 3);
}

/// Of runs that made no event only the newest are kept; one that made some stays, and so does one that goes on.
pub async fn quiet_runs_are_forgotten(store: Arc<dyn Store>) {
    let busy = store.begin_run(&new(RunKind::Sync, 1)).await.unwrap();
    store.end_run(busy, RunEnd::Done, &counts(1), at(2)).await.unwrap();
    let open = store.begin_run(&new(RunKind::Run, 1)).await.unwrap();
    let quiet = store.begin_run(&new(RunKind::Sync, 1)).await.unwrap();
    store.end_run(quiet, RunEnd::Done, &RunCounts::default(), at(2)).await.unwrap();
    let mut last = quiet;
    while last.number() < quiet.number() + QUIET_RUNS_KEPT {
        assert!(store.find_run(quiet).await.unwrap().is_some(), "forgotten at {last}");
        last = store.begin_run(&new(RunKind::Sync, 1)).await.unwrap();
    }
    assert_eq!(store.find_run(quiet).await.unwrap(), None);
    assert!(store.find_run(busy).await.unwrap().is_some());
    assert!(store.find_run(open).await.unwrap().is_some());
}
