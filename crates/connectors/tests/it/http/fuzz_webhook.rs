//! Bodies of deliveries, whatever they hold: facts, a request to look, or a reason; never a panic.

use super::{connector, thing};
use crate::fuzz_cases::fuzz;
use avowal_connectors::http::{HttpConnector, HttpOptions};
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::connector::{Connector as _, Delivery, RemoteState};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::sync::LazyLock;

const DECLARED: [&str; 4] = [
    "",
    "counter = 'rev'\nactor = 'updated_by'",
    "trust = 'body'\ncounter = 'rev'\nactor = 'updated_by'\ncorrelation = 'operation'",
    "trust = 'body'\nupdated = 'changed_at'\ncounter = 'rev'",
];

/// One connector for each declaration; making one reads the machine's certificates.
static CONNECTORS: LazyLock<Vec<HttpConnector>> = LazyLock::new(|| {
    DECLARED.iter().map(|declared| connector(HttpOptions::new("https://api.example.com"), declared)).collect()
});

fn check(connector: &HttpConnector, declared: &str, body: &[u8]) -> Result<(), TestCaseError> {
    let delivery = Delivery {
        id: "msg_1".to_owned(),
        body: body.to_vec(),
        received_at: Timestamp::from_millis(0),
        signed: true,
    };
    let decoded = match connector.decode(&delivery) {
        Ok(decoded) => decoded,
        Err(error) => {
            prop_assert!(error.to_string().len() < 2_000, "an error repeats what came: {error}");
            return Ok(());
        }
    };
    for (entity, change) in decoded {
        prop_assert_eq!(entity, thing());
        prop_assert!(!change.id.as_str().is_empty());
        if !declared.contains("trust = 'body'") {
            prop_assert_eq!(&change.shown, &RemoteState::Unknown, "a body is believed that is only a signal");
        }
    }
    Ok(())
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<i64>().prop_map(|int| json!(int)),
        any::<u64>().prop_map(|int| json!(int)),
        any::<f64>().prop_map(|float| json!(float)),
        any::<String>().prop_map(Json::String),
        prop::sample::select(vec!["contact.updated", "contact.deleted", "c1", "2026-11-22T10:00:00Z"])
            .prop_map(|text| json!(text)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let name = prop_oneof![
            prop::sample::select(vec![
                "type",
                "timestamp",
                "data",
                "id",
                "rev",
                "name",
                "note",
                "updated_by",
                "operation"
            ])
            .prop_map(str::to_owned),
            any::<String>(),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            prop::collection::btree_map(name, inner, 0..6)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

fn any_delivery() -> impl Strategy<Value = Json> {
    (any_json(), any_json(), any_json(), any_json()).prop_map(|(id, rev, name, data)| {
        let mut body = json!({
            "type": "contact.updated", "timestamp": "2026-11-22T10:00:00Z",
            "data": {"id": id, "rev": rev, "name": name, "updated_by": "dana"}
        });
        if let Json::Object(_) = data {
            body["data"] = data;
        }
        body
    })
}

proptest! {
    #![proptest_config(fuzz(300))]

    #[test]
    fn any_body(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        json in any_json(),
        delivery in any_delivery(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        for (connector, declared) in CONNECTORS.iter().zip(DECLARED) {
            check(connector, declared, &bytes)?;
            check(connector, declared, json.to_string().as_bytes())?;
            let mut body = delivery.to_string().into_bytes();
            check(connector, declared, &body)?;
            let at = at.index(body.len());
            body[at] = byte;
            check(connector, declared, &body)?;
        }
    }
}
