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
    /// It is right that what the guard holds is created: any number of creates go for a day.
    #[serde(default)]
    pub approve_creates: bool,
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
        if stop.cause == StopCause::Person {
            store.lift_stop(stop, &request.by, now).await?;
        }
    }
    if request.approve_creates {
        approve_creates(store, system, &request.by, now).await?;
    }
    if request.yes {
        keep_lifted(store, system, StopCause::FirstWrite, &request.by, now).await?;
    }
    Ok(is_other && wanted.contains(&Direction::Out))
}

/// Lets creates of a system go, also where no guard has held any so far.
pub async fn approve_creates(
    store: &dyn Store,
    system: &SystemName,
    by: &str,
    now: Timestamp,
) -> Result<(), Refusal> {
    keep_lifted(store, system, StopCause::Creates, by, now).await
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

/// The stops of one system.
pub(crate) fn of(stops: Vec<Stop>, system: &SystemName) -> Vec<Stop> {
    stops.into_iter().filter(|stop| stop.system == *system).collect()
}

fn directions(wanted: Option<Direction>) -> Vec<Direction> {
    wanted.map_or_else(|| Direction::ALL.to_vec(), |one| vec![one])
}
