//! The wire form of the history, version 1: a stored history reads, verifies and folds to the stored state for ever.
//!
//! `UPDATE_GOLDEN=1 cargo test` writes the files anew, which is right until the first release. After it, a stored
//! history is a contract: old ones must still read, so a new form gets a `v2` beside it instead.

#![allow(clippy::disallowed_methods, reason = "the stored histories are files beside the tests")]

use crate::world::{World, gone, shows};
use avowal_core::data::ids::RunId;
use avowal_core::history::fold::fold;
use avowal_core::history::{Body, ChainVerifier, Failure, IntegrationEvent, RecommendedAction, ReviewAnswer};
use avowal_core::record::reason::FailureReason;
use avowal_core::record::{Misread, Record, Subject};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// One life with an event of every type.
fn story() -> World {
    let mut world = World::new(&json!({
        "systems": {"app": {"local": true, "nulls": "clear"}, "crm": {"nulls": "clear"}},
        "fields": {
            "email": {"type": "string", "owner": "app", "proposals": ["crm"], "valid": "value.contains('@')"},
            "pay": {"type": "integer", "owner": "shared", "strategy": "manual_review"},
            "tags": {"type": "set", "owner": "shared", "strategy": "merge", "merge": "union"},
        },
        "match_on": ["email"],
        "deletes": {"owner": "app", "on_refused": "revert"},
    }));
    world.see(
        shows("app", &json!({"email": "ann@x.org", "pay": 100, "tags": ["a", "ü😀"]}))
            .at(250)
            .version("etag-1"),
    );
    world.see(shows("app", &json!({"pay": 100})).webhook());
    world.send("crm");
    world.receipt("crm", &json!({"email": "ANN@x.org"}));
    // A change on each side: one merged, one for a person, one refused.
    world.see(shows("app", &json!({"pay": 110, "tags": ["a"]})));
    world.see(
        shows("crm", &json!({"pay": 105, "tags": ["a", "b", "ü😀"], "email": "nobody"})).seq(7).webhook(),
    );
    world.answer("pay", ReviewAnswer::Take { system: "crm".into() });
    world.send("app");
    world.fail("app", Failure::Unknown);
    world.see(shows("app", &json!({"pay": 105, "tags": ["a", "b"]})).confirmed());
    world.send("crm");
    let key = world.record.intents["crm"].key.clone();
    world.see(shows("crm", &json!({"email": "ANN@x.org", "tags": ["a", "b"]})).key(&key).seq(8).webhook());
    // Late, twice, and suspicious deliveries.
    world.see(shows("crm", &json!({"email": "nobody"})).seq(7).webhook());
    world.see(shows("app", &json!({"pay": 100})).webhook());
    // A planned change that goes away again, one that is refused for good, and its release.
    world.see(shows("app", &json!({"email": "eve@x.org"})).version("etag-2"));
    world.see(shows("app", &json!({"email": "ann@x.org"})).confirmed());
    world.see(shows("app", &json!({"email": null})));
    world.send("crm");
    world.fail("crm", Failure::Rejected);
    let policy = world.policy.clone();
    world.step(world.context(), |chronicle| {
        chronicle.push(Body::Released { system: "crm".into() });
        avowal_core::outgoing::plan::plan(&policy, chronicle, None);
    });
    world.send("crm");
    world.receipt("crm", &json!({"email": ""}));
    // What the engine notes beside the decisions.
    world.step(world.context(), |chronicle| {
        chronicle.push(Body::Quarantined {
            system: "crm".into(),
            remote_id: None,
            reason: FailureReason::Flapping { fields: vec!["email_address".into()] },
        });
        let misread =
            Misread { found: "\"many\"".to_owned(), expected: "an integer".to_owned(), hint: String::new() };
        chronicle.push(Body::FieldSetAside { system: "crm".into(), field: "pay".into(), misread });
        chronicle.push(Body::FieldUnderstood { system: "crm".into(), field: "pay".into() });
        chronicle.push(Body::ReconciliationApplied {
            system: "crm".into(),
            found_by: RunId::new(42),
            actions: [(Subject::Field("email".into()), RecommendedAction::UpdateExternal)].into(),
        });
        chronicle.push(Body::DriftDetected { system: "crm".into(), fields: vec!["email".into()] });
        chronicle.push(Body::PolicyChanged { from: Some("aa".into()), to: "bb".into() });
    });
    // A refused delete, an accepted one, and a return.
    world.see(gone("crm"));
    world.drain();
    world.see(gone("app"));
    world.drain();
    world.see(shows("app", &json!({"email": "ann@x.org", "pay": 105, "tags": []})).confirmed());
    world
}

fn written(world: &World) -> (String, String) {
    let lines: Vec<String> = world.history.iter().map(crate::world::text).collect();
    (format!("[\n{}\n]\n", lines.join(",\n")), crate::world::text(&world.record) + "\n")
}

#[test]
fn a_history_of_version_1_reads_verifies_and_folds() {
    let (history_path, state_path) = (path("history-v1.json"), path("state-v1.json"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let (history, state) = written(&story());
        std::fs::create_dir_all(path("")).unwrap();
        std::fs::write(&history_path, history).unwrap();
        std::fs::write(&state_path, state).unwrap();
    }
    let history_text = std::fs::read_to_string(&history_path).unwrap();
    let history: Vec<IntegrationEvent> = serde_json::from_str(&history_text).unwrap();
    let kinds: BTreeSet<&str> = history.iter().map(|event| event.body.kind()).collect();
    assert_eq!(kinds.len(), 26, "an event of every type: {kinds:?}");
    let mut verifier = ChainVerifier::new("r1".into());
    history.iter().for_each(|event| verifier.push(event).unwrap());
    let state = fold("r1".into(), "customer".into(), &history);
    verifier.finish(state.seq, state.head).unwrap();
    let state_text = std::fs::read_to_string(&state_path).unwrap();
    assert_eq!(crate::world::text(&state), state_text.trim_end(), "the state, byte for byte");
    let read: Record = serde_json::from_str(&state_text).unwrap();
    assert_eq!(read, state);
    // Every line is written again as it was read.
    for (line, event) in history_text.lines().skip(1).zip(&history) {
        assert_eq!(line.trim_end_matches(','), crate::world::text(event));
    }
}

/// What the core decides today, it decided when the file was written. A difference is a fault, or a change of
/// decisions or words that the changelog has to name.
#[test]
fn the_same_life_is_decided_as_it_was() {
    let (history, state) = written(&story());
    assert_eq!(history, std::fs::read_to_string(path("history-v1.json")).unwrap());
    assert_eq!(state, std::fs::read_to_string(path("state-v1.json")).unwrap());
}
