//! A service that lies about its listings: what is incomplete is never taken for complete, and nothing goes on for ever.

use super::{Server, thing};
use avowal_connectors::http::HttpConnector;
use avowal_engine::ports::connector::{Connector as _, ConnectorError, Fields, RemoteState};
use avowal_engine::ports::store::Cursor;
use axum::Router;
use axum::extract::RawQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// What the service answers to a query: status, headers, body.
type Answer = (u16, Vec<(&'static str, String)>, Json);
type Query = BTreeMap<String, String>;

/// A service of one collection, and how often it was asked.
struct Liar {
    server: Server,
    asked: Arc<AtomicUsize>,
}

impl Liar {
    /// `answer` gets the query and how many requests came before.
    async fn start(answer: impl Fn(&Query, usize) -> Answer + Clone + Send + Sync + 'static) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let router = Router::new().fallback(any(async move |RawQuery(query): RawQuery, uri: Uri| {
            let url = reqwest::Url::parse(&format!("http://x/?{}", query.unwrap_or_default())).unwrap();
            let mut query: Query = url.query_pairs().into_owned().collect();
            query.insert("(path)".to_owned(), uri.path().to_owned());
            let (status, headers, body) = answer(&query, count.fetch_add(1, Ordering::SeqCst));
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap());
            }
            let answer: Response =
                (StatusCode::from_u16(status).unwrap(), map, body.to_string()).into_response();
            answer
        }));
        Self { server: Server::start(router).await, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn number(query: &Query, name: &str, default: usize) -> usize {
    query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn rows(numbers: impl Iterator<Item = usize>) -> Vec<Json> {
    numbers.map(|n| json!({ "id": n, "name": format!("n{n}") })).collect()
}

/// Some of `total` rows.
fn cut(total: usize, start: usize, size: usize) -> Vec<Json> {
    rows((start.min(total)..(start + size).min(total)).map(|n| n + 1))
}

fn ok(body: Json) -> Answer {
    (200, vec![], body)
}

async fn list(connector: &HttpConnector) -> Result<usize, ConnectorError> {
    let (mut ids, mut cursor) = (std::collections::BTreeSet::new(), None::<Cursor>);
    loop {
        let page = connector.list(&thing(), cursor.as_ref(), 500).await?;
        ids.extend(page.changes.into_iter().map(|change| change.id));
        if !page.more {
            return Ok(ids.len());
        }
        cursor = Some(page.next);
    }
}

/// Lists the service; the outcome is the number of rows, or an error that contains the words.
#[track_caller]
fn check(outcome: Result<usize, ConnectorError>, expected: Result<usize, &str>, what: &str) {
    match (&outcome, expected) {
        (Ok(rows), Ok(expected)) => assert_eq!(*rows, expected, "{what}"),
        (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{what}: {error}"),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => panic!("{what}: {outcome:?}, not {expected:?}"),
    }
}

async fn run(
    what: &str,
    object: &str,
    expected: Result<usize, &str>,
    requests_max: usize,
    answer: impl Fn(&Query, usize) -> Answer + Clone + Send + Sync + 'static,
) {
    let liar = Liar::start(answer).await;
    check(list(&liar.server.connector(object)).await, expected, what);
    assert!(liar.asked() <= requests_max, "{what}: {} requests", liar.asked());
}

#[tokio::test]
async fn links_are_followed_in_every_form() {
    for form in 0..6 {
        run(
            &format!("form {form}"),
            "paging = { style = 'link' }\npage_size = 10",
            Ok(35),
            5,
            move |query, _| {
                let page = number(query, "pg", 1);
                let next = format!("things?pg={}", page + 1);
                let headers: Vec<String> = match form {
                    _ if page == 4 => vec!["</things?pg=1>; rel=\"first\"".to_owned()],
                    0 => vec![format!("</{next}&fields=id,name;x>; rel=\"next\"")],
                    1 => vec!["</things?pg=1>; rel=\"first\"".to_owned(), format!("</{next}>; rel=\"next\"")],
                    2 => vec![format!("</{next}>; Rel=NEXT")],
                    3 => vec![format!("</{next}>; title=\"a, b; rel=prev\"; rel=\"next last\"")],
                    4 => vec![format!("</things?pg=1>; rev=\"next\", <{next}>; rel=next")],
                    _ => vec![format!("<?pg={}>; rel=\"next\"", page + 1)],
                };
                let headers = headers.into_iter().map(|text| ("link", text)).collect();
                (200, headers, json!(cut(35, (page - 1) * 10, 10)))
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_way_on_that_is_not_where_it_is_declared_is_no_end() {
    let declared = "paging = { style = 'cursor', next = '/next_cursor' }\npage_size = 10";
    let answer = |query: &Query, _| {
        let (at, size) = (number(query, "cursor", 0), number(query, "limit", 10));
        ok(json!({ "data": cut(35, at, size), "meta": { "next": (at + size).to_string() } }))
    };
    run("cursor elsewhere", declared, Err("no way to a next page"), 2, answer).await;
    let plain = "paging = { style = 'link' }\npage_size = 10";
    let answer = |query: &Query, _| ok(json!(cut(35, 0, number(query, "per_page", 10))));
    run("no links at all", plain, Err("no way to a next page"), 2, answer).await;
    let all = |_: &Query, _| ok(json!({ "data": cut(5, 0, 10), "next_cursor": null }));
    run("one page", declared, Ok(5), 1, all).await;
}

#[tokio::test]
async fn a_page_parameter_without_effect_is_recognised() {
    let unknown = "the service does not know the parameter of the page";
    for paging in ["page", "offset"] {
        let object = format!("paging = {{ style = '{paging}' }}");
        let sized =
            move |query: &Query| number(query, if paging == "page" { "per_page" } else { "limit" }, 25);
        run("the size is kept", &object, Err(unknown), 4, move |query, _| {
            ok(json!(cut(250, 0, sized(query))))
        })
        .await;
        run("the last page is full", &object, Err(unknown), 4, move |query, _| {
            ok(json!(cut(100, 0, sized(query))))
        })
        .await;
        run("few rows", &object, Ok(30), 4, move |query, _| ok(json!(cut(30, 0, sized(query))))).await;
        run("a size of its own", &object, Err(unknown), 4, |_, _| ok(json!(cut(250, 0, 25)))).await;
        run("everything", &object, Err("style = \"none\""), 4, |_, _| ok(json!(cut(250, 0, 250)))).await;
    }
    let everything = |_: &Query, _| ok(json!(cut(250, 0, 250)));
    run("declared", "paging = { style = 'none' }", Ok(250), 1, everything).await;
}

#[tokio::test]
async fn pages_without_end_are_bounded_and_named() {
    let cursor = "paging = { style = 'cursor', next = '/next' }\npage_size = 10";
    run("a cursor on empty pages", cursor, Err("always names a next one"), 60, |_, asked| {
        ok(json!({ "data": if asked == 0 { cut(5, 0, 10) } else { vec![] }, "next": format!("c{asked}") }))
    })
    .await;
    let declared = "paging = { style = 'cursor', next = '/next', more = '/has_more' }\npage_size = 10";
    run("a cursor with a flag", declared, Ok(5), 1, |_, asked| {
        ok(json!({ "data": cut(5, 0, 10), "next": format!("c{asked}"), "has_more": false }))
    })
    .await;
    run("new cursors, old rows", cursor, Err("shown before"), 5, |_, asked| {
        ok(json!({ "data": cut(5, 0, 10), "next": format!("c{asked}") }))
    })
    .await;
    run("A, B, A", cursor, Err("circle"), 5, |query, asked| {
        let next = if query.get("cursor").is_some_and(|at| at == "A") { "B" } else { "A" };
        ok(json!({ "data": cut(1000, asked * 10, 10), "next": next }))
    })
    .await;
    let link = "paging = { style = 'link', next = '/next' }\nitems = '/data'\npage_size = 10";
    run("links in a circle", link, Err("circle"), 6, |query, _| {
        let page = number(query, "pg", 1);
        ok(json!({ "data": cut(30, (page - 1) * 10, 10), "next": format!("/things?pg={}", page % 3 + 1) }))
    })
    .await;
    run("alternating pages", "page_size = 10", Err("shown before"), 12, |query, _| {
        ok(json!(cut(20, if number(query, "page", 1) % 2 == 1 { 0 } else { 10 }, 10)))
    })
    .await;
    run("ever new rows", &format!("{cursor}\nrows_max = 200"), Err("`rows_max`"), 22, |_, asked| {
        ok(json!({ "data": cut(100_000, asked * 10, 10), "next": format!("c{asked}") }))
    })
    .await;
}

#[tokio::test]
async fn a_page_size_of_the_services_own_is_taken() {
    for (what, object) in [("page", ""), ("more than asked for", "page_size = 5")] {
        run(what, object, Ok(95), 22, |query, _| ok(json!(cut(95, (number(query, "page", 1) - 1) * 10, 10))))
            .await;
    }
    run("offset", "paging = { style = 'offset' }", Ok(95), 22, |query, _| {
        ok(json!(cut(95, number(query, "offset", 0), 10)))
    })
    .await;
}

#[tokio::test]
async fn a_refused_page_behind_the_last_is_the_end_only_if_that_is_proven() {
    for status in [400, 404, 416, 422] {
        for total in [100, 150, 200, 3] {
            let offset =
                move |query: &Query, _| match (number(query, "offset", 0), number(query, "limit", 100)) {
                    (at, _) if at > 0 && at >= total => {
                        (status, vec![], json!({ "message": "no such offset" }))
                    }
                    (at, size) => ok(json!(cut(total, at, size))),
                };
            run("offset", "paging = { style = 'offset' }", Ok(total), 9, offset).await;
            let page = move |query: &Query, _| {
                let size = number(query, "per_page", 100);
                match (number(query, "page", 1) - 1) * size {
                    at if at > 0 && at >= total => (status, vec![], json!({ "message": "no such page" })),
                    at => ok(json!(cut(total, at, size))),
                }
            };
            run("page", "", Ok(total), 9, page).await;
        }
    }
    let broken = |query: &Query, _| match number(query, "offset", 0) {
        at if at >= 200 => (400, vec![], json!({ "message": "bad" })),
        at => ok(json!(cut(950, at, number(query, "limit", 100)))),
    };
    run("a fault in the middle", "paging = { style = 'offset' }", Err("is refused"), 9, broken).await;
    let window = |query: &Query, _| match (number(query, "offset", 0), number(query, "limit", 100)) {
        (at, size) if at + size > 1000 => (400, vec![], json!({ "message": "Result window is too large" })),
        (at, size) => ok(json!(cut(1500, at, size))),
    };
    run("a window", "paging = { style = 'offset' }", Err("is incomplete"), 30, window).await;
}

#[tokio::test]
async fn numbers_that_disagree_do_not_end_a_listing() {
    let by_total = "paging = { style = 'page', total = '/total' }";
    run("too small", by_total, Ok(250), 9, |query, _| {
        ok(json!({ "data": cut(250, (number(query, "page", 1) - 1) * 100, 100), "total": 100 }))
    })
    .await;
    run("too large", by_total, Err("says that there are more"), 9, |query, _| {
        ok(json!({ "data": cut(250, (number(query, "page", 1) - 1) * 100, 100), "total": 300 }))
    })
    .await;
    let by_pages = "paging = { style = 'page', total_pages = '/pages' }";
    run("too few pages", by_pages, Ok(250), 9, |query, _| {
        ok(json!({ "data": cut(250, (number(query, "page", 1) - 1) * 100, 100), "pages": 1 }))
    })
    .await;
    run("right", by_pages, Ok(250), 5, |query, _| {
        ok(json!({ "data": cut(250, (number(query, "page", 1) - 1) * 100, 100), "pages": 3 }))
    })
    .await;
    run("a silent window", "", Err("is incomplete"), 30, |query, _| {
        ok(json!({ "data": cut(1000, (number(query, "page", 1) - 1) * 100, 100), "totalCount": 1200 }))
    })
    .await;
    let flag = "paging = { style = 'offset', last = '/page/last' }";
    run("a flag", flag, Ok(150), 4, |query, _| {
        let at = number(query, "offset", 0);
        ok(json!({ "data": cut(150, at, 100), "page": { "last": at + 100 >= 150 } }))
    })
    .await;
    run("short", "paging = { style = 'page', short_page_ends = true }", Ok(30), 1, |query, _| {
        ok(json!(cut(30, (number(query, "page", 1) - 1) * 100, 100)))
    })
    .await;
}

#[tokio::test]
async fn an_error_in_a_success_shows_nothing() {
    let bodies = [
        json!({ "error": "maintenance", "data": [] }),
        json!({ "errors": ["maintenance"] }),
        json!({ "success": false, "message": "maintenance", "data": [] }),
        json!({ "status": "error", "message": "maintenance", "data": [] }),
        json!({ "data": null }),
        json!({ "message": "maintenance" }),
        json!([{ "code": 17, "text": "maintenance" }]),
    ];
    for body in bodies {
        let answer = body.clone();
        let liar = Liar::start(move |_, _| ok(answer.clone())).await;
        let connector = liar.server.connector("find = {}");
        assert!(list(&connector).await.is_err(), "{body}");
        let read = connector.read(&thing(), &["7".into()]).await;
        let shows_nothing = |change: &avowal_engine::ports::connector::Change| {
            matches!(change.shown, RemoteState::Unreadable { .. })
        };
        assert!(read.as_ref().map_or(true, |changes| changes.iter().all(shows_nothing)), "{body}: {read:?}");
        let wanted = Fields::from([("name".to_owned(), avowal_core::data::value::Value::text("x"))]);
        let found = connector.find(&thing(), &wanted).await;
        assert!(found.as_ref().map_or(true, |_| body.is_array()), "{body}: {found:?}");
    }
    let declared = "failure = '/meta/fault'\nfind = {}";
    let liar = Liar::start(|_, _| ok(json!({ "id": 7, "meta": { "fault": "down" }, "data": [] }))).await;
    let connector = liar.server.connector(declared);
    assert!(list(&connector).await.unwrap_err().to_string().contains("down"));
    assert!(connector.read(&thing(), &["7".into()]).await.unwrap_err().to_string().contains("down"));
    let fine = Liar::start(|_, _| ok(json!({ "id": 7, "name": "x", "error": "a field of the copy" }))).await;
    let read = fine.server.connector("").read(&thing(), &["7".into()]).await.unwrap();
    assert!(matches!(read[0].shown, RemoteState::Present(_)));
}

#[tokio::test]
async fn a_wish_to_wait_is_kept_within_the_patience() {
    let begun = Instant::now();
    let answer = |_: &Query, asked| match asked {
        0 => (429, vec![("retry-after", "0.7".to_owned())], json!({})),
        _ => ok(json!([])),
    };
    run("decimal", "", Ok(0), 2, answer).await;
    assert!(begun.elapsed().as_millis() >= 700);
    let liar = Liar::start(|_, _| (429, vec![("retry-after", "2".to_owned())], json!({}))).await;
    let mut options = liar.server.options();
    options.patience_ms = 1000;
    let error = list(&super::connector(options, "")).await.unwrap_err();
    assert!(matches!(
        error.kind,
        avowal_engine::ports::connector::ConnectorErrorKind::RateLimited { after_ms: Some(2000) }
    ));
    assert_eq!(liar.asked(), 1);
}
