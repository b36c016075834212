//! Stamps that are coarse, local, of another clock or late: no edit is missed by a feed.

use super::{Server, thing};
use avowal_connectors::http::HttpConnector;
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::connector::Connector as _;
use avowal_engine::ports::store::Cursor;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

const DECLARED: &str = "updated = 'updated'\nchanges = {}\npage_size = 10";
/// 2023-11-22T10:00:30Z.
const NOW: i64 = 1_700_647_230_000;

/// How the service spells the time of an edit.
type Spell = fn(i64) -> serde_json::Value;

/// A service with a clock of its own, in milliseconds. A row is (revision, time of its edit, visible from).
struct Office {
    now: i64,
    spell: Spell,
    rows: BTreeMap<u64, (u64, i64, i64)>,
    questions: Vec<BTreeMap<String, String>>,
    /// The most rows that a question shows; those behind are refused.
    window: usize,
}

type Shared = Arc<Mutex<Office>>;

async fn shelf(State(office): State<Shared>, Query(query): Query<BTreeMap<String, String>>) -> Response {
    let mut office = office.lock().unwrap();
    office.questions.push(query.clone());
    let spell = office.spell;
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
    let (page, size) = (number("page").unwrap_or(1), number("per_page").unwrap_or(10));
    let since = query.get("updated_since");
    if since.is_some_and(|since| spell(0).is_number() && since.parse::<i64>().is_err()) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let is_asked = |at: i64| {
        let stamp = text(&spell(at));
        since.is_none_or(|since| match (stamp.parse::<i64>(), since.parse::<i64>()) {
            (Ok(stamp), Ok(since)) => stamp >= since,
            _ => stamp.as_str() >= since.as_str(),
        })
    };
    let mut found: Vec<_> =
        office.rows.iter().filter(|(_, (_, at, from))| *from <= office.now && is_asked(*at)).collect();
    found.sort_by_key(|(id, (_, at, _))| (*at, **id));
    if page * size > office.window {
        return (StatusCode::UNPROCESSABLE_ENTITY, r#"{"message": "too deep"}"#).into_response();
    }
    let rows: Vec<_> = found
        .into_iter()
        .skip((page - 1) * size)
        .take(size)
        .map(|(id, (revision, at, _))| json!({ "id": id, "name": revision.to_string(), "updated": spell(*at) }))
        .collect();
    let date = UNIX_EPOCH + Duration::from_millis(office.now.unsigned_abs());
    ([(header::DATE, httpdate(date))], json!(rows).to_string()).into_response()
}

/// The date as in a `Date` header.
fn httpdate(at: std::time::SystemTime) -> String {
    let ms = i64::try_from(at.duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let text = Timestamp::from_millis(ms).to_string();
    let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let day = days[usize::try_from(ms.div_euclid(86_400_000).rem_euclid(7)).unwrap()];
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months[text[5..7].parse::<usize>().unwrap() - 1];
    format!("{day}, {} {month} {} {} GMT", &text[8..10], &text[..4], &text[11..19])
}

struct World {
    office: Shared,
    _server: Server,
    connector: HttpConnector,
    cursor: Cursor,
}

impl World {
    async fn open(spell: Spell, rows: u64) -> Self {
        let rows = (1..=rows).map(|id| (id, (0, NOW - 60_000, 0))).collect();
        let office = Office { now: NOW, spell, rows, questions: Vec::new(), window: usize::MAX };
        let office: Shared = Arc::new(Mutex::new(office));
        let router = Router::new().route("/things", get(shelf)).with_state(Arc::clone(&office));
        let server = Server::start(router).await;
        let connector = server.connector(DECLARED);
        let cursor = connector.feed_position(&thing()).await.unwrap();
        Self { office, _server: server, connector, cursor }
    }

    fn edit(&self, id: u64, late_ms: i64) {
        let mut office = self.office.lock().unwrap();
        let now = office.now;
        let row = office.rows.entry(id).or_default();
        *row = (row.0 + 1, now, now + late_ms);
    }

    fn wait(&self, ms: i64) {
        self.office.lock().unwrap().now += ms;
    }

    async fn follow(&mut self) -> Vec<String> {
        let mut ids = Vec::new();
        for _ in 0..1000 {
            let page = self.connector.changes(&thing(), &self.cursor, 100).await.unwrap();
            ids.extend(page.changes.into_iter().map(|change| change.id.to_string()));
            self.cursor = page.next;
            if !page.more {
                return ids;
            }
        }
        panic!("the scan never ends");
    }
}

fn iso(ms: i64) -> String {
    Timestamp::from_millis(ms).to_string()
}

#[tokio::test]
async fn every_edit_is_followed_whatever_its_stamp() {
    let spellings: [(&str, Spell); 9] = [
        ("seconds", |ms| json!(ms / 1000)),
        ("milliseconds", |ms| json!(ms)),
        ("text", |ms| json!(iso(ms))),
        ("minutes", |ms| json!(format!("{}:00Z", &iso(ms)[..16]))),
        ("minutes, rounded up", |ms| json!(format!("{}:00Z", &iso(ms + 59_999)[..16]))),
        ("without seconds", |ms| json!(format!("{}Z", &iso(ms)[..16]))),
        ("days", |ms| json!(&iso(ms)[..10])),
        ("local time in the west", |ms| json!(iso(ms - 5 * 3_600_000)[..19].replace('T', " "))),
        ("a clock ten minutes behind", |ms| json!(iso(ms - 600_000))),
    ];
    for (what, spell) in spellings {
        let mut world = World::open(spell, 5).await;
        world.follow().await;
        for (n, pause) in [800, 800, 20_000, 40_000, 3_600_000, 800, 90_000].into_iter().enumerate() {
            world.wait(pause);
            world.edit(3, 0);
            assert_eq!(world.follow().await, ["3"], "{what}: edit {n}");
            world.wait(800);
            assert_eq!(world.follow().await, Vec::<String>::new(), "{what}: nothing new after edit {n}");
        }
    }
}

#[tokio::test]
async fn offsets_in_the_stamps_are_written_back() {
    for hours in [-8_i64, 0, 9] {
        let spell: Spell = match hours {
            -8 => |ms| json!(format!("{}-08:00", &iso(ms - 8 * 3_600_000)[..19])),
            0 => |ms| json!(format!("{}+00:00", &iso(ms)[..19])),
            _ => |ms| json!(format!("{}+0900", &iso(ms + 9 * 3_600_000)[..19])),
        };
        let mut world = World::open(spell, 5).await;
        world.follow().await;
        for _ in 0..3 {
            world.wait(70_000);
            world.edit(2, 0);
            assert_eq!(world.follow().await, ["2"], "{hours}");
        }
    }
}

#[tokio::test]
async fn a_row_that_appears_late_is_found_and_teaches() {
    let mut world = World::open(|ms| json!(iso(ms)), 5).await;
    world.follow().await;
    for late_ms in [4_000, 25_000, 40_000, 70_000] {
        world.wait(10_000);
        world.edit(77, late_ms);
        let mut found = Vec::new();
        for _ in 0..=late_ms / 1000 {
            world.wait(1_000);
            world.edit(2, 0);
            found.extend(world.follow().await);
        }
        assert!(found.contains(&"77".to_owned()), "visible {late_ms} ms late: {found:?}");
    }
}

#[tokio::test]
async fn the_first_question_to_an_empty_collection_has_no_time_in_it() {
    for spell in [(|ms| json!(ms)) as Spell, |ms| json!(iso(ms))] {
        let mut world = World::open(spell, 0).await;
        assert_eq!(world.follow().await, Vec::<String>::new());
        world.wait(5_000);
        world.edit(1, 0);
        assert_eq!(world.follow().await, ["1"]);
        world.wait(5_000);
        world.edit(2, 0);
        assert_eq!(world.follow().await, ["2"]);
        let office = world.office.lock().unwrap();
        assert!(!office.questions[1].contains_key("updated_since"), "{:?}", office.questions);
        assert!(office.questions.last().unwrap().contains_key("updated_since"));
    }
}

#[tokio::test]
async fn a_result_window_makes_the_feed_ask_for_less() {
    let mut world = World::open(|ms| json!(ms), 5).await;
    world.follow().await;
    world.office.lock().unwrap().window = 1000;
    for id in 100..2600 {
        world.wait(1);
        world.edit(id, 0);
    }
    let found: std::collections::BTreeSet<_> = world.follow().await.into_iter().collect();
    assert_eq!(found.len(), 2500);
    world.wait(1000);
    // A bulk job gives more rows one stamp than the service shows: that is said, and the feed stays where it is.
    (3000..4100).for_each(|id| world.edit(id, 0));
    let error = loop {
        match world.connector.changes(&thing(), &world.cursor, 100).await {
            Ok(page) if page.more => world.cursor = page.next,
            Ok(_) => panic!("the rest was not seen"),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("one and the same time"), "{error}");
}
