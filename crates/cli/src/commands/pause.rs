//! `avowal pause` and `avowal resume`: stops of a system that a person sets and lifts, also while a daemon runs.

use crate::arguments::{PauseArguments, ResumeArguments, StopDirection};
use crate::clock::now;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::{beside, compose};
use avowal_core::data::ids::SystemName;
use avowal_engine::ports::store::{Direction, Stop};
use avowal_view::{Approved, PauseRequest, ResumeRequest, told};

/// Stops a system in one direction or both.
pub async fn pause(config: &Config, arguments: &PauseArguments, output: &Output) -> Result<Exit, Failure> {
    let Some(name) = &arguments.system else { return pause_all(config, arguments, output).await };
    let system = known(config, name)?;
    let store = compose::open_to_control(config).await?;
    let request = PauseRequest {
        direction: arguments.direction.map(direction),
        by: super::person(arguments.by.as_deref()),
        note: arguments.note.clone(),
    };
    let stops = avowal_view::pause(store.as_ref(), &system, &request, now()).await?;
    tell(&stops, &system, output)?;
    Ok(Exit::Done)
}

/// Stops every system at once, in both directions.
async fn pause_all(config: &Config, arguments: &PauseArguments, output: &Output) -> Result<Exit, Failure> {
    let store = compose::open_to_control(config).await?;
    let by = super::person(arguments.by.as_deref());
    tell_all(&avowal_view::pause_all(store.as_ref(), &by, arguments.note.clone(), now()).await?, output)?;
    Ok(Exit::Done)
}

/// Lifts the stop of everything.
async fn resume_all(config: &Config, arguments: &ResumeArguments, output: &Output) -> Result<Exit, Failure> {
    let store = compose::open_to_control(config).await?;
    let by = super::person(arguments.by.as_deref());
    tell_all(&avowal_view::resume_all(store.as_ref(), &by, now()).await?, output)?;
    Ok(Exit::Done)
}

/// Tells whether everything is stopped, and what else is.
fn tell_all(stops: &[Stop], output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(&stops);
    }
    if !Stop::is_everything_among(stops) {
        output.line("Everything goes on that no other stop holds.");
    }
    for stop in told(stops) {
        output.line(stop.to_string());
    }
    Ok(())
}

/// Lets a system go on. What a word alone lifts is lifted in the store; where the system is not the one that it was, the
/// process that has the store to write looks at it.
pub async fn resume(config: &Config, arguments: &ResumeArguments, output: &Output) -> Result<Exit, Failure> {
    let Some(name) = &arguments.system else { return resume_all(config, arguments, output).await };
    let system = known(config, name)?;
    let request = ResumeRequest {
        direction: arguments.direction.map(direction),
        restored: arguments.restored,
        approved: Approved {
            creates: arguments.approve_creates,
            deletes: arguments.approve_deletes,
            changes: arguments.approve_changes,
        },
        yes: arguments.yes,
        by: super::person(arguments.by.as_deref()),
    };
    let store = compose::open_to_control(config).await?;
    let stops = if avowal_view::resume_stops(store.as_ref(), &system, &request, now()).await? {
        drop(store);
        beside::decider(config, output).await?.decide.resume(&system, &request).await?
    } else {
        store.stops().await?
    };
    tell(&stops, &system, output)?;
    Ok(Exit::Done)
}

fn direction(named: StopDirection) -> Direction {
    match named {
        StopDirection::In => Direction::In,
        StopDirection::Out => Direction::Out,
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
