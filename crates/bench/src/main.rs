//! Measures the real `avowal` beside what stands for each figure, in one run on one machine, and writes the tables
//! into `docs/performance.md` and the plots into `docs/plots/`. Asserts nothing about time.
//!
//! `avowal-bench [--rows N] [--only NAME,…] [--docs FOLDER]`. The binary `avowal` has to lie beside this one.

mod application;
mod avowal;
mod bare;
mod core_figures;
mod history;
mod load;
mod plot;
mod report;
mod sqlite;
mod startup;
mod tables;
mod webhooks;

use report::Report;
use std::path::PathBuf;

/// What a measurement answers.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The size at which everything runs within minutes. The full size is a million.
const ROWS_DEFAULT: u64 = 20_000;

/// What was asked for.
struct Arguments {
    /// Rows a table.
    rows: u64,
    /// The measurements, all if empty.
    only: Vec<String>,
    /// Where the report lies.
    docs: PathBuf,
}

/// One measurement: writes what it finds into the report.
type Measure = fn(&mut Report, u64) -> Outcome<()>;

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [command, file] = words.as_slice()
        && command == bare::COMMAND
    {
        return bare::serve(file.as_ref());
    }
    let arguments = arguments(&words)?;
    let mut report = Report::new(&arguments.docs, arguments.rows);
    let measurements: [(&str, Measure); 7] = [
        ("core", core_figures::measure),
        ("sqlite", sqlite::measure),
        ("webhooks", webhooks::measure),
        ("tables", tables::measure),
        ("application", application::measure),
        ("startup", startup::measure),
        ("history", history::measure),
    ];
    for (name, measure) in measurements {
        if arguments.only.is_empty() || arguments.only.iter().any(|only| only == name) {
            eprintln!("measuring: {name}");
            measure(&mut report, arguments.rows)?;
            report.write()?;
        }
    }
    Ok(())
}

fn arguments(words: &[String]) -> Outcome<Arguments> {
    let mut arguments = Arguments { rows: ROWS_DEFAULT, only: Vec::new(), docs: PathBuf::from("docs") };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--rows" => arguments.rows = value.parse()?,
            "--only" => arguments.only = value.split(',').map(str::to_owned).collect(),
            "--docs" => arguments.docs = value.into(),
            other => return Err(format!("{other} is not known; there are --rows, --only and --docs").into()),
        }
    }
    Ok(arguments)
}
