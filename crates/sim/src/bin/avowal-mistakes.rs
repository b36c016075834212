//! Plants known mistakes one after the other and looks for each with the simulator. See docs/reliability.md.

use avowal_sim::many::{Found, find_first};
use avowal_sim::mistakes::edit::{EditedMistake, VARIABLE};
use avowal_sim::mistakes::{Mistake, copy, edit};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Instant, SystemTime};

const USAGE: &str = "avowal-mistakes plants each known mistake and looks for it.

  avowal-mistakes [--only NAME | --few N] [--seeds N] [--jobs N]

  --only NAME  this one
  --few N      so many, others every day
  --seeds N    give up after so many seeds (20000)";

/// A mistake, by how it is planted.
enum Planted {
    AtSeam(Mistake),
    Edited(EditedMistake),
}

impl Planted {
    fn name(&self) -> String {
        match self {
            Planted::AtSeam(mistake) => format!("{mistake:?}"),
            Planted::Edited(mistake) => mistake.name.clone(),
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    match hunt_all(&arguments) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(missed) => {
            println!("\n{missed} not found");
            ExitCode::FAILURE
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// Looks for the chosen mistakes and answers how many were not found.
fn hunt_all(arguments: &[String]) -> Result<usize, String> {
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let seeds = value("--seeds").and_then(|seeds| seeds.parse().ok()).unwrap_or(20_000);
    let jobs = value("--jobs").and_then(|jobs| jobs.parse().ok()).unwrap_or(2);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().map_err(|error| format!("{}: {error}", root.display()))?;
    let edited = edit::all(&root)?;
    let chosen = choose(edited.clone(), value("--only").as_deref(), value("--few").as_deref())?;
    let copied = match chosen.iter().any(|planted| matches!(planted, Planted::Edited(_))) {
        true => Some(build(&root, &edited)?),
        false => None,
    };
    println!("| planted mistake | found after seeds | by | in seconds | what |\n|---|---|---|---|---|");
    let mut missed = 0;
    for planted in &chosen {
        let begun = Instant::now();
        let found = match (planted, &copied) {
            (Planted::AtSeam(mistake), _) => find_first(0..seeds, jobs, Some(*mistake)),
            (Planted::Edited(mistake), Some(simulator)) => in_copy(simulator, &mistake.name, seeds, jobs)?,
            (Planted::Edited(_), None) => None,
        };
        let (name, took) = (planted.name(), begun.elapsed().as_secs_f32());
        match found {
            Some(Found { seed, law, what }) => {
                println!("| {name} | {} | {law} | {took:.1} | {what} |", seed + 1)
            }
            None => {
                missed += 1;
                println!("| {name} | not in {seeds} | | {took:.1} | |");
            }
        }
    }
    Ok(missed)
}

fn choose(edited: Vec<EditedMistake>, only: Option<&str>, few: Option<&str>) -> Result<Vec<Planted>, String> {
    let at_seams = Mistake::ALL.into_iter().map(Planted::AtSeam);
    let mut all: Vec<Planted> = at_seams.chain(edited.into_iter().map(Planted::Edited)).collect();
    if let Some(only) = only {
        all.retain(|planted| planted.name() == only);
        return if all.is_empty() { Err(format!("no mistake is named {only}")) } else { Ok(all) };
    }
    let Some(few) = few else { return Ok(all) };
    let few: usize = few.parse().map_err(|_| format!("--few {few} is no number"))?;
    let days = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs() / 86_400);
    let first = usize::try_from(days).unwrap_or(0).wrapping_mul(few) % all.len();
    all.rotate_left(first);
    all.truncate(few);
    Ok(all)
}

fn build(root: &Path, edited: &[EditedMistake]) -> Result<PathBuf, String> {
    let begun = Instant::now();
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let simulator = copy::build(root, &target, edited)?;
    println!("{} edits built in {:.1} s\n", edited.len(), begun.elapsed().as_secs_f32());
    Ok(simulator)
}

fn in_copy(simulator: &Path, name: &str, seeds: u64, jobs: usize) -> Result<Option<Found>, String> {
    let output = Command::new(simulator)
        .args(["--hunt", "--seeds", &seeds.to_string(), "--jobs", &jobs.to_string()])
        .env(VARIABLE, name)
        .output()
        .map_err(|error| format!("{}: {error}", simulator.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).map_err(|error| format!("{name}: the simulator answered `{last}`: {error}"))
}
