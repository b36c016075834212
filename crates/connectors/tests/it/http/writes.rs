//! What is sent, and what each kind of answer means.

use super::{Server, binding, carry_out, fields, thing, write};
use avowal_connectors::http::HttpConnector;
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{Connector as _, Expected, Fields, RemoteState, Write, WriteOutcome};
use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The outcome of an update of `1` whose request is answered by `status`, `headers` and `body`.
async fn check(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
) -> WriteOutcome {
    outcome_of(update(), status, headers, body).await
}

async fn outcome_of(
    write: Write,
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
) -> WriteOutcome {
    let answer = async move |request: Request| -> Response {
        if request.method() == "GET" {
            return r#"{"id": 1, "name": "Ann", "note": "x"}"#.into_response();
        }
        let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
        response.headers_mut().remove(header::CONTENT_TYPE);
        for (name, value) in headers {
            response.headers_mut().insert(*name, value.parse().unwrap());
        }
        response
    };
    let server = Server::start(Router::new().fallback(any(answer))).await;
    carry_out(&server.connector(""), write).await
}

fn update() -> Write {
    write(Operation::Update, Some("1"), fields([("name", "Bob")]))
}

fn create() -> Write {
    write(Operation::Create, None, fields([("name", "Bob")]))
}

#[tokio::test]
async fn a_declared_status_says_that_the_copy_is_gone() {
    let answer = async |request: Request| match request.uri().path() {
        "/things/1" => {
            (StatusCode::FORBIDDEN, r#"{"errors": [{"message": "no permission"}]}"#).into_response()
        }
        // This one is read, and gone when it is written.
        _ if request.method() == "GET" => r#"{"id": 2, "name": "Ann", "note": "x"}"#.into_response(),
        _ => StatusCode::FORBIDDEN.into_response(),
    };
    let server = Server::start(Router::new().fallback(any(answer))).await;
    let ids = [RemoteId::new("1")];
    for (keys, is_gone) in [("", false), ("gone = [403]", true)] {
        let connector = server.connector(keys);
        let read = connector.read(&thing(), &ids).await.unwrap();
        assert_eq!(read[0].shown == RemoteState::Gone, is_gone, "{keys}: {read:?}");
        for operation in [Operation::Update, Operation::Delete] {
            for id in ["1", "2"] {
                let changed = write(operation, Some(id), fields([("name", "Bob")]));
                let outcome = carry_out(&connector, changed).await;
                assert_eq!(outcome == WriteOutcome::Missing, is_gone, "{keys} {operation} {id}: {outcome:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_status_with_another_meaning_cannot_say_that_a_copy_is_gone() {
    let server = Server::start(Router::new()).await;
    for (status, is_taken) in
        [(400, true), (403, true), (200, false), (401, false), (429, false), (500, false)]
    {
        let object = toml::from_str(&format!("gone = [{status}]")).unwrap();
        let made = HttpConnector::new(server.options(), vec![(binding(), object)]);
        assert_eq!(made.is_ok(), is_taken, "{status}");
        assert!(made.err().is_none_or(|error| error.to_string().contains("http.gone")), "{status}");
    }
}

#[tokio::test]
async fn each_answer_to_a_write_has_one_meaning() {
    for status in [400, 409, 413, 422] {
        let outcome = check(status, &[], r#"{"error": {"message": "name is \u001b[31mtaken"}}"#).await;
        let reason = match (status, outcome) {
            // Another write that waits may cure a conflict with what stands there.
            (409, WriteOutcome::Blocked { reason })
            | (400 | 413 | 422, WriteOutcome::Rejected { reason }) => reason,
            (status, outcome) => panic!("{status}: {outcome:?}"),
        };
        assert!(reason.contains("is \\u{1b}[31mtaken"), "{reason}");
    }
    for status in [412, 428] {
        assert!(matches!(check(status, &[], "").await, WriteOutcome::Conflict { .. }), "{status}");
    }
    for status in [401, 403] {
        assert!(matches!(check(status, &[], "").await, WriteOutcome::Unauthorised { .. }), "{status}");
    }
    for status in [408, 425, 429, 503] {
        assert!(matches!(check(status, &[], "").await, WriteOutcome::Retry { .. }), "{status}");
    }
    for status in [500, 502, 504, 202] {
        assert!(matches!(check(status, &[], "").await, WriteOutcome::Unknown { .. }), "{status}");
    }
    assert_eq!(check(404, &[], "").await, WriteOutcome::Missing);
    assert!(matches!(check(301, &[("location", "/x")], "").await, WriteOutcome::Rejected { .. }));
}

#[tokio::test]
async fn a_wish_to_wait_is_passed_on() {
    let dated =
        &[("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT"), ("date", "Sun, 06 Nov 1994 08:49:37 GMT")];
    for (status, headers, expected) in [
        (429, &[("retry-after", "7")][..], Some(7000)),
        (503, &[("retry-after", "7")][..], Some(7000)),
        (429, &dated[..], Some(10_000)),
        (429, &[("retry-after", "soon")][..], None),
    ] {
        match check(status, headers, "").await {
            WriteOutcome::Retry { after_ms, .. } => assert_eq!(after_ms, expected, "{headers:?}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_success_is_believed_as_far_as_it_goes() {
    let id = RemoteId::new("1");
    let vague = WriteOutcome::Confirmed { id: id.clone(), after: None };
    assert_eq!(check(204, &[], "").await, vague);
    assert_eq!(check(200, &[], "<html>").await, vague);
    assert_eq!(check(200, &[], r#"{"id": 1}"#).await, vague, "what was written is not shown");
    let WriteOutcome::Confirmed { after: Some(after), .. } =
        check(200, &[], r#"{"id": 1, "name": "BOB"}"#).await
    else {
        panic!("a receipt")
    };
    assert_eq!(after.shown, RemoteState::Present(fields([("name", "BOB")])));

    let made = |body| outcome_of(create(), 201, &[], body);
    assert!(matches!(
        made(r#"{"id": 7, "name": "Bob"}"#).await,
        WriteOutcome::Confirmed { after: Some(_), .. }
    ));
    assert!(matches!(made("{}").await, WriteOutcome::Unknown { .. }), "nobody knows which one was made");
    let located = outcome_of(create(), 201, &[("location", "https://x/things/7?a")], "").await;
    assert_eq!(located, WriteOutcome::Confirmed { id: RemoteId::new("7"), after: None });
}

#[tokio::test]
async fn a_time_out_is_unknown_and_a_refused_connection_is_not() {
    let slow = Router::new().fallback(any(async |request: Request| {
        if request.method() != "GET" {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        r#"{"id": 1, "name": "Ann"}"#
    }));
    let server = Server::start(slow).await;
    let outcome = carry_out(&server.connector(""), update()).await;
    assert!(
        matches!(&outcome, WriteOutcome::Unknown { reason } if reason.contains("timed out")),
        "{outcome:?}"
    );

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut options = server.options();
    options.url = format!("http://{free}");
    let outcome = carry_out(&super::connector(options, ""), create()).await;
    assert!(matches!(&outcome, WriteOutcome::Retry { .. }), "{outcome:?}");
}

#[tokio::test]
async fn without_a_precondition_the_copy_is_looked_at_first() {
    let writes = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&writes);
    let router = Router::new().fallback(any(async move |request: Request| {
        if request.method() != "GET" {
            *counted.lock().unwrap() += 1;
        }
        r#"{"id": 1, "name": "Ann"}"#
    }));
    let server = Server::start(router).await;
    let connector = server.connector("");
    let expecting = |name: &'static str| Write {
        expected: Expected::when(move |present: &Fields| present.get("name") == Some(&Value::text(name))),
        ..update()
    };
    assert!(matches!(carry_out(&connector, expecting("Zoe")).await, WriteOutcome::Conflict { .. }));
    assert_eq!(*writes.lock().unwrap(), 0);
    assert!(matches!(carry_out(&connector, expecting("Ann")).await, WriteOutcome::Confirmed { .. }));
    assert_eq!(*writes.lock().unwrap(), 1);
    // The answer shows another copy than the one asked for: it has been merged away, or worse.
    let other = connector.read(&thing(), &[RemoteId::new("2")]).await.unwrap();
    assert!(matches!(other[0].shown, RemoteState::Unreadable { .. }), "{other:?}");
}

#[tokio::test]
async fn bodies_and_headers_are_as_declared() {
    let seen: Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>> = Arc::default();
    let log = Arc::clone(&seen);
    let router = Router::new().fallback(any(
        async move |method: axum::http::Method, uri: axum::http::Uri, headers: HeaderMap, body: Bytes| {
            log.lock().unwrap().push((format!("{method} {uri}"), headers, body));
            (StatusCode::CREATED, r#"{"thing": {"id": "a/b", "properties": {"name": "Bob"}}}"#)
        },
    ));
    let server = Server::start(router).await;
    let connector = server.connector(
        "wrap = 'thing'\nfields_at = '/properties'\nidempotency = 'Idempotency-Key'\netag = { header = 'ETag' }\n\
         update = { method = 'PUT', replaces = 'fields', query = { notify = 'no' } }",
    );
    let made = carry_out(&connector, create()).await;
    assert!(matches!(&made, WriteOutcome::Confirmed { after: Some(_), .. }), "{made:?}");
    let versioned = Write { version: Some("\"7\"".to_owned()), id: Some(RemoteId::new("a/b")), ..update() };
    assert!(matches!(carry_out(&connector, versioned).await, WriteOutcome::Confirmed { .. }));

    let seen = seen.lock().unwrap();
    let (first, second) = (&seen[0], &seen[1]);
    assert_eq!((first.0.as_str(), second.0.as_str()), ("POST /things", "PUT /things/a%2Fb?notify=no"));
    assert_eq!(first.2, Bytes::from(r#"{"thing":{"properties":{"name":"Bob"}}}"#));
    assert_eq!(first.1["idempotency-key"], "key-1");
    assert_eq!(second.1["if-match"], "\"7\"");
    assert_eq!(first.1["content-type"], "application/json");
}
