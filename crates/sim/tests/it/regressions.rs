//! Every trace that once broke a law. The name of a file says what it showed.

use avowal_sim::play::play;
use avowal_sim::scenario::Scenario;
use std::path::Path;

#[test]
fn what_was_found_once_stays_mended() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regressions");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "the traces are there: {files:?}");
    for file in files {
        let scenario: Scenario = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(play(&scenario).violations, [], "{}", file.display());
    }
}
