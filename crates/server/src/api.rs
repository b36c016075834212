//! `/api/v1`: what people ask and decide, over HTTP. Each answer is the struct that the command of the same name prints
//! with `--json`; each refusal is a [`Problem`].
//!
//! There is no authentication here: whoever can open the [socket](crate::socket) is its owner.

use crate::crowd::Place;
use crate::problem::{MEDIA_TYPE, Problem};
use avowal_core::data::ids::RecordId;
use avowal_core::history::IntegrationEvent;
use avowal_view::{
    AnswerRequest, Decide as _, Desk, OpenReview, PauseRequest, QuarantineItem, RecordView, Refusal,
    ReplayRequest, Replayed, Resolved, ResumeRequest, ReviewView, Status, Stop, SyncReport, SyncRequest,
    SystemView, WhyAnswer,
};
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// The largest body of a request.
pub const BODY_BYTES_MAX: usize = 64 << 10;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take, but for a sync.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// What a handler answers.
type Answered<T> = Result<Json<T>, Problem>;

/// The routes over a desk.
pub fn router(desk: Arc<Desk>) -> Router {
    let bounded = Router::new()
        .route("/status", get(status))
        .route("/systems", get(systems))
        .route("/systems/{system}", get(system))
        .route("/systems/{system}/pause", post(pause))
        .route("/systems/{system}/resume", post(resume))
        .route("/records/{entity}/{key}", get(record))
        .route("/records/{entity}/{key}/why/{field}", get(why))
        .route("/records/{entity}/{key}/timeline", get(timeline))
        .route("/reviews", get(reviews))
        .route("/reviews/{id}", get(review))
        .route("/reviews/{id}/resolve", post(resolve))
        .route("/quarantine", get(quarantine))
        .route("/quarantine/replay", post(replay_all))
        .route("/quarantine/{id}", get(quarantined))
        .route("/quarantine/{id}/replay", post(replay))
        .layer(from_fn(in_time));
    let routes = bounded.route("/sync", post(sync)).with_state(desk);
    Router::new().nest("/api/v1", routes).layer(from_fn(in_problems)).layer(from_fn(kept))
}

async fn status(State(desk): State<Arc<Desk>>) -> Answered<Status> {
    Ok(Json(desk.status().await?))
}

async fn systems(State(desk): State<Arc<Desk>>) -> Answered<Vec<SystemView>> {
    Ok(Json(desk.systems().await?))
}

async fn system(State(desk): State<Arc<Desk>>, Path(name): Path<String>) -> Answered<SystemView> {
    let name = desk.known(&name)?;
    let view = desk.systems().await?.into_iter().find(|view| view.system == name);
    Ok(Json(view.ok_or_else(|| Refusal::unknown_name(format!("no system is called {name}")))?))
}

async fn pause(
    State(desk): State<Arc<Desk>>,
    Path(name): Path<String>,
    Asked(request): Asked<PauseRequest>,
) -> Answered<Vec<Stop>> {
    let system = desk.known(&name)?;
    Ok(Json(desk.pause(&system, &request).await?))
}

async fn resume(
    State(desk): State<Arc<Desk>>,
    Path(name): Path<String>,
    Asked(request): Asked<ResumeRequest>,
) -> Answered<Vec<Stop>> {
    let system = desk.known(&name)?;
    Ok(Json(desk.resume(&system, &request).await?))
}

async fn record(
    State(desk): State<Arc<Desk>>,
    Path((entity, key)): Path<(String, String)>,
) -> Answered<RecordView> {
    Ok(Json(desk.reader(&unsaid).record(&entity, &key).await?))
}

async fn why(
    State(desk): State<Arc<Desk>>,
    Path((entity, key, field)): Path<(String, String, String)>,
) -> Answered<WhyAnswer> {
    Ok(Json(desk.reader(&unsaid).why(&entity, &key, &field).await?.answer))
}

/// Which events of a record are asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TimelineQuery {
    /// From this sequence on.
    from: Option<u64>,
    /// The last so many; without effect beside `from`.
    last: Option<u64>,
    /// At most so many; 1000 at the most, and by default.
    limit: Option<usize>,
}

/// One page of events. The header `Link` names the next one.
async fn timeline(
    State(desk): State<Arc<Desk>>,
    Path((entity, key)): Path<(String, String)>,
    Query(query): Query<TimelineQuery>,
) -> Result<Response, Problem> {
    let reader = desk.reader(&unsaid);
    let (record, begin): (RecordId, u64) = reader.timeline_begin(&entity, &key, query.last).await?;
    let page = reader.timeline(record, query.from.unwrap_or(begin), query.limit).await?;
    let mut response = Json::<Vec<IntegrationEvent>>(page.events).into_response();
    if let Some(next) = page.next {
        let limit = query.limit.map(|limit| format!("&limit={limit}")).unwrap_or_default();
        let to =
            format!("</api/v1/records/{entity}/{}/timeline?from={next}{limit}>; rel=\"next\"", page.record);
        if let Ok(to) = to.parse() {
            response.headers_mut().insert(header::LINK, to);
        }
    }
    Ok(response)
}

async fn reviews(State(desk): State<Arc<Desk>>) -> Answered<Vec<OpenReview>> {
    Ok(Json(desk.reader(&unsaid).reviews().await?))
}

async fn review(State(desk): State<Arc<Desk>>, Path(id): Path<String>) -> Answered<ReviewView> {
    Ok(Json(desk.reader(&unsaid).review(&id).await?))
}

async fn resolve(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    Asked(request): Asked<AnswerRequest>,
) -> Answered<Resolved> {
    Ok(Json(desk.resolve(&id, &request).await?))
}

async fn quarantine(State(desk): State<Arc<Desk>>) -> Answered<Vec<QuarantineItem>> {
    Ok(Json(desk.reader(&unsaid).quarantine().await?))
}

async fn quarantined(State(desk): State<Arc<Desk>>, Path(id): Path<i64>) -> Answered<QuarantineItem> {
    Ok(Json(desk.reader(&unsaid).quarantined(id).await?))
}

async fn replay_all(
    State(desk): State<Arc<Desk>>,
    Asked(request): Asked<ReplayRequest>,
) -> Answered<Replayed> {
    Ok(Json(desk.replay(None, &request).await?))
}

async fn replay(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<i64>,
    Asked(request): Asked<ReplayRequest>,
) -> Answered<Replayed> {
    Ok(Json(desk.replay(Some(id), &request).await?))
}

/// It ends when nothing is left to do, however long that takes, also if whoever asked goes away: a write that is broken off
/// has an unknown outcome, which not every system can tell afterwards.
async fn sync(State(desk): State<Arc<Desk>>, Asked(request): Asked<SyncRequest>) -> Answered<SyncReport> {
    let report = tokio::spawn(async move { desk.sync(&request).await }).await;
    let report = report.map_err(|error| {
        let detail = format!("the sync ended unexpectedly: {error}. Look into the daemon's log");
        Problem::of_request(StatusCode::INTERNAL_SERVER_ERROR, detail)
    })?;
    Ok(Json(report?))
}

/// What would be said beside an answer at a terminal.
fn unsaid(remark: String) {
    tracing::info!(%remark, "beside an answer of the API");
}

/// The JSON body of a request, within bounds of size and time.
struct Asked<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, _: &S) -> Result<Self, Problem> {
        let read = tokio::time::timeout(BODY_TIMEOUT, to_bytes(request.into_body(), BODY_BYTES_MAX)).await;
        let body = match read {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => {
                return Err(Problem::of_request(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    format!("the body is incomplete or larger than {BODY_BYTES_MAX} bytes. Send less"),
                ));
            }
            Err(_) => {
                return Err(Problem::of_request(
                    StatusCode::REQUEST_TIMEOUT,
                    "the body took too long. Send it at once",
                ));
            }
        };
        let asked = serde_json::from_slice(&body).map_err(|error| {
            Refusal::usage(format!("the body is not what this route takes: {error}. Send it as JSON"))
        })?;
        Ok(Self(asked))
    }
}

/// Bounds the time of an answer.
async fn in_time(request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        Problem::of_request(
            StatusCode::GATEWAY_TIMEOUT,
            "the answer took too long. Whether something was decided is not known; look before you ask again",
        )
        .into_response()
    })
}

/// Every answer that is no success is a problem, also where no handler was reached.
async fn in_problems(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let status = response.status();
    let is_problem = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes() == MEDIA_TYPE.as_bytes());
    if is_problem || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let detail = match status {
        StatusCode::NOT_FOUND => format!("there is no route {path}. The guide lists them under Operating"),
        StatusCode::METHOD_NOT_ALLOWED => {
            format!("{path} does not take {method}. Questions are GET, what changes something is POST")
        }
        _ => "the path or its query cannot be read. The guide lists the routes under Operating".to_owned(),
    };
    Problem::of_request(status, detail).into_response()
}

/// Who is being answered is not sent away for somebody who comes later.
async fn kept(request: Request, next: Next) -> Response {
    let kept = request.extensions().get::<Arc<Place>>().cloned().map(Kept::new);
    let response = next.run(request).await;
    drop(kept);
    response
}

struct Kept(Arc<Place>);

impl Kept {
    fn new(place: Arc<Place>) -> Self {
        place.stay(true);
        Self(place)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.stay(false);
    }
}
