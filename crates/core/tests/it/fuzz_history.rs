//! Stored events as they are read back: any line is an event or an error, and no changed event verifies.

#![allow(clippy::disallowed_methods, reason = "the stored histories are files beside the tests")]

use crate::fuzz_cases::fuzz;
use avowal_core::history::fold::fold;
use avowal_core::history::{ChainVerifier, IntegrationEvent};
use proptest::prelude::*;
use std::sync::LazyLock;

/// Every event of the stored histories, as its line.
static LINES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let texts = files.into_iter().map(|file| std::fs::read_to_string(file).unwrap());
    let lines: Vec<Vec<u8>> = texts
        .flat_map(|text| {
            text.lines().map(|line| line.trim_end_matches(',').as_bytes().to_vec()).collect::<Vec<_>>()
        })
        .filter(|line| serde_json::from_slice::<IntegrationEvent>(line).is_ok())
        .collect();
    assert!(lines.len() > 20, "the stored histories are there");
    lines
});

/// Reads a line; an event that differs from what was written must not verify, and none makes a fold panic.
fn check(line: &[u8], written: &IntegrationEvent) -> Result<(), TestCaseError> {
    let Ok(event) = serde_json::from_slice::<IntegrationEvent>(line) else { return Ok(()) };
    let folded = fold(event.record.clone(), event.entity.clone(), [&event]);
    prop_assert_eq!(&folded.id, &event.record);
    if event != *written {
        prop_assert_ne!(event.expected_hash(), event.hash, "a changed event verifies: {:?}", event);
        prop_assert!(ChainVerifier::new(event.record.clone()).push(&event).is_err());
    }
    Ok(())
}

fn written(at: prop::sample::Index) -> (Vec<u8>, IntegrationEvent) {
    let line = LINES[at.index(LINES.len())].clone();
    let event = serde_json::from_slice(&line).unwrap();
    (line, event)
}

proptest! {
    #![proptest_config(fuzz(600))]

    #[test]
    fn arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>()) {
        check(&bytes, &written(at).1)?;
    }

    #[test]
    fn one_changed_byte(at in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let (mut line, event) = written(at);
        let place = place.index(line.len());
        line[place] = byte;
        check(&line, &event)?;
    }

    #[test]
    fn one_changed_digit_or_letter(
        at in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        byte in prop::sample::select(b"0123456789abcdefxyz\"{}[]:,".to_vec()),
    ) {
        let (mut line, event) = written(at);
        let place = place.index(line.len());
        line[place] = byte;
        check(&line, &event)?;
    }

    #[test]
    fn pieces_that_are_missing_or_come_twice(
        at in any::<prop::sample::Index>(),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        twice in any::<bool>(),
    ) {
        let (line, event) = written(at);
        let (from, to) = (from.index(line.len()), to.index(line.len()));
        let (from, to) = (from.min(to), from.max(to));
        let piece = if twice { &line[from..to] } else { &[] };
        let mutated = [&line[..to], piece, &line[if twice { to } else { (to + (to - from)).min(line.len()) }..]].concat();
        check(&mutated, &event)?;
    }

    #[test]
    fn events_of_other_histories_do_not_follow(one in any::<prop::sample::Index>(), two in any::<prop::sample::Index>()) {
        let (first, second) = (written(one).1, written(two).1);
        let mut chain = ChainVerifier::new(first.record.clone());
        if chain.push(&first).is_ok() && second.prev != first.hash {
            prop_assert!(chain.push(&second).is_err());
        }
    }
}
