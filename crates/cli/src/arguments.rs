//! The command line.

use crate::duration;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Keeps records in agreement between systems, field by field, and can always say why it believes what it
/// believes.
#[derive(Parser, Debug)]
#[command(name = "avowal", version, about, after_help = EXIT_CODES)]
pub struct Arguments {
    /// The configuration.
    #[arg(short, long, global = true, value_name = "FILE", default_value = "avowal.toml")]
    pub config: PathBuf,
    /// Answer with JSON instead of lines.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
KEY is SYSTEM:ID (the id of a copy), FIELD=VALUE, or our record id.

Exit codes: 0 done, 1 failed, 2 bad usage or configuration, 3 held by a stop or a guard,
4 done but something waits for a person, is set aside or is not delivered yet, 5 a system refuses our credentials.";

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Write a commented configuration to begin with.
    Init,
    /// Print the JSON Schema of the configuration, for editors.
    Schema,
    /// Validate the configuration, print each field's rule as a sentence, and reach the systems.
    Check(CheckArguments),
    /// Try the configuration on simulated systems and people: does it converge, and what must be expected a day?
    Simulate(SimulateArguments),
    /// Tell what the next sync would link, write, ask and set aside, and write nothing. Works beside a daemon.
    Plan(PlanArguments),
    /// Bring all systems into agreement, then exit.
    Sync(SyncArguments),
    /// Keep all systems in agreement until stopped.
    Run,
    /// Stop a system: nothing is written to it, or taken in from it, until it is resumed. Works beside a daemon.
    Pause(PauseArguments),
    /// Let a system go on.
    Resume(ResumeArguments),
    /// Take our triggers and tables out of a system; the next sync installs them again.
    Uninstall(UninstallArguments),
    /// Tell how much there is, what is under way, and what waits for a person.
    Status,
    /// Show what is believed of one record, and what stands in each system.
    Show(RecordArguments),
    /// Tell the history of one record, one line for each event.
    Timeline(TimelineArguments),
    /// Explain why a field holds what it holds.
    Why(WhyArguments),
    /// Look at the questions that wait for a person, and answer them.
    #[command(subcommand)]
    Review(ReviewCommand),
    /// Look at what could not be understood or accepted, and try it again.
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Compare what the systems show with what is believed, change nothing, and say what would repair the differences.
    Reconcile(ReconcileArguments),
    /// Look at what ran: on whose word, how it ended, and what it did.
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Verify or rebuild from the history.
    #[command(subcommand)]
    History(HistoryCommand),
    /// Play a day of an app and a CRM that both sides edit, in a folder of its own.
    Demo(DemoArguments),
}

/// Arguments of `demo`.
#[derive(Args, Debug)]
pub struct DemoArguments {
    /// An empty folder to play in and to keep; by default one that is removed at the end.
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
}

/// Arguments of `check`.
#[derive(Args, Debug)]
pub struct CheckArguments {
    /// Do not reach the systems.
    #[arg(long)]
    pub offline: bool,
}

/// Arguments of `simulate`.
#[derive(Args, Debug)]
pub struct SimulateArguments {
    /// How many seeds to play, or one seed or a range of them, as in 17-17 or 1-50.
    #[arg(long, value_name = "N", default_value = "10", value_parser = seeds)]
    pub seeds: (u64, u64),
    /// Days of edits for each seed.
    #[arg(long, value_name = "D", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=365))]
    pub days: u32,
    /// Records of each entity to begin with.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub records: u32,
    /// Edits a day in each system.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub edits: u32,
}

/// The most seeds of one run.
const SEEDS_MAX: u64 = 10_000;

/// `20` is seeds 1 to 20; `17-17` is seed 17 alone.
fn seeds(text: &str) -> Result<(u64, u64), String> {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let range = match text.split_once('-') {
        Some((from, to)) => number(from).zip(number(to)),
        None => number(text).map(|count| (1, count)),
    };
    match range {
        Some((from, to)) if from <= to && to - from < SEEDS_MAX => Ok((from, to)),
        Some(_) | None => {
            Err(format!("write how many, as in 20, or a range, as in 17-17; at most {SEEDS_MAX}"))
        }
    }
}

/// Arguments of `plan`.
#[derive(Args, Debug)]
pub struct PlanArguments {
    /// Tell only of this entity.
    #[arg(long, value_name = "ENTITY")]
    pub entity: Option<String>,
    /// Tell only what would be written to this system.
    #[arg(long, value_name = "SYSTEM")]
    pub system: Option<String>,
    /// How many examples of each kind are shown. Everything is decided and counted all the same.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub sample: u32,
    /// Keep the plan in this file, with every write that it holds. It contains values of your records.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Draw the plan as one page for a browser. It contains values of your records.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// Arguments of `sync`.
#[derive(Args, Debug)]
pub struct SyncArguments {
    /// List everything once more, to find what no change feed has reported.
    #[arg(long)]
    pub full: bool,
    /// Write also into systems that hold records and were never written to. This answers no guard.
    #[arg(long)]
    pub yes: bool,
    /// Write only what this plan holds (`avowal plan --out FILE`). Records that have moved on since are held and named.
    #[arg(long, value_name = "FILE", conflicts_with = "yes")]
    pub plan: Option<PathBuf>,
    /// Allow any number of deletes in this system for this run. May be repeated.
    #[arg(long, value_name = "SYSTEM")]
    pub approve_deletes: Vec<String>,
    /// Let any number of creates go in this system, for a day. May be repeated.
    #[arg(long, value_name = "SYSTEM")]
    pub approve_creates: Vec<String>,
}

/// A direction on the command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum StopDirection {
    /// What the system shows.
    In,
    /// What is written to the system.
    Out,
}

/// Arguments of `pause`.
#[derive(Args, Debug)]
pub struct PauseArguments {
    /// Which system.
    pub system: String,
    /// Only this direction: `out` goes on recording what comes in, `in` goes on writing.
    #[arg(long, value_enum)]
    pub direction: Option<StopDirection>,
    /// Who stops it; the login name by default.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Why, for those who find it stopped.
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
}

/// Arguments of `resume`.
#[derive(Args, Debug)]
pub struct ResumeArguments {
    /// Which system.
    pub system: String,
    /// Only this direction.
    #[arg(long, value_enum)]
    pub direction: Option<StopDirection>,
    /// The system was restored from a backup, moved or made anew, and is the right one: list all of it again.
    #[arg(long)]
    pub restored: bool,
    /// It is right that what the guard holds is created: let any number of creates go for a day.
    #[arg(long)]
    pub approve_creates: bool,
    /// Write into it although it holds records and was never written to.
    #[arg(long)]
    pub yes: bool,
    /// Who lets it go on; the login name by default.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

/// Arguments of `uninstall`.
#[derive(Args, Debug)]
pub struct UninstallArguments {
    /// From which system.
    pub system: String,
}

/// Names one record.
#[derive(Args, Debug)]
pub struct RecordArguments {
    /// The kind of record.
    pub entity: String,
    /// Which record: SYSTEM:ID, FIELD=VALUE, or its record id.
    pub key: String,
}

/// Arguments of `timeline`.
#[derive(Args, Debug)]
pub struct TimelineArguments {
    /// Which record.
    #[command(flatten)]
    pub record: RecordArguments,
    /// Only the last so many events.
    #[arg(long, value_name = "N")]
    pub last: Option<u64>,
    /// Name with each event its run, its policy and the event that caused it.
    #[arg(long)]
    pub full: bool,
}

/// Names one field of one record.
#[derive(Args, Debug)]
pub struct WhyArguments {
    /// Which record.
    #[command(flatten)]
    pub record: RecordArguments,
    /// The canonical name of the field.
    pub field: String,
}

/// What to do with reviews.
#[derive(Subcommand, Debug)]
pub enum ReviewCommand {
    /// List the open reviews, oldest first.
    List,
    /// Show one review with both values, their versions and the rule.
    Show {
        /// The review's id.
        id: String,
    },
    /// Answer a review.
    Resolve(ResolveArguments),
}

/// Arguments of `review resolve`.
#[derive(Args, Debug)]
pub struct ResolveArguments {
    /// The review's id.
    pub id: String,
    /// The answer.
    #[command(flatten)]
    pub answer: AnswerArguments,
    /// Who decides; the login name by default.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Why, for the history.
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
}

/// Exactly one answer.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct AnswerArguments {
    /// Take the value that this system's copy holds now.
    #[arg(long, value_name = "SYSTEM")]
    pub take: Option<String>,
    /// Keep the believed value.
    #[arg(long)]
    pub keep: bool,
    /// Set a value of your own.
    #[arg(long, value_name = "VALUE")]
    pub set: Option<String>,
    /// Delete the record everywhere.
    #[arg(long)]
    pub delete: bool,
    /// Let the record live on, and make missing copies again.
    #[arg(long)]
    pub restore: bool,
}

/// What to do with quarantined items.
#[derive(Subcommand, Debug)]
pub enum QuarantineCommand {
    /// List the open items, oldest first.
    List,
    /// Show one item with what came.
    Show {
        /// The item's number.
        id: i64,
    },
    /// Try items again: a copy is read anew, a refused write is planned anew.
    #[command(group = clap::ArgGroup::new("which").required(true))]
    Replay {
        /// The item's number.
        #[arg(group = "which")]
        id: Option<i64>,
        /// All open items.
        #[arg(long, group = "which")]
        all: bool,
        /// Who asks for it; the login name by default.
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
}

/// Arguments of `reconcile`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ReconcileArguments {
    /// What to do with reconciliations that were made.
    #[command(subcommand)]
    pub command: Option<ReconcileCommand>,
    /// Compare only this system.
    #[arg(long, value_name = "SYSTEM")]
    pub system: Option<String>,
    /// Compare only this entity.
    #[arg(long, value_name = "ENTITY")]
    pub entity: Option<String>,
    /// Conclude nothing of a copy that changed within this time, as in 90s, 5m or 1h; what differs is read again after it.
    /// By default as long as each system may be late.
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    pub settle: Option<u64>,
    /// Keep the report in this file as JSON, with every difference. It contains values of your records.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What to do with reconciliations that were made.
#[derive(Subcommand, Debug)]
pub enum ReconcileCommand {
    /// List the reconciliations that are kept, the newest first.
    List,
    /// Show what one of them found.
    Show {
        /// The number of its run.
        run: u64,
    },
    /// Repair what one of them found: the copies are read again and decided by the rules, like any other fact.
    Repair {
        /// The number of its run.
        run: u64,
        /// Only this field, this copy (SYSTEM:ID or our record id) or this recommended action.
        #[arg(long, value_name = "FIELD|KEY|ACTION")]
        only: Option<String>,
    },
}

/// A length of time in milliseconds.
fn milliseconds(text: &str) -> Result<u64, String> {
    duration::milliseconds(text).ok_or_else(|| duration::FORM.to_owned())
}

/// What to do with runs.
#[derive(Subcommand, Debug)]
pub enum RunsCommand {
    /// List the newest runs, the newest first.
    List {
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        last: u32,
    },
    /// Show what one run did: records, fields, writes by system, questions and what was set aside.
    Show {
        /// The run's number.
        id: u64,
    },
}

/// What to do with the history.
#[derive(Subcommand, Debug)]
pub enum HistoryCommand {
    /// Check that no event is missing, doubled or changed, and that no tail was cut.
    Verify,
    /// Fold each history anew and compare the result with the stored state, byte for byte.
    Rebuild {
        /// Store the fold where it differs.
        #[arg(long)]
        write: bool,
    },
}
