//! The mistakes that are edits still apply to the product code; `make sim-bugs` builds and finds them.

use avowal_sim::mistakes::{Mistake, edit};
use std::path::Path;

#[test]
fn every_edit_finds_its_snippet_exactly_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mistakes = edit::all(&root).unwrap();
    let changed = edit::applied(&root, &mistakes).unwrap_or_else(|problems| panic!("{problems}"));
    let edits: usize = mistakes.iter().map(|mistake| mistake.edits.len()).sum();
    let switches: usize = changed.values().map(|text| text.matches("::planted::is(").count()).sum();
    assert_eq!(switches, edits);
    assert_eq!(mistakes.len() + Mistake::ALL.len(), 52);
}
