//! The house stays tidy: what a machine can check of STYLE.md and ARCHITECTURE.md is checked here.

mod rooms;
mod source;

use source::{Source, product_sources, sources};

/// The most lines of a file. A longer one holds more than one concept.
const FILE_LINES_MAX: usize = 650;
/// The most lines of a function, unless it is one flat `match`.
const FUNCTION_LINES_MAX: usize = 70;

/// Fails with one line for each finding.
fn assert_none(what: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{what}:\n  {}", findings.join("\n  "));
}

#[test]
fn no_file_is_longer_than_one_concept() {
    let too_long = |source: &Source| {
        let lines = source.lines().count();
        (lines > FILE_LINES_MAX).then(|| format!("{} has {lines} lines", source.path))
    };
    let found: Vec<String> = sources().iter().filter_map(too_long).collect();
    assert_none(&format!("files over {FILE_LINES_MAX} lines; split them by concept"), &found);
}

#[test]
fn every_function_fits_a_screen() {
    let mut found = Vec::new();
    for source in product_sources() {
        // Tests beside the code are lists, which nobody proves.
        let is_test = source.path.ends_with("tests.rs");
        for function in source.functions().into_iter().filter(|_| !is_test) {
            if function.lines > FUNCTION_LINES_MAX && !function.is_one_match {
                found.push(format!(
                    "{}:{} {} has {} lines",
                    source.path, function.at, function.name, function.lines
                ));
            }
        }
    }
    assert_none(&format!("functions over {FUNCTION_LINES_MAX} lines; one flat match may be longer"), &found);
}

#[test]
fn every_room_says_what_it_is() {
    let says = |source: &&Source| {
        source.path.ends_with("/mod.rs")
            && source.path.contains("/src/")
            && source.path.matches('/').count() == 4
    };
    let mut found = Vec::new();
    for source in product_sources().iter().filter(says) {
        let intro: String = source.lines().take_while(|line| line.starts_with("//!")).collect();
        if !(intro.contains("Never in here:") && intro.contains("Begin with")) {
            found.push(source.path.clone());
        }
    }
    assert_none(
        "rooms whose first lines do not say what is in them, what never is, and where to begin",
        &found,
    );
}

#[test]
fn no_arrow_goes_up() {
    assert_none("imports against the order of the rooms", &rooms::arrows_up());
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    assert_none("files of one crate that import each other in a circle", &rooms::circles());
}

#[test]
fn product_code_holds_no_test_hook() {
    let hooks = ["planted", "Mistake::", "avowal_sim", "avowal_testkit", "cfg(feature = \"test"];
    let mut found = Vec::new();
    for source in product_sources() {
        for (at, line) in source.lines().enumerate() {
            if let Some(hook) = hooks.iter().find(|hook| line.contains(**hook)) {
                found.push(format!("{}:{} names {hook}", source.path, at + 1));
            }
        }
    }
    assert_none("product code that knows of planted mistakes, of the oracle or of the tests' kit", &found);
}
