//! Problems of a configuration, each with its place and its cure, reported together.

use serde::Serialize;
use std::cell::RefCell;
use std::fmt;
use std::path::Path;

/// The most problems that are reported at once.
const PROBLEMS_MAX: usize = 100;

/// One problem of a configuration.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Problem {
    /// The line, from 1; 0 if the file as a whole is meant.
    pub line: usize,
    /// The column in characters, from 1; 0 if the file as a whole is meant.
    pub column: usize,
    /// What is wrong. Never repeats a value that came from the environment or a file.
    pub problem: String,
    /// What to do.
    pub cure: String,
}

/// All problems of one configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Problems {
    /// The file, as it was named.
    pub file: String,
    /// The problems in order of place.
    pub problems: Vec<Problem>,
}

impl Problems {
    /// The file as a whole cannot be used.
    pub fn of_file(file: &Path, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        let one = Problem { line: 0, column: 0, problem: problem.into(), cure: cure.into() };
        Self { file: file.display().to_string(), problems: vec![one] }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, one) in self.problems.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.file)?;
            if one.line > 0 {
                write!(f, ":{}:{}", one.line, one.column)?;
            }
            write!(f, ": {}", sentence(&one.problem))?;
            if !one.cure.is_empty() {
                write!(f, " {}", sentence(&one.cure))?;
            }
        }
        Ok(())
    }
}

/// The words with the stop that they need.
fn sentence(words: &str) -> String {
    if words.ends_with(['.', '?']) { words.to_owned() } else { format!("{words}.") }
}

/// Where problems gather while a configuration is read.
pub struct Report<'a> {
    text: &'a str,
    found: RefCell<Vec<Problem>>,
}

impl<'a> Report<'a> {
    /// Nothing found yet in this text.
    pub fn new(text: &'a str) -> Self {
        Self { text, found: RefCell::new(Vec::new()) }
    }

    /// Notes a problem at a byte offset of the text.
    pub fn add(&self, offset: usize, problem: impl Into<String>, cure: impl Into<String>) {
        let (line, column) = place(self.text, offset);
        let one = Problem { line, column, problem: problem.into(), cure: cure.into() };
        let mut found = self.found.borrow_mut();
        if found.len() < PROBLEMS_MAX && !found.contains(&one) {
            found.push(one);
        }
    }

    /// Whether a problem is noted at this byte offset.
    pub fn has_problem_at(&self, offset: usize) -> bool {
        let (line, column) = place(self.text, offset);
        self.found.borrow().iter().any(|one| (one.line, one.column) == (line, column))
    }

    /// How many problems there are so far.
    pub fn len(&self) -> usize {
        self.found.borrow().len()
    }

    /// The problems in order of place; `None` if there are none.
    pub fn finish(self, file: &Path) -> Option<Problems> {
        let mut problems = self.found.into_inner();
        problems.sort();
        (!problems.is_empty()).then(|| Problems { file: file.display().to_string(), problems })
    }
}

/// The nearest known word, if one is near enough to be meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const ENOUGH: f64 = 0.75;
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ENOUGH)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line_begins = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_begins..].chars().count() + 1)
}
