//! P1 and P2 as criterion measured them: `cargo bench --package avowal-core` has to run before.

use crate::Outcome;
use crate::report::{Report, count};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Reads the last estimates.
pub fn measure(report: &mut Report, _rows: u64) -> Outcome<()> {
    let mut lines = Vec::new();
    let folder = folder().join("criterion/core");
    let found = std::fs::read_dir(&folder).map_err(|error| {
        format!("{}: {error}; run `cargo bench --package avowal-core` first", folder.display())
    })?;
    for entry in found {
        let last = entry?.path().join("new");
        let (Ok(about), Ok(estimates)) =
            (read(&last.join("benchmark.json")), read(&last.join("estimates.json")))
        else {
            continue;
        };
        let name = about["function_id"].as_str().unwrap_or("?").to_owned();
        let ns = |key: &str| estimates["median"][key].as_f64();
        let median = ns("point_estimate").unwrap_or(f64::NAN);
        let bounds = &estimates["median"]["confidence_interval"];
        let bound = |key: &str| bounds[key].as_f64().unwrap_or(f64::NAN) / 1000.0;
        lines.push(vec![
            name,
            format!("{:.2}", median / 1000.0),
            format!("{:.2} – {:.2}", bound("lower_bound"), bound("upper_bound")),
            count(1e9 / median),
        ]);
    }
    lines.sort();
    let heads = ["work", "µs (median)", "95 %", "a second, one core"];
    report.table("core", "P1, P2: the core (`cargo bench --package avowal-core`)", &heads, &lines);
    Ok(())
}

fn read(path: &Path) -> Outcome<Value> {
    Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
}

/// The target folder: this program lies in one of its profiles.
fn folder() -> PathBuf {
    let mine = std::env::current_exe().unwrap_or_default();
    mine.ancestors().nth(2).map(Path::to_owned).unwrap_or_default()
}
