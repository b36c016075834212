//! Plays seeds against the real core and engine. See docs/reliability.md.

use avowal_sim::fault::Fault;
use avowal_sim::many::{Summary, find_first, play_many};
use avowal_sim::mistakes::Mistake;
use avowal_sim::play::play_followed;
use avowal_sim::scenario::Scenario;
use avowal_sim::shrink::{PLAYS_MAX, shrink};
use avowal_sim::timeline::timeline;
use std::process::ExitCode;

const USAGE: &str = "avowal-sim plays seeded scenarios against the real core and engine.

  avowal-sim [--seeds FROM..TO | --seeds N] [--jobs N] [--report FILE]   play seeds
  avowal-sim --replay FILE                                              play one scenario again and tell its story
  avowal-sim --seed N [--shrink] [--save FILE]                          play one seed and tell its story
  avowal-sim --hunt [--plant MISTAKE] [--seeds N] [--jobs N] [--save FILE]   look for the first broken law";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    if has("--help") || has("-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let jobs = value("--jobs").and_then(|jobs| jobs.parse().ok()).unwrap_or(2);
    let seeds = range(value("--seeds").as_deref().unwrap_or("1000"));
    if let Some(file) = value("--replay") {
        return replay(&file);
    }
    if let Some(seed) = value("--seed").and_then(|seed| seed.parse().ok()) {
        return one(Scenario::of_seed(seed), has("--shrink"), value("--save").as_deref());
    }
    let mistake = value("--plant");
    let planted = mistake.as_deref().and_then(Mistake::named);
    if let (Some(name), None) = (&mistake, planted) {
        eprintln!("{name} is not a mistake that is made at a seam");
        return ExitCode::FAILURE;
    }
    if has("--hunt") {
        return hunt(seeds, jobs, planted, value("--save").as_deref());
    }
    let summary = play_many(seeds, jobs, planted, &|summary| summary.failures.len() >= 50);
    print(&summary);
    if let Some(file) = value("--report")
        && let Err(error) = std::fs::write(&file, report(&summary))
    {
        eprintln!("cannot write {file}: {error}");
        return ExitCode::FAILURE;
    }
    let is_clean = summary.failures.is_empty() && summary.unequal == 0;
    if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn range(text: &str) -> std::ops::Range<u64> {
    match text.split_once("..") {
        Some((from, to)) => from.parse().unwrap_or(0)..to.parse().unwrap_or(0),
        None => 0..text.parse().unwrap_or(1000),
    }
}

fn replay(file: &str) -> ExitCode {
    let scenario = std::fs::read(file).map_err(|error| error.to_string());
    let scenario =
        scenario.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
    match scenario {
        Ok(scenario) => one(scenario, false, None),
        Err(error) => {
            eprintln!("cannot read {file}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn one(scenario: Scenario, shrinks: bool, save: Option<&str>) -> ExitCode {
    let (outcome, _) = play_followed(&scenario, None);
    let mut scenario = scenario;
    if let (true, Some(first)) = (shrinks, outcome.violations.first()) {
        scenario = shrink(&scenario, &first.invariant, PLAYS_MAX, None);
    }
    let (outcome, world) = play_followed(&scenario, None);
    println!("{}", serde_json::to_string(&scenario).unwrap_or_default());
    for action in &scenario.trace {
        println!("  {}", serde_json::to_string(action).unwrap_or_default());
    }
    let thing = outcome.violations.iter().find_map(|violation| violation.thing.clone());
    if let Some(world) = &world {
        println!("{}", timeline(world, thing.as_deref()));
    }
    for violation in &outcome.violations {
        println!("{} is broken: {}", violation.invariant, violation.what);
    }
    println!("hash {:016x}, {} rounds to rest", outcome.hash, outcome.rounds);
    if let Some(file) = save {
        let text = serde_json::to_string_pretty(&scenario).unwrap_or_default();
        if let Err(error) = std::fs::write(file, text) {
            eprintln!("cannot write {file}: {error}");
            return ExitCode::FAILURE;
        }
        println!("replay it with: avowal-sim --replay {file}");
    }
    if outcome.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(summary: &Summary) {
    println!("{}", report(summary));
    for failure in summary.failures.iter().take(20) {
        for violation in failure.violations.iter().take(2) {
            println!("seed {}: {} {}", failure.seed, violation.invariant, violation.what);
        }
    }
    if let Some(first) = summary.failures.first() {
        println!("replay with: avowal-sim --seed {} --shrink", first.seed);
    }
}

fn report(summary: &Summary) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} seeds, {} violations; {} played twice, {} unequal; sum of hashes {:016x}, of substance {:016x}\n",
        summary.seeds,
        summary.failures.len(),
        summary.replayed,
        summary.unequal,
        summary.hash,
        summary.substance
    );
    let _ = writeln!(
        out,
        "| profile | edits | changes judged | indeterminate | concurrent though seen | reviews | covered unseen | writes an edit |"
    );
    let _ = writeln!(out, "|---|---|---|---|---|---|---|---|");
    let share = |part: u64, whole: u64| format!("{:.2} %", 100.0 * part as f64 / whole.max(1) as f64);
    for (profile, figures) in &summary.figures {
        let _ = writeln!(
            out,
            "| {profile} | {} | {} | {} | {} | {} | {} | {:.2} |",
            figures.edits,
            figures.observed,
            share(figures.indeterminate, figures.observed),
            share(figures.false_concurrent, figures.observed),
            share(figures.reviews, figures.observed),
            share(figures.covered, figures.edits),
            figures.writes as f64 / figures.edits.max(1) as f64
        );
    }
    let _ = writeln!(out, "\n| rounds to rest | runs |\n|---|---|");
    for (rounds, runs) in &summary.rounds {
        let _ = writeln!(out, "| {rounds} | {runs} |");
    }
    let _ = writeln!(out, "\n| fault | fired |\n|---|---|");
    for fault in Fault::ALL.into_iter().chain(Fault::LIES) {
        let _ = writeln!(out, "| {fault} | {} |", summary.fired.get(&fault).unwrap_or(&0));
    }
    out
}

/// Plays seeds until a law is broken and answers with one line of JSON: succeeded if one was.
fn hunt(seeds: std::ops::Range<u64>, jobs: usize, mistake: Option<Mistake>, save: Option<&str>) -> ExitCode {
    let Some(found) = find_first(seeds, jobs, mistake) else {
        println!("null");
        return ExitCode::FAILURE;
    };
    println!("{}", serde_json::to_string(&found).unwrap_or_default());
    if let Some(file) = save {
        let smallest = shrink(&Scenario::of_seed(found.seed), &found.law, PLAYS_MAX / 10, mistake);
        let text = serde_json::to_string_pretty(&smallest).unwrap_or_default();
        if let Err(error) = std::fs::write(file, text + "\n") {
            eprintln!("cannot write {file}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
