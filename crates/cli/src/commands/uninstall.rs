//! `avowal uninstall`: takes everything of ours out of a system.

use crate::arguments::UninstallArguments;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::{beside, compose};

/// Removes our triggers and tables from a system. The store keeps what it knows; the next `sync` installs them again.
pub async fn run(config: &Config, arguments: &UninstallArguments, output: &Output) -> Result<Exit, Failure> {
    let system = super::pause::known(config, &arguments.system)?;
    let why = "it would install everything again. Stop it, and run this command then";
    let engine = compose::engine(config, beside::alone(config, output, why).await?, None).await?;
    let removed = engine.uninstall(&system).await?;
    if output.is_json() {
        output.json(&removed)?;
        return Ok(Exit::Done);
    }
    if removed.is_empty() {
        output.line(format!("There is nothing of ours in {system}."));
    }
    for what in &removed {
        output.line(format!("Removed from {system}: {what}."));
    }
    Ok(Exit::Done)
}
