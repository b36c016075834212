//! The table of the decision as a document. `UPDATE_DOCS=1 cargo test -p avowal-core` prints it anew.

#![allow(clippy::disallowed_methods, reason = "the printed table is a file beside the code")]

use avowal_core::decide::table::Row;
use std::fmt::Write as _;
use std::path::Path;

const HEAD: &str = "\
# The decision, row by row

Printed from `crates/core/src/decide/table.rs` by a test; change it there and run `UPDATE_DOCS=1 cargo test -p avowal-core`.

An observation of a linked copy goes through five steps: its **place** among the states of the copy, **our own write** (if it
shows that a planned or sent write is done, that write is confirmed first), the **assessment** by this table, the **record**
(the events), and the **plan** of what has to be written. The rows are asked from first to last, and the first that holds
decides. *Known* says what the rows before have ruled out. *Look again* means that nothing was decided: the copy is read once
more after the quiet time, with the reason that is named. The final look is never followed by another.

The invariants stand in [reliability.md](reliability.md).
";

fn printed() -> String {
    let mut out = HEAD.to_owned();
    out.push_str("\n| # | row | known | when | outcome | records (evidence) | keeps |\n|---|---|---|---|---|---|---|\n");
    for (at, row) in Row::all().iter().enumerate() {
        let Row { name, known, when, outcome, records, keeps, .. } = row;
        let keeps = keeps.join(", ");
        writeln!(out, "| {} | **{name}** | {known} | {when} | {outcome} | {records} | {keeps} |", at + 1)
            .unwrap();
    }
    out
}

#[test]
fn the_document_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/decision-table.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, printed()).unwrap();
    }
    let document = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(document, printed(), "run UPDATE_DOCS=1 cargo test -p avowal-core and look at the difference");
}

#[test]
fn every_row_names_an_invariant_that_exists() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reliability.md");
    let document = std::fs::read_to_string(path).unwrap();
    let heads: String =
        document.lines().filter_map(|line| line.strip_prefix("| ")?.split('|').next()).collect();
    let listed: Vec<_> = heads.split([' ', ',']).collect();
    for row in Row::all() {
        assert!(!row.keeps.is_empty(), "{}", row.name);
        for invariant in row.keeps {
            assert!(
                listed.contains(invariant),
                "{}: docs/reliability.md does not list {invariant}",
                row.name
            );
        }
    }
}
