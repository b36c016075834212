//! `avowal pause` and `avowal resume`: stops of a system that a person sets and lifts, also while a daemon runs.

use crate::arguments::{PauseArguments, ResumeArguments, StopDirection};
use crate::clock::now;
use crate::compose;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use avowal_core::data::ids::SystemName;
use avowal_engine::ports::store::{Direction, Stop, StopCause, Store};

/// Stops a system in one direction or both.
pub async fn pause(config: &Config, arguments: &PauseArguments, output: &Output) -> Result<Exit, Failure> {
    let Some(name) = &arguments.system else { return pause_all(config, arguments, output).await };
    let system = known(config, name)?;
    let store = compose::open_to_control(config).await?;
    let by = super::person(arguments.by.as_deref());
    for direction in directions(arguments.direction) {
        let stop = Stop {
            system: system.clone(),
            direction,
            cause: StopCause::Person,
            by: Some(by.clone()),
            note: arguments.note.clone(),
            since: now(),
        };
        store.set_stop(&stop).await?;
    }
    tell(&store.stops().await?, &system, output)?;
    Ok(Exit::Done)
}

/// Stops every system at once, in both directions.
async fn pause_all(config: &Config, arguments: &PauseArguments, output: &Output) -> Result<Exit, Failure> {
    let store = compose::open_to_control(config).await?;
    let by = super::person(arguments.by.as_deref());
    for stop in everything(&by, arguments.note.clone()) {
        store.set_stop(&stop).await?;
    }
    tell_all(&store.stops().await?, output)?;
    Ok(Exit::Done)
}

/// Lifts the stop of everything. Stops of single systems stay as they are.
async fn resume_all(config: &Config, arguments: &ResumeArguments, output: &Output) -> Result<Exit, Failure> {
    let store = compose::open_to_control(config).await?;
    let by = super::person(arguments.by.as_deref());
    for stop in everything(&by, None) {
        store.lift_stop(&stop, &by, now()).await?;
    }
    tell_all(&store.stops().await?, output)?;
    Ok(Exit::Done)
}

/// The stops of everything.
fn everything(by: &str, note: Option<String>) -> [Stop; 2] {
    Direction::ALL.map(|direction| Stop {
        system: SystemName::new(Stop::EVERY_SYSTEM),
        direction,
        cause: StopCause::Everything,
        by: Some(by.to_owned()),
        note: note.clone(),
        since: now(),
    })
}

/// Tells whether everything is stopped, and what else is.
fn tell_all(stops: &[Stop], output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(&stops);
    }
    if !stops.iter().any(|stop| stop.cause == StopCause::Everything) {
        output.line("Everything goes on that no other stop holds.");
    }
    for stop in told(stops) {
        output.line(stop.to_string());
    }
    Ok(())
}

/// The stops as they are told: that of everything has two directions, and is told once.
pub(super) fn told(stops: &[Stop]) -> impl Iterator<Item = &Stop> {
    let is_double = |stop: &&Stop| stop.cause == StopCause::Everything && stop.direction == Direction::In;
    stops.iter().filter(move |stop| !is_double(stop))
}

/// Lets a system go on. A stop that Avowal set because the system is not the one that it was is lifted only when that is
/// cured, or when the person says that it was restored.
pub async fn resume(config: &Config, arguments: &ResumeArguments, output: &Output) -> Result<Exit, Failure> {
    let Some(name) = &arguments.system else { return resume_all(config, arguments, output).await };
    let system = known(config, name)?;
    let by = super::person(arguments.by.as_deref());
    let wanted = directions(arguments.direction);
    let store = compose::open_to_control(config).await?;
    let standing: Vec<Stop> = of(store.stops().await?, &system);
    let is_other = standing.iter().any(|stop| stop.cause == StopCause::Identity);
    if arguments.restored && !is_other {
        return Err(Failure::usage(format!(
            "{system} is the system that it was, so nothing has to be listed again. Leave out --restored"
        )));
    }
    for stop in standing.iter().filter(|stop| wanted.contains(&stop.direction)) {
        if is_lifted_by_itself(stop.cause) {
            store.lift_stop(stop, &by, now()).await?;
        }
    }
    let approved = Approved {
        creates: arguments.approve_creates,
        deletes: arguments.approve_deletes,
        changes: arguments.approve_changes,
    };
    approve(store.as_ref(), &system, approved, &by).await?;
    if arguments.yes {
        keep_lifted(store.as_ref(), &system, StopCause::FirstWrite, &by).await?;
    }
    if is_other && wanted.contains(&Direction::Out) {
        drop(store);
        answer_identity(config, &system, arguments.restored, &by).await?;
    }
    tell(&compose::open_to_control(config).await?.stops().await?, &system, output)?;
    Ok(Exit::Done)
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

/// Of which kind are the writes that a person lets go.
#[derive(Clone, Copy, Default)]
pub(super) struct Approved {
    pub(super) creates: bool,
    pub(super) deletes: bool,
    pub(super) changes: bool,
}

/// Lets writes to a system go that guards hold, also where none has held any so far.
pub(super) async fn approve(
    store: &dyn Store,
    system: &SystemName,
    approved: Approved,
    by: &str,
) -> Result<(), Failure> {
    let causes = [
        (approved.creates, StopCause::Creates),
        (approved.deletes, StopCause::Deletes),
        (approved.deletes, StopCause::ApprovedDeletes),
        (approved.changes, StopCause::Changes),
        (approved.changes, StopCause::ApprovedChanges),
    ];
    for (_, cause) in causes.into_iter().filter(|(is_meant, _)| *is_meant) {
        keep_lifted(store, system, cause, by).await?;
    }
    Ok(())
}

/// Keeps that a person lets go what a stop of this cause holds, whether or not one stands.
async fn keep_lifted(
    store: &dyn Store,
    system: &SystemName,
    cause: StopCause,
    by: &str,
) -> Result<(), Failure> {
    let stop = Stop {
        system: system.clone(),
        direction: Direction::Out,
        cause,
        by: Some(by.to_owned()),
        note: None,
        since: now(),
    };
    store.keep_lifted(&stop, by, now()).await?;
    Ok(())
}

/// Lifts the stop of a system that is itself again, or that a person takes for itself.
async fn answer_identity(
    config: &Config,
    system: &SystemName,
    restored: bool,
    by: &str,
) -> Result<(), Failure> {
    let store = compose::open_to_write(config).await?;
    let engine = compose::engine(config, store.clone(), None).await?;
    if restored {
        engine.adopt(system).await?;
    } else {
        engine.recognise(system).await?;
    }
    for stop in of(store.stops().await?, system) {
        if stop.cause == StopCause::Identity {
            store.lift_stop(&stop, by, now()).await?;
        }
    }
    Ok(())
}

fn of(stops: Vec<Stop>, system: &SystemName) -> Vec<Stop> {
    stops.into_iter().filter(|stop| stop.system == *system).collect()
}

fn directions(wanted: Option<StopDirection>) -> Vec<Direction> {
    match wanted {
        None => Direction::ALL.to_vec(),
        Some(StopDirection::In) => vec![Direction::In],
        Some(StopDirection::Out) => vec![Direction::Out],
    }
}

/// The system of this name, if it is configured.
pub(super) fn known(config: &Config, name: &str) -> Result<SystemName, Failure> {
    match config.systems.get_key_value(name) {
        Some((system, _)) => Ok(system.clone()),
        None => {
            let names: Vec<&str> = config.systems.keys().map(SystemName::as_str).collect();
            let known = names.join(", ");
            Err(Failure::usage(format!("no system is called {name:?}. There are: {known}")))
        }
    }
}

fn tell(stops: &[Stop], system: &SystemName, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(&stops);
    }
    let mut mine = told(stops).filter(|stop| stop.is_about(system)).peekable();
    if mine.peek().is_none() {
        output.line(format!("{system} goes on in both directions."));
    }
    for stop in mine {
        output.line(stop.to_string());
    }
    Ok(())
}
