//! Shows a run to those who watch: a moving line on a terminal, plain lines elsewhere. Both go to stderr.

use avowal_core::explain::short_text;
use avowal_engine::{Progress, Step};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The shortest time between two plain lines about the same thing.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// The longest message that is repeated, in characters, as lines of at most 60.
const PROBLEM_PIECES_MAX: usize = 10;

/// One who watches a run.
pub struct Watch {
    bar: Option<ProgressBar>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// How many, by what is counted.
    counts: BTreeMap<String, u64>,
    /// When a line about it was last written.
    told: BTreeMap<String, Instant>,
    /// The last problem of each system, so that a repeated one is told once.
    problems: BTreeMap<String, String>,
}

impl Watch {
    /// A moving line if stdout is a terminal, else plain lines.
    pub fn new() -> Self {
        let is_terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        let bar = is_terminal.then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { bar, seen: Mutex::new(Seen::default()) }
    }

    /// Takes the moving line away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Adds to a count and says so, not too often.
    fn count(&self, what: String, to: impl FnOnce(u64) -> u64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let count = seen.counts.entry(what.clone()).or_default();
        *count = to(*count);
        let line = format!("{what}: {count}");
        match &self.bar {
            Some(bar) => bar.set_message(line),
            None => {
                let due = seen.told.get(&what).is_none_or(|told| told.elapsed() >= LINE_EVERY);
                if due {
                    seen.told.insert(what, Instant::now());
                    eprintln!("{line}");
                }
            }
        }
    }

    fn problem(&self, system: &str, message: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.problems.insert(system.to_owned(), message.to_owned()).as_deref() == Some(message) {
            return;
        }
        let line = format!("{system}: {}", one_line(message));
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }
}

impl Progress for Watch {
    fn tell(&self, step: Step) {
        match step {
            Step::Listed { system, entity, rows } => {
                self.count(format!("{system}: {entity} copies listed"), |_| rows);
            }
            Step::Followed { system, entity, changes } => {
                if changes > 0 {
                    self.count(format!("{system}: {entity} changes followed"), |count| count + changes);
                }
            }
            Step::Wrote { system, confirmed } => {
                if confirmed > 0 {
                    self.count(format!("{system}: writes confirmed"), |count| count + confirmed);
                }
            }
            Step::Waiting { ms } => {
                if let Some(bar) = &self.bar {
                    bar.set_message(format!("waiting {ms} ms for delayed work"));
                }
            }
            Step::Notice { system, message } | Step::Problem { system, message } => {
                self.problem(system.as_str(), &message)
            }
        }
    }
}

/// A message on one line, without control characters; long ones are cut.
fn one_line(message: &str) -> String {
    let chars: Vec<char> = message.chars().collect();
    let pieces = chars.chunks(60).take(PROBLEM_PIECES_MAX);
    pieces.map(|piece| short_text(&piece.iter().collect::<String>())).collect()
}
