//! The report: one part a measurement, between two marks of `docs/performance.md`. What stands around the marks, and
//! parts of other measurements, stay as they are.

use crate::Outcome;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A table of figures under construction.
pub struct Report {
    docs: PathBuf,
    rows: u64,
    parts: Vec<Part>,
}

struct Part {
    name: &'static str,
    text: String,
}

impl Report {
    /// A report into this folder.
    pub fn new(docs: &Path, rows: u64) -> Self {
        Self { docs: docs.to_owned(), rows, parts: Vec::new() }
    }

    /// Adds a part with its title and one table.
    pub fn table(&mut self, name: &'static str, title: &str, heads: &[&str], rows: &[Vec<String>]) {
        let mut text = format!("### {title}\n\n");
        let command = format!("avowal-bench --only {name} --rows {}", self.rows);
        let build = if cfg!(debug_assertions) { ", debug build" } else { "" };
        let _ = writeln!(text, "`{command}` on {}{build}\n", machine());
        let _ = writeln!(text, "| {} |", heads.join(" | "));
        let _ = writeln!(text, "|{}", "---|".repeat(heads.len()));
        for row in rows {
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
        eprintln!("\n{text}");
        self.part(name).push_str(&text);
        self.part(name).push('\n');
    }

    /// Adds a plot to a part.
    pub fn plot(&mut self, name: &'static str, file: &str, what: &str, svg: &str) -> Outcome<()> {
        let folder = self.docs.join("plots");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(file), svg)?;
        let line = format!("![{what}](plots/{file})\n\n");
        self.part(name).push_str(&line);
        Ok(())
    }

    /// Puts the parts into their places.
    pub fn write(&self) -> Outcome<()> {
        let path = self.docs.join("performance.md");
        let mut text = std::fs::read_to_string(&path)?;
        for part in &self.parts {
            let (begin, end) =
                (format!("<!-- {}: begin -->\n", part.name), format!("<!-- {}: end -->", part.name));
            let from = text.find(&begin).ok_or_else(|| format!("{begin:?} is not in {}", path.display()))?;
            let to = text.find(&end).ok_or_else(|| format!("{end:?} is not in {}", path.display()))?;
            text.replace_range(from + begin.len()..to, &part.text);
        }
        Ok(std::fs::write(path, text)?)
    }

    fn part(&mut self, name: &'static str) -> &mut String {
        let at = self.parts.iter().position(|part| part.name == name).unwrap_or_else(|| {
            self.parts.push(Part { name, text: String::new() });
            self.parts.len() - 1
        });
        &mut self.parts[at].text
    }
}

/// A whole number with spaces between its thousands.
pub fn count(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// The machine, in words.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{cores} × {}, Linux {}", model.map_or("unknown", |(_, name)| name), kernel.trim())
}
