//! Logins, redirects, private addresses, endless answers, secrets.

use super::{Server, carry_out, connector, fields, thing, write};
use avowal_connectors::http::{Auth, HttpConnector, HttpObject, HttpOptions, Login, Rate, Secret};
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{Connector as _, ConnectorErrorKind, WriteOutcome};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

fn login(password: &str) -> Auth {
    Auth::Login(Login {
        path: "/auth".to_owned(),
        body: json!({ "identity": "sync", "password": password }),
        token: "/token".to_owned(),
        header: "Authorization".to_owned(),
        prefix: String::new(),
        max_age_s: 1800,
    })
}

#[tokio::test]
async fn a_refused_token_is_fetched_anew_once() {
    // Each login makes the token before it invalid; `valid` counts them.
    let valid = Arc::new(AtomicU32::new(0));
    let (logins, checks) = (Arc::clone(&valid), Arc::clone(&valid));
    let router = Router::new()
        .route(
            "/auth",
            post(async move |body: Bytes| {
                if !body.windows(6).any(|part| part == b"sesame") {
                    return (StatusCode::BAD_REQUEST, r#"{"message": "Failed to authenticate."}"#.to_owned());
                }
                (
                    StatusCode::OK,
                    json!({ "token": format!("t{}", logins.fetch_add(1, Ordering::SeqCst) + 1) }).to_string(),
                )
            }),
        )
        .route(
            "/things",
            get(async move |headers: HeaderMap| {
                let expected = format!("t{}", checks.load(Ordering::SeqCst));
                let given = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
                if given == Some(expected) { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
                    .into_response()
                    .map(|_| Body::from("[]"))
            }),
        );
    let server = Server::start(router).await;
    let mut options = server.options();
    options.auth = Some(login("sesame"));
    let good = connector(options.clone(), "");
    good.list(&thing(), None, 10).await.unwrap();
    good.list(&thing(), None, 10).await.unwrap();
    assert_eq!(valid.load(Ordering::SeqCst), 1, "one login serves many requests");
    valid.fetch_add(1, Ordering::SeqCst);
    good.list(&thing(), None, 10).await.unwrap();
    assert_eq!(valid.load(Ordering::SeqCst), 3, "a revoked token is replaced");

    options.auth = Some(login("hunter2"));
    let error = connector(options.clone(), "").list(&thing(), None, 10).await.unwrap_err();
    assert_eq!(error.kind, ConnectorErrorKind::Unauthorised);
    assert!(error.to_string().contains("Failed to authenticate") && !error.to_string().contains("hunter2"));
    assert!(!format!("{options:?}").contains("hunter2"));
    let create = write(Operation::Create, None, fields([("name", "x")]));
    assert!(matches!(carry_out(&connector(options, ""), create).await, WriteOutcome::Unauthorised { .. }));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_takes_no_credentials_along() {
    let reached = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&reached);
    let elsewhere = Server::start(Router::new().fallback(any(async move || {
        count.fetch_add(1, Ordering::SeqCst);
        "[]"
    })))
    .await;
    let target = format!("{}/things", elsewhere.url);
    let next = format!("<{target}>; rel=\"next\"");
    let router = Router::new()
        .route("/moved", any(async move || (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, target)])))
        .route("/linked", get(async move || ([(header::LINK, next)], r#"[{"id": 1}]"#)));
    let server = Server::start(router).await;
    let mut options = server.options();
    options.auth = Some(Auth::Bearer(Secret::new("sesame")));
    let moved = connector(options.clone(), "path = '/moved'").list(&thing(), None, 10).await.unwrap_err();
    assert!(moved.to_string().contains("set `url`"), "{moved}");
    let linked = connector(options, "path = '/linked'\npaging = { style = 'link' }");
    let error = linked.list(&thing(), None, 10).await.unwrap_err();
    assert!(error.to_string().contains("another origin"), "{error}");
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn private_addresses_are_refused_in_every_spelling() {
    let server = Server::start(Router::new().fallback(any(async || "[]"))).await;
    let port = server.url.rsplit(':').next().unwrap();
    for host in ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "0"] {
        let options = HttpOptions::new(format!("http://{host}:{port}"));
        let reason = match HttpConnector::new(options, vec![(super::binding(), HttpObject::default())]) {
            Err(error) => error.to_string(),
            Ok(connector) => connector.list(&thing(), None, 10).await.unwrap_err().to_string(),
        };
        assert!(reason.contains("allow_private"), "{host}: {reason}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let endless = async || -> Response {
        let chunks =
            futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 4096])));
        Body::from_stream(chunks).into_response()
    };
    let server = Server::start(Router::new().route("/things", get(endless))).await;
    let mut options = server.options();
    options.timeout_ms = 10_000;
    options.max_body_bytes = 100_000;
    let error = connector(options, "").list(&thing(), None, 10).await.unwrap_err();
    assert!(error.to_string().contains("larger than 100000 bytes"), "{error}");
}

#[tokio::test]
async fn a_declared_rate_is_kept() {
    let server = Server::start(Router::new().fallback(any(async || "[]"))).await;
    let mut options = server.options();
    options.rate = Some(Rate { per_second: 20.0, burst: 1 });
    let connector = connector(options, "");
    let begun = Instant::now();
    for _ in 0..5 {
        connector.list(&thing(), None, 10).await.unwrap();
    }
    assert!(begun.elapsed().as_millis() >= 190, "{:?}", begun.elapsed());
}

#[test]
fn a_wrong_declaration_names_its_place() {
    let check = |options: &str, object: &str, expected: &str| {
        let problem = match (toml::from_str::<HttpOptions>(options), toml::from_str::<HttpObject>(object)) {
            (Ok(options), Ok(object)) => {
                HttpConnector::new(options, vec![(super::binding(), object)]).err().unwrap().to_string()
            }
            (Err(error), _) | (_, Err(error)) => error.to_string(),
        };
        assert!(problem.contains(expected), "{problem}");
    };
    let fine = "url = 'https://api.example.com'";
    check("url = 'ftp://example.com'", "", "http or https");
    check("url = 'https://user:pw@example.com'", "", "auth");
    check("url = 'https://example.com'\nspeed = 1", "", "speed");
    check(fine, "path = 'contacts'", "begin with `/`");
    check(fine, "changes = {}", "needs `updated`");
    check(fine, "update = { method = 'GRAB' }", "GRAB");
    check(fine, "item_path = '/x/{uuid}'", "uuid");
    check(fine, "lst = {}", "lst");
    let bearer: HttpOptions = toml::from_str(
        "url = 'https://a.example'\nauth = { bearer = 'sesame' }\nheaders = { X-Key = 'hidden' }",
    )
    .unwrap();
    let shown = format!("{bearer:?}");
    assert!(!shown.contains("sesame") && !shown.contains("hidden"), "{shown}");
}
