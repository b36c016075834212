//! Deliveries become facts, or a request to look.

use super::{connector, fields, thing};
use avowal_connectors::http::HttpOptions;
use avowal_core::data::time::Timestamp;
use avowal_core::record::observation::OrderToken;
use avowal_engine::ports::connector::{Change, Connector as _, ConnectorError, Delivery, RemoteState};

fn check(object: &str, body: &str) -> Result<Vec<Change>, ConnectorError> {
    let connector = connector(HttpOptions::new("https://api.example.com"), object);
    let received_at = Timestamp::from_millis(0);
    let delivery =
        Delivery { id: "msg_1".to_owned(), body: body.as_bytes().to_vec(), received_at, signed: true };
    let decoded = connector.decode(&delivery)?;
    assert!(decoded.iter().all(|(entity, _)| *entity == thing()));
    Ok(decoded.into_iter().map(|(_, change)| change).collect())
}

const UPDATED: &str = r#"{"type": "contact.updated", "timestamp": "2026-11-22T10:00:00Z",
    "data": {"id": "c1", "rev": 7, "name": "Ann", "updated_by": "dana", "secret": 1}}"#;
const DELETED: &str = r#"{"type": "contact.deleted", "data": {"id": "c1", "rev": 8}}"#;

#[test]
fn a_signal_asks_for_a_read_and_vouches_for_nothing() {
    let changes = check("counter = 'rev'\nactor = 'updated_by'", UPDATED).unwrap();
    assert_eq!(changes[0].shown, RemoteState::Unknown);
    assert_eq!((changes[0].id.as_str(), &changes[0].order), ("c1", &None));
    assert_eq!(changes[0].actor.as_deref(), Some("dana"));
    assert_eq!(check("", DELETED).unwrap()[0].shown, RemoteState::Unknown);
}

#[test]
fn a_trusted_body_is_a_fact_with_its_order() {
    let declared = "trust = 'body'\ncounter = 'rev'\nactor = 'updated_by'";
    let changes = check(declared, UPDATED).unwrap();
    assert_eq!(
        changes[0].shown,
        RemoteState::Present(fields([("name", "Ann")])),
        "what is absent stays absent"
    );
    assert_eq!(changes[0].order, Some(OrderToken::Sequence(7)));
    assert_eq!(changes[0].occurred_at, Some("2026-11-22T10:00:00Z".parse().unwrap()));
    let gone = check(declared, DELETED).unwrap();
    assert_eq!((&gone[0].shown, &gone[0].order), (&RemoteState::Gone, &Some(OrderToken::Sequence(8))));
}

#[test]
fn other_shapes_can_be_declared() {
    let batch = "trust = 'body'\n[webhook]\nbatch = ''\nevent = 'kind'\nevents = ['contact.*']\nid = 'objectId'\n\
                 record = 'now'\norder = 'seq'\ndeleted = ['contact.erased']";
    let body = r#"[{"kind": "contact.changed", "objectId": 5, "seq": 3, "now": {"note": "x"}},
        {"kind": "deal.changed", "objectId": 6}, {"kind": "contact.erased", "objectId": 7}]"#;
    let changes = check(batch, body).unwrap();
    assert_eq!(changes.len(), 2);
    assert_eq!(
        (changes[0].id.as_str(), &changes[0].shown),
        ("5", &RemoteState::Present(fields([("note", "x")])))
    );
    assert_eq!(changes[0].order, Some(OrderToken::Sequence(3)));
    assert_eq!((changes[1].id.as_str(), &changes[1].shown), ("7", &RemoteState::Gone));
}

#[test]
fn what_cannot_be_understood_is_refused() {
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let wrong = ["", "{", r#"{"a": 1, "a": 2}"#, r#"{"type": "contact.updated", "data": {}}"#, &deep];
    for body in wrong {
        assert!(check("", body).is_err(), "{}", &body[..body.len().min(40)]);
    }
}
