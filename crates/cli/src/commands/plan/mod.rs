//! `avowal plan`: what the next sync would do, without doing it.

mod html;
mod keep;
mod text;

pub(super) use keep::to_keep;

use crate::arguments::PlanArguments;
use crate::compose;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::watch::Watch;
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_engine::{Plan, PlanOptions, make_plan};

/// Makes a plan on a copy of the store, tells it, and keeps it in a file if one is named.
pub async fn run(config: &Config, arguments: &PlanArguments, output: &Output) -> Result<Exit, Failure> {
    let options = options(config, arguments)?;
    let scratch = compose::scratch(config).await?;
    let parts = compose::parts(config, scratch.store.clone(), &scratch.installation);
    let watch = Watch::new();
    let plan = make_plan(parts, &options, &watch).await;
    watch.finish();
    let plan = plan?;
    if let Some(path) = &arguments.out {
        keep::keep(&plan, path)?;
    }
    if let Some(path) = &arguments.html {
        keep::write(path, |writer| writer.write_all(html::page(&plan).as_bytes()))?;
    }
    if output.is_json() {
        output.json(&plan)?;
    } else {
        text::print(&plan, arguments.out.as_deref(), output);
    }
    Ok(exit(&plan))
}

/// A plan of which a system is missing is no plan; otherwise what would wait for a person decides.
fn exit(plan: &Plan) -> Exit {
    if plan.refuses_credentials() {
        Exit::Refused
    } else if !plan.is_complete() {
        Exit::Failed
    } else if plan.needs_person() {
        Exit::Waiting
    } else {
        Exit::Done
    }
}

fn options(config: &Config, arguments: &PlanArguments) -> Result<PlanOptions, Failure> {
    let system: Option<SystemName> =
        arguments.system.as_deref().map(|name| super::pause::known(config, name)).transpose()?;
    let entity: Option<EntityName> =
        arguments.entity.as_deref().map(|name| known_entity(config, name)).transpose()?;
    Ok(PlanOptions {
        entity,
        system,
        examples: usize::try_from(arguments.sample).unwrap_or(usize::MAX),
        each_write: arguments.out.is_some(),
    })
}

pub(super) fn known_entity(config: &Config, name: &str) -> Result<EntityName, Failure> {
    match config.policies.get_key_value(name) {
        Some((entity, _)) => Ok(entity.clone()),
        None => {
            let known: Vec<&str> = config.policies.keys().map(EntityName::as_str).collect();
            let known = known.join(", ");
            Err(Failure::usage(format!("no entity is called {name:?}. There are: {known}")))
        }
    }
}
