//! One file for each command of the binary.
//!
//! Never in here: a rule of its own; a command asks the engine or the store and prints the answer.
//! Begin with `sync.rs`; the list of all is below.

mod check;
mod demo;
mod history;
mod init;
mod pause;
mod plan;
mod quarantine;
mod reconcile;
mod review;
mod run;
mod runs;
mod schema;
mod show;
mod simulate;
mod status;
mod sync;
mod timeline;
mod uninstall;
mod why;

use crate::arguments::{Arguments, Command, DemoArguments};
use crate::config;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use avowal_core::DomainRules;

/// Runs the command that the arguments name, with what the program has registered.
pub async fn run(arguments: &Arguments, domain: &DomainRules, output: &Output) -> Result<Exit, Failure> {
    let config = || config::load(&arguments.config, domain);
    match &arguments.command {
        Command::Init => init::run(&arguments.config, output),
        Command::Schema => schema::run(output),
        Command::Demo(demo) => play(demo).await,
        Command::Check(check) => check::run(&config()?, check, output).await,
        Command::Simulate(simulate) => simulate::run(&config()?, simulate, arguments, output),
        Command::Plan(plan) => plan::run(&config()?, plan, output).await,
        Command::Sync(sync) => sync::run(config()?, sync, output).await,
        Command::Run => run::run(&config()?, output).await,
        Command::Pause(pause) => pause::pause(&config()?, pause, output).await,
        Command::Resume(resume) => pause::resume(&config()?, resume, output).await,
        Command::Uninstall(uninstall) => uninstall::run(&config()?, uninstall, output).await,
        Command::Status => status::run(&config()?, output).await,
        Command::Show(record) => show::run(&config()?, record, output).await,
        Command::Timeline(record) => timeline::run(&config()?, record, output).await,
        Command::Why(why) => why::run(&config()?, why, output).await,
        Command::Review(review) => review::run(&config()?, review, output).await,
        Command::Quarantine(quarantine) => quarantine::run(&config()?, quarantine, output).await,
        Command::Reconcile(reconcile) => reconcile::run(&config()?, reconcile, output).await,
        Command::Runs(runs) => runs::run(&config()?, runs, output).await,
        Command::History(history) => history::run(&config()?, history, output).await,
    }
}

/// Plays the demo in the given folder, or in one that is removed at the end.
async fn play(arguments: &DemoArguments) -> Result<Exit, Failure> {
    let unusable =
        |error: std::io::Error| Failure::failed(format!("the demo has no folder to play in: {error}"));
    let temporary;
    let folder = match &arguments.folder {
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(unusable)?;
            if std::fs::read_dir(folder).map_err(unusable)?.next().is_some() {
                return Err(Failure::usage(format!(
                    "{} is not empty. Name an empty folder",
                    folder.display()
                )));
            }
            folder.as_path()
        }
        None => {
            temporary = tempfile::tempdir().map_err(unusable)?;
            temporary.path()
        }
    };
    demo::play(folder).await.map_err(|trouble| Failure::failed(trouble.to_string()))?;
    Ok(Exit::Done)
}

/// Who acts, if nobody is named: the login name.
fn person(named: Option<&str>) -> String {
    let login = || ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    let name = named.map(str::to_owned).or_else(login).unwrap_or_default();
    if name.trim().is_empty() { "somebody at the command line".to_owned() } else { name }
}
