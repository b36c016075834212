//! Any text as a configuration: it is read, or every problem has its place and its cure; never a panic.

#![allow(clippy::unwrap_used)]

use super::build;
use super::problem::{Problems, Report};
use avowal_core::DomainRules;
use proptest::prelude::*;
use std::path::Path;

/// Real configurations, without what has to be in the environment.
const EXAMPLES: [&str; 3] = [
    include_str!("../../../../examples/quickstart/avowal.toml"),
    include_str!("../../../../examples/pocketbase/avowal.toml"),
    include_str!("../../tests/it/simulate/every_type.toml"),
];

/// Pieces that mean something here.
const WORDS: [&str; 24] = [
    "[store]",
    "[systems.app]",
    "[entities.customer]",
    "url = \"sqlite:x.db\"",
    "connector = \"sqlite\"",
    "=",
    "\n",
    "owner",
    "\"shared\"",
    "strategy = \"merge\"",
    "[[",
    "]]",
    "{",
    "}",
    "'",
    "\"\"\"",
    "1979-05-27",
    "0x",
    "nan",
    "é",
    "valid = \"value > 0\"",
    "match_on = [\"email\"]",
    "env:",
    "#",
];

/// `AVOWAL_FUZZ_CASES`, else `PROPTEST_CASES`, else 300.
fn fuzz() -> ProptestConfig {
    let asked = std::env::var("AVOWAL_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok());
    let known = std::env::var_os("PROPTEST_CASES").map(|_| ProptestConfig::default().cases);
    ProptestConfig {
        cases: asked.or(known).unwrap_or(300),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Reads a text as the command does.
fn read(text: &str) -> Result<(), Problems> {
    let report = Report::new(text);
    let config = build(text, Path::new("/nowhere/avowal.toml"), &DomainRules::new(), &report);
    match (report.finish(Path::new("avowal.toml")), config) {
        (None, Some(_)) => Ok(()),
        (Some(problems), _) => Err(problems),
        (None, None) => panic!("neither a configuration nor a problem: {text}"),
    }
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let Err(problems) = read(text) else { return Ok(()) };
    let lines = text.matches('\n').count() + 1;
    for one in &problems.problems {
        prop_assert!(one.line >= 1 && one.line <= lines && one.column >= 1, "{one:?} in {lines} lines");
        prop_assert!(!one.problem.is_empty() && !one.cure.is_empty(), "{one:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(fuzz())]

    #[test]
    fn arbitrary_text(text in any::<String>()) {
        check(&text)?;
    }

    #[test]
    fn words_of_a_configuration(words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..30)) {
        check(&words.concat())?;
        check(&words.join(" "))?;
        check(&words.join("\n"))?;
    }

    #[test]
    fn mutated_configurations(
        example in prop::sample::select(EXAMPLES.to_vec()),
        from in any::<prop::sample::Index>(),
        length in 0..40_usize,
        to in any::<prop::sample::Index>(),
        word in prop_oneof![any::<String>(), prop::sample::select(WORDS.to_vec()).prop_map(str::to_owned)],
        kind in 0..4,
    ) {
        let chars: Vec<char> = example.chars().collect();
        let (from, to) = (from.index(chars.len()), to.index(chars.len()));
        let end = (from + length).min(chars.len());
        let piece: String = chars[from..end].iter().collect();
        let text = |range: &[char]| range.iter().collect::<String>();
        let mutated = match kind {
            // A piece is missing, comes elsewhere too, or gives way to another word; or the end is missing.
            0 => text(&chars[..from]) + &text(&chars[end..]),
            1 => text(&chars[..to]) + &piece + &text(&chars[to..]),
            2 => text(&chars[..from]) + &word + &text(&chars[end..]),
            _ => text(&chars[..from]),
        };
        check(&mutated)?;
    }

    #[test]
    fn lines_in_another_order(
        example in prop::sample::select(EXAMPLES.to_vec()),
        one in any::<prop::sample::Index>(),
        two in any::<prop::sample::Index>(),
        twice in any::<bool>(),
    ) {
        let mut lines: Vec<&str> = example.lines().collect();
        let (one, two) = (one.index(lines.len()), two.index(lines.len()));
        if twice { lines.insert(one, lines[two]) } else { lines.swap(one, two) }
        check(&lines.join("\n"))?;
    }
}

#[test]
fn deep_nesting_is_a_problem_like_any_other() {
    for open in [
        "a = ".to_owned() + &"[".repeat(5_000),
        "a = ".to_owned() + &"{ a = ".repeat(5_000),
        "[".repeat(5_000),
    ] {
        assert!(read(&open).is_err());
    }
    let dotted = format!("{} = 1", vec!["a"; 5_000].join("."));
    assert!(read(&dotted).is_err());
}
