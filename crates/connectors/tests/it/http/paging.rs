//! Every way to cut a listing into pages; nothing is skipped and nothing loops.

use super::{Server, thing};
use avowal_connectors::http::HttpConnector;
use avowal_engine::ports::connector::{Change, Connector as _, ConnectorErrorKind, RemoteState};
use avowal_engine::ports::store::Cursor;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// Rows of (number, time in seconds).
type Rows = Arc<Mutex<Vec<(u64, i64)>>>;

async fn shelf(State(rows): State<Rows>, Query(query): Query<BTreeMap<String, String>>) -> Response {
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
    let size = number("per_page").or(number("limit")).unwrap_or(100);
    let since = query.get("updated_since").and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    let after = number("after").unwrap_or(0) as u64;
    let start = match (number("page"), number("offset"), number("cursor")) {
        (Some(page), _, _) => (page - 1) * size,
        (None, Some(at), _) | (None, None, Some(at)) => at,
        (None, None, None) => 0,
    };
    let rows = rows.lock().unwrap();
    let mut found: Vec<_> = rows.iter().filter(|(id, at)| *at >= since && *id > after).collect();
    if since > 0 {
        found.sort_by_key(|(id, at)| (*at, *id));
    }
    let all = found.len();
    let page: Vec<_> = found
        .into_iter()
        .skip(start)
        .take(size)
        .map(|(id, at)| json!({ "id": id, "updated": at, "name": format!("n{id}") }))
        .collect();
    let end = start + page.len();
    let next = (end < all).then(|| end.to_string());
    let link = next
        .as_ref()
        .map(|at| format!("</things?cursor={at}&limit={size}>; rel=\"next\""))
        .unwrap_or_default();
    let body = json!({ "things": page, "next": next }).to_string();
    ([(header::LINK, link), (header::DATE, "Wed, 22 Nov 2023 10:00:00 GMT".to_owned())], body).into_response()
}

async fn server(count: u64) -> (Server, Rows) {
    let rows: Rows = Arc::new(Mutex::new((1..=count).map(|n| (n, 1_700_000_000)).collect()));
    (Server::start(Router::new().route("/things", get(shelf)).with_state(Arc::clone(&rows))).await, rows)
}

async fn list_all(connector: &HttpConnector, mut between: impl FnMut(usize)) -> Vec<Change> {
    let (mut all, mut cursor) = (Vec::new(), None);
    for page_number in 1..100 {
        let page = connector.list(&thing(), cursor.as_ref(), 4).await.unwrap();
        assert!(page.changes.len() <= 4);
        all.extend(page.changes);
        if !page.more {
            return all;
        }
        cursor = Some(page.next);
        between(page_number);
    }
    panic!("the listing never ends")
}

async fn scan(connector: &HttpConnector, cursor: &mut Cursor) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..100 {
        let page = connector.changes(&thing(), cursor, 4).await.unwrap();
        ids.extend(page.changes.into_iter().map(|change| change.id.to_string()));
        *cursor = page.next;
        if !page.more {
            return ids;
        }
    }
    panic!("the scan never ends")
}

fn ids(changes: &[Change]) -> Vec<String> {
    changes.iter().map(|change| change.id.to_string()).collect()
}

#[tokio::test]
async fn every_style_lists_everything_once() {
    for paging in [
        "{ style = 'page' }",
        "{ style = 'offset' }",
        "{ style = 'cursor', next = '/next' }",
        "{ style = 'link' }",
        "{ style = 'after_id' }",
    ] {
        for count in [0, 3, 4, 11] {
            let (server, _) = server(count).await;
            let all = list_all(&server.connector(&format!("paging = {paging}")), |_| ()).await;
            let expected: Vec<_> = (1..=count).map(|n| n.to_string()).collect();
            assert_eq!(ids(&all), expected, "{paging} with {count}");
        }
    }
}

#[tokio::test]
async fn a_row_that_slides_forward_is_not_skipped() {
    for paging in ["{ style = 'page' }", "{ style = 'offset' }"] {
        let (server, rows) = server(12).await;
        let connector = server.connector(&format!("paging = {paging}"));
        let all = list_all(&connector, |page| {
            if page == 1 {
                rows.lock().unwrap().retain(|(id, _)| *id != 2);
            }
        });
        let seen: BTreeSet<_> = ids(&all.await).into_iter().collect();
        assert_eq!(
            seen.len(),
            12,
            "{paging}: row 5 slid onto the first page and must be seen there: {seen:?}"
        );
    }
}

#[tokio::test]
async fn a_service_that_knows_no_pages_must_be_declared_so() {
    let everything = async || r#"[{"id": 1}, {"id": 2}, {"id": 3}]"#;
    let server = Server::start(Router::new().route("/things", get(everything))).await;
    assert_eq!(list_all(&server.connector("paging = { style = 'none' }"), |_| ()).await.len(), 3);
    let connector = server.connector("");
    let first = connector.list(&thing(), None, 2).await.unwrap();
    let error = connector.list(&thing(), Some(&first.next), 2).await.unwrap_err();
    assert!(error.to_string().contains("style = \"none\""), "{error}");
}

#[tokio::test]
async fn a_bulk_stamp_neither_loops_nor_skips() {
    let (server, rows) = server(3).await;
    let connector = server.connector("updated = 'updated'\nchanges = {}");
    let mut cursor = connector.feed_position(&thing()).await.unwrap();
    assert_eq!(scan(&connector, &mut cursor).await, Vec::<String>::new(), "nothing new");

    // A bulk job stamps far more rows than a page holds with one and the same second.
    let bulk = 1_700_647_198 + 1000;
    rows.lock().unwrap().extend((100..130).map(|n| (n, bulk)));
    let seen = scan(&connector, &mut cursor).await;
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 30, "{seen:?}");
    rows.lock().unwrap().push((200, bulk + 1));
    assert!(scan(&connector, &mut cursor).await.contains(&"200".to_owned()));
}

#[tokio::test]
async fn the_bookmark_passes_what_is_long_past() {
    let (server, rows) = server(3).await;
    let connector = server.connector("updated = 'updated'\nchanges = {}");
    let mut cursor = connector.feed_position(&thing()).await.unwrap();
    // The service's clock says 10:00:00 = 1700647200; the position lies before it by the overlap and the clock that may be behind.
    rows.lock().unwrap().extend([(7, 1_700_647_199), (8, 1_700_647_300)]);
    assert_eq!(scan(&connector, &mut cursor).await, ["7", "8"]);
    rows.lock().unwrap().push((9, 1_700_647_190));
    assert_eq!(
        scan(&connector, &mut cursor).await,
        ["9"],
        "what was shown is not shown again, what is late is"
    );
    let error = connector.changes(&thing(), &Cursor("nonsense".to_owned()), 4).await.unwrap_err();
    assert_eq!(error.kind, ConnectorErrorKind::CursorExpired);
}

#[tokio::test]
async fn an_unreadable_copy_does_not_hide_the_others() {
    let body = r#"{"data": [{"id": 1, "name": "a"}, {"id": 2, "name": 1e99999999999}, {"name": "c"}, 5, {"id": 3, "id": 3}]}"#;
    let server = Server::start(Router::new().route("/things", get(async move || body))).await;
    let page = server.connector("").list(&thing(), None, 10).await.unwrap();
    let shown: Vec<_> = page
        .changes
        .iter()
        .map(|change| (change.id.as_str(), matches!(change.shown, RemoteState::Unreadable { .. })))
        .collect();
    let nameless = |n: usize| format!("(no id: item {n})");
    assert_eq!(
        shown,
        [("1", false), ("2", true), (nameless(3).as_str(), true), (nameless(4).as_str(), true), ("3", true)]
    );
}
