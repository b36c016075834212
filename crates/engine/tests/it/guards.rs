//! Guards: healthy work passes, and a mistake that spreads is stopped before its first write, durably.

use crate::world::{CUSTOMER, World, raw, unreachable};
use avowal_core::data::ids::SystemName;
use avowal_engine::SyncReport;
use avowal_engine::ports::clock::Clock as _;
use avowal_engine::ports::store::{ControlStops, Direction, ReadOverview, Stop, StopCause};
use avowal_testkit::fake::Profile;
use serde_json::{Value as Json, json};

pub const ROWS: usize = 40;

/// Customers with a match key, three fields of texts, and what changes everywhere in healthy work; and orders.
fn rules() -> Json {
    let shared = |kind: &str| json!({"type": kind, "owner": "shared", "strategy": "latest_valid_change", "precedence": ["app", "crm"]});
    let fields = json!({
        "email": shared("string"), "name": shared("string"), "phone": shared("string"), "status": shared("string"),
        "price": shared("decimal"), "billed": shared("date"), "visits": shared("integer")
    });
    let deletes = json!({"owner": "shared", "edit_against_delete": "edit_wins"});
    json!({
        "customer": {
            "match_on": ["email"], "fields": fields, "deletes": deletes,
            "systems": {"app": {"nulls": "clear"}, "crm": {"nulls": "clear"}}
        },
        "order": {"match_on": ["email"], "fields": {"email": shared("string"), "name": shared("string")}, "deletes": deletes}
    })
}

pub fn email(n: usize) -> String {
    format!("{n}@x.org")
}

pub fn row(n: usize) -> Json {
    json!({
        "email": email(n), "name": format!("Ann {n}"), "phone": format!("+1 {n}"), "status": (["active", "trial", "gone"][n % 3]),
        "price": format!("{}.5", 10 + n), "billed": "2026-03-31", "visits": n
    })
}

fn empty(crm: Profile) -> World {
    World::with(rules(), [("app", Profile::log()), ("crm", crm)])
}

/// Both systems hold the same customers, and the day of the first link is over.
pub async fn linked(crm: Profile) -> World {
    let world = empty(crm);
    for n in 0..ROWS {
        world.add("app", row(n));
    }
    world.sync().await;
    world.system("crm").take_deliveries();
    world.clock.advance(2 * 24 * 60 * 60 * 1000);
    world.sync().await;
    world
}

/// Changes every customer of a system.
fn change_all(world: &World, system: &str, change: impl Fn(usize) -> Json) {
    for n in 0..ROWS {
        world.edit(system, &email(n), change(n));
    }
}

fn stop_of<'a>(report: &'a SyncReport, name: &str) -> &'a Stop {
    let found = report.stops.iter().find(|stop| stop.cause == StopCause::Changes);
    found.unwrap_or_else(|| panic!("no stop, {name}: {report:#?}"))
}

/// What a person enters to approve.
async fn approve(world: &World, system: &str, causes: &[StopCause]) {
    for cause in causes {
        let stop = Stop {
            system: system.into(),
            direction: Direction::Out,
            cause: *cause,
            by: None,
            note: None,
            since: world.clock.now(),
        };
        world.store.keep_lifted(&stop, "Ada", world.clock.now()).await.unwrap();
    }
}

type Story = (&'static str, fn(&World));

const HEALTHY: [Story; 9] = [
    ("nothing", |_| {}),
    ("a season's prices", |world| change_all(world, "app", |n| json!({"price": format!("{}.25", 8 + n)}))),
    ("a month's end", |world| {
        change_all(
            world,
            "app",
            |n| json!({"price": format!("{n}.75"), "billed": "2026-04-30", "visits": 0}),
        );
    }),
    ("a bulk import", |world| {
        for n in ROWS..ROWS + 900 {
            world.add("app", row(n));
        }
    }),
    ("names that are all spelled anew", |world| {
        change_all(world, "app", |n| json!({"name": format!("ANN {n}")}))
    }),
    ("a failover", |world| {
        world.system("crm").set_down(Some(unreachable()));
        change_all(world, "app", |n| json!({"price": format!("{n}.75")}));
    }),
    ("a person tidies up", |world| {
        for n in 0..8 {
            world.edit("app", &email(n), json!({"phone": null, "status": "gone"}));
        }
    }),
    ("a new entity", |world| {
        for n in 0..1_500 {
            world.system("app").insert("order", raw(&json!({"email": email(n), "name": "chairs"})));
        }
    }),
    ("a field that is filled in", |world| {
        for n in ROWS..ROWS + 30 {
            world.add("app", json!({"email": email(n), "name": "Ann", "status": "trial"}));
        }
    }),
];

#[tokio::test]
async fn healthy_work_is_not_stopped() {
    for (name, story) in HEALTHY {
        let world = linked(Profile::cas()).await;
        story(&world);
        let mut stops = world.sync().await.stops;
        world.system("crm").set_down(None);
        world.clock.advance(60_000);
        stops.extend(world.sync().await.stops);
        assert_eq!(stops, [], "{name}");
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn a_first_link_is_not_stopped() {
    for (name, crm) in Profile::all() {
        let world = empty(crm);
        for n in 0..ROWS {
            world.add("app", json!({"email": email(n), "name": "Ann", "phone": null, "status": "active"}));
            world.add(
                "crm",
                json!({"email": email(n), "name": format!("CRM {n}"), "phone": "1", "status": "old"}),
            );
        }
        let report = world.sync().await;
        assert_eq!(report.stops, [], "{name}");
        assert!(report.written() >= ROWS as u64, "{name}: {report:?}");
        world.clock.advance(60_000);
        world.sync().await;
        world.check_in_sync().await;
    }
}

/// Name, in which system it goes wrong, what goes wrong, what the stop of the other one says.
type Sick = (&'static str, &'static str, fn(usize) -> Json, &'static str);

const SICK: [Sick; 5] = [
    (
        "a migration empties a column",
        "app",
        |_| json!({"phone": null}),
        "phone would be emptied in 40 of the 40 copies",
    ),
    (
        "a service answers with empty fields",
        "crm",
        |_| json!({"phone": "", "status": ""}),
        "status would be emptied in 40 of the 40 copies",
    ),
    (
        "an update without its condition",
        "app",
        |_| json!({"status": "x"}),
        "status would get the same value in 40 of the 40 copies",
    ),
    (
        "columns are shifted",
        "app",
        |n| json!({"name": format!("+1 {n}"), "phone": format!("status {n}"), "status": format!("Ann {n}")}),
        "everything would change: name, phone, status in 40 of the 40 copies",
    ),
    (
        "keys are shifted",
        "app",
        |n| json!({"email": format!("{}@y.org", n + 1)}),
        "email, by which customer is matched, would change in 40 of the 40 copies",
    ),
];

#[tokio::test]
async fn a_mistake_that_spreads_is_stopped_before_its_first_write() {
    for (name, from, change, expected) in SICK {
        for (profile, crm) in Profile::all() {
            // By threes once: what differs is only when it is counted.
            let batches: &[usize] = if profile == "cas" { &[500, 3] } else { &[500] };
            for batch in batches.iter().copied() {
                let mut world = linked(crm.clone()).await;
                world.settings.batch_records_max = batch;
                let to = if from == "app" { "crm" } else { "app" };
                let writes = world.system(to).calls().writes;
                change_all(&world, from, change);
                let report = if crm.capabilities.feed { world.sync().await } else { world.full_sync().await };
                let name = format!("{name}, {profile}, {batch}");
                let stop = stop_of(&report, &name);
                assert!(report.is_held(), "{name}");
                assert_eq!((stop.system.as_str(), stop.direction), (to, Direction::Out), "{name}");
                assert!(stop.to_string().contains("--approve-changes"), "{name}: {stop}");
                assert!(stop.to_string().contains("Among them: app:"), "{name}: {stop}");
                let went_out = report.systems[&SystemName::new(to)].written;
                if batch == 500 {
                    assert!(stop.to_string().contains(expected), "{name}: {stop}");
                    assert_eq!(world.system(to).calls().writes, writes, "{name}: nothing went out");
                } else {
                    // What is read again by threes is counted as it comes.
                    assert!(went_out <= 9, "{name}: {went_out}");
                }
                let writes = world.system(to).calls().writes;
                // It is durable.
                world.add(from, row(ROWS));
                assert!(world.sync().await.is_held(), "{name}");
                assert_eq!(world.system(to).calls().writes, writes, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn what_a_person_approves_goes_out() {
    let world = linked(Profile::cas()).await;
    change_all(&world, "app", |_| json!({"status": "x"}));
    assert!(world.sync().await.is_held());
    approve(&world, "crm", &[StopCause::Changes, StopCause::ApprovedChanges]).await;
    assert!(!world.sync().await.is_held());
    assert_eq!(world.get("crm", &email(3), "status"), json!("x"));
    world.check_in_sync().await;
}

#[tokio::test]
async fn what_is_cured_where_it_comes_from_goes_on_and_what_is_not_is_stopped_again() {
    let world = linked(Profile::cas()).await;
    change_all(&world, "app", |_| json!({"phone": null}));
    let report = world.sync().await;
    // Lifted without a word of approval, it is set again.
    let stop = stop_of(&report, "emptied").clone();
    world.store.lift_stop(&stop, "Ada", world.clock.now()).await.unwrap();
    assert!(world.sync().await.is_held());
    change_all(&world, "app", |n| json!({"phone": format!("+1 {n}")}));
    world.store.lift_stop(&stop, "Ada", world.clock.now()).await.unwrap();
    assert!(!world.sync().await.is_held());
    assert_eq!(world.get("crm", &email(3), "phone"), json!("+1 3"));
    world.check_in_sync().await;
}

/// Each run is another engine: the store counts.
#[tokio::test]
async fn what_comes_little_by_little_is_counted_over_restarts_for_an_hour() {
    for (pause_ms, is_stopped) in [(60_000, true), (2 * 60 * 60 * 1000, false)] {
        let world = linked(Profile::cas()).await;
        let mut held = false;
        for wave in 0..5 {
            for n in wave * 8..wave * 8 + 8 {
                world.edit("app", &email(n), json!({"phone": null}));
            }
            held |= world.sync().await.is_held();
            world.clock.advance(pause_ms);
        }
        assert_eq!(held, is_stopped, "{pause_ms}");
        if held {
            let emptied = (0..ROWS).filter(|n| world.get("crm", &email(*n), "phone") == json!(null)).count();
            assert_eq!(emptied, 8, "the second wave passes the share of a fifth");
        }
    }
}

#[tokio::test]
async fn deletes_and_copies_made_again_are_counted_over_restarts() {
    let world = linked(Profile::cas()).await;
    let mut held = Vec::new();
    for wave in 0..3 {
        for n in wave * 4..wave * 4 + 4 {
            let id = world.id("app", &email(n));
            world.system("app").delete(CUSTOMER, &id);
        }
        held = world.sync().await.stops;
    }
    assert_eq!(held.len(), 1, "{held:?}");
    assert!(held[0].to_string().contains("(4 more went out just now)"), "{}", held[0]);
    assert_eq!(world.counts(), [ROWS - 12, ROWS - 4]);
    approve(&world, "crm", &[StopCause::Deletes, StopCause::ApprovedDeletes]).await;
    world.sync().await;
    assert_eq!(world.counts(), [ROWS - 12, ROWS - 12]);
    world.check_in_sync().await;
}

#[tokio::test]
async fn what_a_system_changed_itself_and_is_put_back_is_no_mistake_of_ours() {
    let mut rules = rules();
    rules["customer"]["fields"]["status"] =
        json!({"type": "string", "owner": "app", "strategy": "owner_wins"});
    let world = World::with(rules, [("app", Profile::log()), ("crm", Profile::log())]);
    for n in 0..ROWS {
        world.add("app", json!({"email": email(n), "status": "active"}));
    }
    world.sync().await;
    world.clock.advance(2 * 24 * 60 * 60 * 1000);
    change_all(&world, "crm", |_| json!({"status": "x"}));
    assert_eq!(world.sync().await.stops, []);
    assert_eq!(world.get("crm", &email(0), "status"), json!("active"));
    world.check_in_sync().await;
}

/// An automation of the CRM puts its own value back each time. Each run of the engine is another process.
#[tokio::test]
async fn writers_that_undo_each_other_in_run_after_run_are_found_out() {
    for (name, crm) in Profile::all().into_iter().filter(|(_, crm)| crm.capabilities.feed) {
        let mut rules = rules();
        rules["customer"]["fields"]["status"] =
            json!({"type": "string", "owner": "app", "strategy": "owner_wins"});
        let world = World::with(rules, [("app", Profile::log()), ("crm", crm)]);
        world.add("app", row(0));
        world.sync().await;
        let mut rounds = 0;
        while world.sync().await.quarantine_open == 0 && rounds < 12 {
            world.clock.advance(120_000);
            world.edit("crm", &email(0), json!({"status": "x"}));
            rounds += 1;
        }
        assert_eq!(
            rounds,
            7,
            "{name}: the first write is none of a loop, five more are tried\n{}",
            world.story()
        );
        // A person resolves it, and the count begins anew.
        let item = world.store.quarantined(1).await.unwrap().remove(0);
        assert!(item.reason.contains("status"), "{}", item.reason);
        world.engine().replay(&item, "Ada").await.unwrap();
        let report = world.sync().await;
        assert_eq!(
            (report.quarantine_open, world.get("crm", &email(0), "status")),
            (0, json!("active")),
            "{name}"
        );
    }
}

#[tokio::test]
async fn edits_that_a_person_makes_back_and_forth_are_no_loop() {
    let world = linked(Profile::cas()).await;
    for round in 0..20 {
        world.edit("app", &email(0), json!({"status": if round % 2 == 0 { "x" } else { "y" }}));
        assert_eq!(world.sync().await.quarantine_open, 0, "{round}");
        world.clock.advance(20_000);
    }
    world.check_in_sync().await;
}

/// A third of the copies is shown neither by the listing nor by their ids.
#[tokio::test]
async fn a_listing_that_is_much_shorter_stops_deletes_as_much_as_creates() {
    for (name, crm) in Profile::all() {
        for (owner, cause, stopped) in
            [("shared", StopCause::Deletes, "app"), ("app", StopCause::Creates, "crm")]
        {
            let mut rules = rules();
            rules["customer"]["deletes"] =
                json!({"owner": owner, "on_refused": "revert", "edit_against_delete": "edit_wins"});
            let world = World::with(rules, [("app", Profile::log()), ("crm", crm.clone())]);
            for n in 0..ROWS {
                world.add("app", row(n));
            }
            world.sync().await;
            world.clock.advance(2 * 24 * 60 * 60 * 1000);
            for n in 0..ROWS / 3 {
                let id = world.id("crm", &email(n));
                world.system("crm").delete_silently(CUSTOMER, &id);
            }
            for _ in 0..3 {
                world.full_sync().await;
                world.clock.advance(60_000);
            }
            let report = world.full_sync().await;
            let [stop] = report.stops.as_slice() else {
                panic!("{name} {owner}: {report:#?}\n{}", world.story())
            };
            assert_eq!((stop.cause, stop.system.as_str()), (cause, stopped), "{name} {owner}: {stop}");
            assert_eq!(world.counts(), [ROWS, ROWS - ROWS / 3], "{name} {owner}");
        }
    }
}
