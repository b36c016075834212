//! What an answer proves: whose copy it shows, whether the copy is gone, and what of it may be repeated.

use super::{Server, binding, carry_out, connector, fields, thing, write};
use avowal_connectors::http::{Auth, HttpConnector, HttpObject, Secret};
use avowal_core::data::ids::RemoteId;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{Connector as _, RemoteState, Write, WriteOutcome};
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex};

/// The outcome of a write that is answered with `shown`.
async fn answered_with(write: Write, shown: Json) -> WriteOutcome {
    let answer = async move |request: Request| match request.method().as_str() {
        "GET" => json!({"id": 1, "name": "Ann", "note": "x"}).to_string(),
        _ => shown.to_string(),
    };
    let server = Server::start(Router::new().fallback(any(answer))).await;
    carry_out(&server.connector(""), write).await
}

fn create() -> Write {
    let lookup = vec![fields([("name", "Bob")])];
    Write { lookup, ..write(Operation::Create, None, fields([("name", "Bob"), ("note", "x")])) }
}

#[tokio::test]
async fn an_answer_that_shows_another_copy_links_nobody() {
    for shown in [json!({"id": 7, "name": "Ann", "note": "x"}), json!({"id": 7, "name": "Anna Bob"})] {
        let outcome = answered_with(create(), shown).await;
        assert!(
            matches!(&outcome, WriteOutcome::Unknown { reason } if reason.contains("another copy")),
            "{outcome:?}"
        );
    }
    for shown in [
        json!({"id": 7, "name": " BOB ", "note": "other words"}),
        json!({"id": 7}),
        json!({"id": 7, "name": "Bob", "note": "x"}),
    ] {
        let outcome = answered_with(create(), shown.clone()).await;
        assert!(matches!(&outcome, WriteOutcome::Confirmed { id, .. } if id.as_str() == "7"), "{shown}");
    }
    // Without a key only an answer that shows nothing of what was sent is another's.
    let keyless = Write { lookup: Vec::new(), ..create() };
    let outcome = answered_with(keyless.clone(), json!({"id": 7, "name": "Ann", "note": "x"})).await;
    assert!(matches!(outcome, WriteOutcome::Confirmed { .. }), "{outcome:?}");
    let outcome = answered_with(keyless, json!({"id": 7, "name": "Ann", "note": "y"})).await;
    assert!(matches!(outcome, WriteOutcome::Unknown { .. }), "{outcome:?}");
    // An update is answered with the copy of its id.
    let update = write(Operation::Update, Some("1"), fields([("name", "Bob")]));
    let outcome = answered_with(update.clone(), json!({"id": 2, "name": "Bob"})).await;
    assert!(matches!(outcome, WriteOutcome::Unknown { .. }), "{outcome:?}");
    let outcome = answered_with(update, json!({"id": 1, "name": "Bob"})).await;
    assert!(matches!(outcome, WriteOutcome::Confirmed { after: Some(_), .. }), "{outcome:?}");
}

#[tokio::test]
async fn what_replaces_the_whole_copy_is_sent_whole() {
    type Sent = Arc<Mutex<Vec<(Option<String>, Json)>>>;
    let sent: Sent = Arc::default();
    let put = Arc::clone(&sent);
    let shown = json!({"id": 1, "name": "Ann", "note": "x", "tags": ["a"], "big": 1.10, "at": "2026-01-01"});
    let answer = async move |request: Request| -> Response {
        if request.method() == "GET" {
            return ([("etag", "\"v1\"")], shown.to_string()).into_response();
        }
        assert_eq!(request.method(), "PUT");
        let version = request.headers().get("if-match").map(|text| text.to_str().unwrap().to_owned());
        let body = axum::body::to_bytes(request.into_body(), 10_000).await.unwrap();
        put.lock().unwrap().push((version, serde_json::from_slice(&body).unwrap()));
        StatusCode::NO_CONTENT.into_response()
    };
    let server = Server::start(Router::new().fallback(any(answer))).await;
    let update = write(Operation::Update, Some("1"), fields([("name", "Bob")]));
    let whole = "update = { method = \"PUT\", replaces = \"whole\", read_only = [\"at\"] }\n";
    for (declared, version) in [("", None), ("etag = { header = \"ETag\" }\n", Some("\"v1\""))] {
        // A version that was judged already does not spare the read: the rest of the copy must be sent back.
        let update = Write { version: version.map(str::to_owned), ..update.clone() };
        let outcome = carry_out(&server.connector(&format!("{declared}{whole}")), update).await;
        assert!(matches!(outcome, WriteOutcome::Confirmed { after: None, .. }), "{outcome:?}");
        let (if_match, body) = sent.lock().unwrap().pop().unwrap();
        assert_eq!(if_match.as_deref(), version);
        assert_eq!(body, json!({"id": 1, "name": "Bob", "note": "x", "tags": ["a"], "big": 1.10}));
    }
    // Where the service keeps the others, only the changed fields are sent.
    let fields_only = server.connector("update = { method = \"PUT\", replaces = \"fields\" }");
    assert!(matches!(carry_out(&fields_only, update).await, WriteOutcome::Confirmed { .. }));
    assert_eq!(sent.lock().unwrap().pop().unwrap().1, json!({"name": "Bob"}));
    // Undeclared it would clear them in silence.
    let object: HttpObject = toml::from_str("update = { method = \"put\" }").unwrap();
    let error = HttpConnector::new(server.options(), vec![(binding(), object)]).err().unwrap();
    assert!(error.to_string().contains("replaces = \"whole\""), "{error}");
}

async fn shown_with(declared: &str, flag: Json) -> RemoteState {
    let mut copy = json!({"id": 1, "name": "Ann"});
    if flag != json!("absent") {
        copy["gone"] = flag;
    }
    let server = Server::start(Router::new().fallback(any(async move || copy.to_string()))).await;
    let read = server.connector(declared).read(&thing(), &[RemoteId::new("1")]).await.unwrap();
    read.into_iter().next().unwrap().shown
}

#[tokio::test]
async fn a_flag_that_is_not_set_deletes_nothing() {
    let there = json!([
        "absent",
        null,
        "",
        " ",
        "0",
        "false",
        "False",
        "no",
        0,
        0.0,
        false,
        [],
        {},
        "1970-01-01T00:00:00Z",
        "0000-00-00 00:00:00",
        "0001-01-01T00:00:00Z",
        "1970-01-01"
    ]);
    for flag in there.as_array().unwrap() {
        let shown = shown_with("deleted = \"gone\"", flag.clone()).await;
        assert!(matches!(shown, RemoteState::Present(_)), "{flag}: {shown:?}");
    }
    for flag in
        [json!(true), json!(1), json!("1"), json!("true"), json!("2026-01-01T00:00:00Z"), json!({"by": "x"})]
    {
        assert_eq!(shown_with("deleted = \"gone\"", flag.clone()).await, RemoteState::Gone, "{flag}");
    }
    let values = "deleted = { at = \"gone\", equals = [\"archived\", \"2\"] }";
    for (flag, expected) in
        [(json!("archived"), true), (json!(2), true), (json!("active"), false), (json!(true), false)]
    {
        assert_eq!(shown_with(values, flag.clone()).await == RemoteState::Gone, expected, "{flag}");
    }
}

#[tokio::test]
async fn an_echoed_secret_is_not_repeated() {
    // The service repeats all that it was sent: headers and path.
    let echo = async |headers: HeaderMap, request: Request| {
        let sent: Vec<_> = headers.values().filter_map(|value| value.to_str().ok()).collect();
        let text = format!("bad key {} at {}", sent.join(" "), request.uri());
        (StatusCode::UNPROCESSABLE_ENTITY, json!({"message": text}).to_string())
    };
    let server = Server::start(Router::new().fallback(any(echo))).await;
    let mut options = server.options();
    options.url.push_str("/bot77PLANTED");
    options.headers.insert("x-key".to_owned(), Secret::new("PLANTED-HEADER"));
    options.auth = Some(Auth::Basic { user: "sync".to_owned(), password: Secret::new("PLANTED-PASSWORD") });
    let connector = connector(options, "");
    let update = write(Operation::Create, None, fields([("name", "Bob")]));
    let outcome = format!("{:?}", carry_out(&connector, update).await);
    let listed = connector.list(&thing(), None, 10).await.unwrap_err().to_string();
    for text in [outcome, listed] {
        assert!(text.contains("bad key") && text.contains("(secret)"), "{text}");
        assert!(!text.contains("PLANTED") && !text.contains("c3luYzp"), "{text}");
    }
}

#[tokio::test]
async fn a_secret_is_hidden_wherever_a_message_is_made() {
    // A listing without an end, a copy without an id, a fault in an answer of success, and a read that shows no copy.
    let answers = async |request: Request| {
        let key = request.headers()["x-key"].to_str().unwrap().to_owned();
        match request.uri().path().rsplit('/').next().unwrap() {
            "things" => json!([{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]).to_string(),
            "nameless" => json!([{"id": 1}, {"echo": key}]).to_string(),
            "faulty" => json!({"error": format!("bad key {key}")}).to_string(),
            _ => format!("you sent {key}"),
        }
    };
    let server = Server::start(Router::new().fallback(any(answers))).await;
    let mut options = server.options();
    options.url.push_str("/bot77PLANTED");
    options.headers.insert("x-key".to_owned(), Secret::new("PLANTED-HEADER"));
    let told = async |path: &str| {
        let connector = connector(options.clone(), &format!("path = '/{path}'"));
        let mut told = Vec::new();
        let mut cursor = None;
        loop {
            match connector.list(&thing(), cursor.as_ref(), 10).await {
                Ok(page) => {
                    told.push(format!("{:?}", page.changes));
                    if !page.more {
                        break;
                    }
                    cursor = Some(page.next);
                }
                Err(error) => {
                    told.push(error.to_string());
                    break;
                }
            }
        }
        told.push(format!("{:?}", connector.check().await));
        told.push(format!("{:?}", connector.read(&thing(), &[RemoteId::new("7")]).await));
        told.join("\n")
    };
    for path in ["things", "nameless", "faulty"] {
        let text = told(path).await;
        assert!(text.contains("(secret)") && !text.contains("PLANTED"), "{path}: {text}");
    }
}
