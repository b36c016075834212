//! `avowal pause` and `avowal resume`: stops of a system that a person sets and lifts, also while a daemon runs.

use crate::arguments::{PauseArguments, ResumeArguments, StopDirection};
use crate::clock::now;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::{beside, compose};
use avowal_core::data::ids::SystemName;
use avowal_engine::ports::store::{Direction, Stop};
use avowal_view::{PauseRequest, ResumeRequest};

/// Stops a system in one direction or both.
pub async fn pause(config: &Config, arguments: &PauseArguments, output: &Output) -> Result<Exit, Failure> {
    let system = known(config, &arguments.system)?;
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

/// Lets a system go on. What a word alone lifts is lifted in the store; where the system is not the one that it was, the
/// process that has the store to write looks at it.
pub async fn resume(config: &Config, arguments: &ResumeArguments, output: &Output) -> Result<Exit, Failure> {
    let system = known(config, &arguments.system)?;
    let request = ResumeRequest {
        direction: arguments.direction.map(direction),
        restored: arguments.restored,
        approve_creates: arguments.approve_creates,
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
    let mut mine = stops.iter().filter(|stop| stop.system == *system).peekable();
    if mine.peek().is_none() {
        output.line(format!("{system} goes on in both directions."));
    }
    for stop in mine {
        output.line(stop.to_string());
    }
    Ok(())
}
