//! The house stays tidy: what a machine can check of STYLE.md and ARCHITECTURE.md is checked here.

mod rooms;
mod source;

use source::{Source, product_sources, repository, sources};

/// The most lines of a file. A longer one holds more than one concept.
const FILE_LINES_MAX: usize = 600;
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
        for function in source.functions() {
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
fn every_module_is_named_in_the_code_map() {
    let map = std::fs::read_to_string(repository().join("docs/code-map.md")).unwrap();
    let is_missing =
        |source: &Source| (!map.contains(&format!("`{}`", source.path))).then(|| source.path.clone());
    let found: Vec<String> = product_sources().iter().filter_map(is_missing).collect();
    assert_none("files without a line in docs/code-map.md", &found);
    let named =
        map.split('`').skip(1).step_by(2).filter(|name| name.starts_with("crates/") && name.ends_with(".rs"));
    let gone: Vec<String> =
        named.filter(|name| !repository().join(name).exists()).map(str::to_owned).collect();
    assert_none("files that docs/code-map.md names and that do not exist", &gone);
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
