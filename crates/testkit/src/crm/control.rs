//! The control interface: persons, lies and figures.

use super::api::refused;
use super::book::By;
use super::hooks::Target;
use super::{Lies, Shared};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Who does what.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Act {
    #[serde(default)]
    actor: String,
    fields: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Release {
    #[serde(default)]
    reverse: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Replay {
    number: usize,
    #[serde(default)]
    fresh_id: bool,
}

pub(super) async fn create(State(shared): State<Shared>, Json(act): Json<Act>) -> Response {
    let made = shared.lock().book.create(act.fields, &By { actor: act.actor, key: None });
    match made {
        Ok(made) => {
            shared.announce("contact.created", &made.contact, made.news);
            (StatusCode::CREATED, Json(made.contact)).into_response()
        }
        Err(refusal) => refused(&refusal),
    }
}

pub(super) async fn update(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Json(act): Json<Act>,
) -> Response {
    let made = shared.lock().book.update(&id, act.fields, None, &By { actor: act.actor, key: None });
    match made {
        Ok(made) => {
            shared.announce("contact.updated", &made.contact, made.news);
            Json(made.contact).into_response()
        }
        Err(refusal) => refused(&refusal),
    }
}

pub(super) async fn delete(State(shared): State<Shared>, Path(id): Path<String>) -> Response {
    let gone = shared.lock().book.delete(&id, None, &By { actor: "a person".to_owned(), key: None });
    match gone {
        Ok(last) => {
            shared.announce("contact.deleted", &last, true);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(refusal) => refused(&refusal),
    }
}

pub(super) async fn touch(State(shared): State<Shared>) -> StatusCode {
    shared.lock().book.touch();
    StatusCode::NO_CONTENT
}

pub(super) async fn webhook(State(shared): State<Shared>, Json(target): Json<Option<Target>>) -> StatusCode {
    shared.hooks.aim(target);
    StatusCode::NO_CONTENT
}

pub(super) async fn lies(State(shared): State<Shared>, Json(lies): Json<Lies>) -> StatusCode {
    shared.lock().lies = lies;
    StatusCode::NO_CONTENT
}

pub(super) async fn release(State(shared): State<Shared>, Json(release): Json<Release>) -> Json<Value> {
    Json(json!({ "released": shared.hooks.release(release.reverse) }))
}

pub(super) async fn replay(State(shared): State<Shared>, Json(replay): Json<Replay>) -> StatusCode {
    if shared.hooks.replay(replay.number, replay.fresh_id) {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::NOT_FOUND
    }
}

pub(super) async fn flush(State(shared): State<Shared>) -> StatusCode {
    shared.hooks.flush().await;
    StatusCode::NO_CONTENT
}

pub(super) async fn webhooks(State(shared): State<Shared>) -> Json<Value> {
    Json(json!(shared.hooks.deliveries()))
}

pub(super) async fn stats(State(shared): State<Shared>) -> Json<Value> {
    let webhooks = shared.hooks.counts();
    let state = shared.lock();
    Json(json!({
        "requests": state.requests,
        "writes": state.writes,
        "webhooks": webhooks,
        "log": state.log,
    }))
}
