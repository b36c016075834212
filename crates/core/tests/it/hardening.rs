//! What the stored forms must survive: nulls, doubles, and bytes that changed after they were written.

use crate::world::{World, line, shows};
use avowal_core::data::ids::RunId;
use avowal_core::data::time::Timestamp;
use avowal_core::history::{ChainVerifier, HistoryError, IntegrationEvent};
use serde_json::json;

fn world() -> World {
    let mut world = World::new(&json!({
        "systems": {"app": {"local": true, "nulls": "clear"}, "crm": {"nulls": "clear"}},
        "fields": {
            "email": {"type": "string", "owner": "app", "proposals": ["crm"]},
            "score": {"type": "object", "owner": "shared", "strategy": "latest_valid_change"},
        },
    }));
    world.see(shows("app", &json!({"email": null, "score": {"x": 0.1, "y": 123456789.12345678}})));
    world.see(shows("app", &json!({"email": "ann@x.org"})));
    world.send_to("crm");
    world.see(shows("app", &json!({"email": null})).confirmed());
    world.send("crm");
    // The system makes an empty string of our null.
    world.receipt("crm", &json!({"email": ""}));
    world.see(shows("crm", &json!({"email": "bob@x.org"})).seq(3).version("etag").at(5));
    world.drain();
    world
}

/// A null is a value. Every step of the world has checked that it is read back as one.
#[test]
fn null_survives_storing_and_reading() {
    let world = world();
    let read: Vec<IntegrationEvent> =
        world.history.iter().map(|event| serde_json::from_str(&crate::world::text(event)).unwrap()).collect();
    assert_eq!(read, world.history);
    let froms = world.history.iter().filter(|event| line(event).contains("email null→")).count();
    assert!(froms >= 1, "the story holds a change from null");
}

#[test]
fn what_a_system_made_of_null_is_no_difference_after_a_restart() {
    let mut world = World::new(&json!({
        "systems": {"app": {"local": true, "nulls": "clear"}, "crm": {}},
        "fields": {"email": {"type": "string", "owner": "app"}},
    }));
    world.see(shows("app", &json!({"email": "ann@x.org"})));
    world.send_to("crm");
    world.see(shows("app", &json!({"email": null})));
    world.send("crm");
    world.receipt("crm", &json!({"email": ""}));
    world.record = serde_json::from_str(&crate::world::text(&world.record)).unwrap();
    assert_eq!(world.see(shows("crm", &json!({"email": ""}))), "");
    assert_eq!(world.intent("crm"), "");
}

/// Verifies one event given as text after the ones before it, as `history verify` does.
fn verify(before: &ChainVerifier, text: &str, place: usize) -> Result<ChainVerifier, String> {
    let event: IntegrationEvent =
        serde_json::from_str(text).map_err(|error| format!("event {place}: {error}"))?;
    let mut verifier = before.clone();
    verifier.push(&event).map_err(|error| match error {
        HistoryError::Gap { .. } => format!("event {place}: {error}"),
        HistoryError::Chain { seq, .. } | HistoryError::Changed { seq, .. } => {
            format!("event {seq}: {error}")
        }
        HistoryError::Cut { .. } | HistoryError::State { .. } => unreachable!("only at the end"),
    })?;
    Ok(verifier)
}

/// I12: one changed byte is found, at the event in which it is.
#[test]
fn every_changed_byte_is_found_and_named() {
    let world = world();
    let mut verifier = ChainVerifier::new("r1".into());
    for (at, event) in world.history.iter().enumerate() {
        let text = crate::world::text(event);
        for byte in 0..text.len() {
            for mask in [0x01, 0x20] {
                let mut bytes = text.clone().into_bytes();
                bytes[byte] ^= mask;
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                let found = verify(&verifier, &changed, at + 1);
                let expected = format!("event {}: ", at + 1);
                let named = found.as_ref().is_err_and(|error| error.starts_with(&expected));
                assert!(named, "byte {byte} of event {}: {found:?}\n{text}\n{changed}", at + 1);
            }
        }
        verifier = verify(&verifier, &text, at + 1).unwrap();
    }
}

#[test]
fn a_missing_a_doubled_and_a_cut_event_are_found() {
    let world = world();
    let mut verifier = ChainVerifier::new("r1".into());
    verifier.push(&world.history[0]).unwrap();
    let missing = verifier.clone().push(&world.history[2]).unwrap_err();
    assert_eq!(missing, HistoryError::Gap { record: "r1".into(), expected: 2, found: 3 });
    let doubled = verifier.clone().push(&world.history[0]).unwrap_err();
    assert_eq!(doubled, HistoryError::Gap { record: "r1".into(), expected: 2, found: 1 });
    let cut = verifier.finish(world.record.seq, world.record.head).unwrap_err();
    assert_eq!(cut, HistoryError::Cut { record: "r1".into(), expected: world.record.seq, found: 1 });
    // A whole forged tail has sound hashes; the head in the state betrays it.
    let forged = avowal_core::history::IntegrationEvent {
        recorded_at: Timestamp::from_millis(0),
        ..world.history[1].clone()
    }
    .seal();
    verifier.push(&forged).unwrap();
    assert!(matches!(verifier.finish(2, world.history[1].hash), Err(HistoryError::Chain { seq: 2, .. })));
}

#[test]
fn the_run_of_an_event_is_part_of_what_its_hash_holds() {
    let mut world = World::new(&json!({
        "systems": {"app": {"local": true}, "crm": {}},
        "fields": {"email": {"type": "string", "owner": "app"}},
        "match_on": ["email"],
    }));
    world.run = Some(RunId::new(42));
    world.see(shows("app", &json!({"email": "ann@x.org"})));
    let event = &world.history[0];
    assert_eq!(serde_json::to_value(event).unwrap()["run"], 42);
    let read: avowal_core::history::IntegrationEvent =
        serde_json::from_value(serde_json::to_value(event).unwrap()).unwrap();
    ChainVerifier::new(world.record.id.clone()).push(&read).unwrap();
    let other = avowal_core::history::IntegrationEvent { run: Some(RunId::new(43)), ..read };
    let forged = ChainVerifier::new(world.record.id.clone()).push(&other).unwrap_err();
    assert_eq!(forged, HistoryError::Changed { record: world.record.id.clone(), seq: 1 });
}

#[test]
fn a_time_has_one_written_form() {
    let read = |text: &str| serde_json::from_str::<Timestamp>(&format!("{text:?}"));
    assert!(read("2026-01-01T10:00:00.000Z").is_ok());
    for other in [
        "2026-01-01t10:00:00.000Z",
        "2026-01-01 10:00:00.000Z",
        "2026-01-01T10:00:00Z",
        "2026-01-01T11:00:00.000+01:00",
    ] {
        assert!(read(other).is_err(), "{other} was accepted");
    }
    for ms in [i64::MIN, -1, 0, 1_767_261_600_123, i64::MAX] {
        let at = Timestamp::from_millis(ms);
        assert_eq!(read(&at.to_string()).unwrap(), at);
    }
}
