//! What goes to the person or the script: plain lines or JSON on stdout, failures on stderr.

use crate::failure::Failure;
use serde::Serialize;
use std::io::{IsTerminal as _, Write as _};

/// Where a command says what it found.
pub struct Output {
    json: bool,
    colours: bool,
}

/// How a word is marked on a terminal. The words alone say the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    /// A heading.
    Strong,
    /// All is well.
    Good,
    /// It wants attention.
    Warn,
    /// It is wrong.
    Bad,
}

impl Output {
    /// Plain lines, or JSON.
    pub fn new(json: bool) -> Self {
        Self { json, colours: std::io::stdout().is_terminal() && colours_wanted() }
    }

    /// Whether JSON was asked for.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// One line on stdout. Nobody listening any more (a closed pipe) is no failure.
    pub fn line(&self, text: impl AsRef<str>) {
        let _ = writeln!(std::io::stdout(), "{}", text.as_ref());
    }

    /// A value as JSON on stdout.
    pub fn json(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::failed(format!("the answer cannot be written as JSON: {error}")))?;
        self.line(text);
        Ok(())
    }

    /// A word with its mark, on a terminal with colours.
    pub fn mark(&self, mark: Mark, text: impl AsRef<str>) -> String {
        let text = text.as_ref();
        if !self.colours {
            return text.to_owned();
        }
        let code = match mark {
            Mark::Strong => "1",
            Mark::Good => "32",
            Mark::Warn => "33",
            Mark::Bad => "31",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// Why a command could not do what it was asked: words on stderr, or JSON on stdout.
    pub fn failure(&self, failure: &Failure) {
        if !self.json {
            let _ = writeln!(std::io::stderr(), "{failure}");
            return;
        }
        let json = match failure {
            Failure::Config(problems) => {
                serde_json::json!({ "error": "configuration", "file": problems.file, "problems": problems.problems })
            }
            Failure::Usage(message) => serde_json::json!({ "error": "usage", "message": message }),
            Failure::Failed(message) => serde_json::json!({ "error": "failed", "message": message }),
            Failure::Held(message) => serde_json::json!({ "error": "held", "message": message }),
            Failure::Refused(message) => serde_json::json!({ "error": "refused", "message": message }),
        };
        self.line(json.to_string());
    }

    /// A remark beside the answer, on stderr.
    pub fn remark(&self, text: impl AsRef<str>) {
        let _ = writeln!(std::io::stderr(), "{}", text.as_ref());
    }
}

/// A count with its noun: `1 copy`, `2 copies`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// The counts that are not zero, in one line; `nothing` if all are.
pub fn all_counted(counts: &[(u64, &str, &str)], nothing: &str) -> String {
    let some: Vec<String> = counts
        .iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many)| counted(*count, one, many))
        .collect();
    if some.is_empty() { nothing.to_owned() } else { some.join(", ") }
}

/// Whether stderr is a terminal that shall show colours.
pub fn stderr_has_colours() -> bool {
    std::io::stderr().is_terminal() && colours_wanted()
}

/// <https://no-color.org>: set and not empty means none.
fn colours_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
