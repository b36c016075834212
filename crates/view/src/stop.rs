//! Systems, the stops that a person sets, and letting a system go on.

use crate::refusal::Refusal;
use crate::status::Lag;
use avowal_core::data::ids::SystemName;
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::store::{Direction, Stop, StopCause, Store};
use serde::{Deserialize, Serialize};

/// One system as the configuration and the store know it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SystemView {
    /// Its name.
    pub system: SystemName,
    /// The stops that stand.
    pub stops: Vec<Stop>,
    /// How late its reads are, where that is declared or was seen.
    pub lag: Option<Lag>,
}

/// A wish to stop a system.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// Only this direction; both if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Who stops it.
    pub by: String,
    /// Why, for those who find it stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Of which kind are the writes that a person lets go for a day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approved {
    /// It is right that what the guard holds is created: any number of creates go.
    #[serde(default)]
    pub creates: bool,
    /// It is right that what the guard holds is deleted: any number of deletes go.
    #[serde(default)]
    pub deletes: bool,
    /// It is right that what the guards hold is changed: any updates go.
    #[serde(default)]
    pub changes: bool,
}

/// A wish to let a system go on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeRequest {
    /// Only this direction; both if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// The system was restored from a backup, moved or made anew, and is the right one: all of it is listed again.
    #[serde(default)]
    pub restored: bool,
    /// What guards hold may go for a day.
    #[serde(default)]
    pub approved: Approved,
    /// It may be written to although it holds records and was never written to.
    #[serde(default)]
    pub yes: bool,
    /// Who lets it go on.
    pub by: String,
}

/// Stops a system, and answers all stops that stand.
pub async fn pause(
    store: &dyn Store,
    system: &SystemName,
    request: &PauseRequest,
    now: Timestamp,
) -> Result<Vec<Stop>, Refusal> {
    for direction in directions(request.direction) {
        let stop = Stop {
            system: system.clone(),
            direction,
            cause: StopCause::Person,
            by: Some(request.by.clone()),
            note: request.note.clone(),
            since: now,
        };
        store.set_stop(&stop).await?;
    }
    Ok(store.stops().await?)
}

/// Stops every system at once, in both directions, and answers all stops that stand.
pub async fn pause_all(
    store: &dyn Store,
    by: &str,
    note: Option<String>,
    now: Timestamp,
) -> Result<Vec<Stop>, Refusal> {
    for stop in everything(by, note, now) {
        store.set_stop(&stop).await?;
    }
    Ok(store.stops().await?)
}

/// Lifts the stop of everything, and answers all stops that stand. Stops of single systems stay as they are.
pub async fn resume_all(store: &dyn Store, by: &str, now: Timestamp) -> Result<Vec<Stop>, Refusal> {
    for stop in everything(by, None, now) {
        store.lift_stop(&stop, by, now).await?;
    }
    Ok(store.stops().await?)
}

/// The stops of everything.
fn everything(by: &str, note: Option<String>, now: Timestamp) -> [Stop; 2] {
    Direction::ALL.map(|direction| Stop {
        system: SystemName::new(Stop::EVERY_SYSTEM),
        direction,
        cause: StopCause::Everything,
        by: Some(by.to_owned()),
        note: note.clone(),
        since: now,
    })
}

/// The stops as they are told: that of everything has two directions, and is told once.
pub fn told(stops: &[Stop]) -> impl Iterator<Item = &Stop> {
    let is_double = |stop: &&Stop| stop.cause == StopCause::Everything && stop.direction == Direction::In;
    stops.iter().filter(move |stop| !is_double(stop))
}

/// Whether a stop of this cause is lifted without another word: a person's own, and those of guards that are set again if
/// what they have seen is still there.
fn is_lifted_by_itself(cause: StopCause) -> bool {
    match cause {
        StopCause::Person | StopCause::Deletes | StopCause::Changes | StopCause::Canary => true,
        StopCause::Identity
        | StopCause::Everything
        | StopCause::Creates
        | StopCause::ApprovedDeletes
        | StopCause::ApprovedChanges
        | StopCause::FirstFill
        | StopCause::FirstWrite => false,
    }
}

/// Lifts what a word alone lifts: the stops that people have set, and those that are approved. Answers whether the system
/// is not the one that it was, and the person's word shall settle that; whoever has an engine does it.
pub async fn resume_stops(
    store: &dyn Store,
    system: &SystemName,
    request: &ResumeRequest,
    now: Timestamp,
) -> Result<bool, Refusal> {
    let wanted = directions(request.direction);
    let standing = of(store.stops().await?, system);
    let is_other = standing.iter().any(|stop| stop.cause == StopCause::Identity);
    if request.restored && !is_other {
        return Err(Refusal::usage(format!(
            "{system} is the system that it was, so nothing has to be listed again. Leave out --restored"
        )));
    }
    for stop in standing.iter().filter(|stop| wanted.contains(&stop.direction)) {
        if is_lifted_by_itself(stop.cause) {
            store.lift_stop(stop, &request.by, now).await?;
        }
    }
    approve(store, system, request.approved, &request.by, now).await?;
    if request.yes {
        keep_lifted(store, system, StopCause::FirstWrite, &request.by, now).await?;
    }
    Ok(is_other && wanted.contains(&Direction::Out))
}

/// Lets writes to a system go that guards hold, also where none has held any so far.
pub async fn approve(
    store: &dyn Store,
    system: &SystemName,
    approved: Approved,
    by: &str,
    now: Timestamp,
) -> Result<(), Refusal> {
    let causes = [
        (approved.creates, StopCause::Creates),
        (approved.deletes, StopCause::Deletes),
        (approved.deletes, StopCause::ApprovedDeletes),
        (approved.changes, StopCause::Changes),
        (approved.changes, StopCause::ApprovedChanges),
    ];
    for (_, cause) in causes.into_iter().filter(|(is_meant, _)| *is_meant) {
        keep_lifted(store, system, cause, by, now).await?;
    }
    Ok(())
}

/// Keeps that a person lets go what a stop of this cause holds, whether or not one stands.
pub(crate) async fn keep_lifted(
    store: &dyn Store,
    system: &SystemName,
    cause: StopCause,
    by: &str,
    now: Timestamp,
) -> Result<(), Refusal> {
    let stop = Stop {
        system: system.clone(),
        direction: Direction::Out,
        cause,
        by: Some(by.to_owned()),
        note: None,
        since: now,
    };
    store.keep_lifted(&stop, by, now).await?;
    Ok(())
}

/// The stops of one system, and that of everything.
pub(crate) fn of(stops: Vec<Stop>, system: &SystemName) -> Vec<Stop> {
    stops.into_iter().filter(|stop| stop.is_about(system)).collect()
}

fn directions(wanted: Option<Direction>) -> Vec<Direction> {
    wanted.map_or_else(|| Direction::ALL.to_vec(), |one| vec![one])
}
