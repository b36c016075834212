//! The public interface: contacts over REST.

use super::book::{By, Refusal};
use super::{Lies, Shared};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Contacts in a page, unless asked otherwise.
const PER_PAGE: usize = 50;
/// Contacts in a page, at most.
const PER_PAGE_MAX: usize = 200;

/// Checks the token, tells the declared lies and keeps count.
pub(super) async fn guard(State(shared): State<Shared>, request: Request<Body>, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.uri().to_string();
    let response = guarded(&shared, &method, request, next).await;
    shared.lock().record(method.as_str(), path, response.status().as_u16());
    response
}

async fn guarded(shared: &Shared, method: &Method, request: Request<Body>, next: Next) -> Response {
    if let Some(token) = &shared.token {
        let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if given != Some(format!("Bearer {token}").as_str()) {
            return problem(StatusCode::UNAUTHORIZED, "a valid token is needed");
        }
    }
    let due = {
        let mut state = shared.lock();
        let fail = state.lies.fail.as_mut().filter(|fail| !fail.writes_only || *method != Method::GET);
        fail.and_then(|fail| {
            fail.count = fail.count.checked_sub(1)?;
            Some(fail.clone())
        })
    };
    let Some(fail) = due else {
        return next.run(request).await;
    };
    if fail.after_effect {
        drop(next.run(request).await);
    }
    tokio::time::sleep(Duration::from_millis(fail.delay_ms)).await;
    let status = StatusCode::from_u16(fail.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = problem(status, "something went wrong");
    if let Some(seconds) = fail.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

pub(super) async fn list(
    State(shared): State<Shared>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let mut wanted = query;
    let mut number = |name: &str| wanted.remove(name).and_then(|text| text.parse::<usize>().ok());
    let page = number("page").unwrap_or(1).max(1);
    let per_page = number("per_page").unwrap_or(PER_PAGE).clamp(1, PER_PAGE_MAX);
    let since = match wanted.remove("updated_since").map(|text| text.parse()) {
        None => None,
        Some(Ok(since)) => Some(since),
        Some(Err(_)) => return problem(StatusCode::BAD_REQUEST, "updated_since is no RFC 3339 time"),
    };
    let found = shared.lock().book.list(since, &wanted);
    let total_pages = found.len().div_ceil(per_page);
    let contacts: Vec<_> =
        found.into_iter().skip((page - 1).saturating_mul(per_page)).take(per_page).collect();
    Json(json!({ "contacts": contacts, "page": page, "total_pages": total_pages })).into_response()
}

pub(super) async fn read(State(shared): State<Shared>, Path(id): Path<String>) -> Response {
    let mut state = shared.lock();
    let stale = state.lies.stale_reads > 0;
    state.lies.stale_reads = state.lies.stale_reads.saturating_sub(1);
    match state.book.read(&id, stale) {
        Ok((contact, etag)) => (StatusCode::OK, [(header::ETAG, etag)], Json(contact)).into_response(),
        Err(refusal) => refused(&refusal),
    }
}

pub(super) async fn create(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Json(fields): Json<Map<String, Value>>,
) -> Response {
    if let Some(refusal) = shared.lock().lies.refuses(&fields) {
        return refused(&refusal);
    }
    let made = shared.lock().book.create(fields, &by_api(&headers));
    match made {
        Ok(made) => {
            shared.announce("contact.created", &made.contact, made.news);
            shown(StatusCode::CREATED, made.contact)
        }
        Err(refusal) => refused(&refusal),
    }
}

pub(super) async fn update(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(fields): Json<Map<String, Value>>,
) -> Response {
    if let Some(refusal) = shared.lock().lies.refuses(&fields) {
        return refused(&refusal);
    }
    let made = shared.lock().book.update(&id, fields, if_match(&headers), &by_api(&headers));
    match made {
        Ok(made) => {
            shared.announce("contact.updated", &made.contact, made.news);
            shown(StatusCode::OK, made.contact)
        }
        Err(refusal) => refused(&refusal),
    }
}

pub(super) async fn delete(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let gone = shared.lock().book.delete(&id, if_match(&headers), &by_api(&headers));
    match gone {
        Ok(last) => {
            shared.announce("contact.deleted", &last, true);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(refusal) => refused(&refusal),
    }
}

impl Lies {
    fn refuses(&self, fields: &Map<String, Value>) -> Option<Refusal> {
        let (name, _) = self.refuse.iter().find(|(name, value)| fields.get(*name) == Some(*value))?;
        Some(Refusal::Invalid(format!("this {name} is not allowed")))
    }
}

impl Shared {
    /// Sends the webhook for a change, as honestly as the lies allow.
    pub(super) fn announce(&self, kind: &str, contact: &Value, news: bool) {
        if news {
            let lies = self.lock().lies.clone();
            self.hooks.announce(kind, contact, &lies);
        }
    }
}

/// The answer to a request that is not carried out.
pub(super) fn refused(refusal: &Refusal) -> Response {
    match refusal {
        Refusal::Missing => problem(StatusCode::NOT_FOUND, "no such contact"),
        Refusal::Stale => problem(StatusCode::PRECONDITION_FAILED, "the contact has changed"),
        Refusal::Invalid(reason) => problem(StatusCode::UNPROCESSABLE_ENTITY, reason),
    }
}

fn shown(status: StatusCode, contact: Value) -> Response {
    let etag = contact.get("rev").map(|rev| format!("\"{rev}\"")).unwrap_or_default();
    (status, [(header::ETAG, etag)], Json(contact)).into_response()
}

fn problem(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

fn by_api(headers: &HeaderMap) -> By {
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok()).map(str::to_owned);
    By { actor: "api".to_owned(), key }
}

fn if_match(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok())
}
