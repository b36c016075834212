//! Order among rows and writes: parents before children, values that move, writes that wait for another one.

use crate::world::{CUSTOMER, World, customer, raw, unreachable};
use avowal_core::data::value::Value;
use avowal_core::record::intent::Operation;
use avowal_engine::UndeliveredState;
use avowal_testkit::fake::{Constraint, FakeSystem, Fault, Profile};
use serde_json::{Value as Json, json};

/// Parents, and children that name their parent's number: no reference is declared. Kids sort before parents.
fn plain_family() -> Json {
    let shared = |kind: &str| json!({"type": kind, "owner": "shared", "strategy": "latest_valid_change", "precedence": ["app", "crm"]});
    json!({
        "a_kid": {
            "match_on": ["number"],
            "fields": {"number": shared("integer"), "parent": shared("integer"), "name": shared("string")},
            "deletes": {"owner": "shared", "edit_against_delete": "edit_wins"}
        },
        "z_parent": {
            "match_on": ["number"],
            "fields": {"number": shared("integer"), "name": shared("string")},
            "deletes": {"owner": "shared", "edit_against_delete": "edit_wins"}
        }
    })
}

/// People who may have a manager, by reference.
fn people() -> Json {
    let shared = |kind: &str| json!({"type": kind, "owner": "shared", "strategy": "latest_valid_change", "precedence": ["app", "crm"]});
    json!({
        "person": {
            "match_on": ["email"],
            "fields": {
                "email": shared("string"),
                "boss": {"type": "ref", "to": "person", "owner": "shared", "strategy": "latest_valid_change", "precedence": ["app", "crm"]}
            },
            "deletes": {"owner": "shared", "edit_against_delete": "edit_wins"}
        }
    })
}

const FAMILY: Constraint =
    Constraint::Reference { entity: "a_kid", column: "parent", to: "z_parent", key: Some("number") };

const BOSS: Constraint = Constraint::Reference { entity: "person", column: "boss", to: "person", key: None };

#[tokio::test]
async fn a_child_whose_reference_nobody_declared_follows_its_parent() {
    let world = World::with(plain_family(), [("app", Profile::log()), ("crm", Profile::log())]);
    world.sync().await;
    world.system("crm").constrain(FAMILY);
    for n in 1..=700 {
        world.system("app").insert("a_kid", raw(&json!({"number": 10_000 + n, "parent": n, "name": "K"})));
    }
    for n in 1..=700 {
        world.system("app").insert("z_parent", raw(&json!({"number": n, "name": "P"})));
    }
    let report = world.sync().await;
    assert_eq!(report.undelivered, []);
    assert_eq!(world.system("crm").rows("z_parent").len(), 700);
    assert_eq!(world.system("crm").rows("a_kid").len(), 700);
    assert!(world.system("crm").blocked() > 0);
    world.check_in_sync().await;
    // They are deleted together, in the order in which they cannot be.
    for entity in ["z_parent", "a_kid"] {
        for (id, _) in world.system("app").rows(entity).into_iter().take(20) {
            world.system("app").delete(entity, &id);
        }
    }
    world.sync().await;
    assert_eq!(world.system("crm").rows("a_kid").len(), 680);
    assert_eq!(world.quarantine().await, []);
}

#[tokio::test]
async fn a_row_is_made_before_those_that_refer_to_it_however_long_the_chain() {
    for crm in [Profile::log(), Profile::cas()] {
        let world = World::with(people(), [("app", Profile::log()), ("crm", crm)]);
        world.sync().await;
        world.system("crm").constrain(BOSS);
        let app = world.system("app");
        let names: Vec<String> = (0..30).map(|n| format!("{n:02}@x.org")).collect();
        let ids: Vec<_> =
            names.iter().map(|email| app.insert("person", raw(&json!({"email": email})))).collect();
        // Each refers to the one that was made after it.
        for pair in ids.windows(2) {
            app.edit("person", &pair[0], raw(&json!({"boss": pair[1].as_str()})));
        }
        world.sync().await;
        assert_eq!(world.system("crm").rows("person").len(), 30);
        world.check_in_sync().await;
    }
}

/// Three persons, each the boss of another, and one who is the own boss.
fn add_circles(app: &FakeSystem) {
    let [a, b, c, own] = ["a", "b", "c", "own"].map(|n| app.insert("person", raw(&json!({"email": n}))));
    for (from, to) in [(&a, &b), (&b, &c), (&c, &a), (&own, &own)] {
        app.edit("person", from, raw(&json!({"boss": to.as_str()})));
    }
}

#[tokio::test]
async fn rows_that_refer_to_each_other_are_made_empty_and_filled() {
    for crm in [Profile::log(), Profile::cas(), Profile::signal_only()] {
        let world = World::with(people(), [("app", Profile::log()), ("crm", crm)]);
        world.sync().await;
        world.system("crm").constrain(BOSS);
        add_circles(world.system("app"));
        world.sync().await;
        let rows = world.system("crm").rows("person");
        assert_eq!(rows.len(), 4);
        assert!(rows.values().all(|row| row.get("boss").is_some_and(|boss| !boss.is_null())), "{rows:?}");
        let own = world.system("crm").id_where("person", "email", &Value::text("own")).unwrap();
        assert_eq!(rows[&own]["boss"].as_text(), Some(own.as_str()));
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn rows_that_refer_to_each_other_from_the_first_listing_on_come_in() {
    for app in [Profile::log(), Profile::cas(), Profile::signal_only()] {
        let world = World::with(people(), [("app", app), ("crm", Profile::log())]);
        world.system("crm").constrain(BOSS);
        add_circles(world.system("app"));
        world.sync().await;
        let rows = world.system("crm").rows("person");
        assert_eq!(rows.len(), 4, "{}", world.story());
        assert!(rows.values().all(|row| row.get("boss").is_some_and(|boss| !boss.is_null())), "{rows:?}");
        assert_eq!(world.quarantine().await, []);
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn the_other_fields_of_a_known_row_do_not_wait_for_a_reference() {
    let mut world = World::with(people(), [("app", Profile::log()), ("crm", Profile::cas())]);
    world.settings.patience_ms = 60_000;
    let app = world.system("app");
    let a = app.insert("person", raw(&json!({"email": "a"})));
    world.sync().await;
    app.edit("person", &a, raw(&json!({"email": "b", "boss": "app-77"})));
    world.sync().await;
    let emails: Vec<_> =
        world.system("crm").rows("person").into_values().map(|row| row["email"].clone()).collect();
    assert_eq!(emails, [Value::text("b")]);
    let reasons: Vec<_> = world.quarantine().await.into_iter().map(|item| item.reason).collect();
    assert_eq!(reasons, ["boss (`boss`): \"app-77\" is not a person that is known yet"]);
    app.edit("person", &a, raw(&json!({"boss": null})));
    world.sync().await;
    assert_eq!(world.quarantine().await, []);
    world.check_in_sync().await;
}

#[tokio::test]
async fn a_unique_value_moves_from_one_row_to_another() {
    for crm in [Profile::log(), Profile::cas(), Profile::signal_only()] {
        let world = World::of([("app", Profile::log()), ("crm", crm)]);
        world.add("app", json!({"email": "a@x.org", "phone": "1"}));
        world.add("app", json!({"email": "b@x.org"}));
        world.add("app", json!({"email": "c@x.org"}));
        world.sync().await;
        world.system("crm").constrain(Constraint::Unique { entity: CUSTOMER, column: "phone" });
        for (from, to) in [("a", "b"), ("b", "c"), ("c", "a"), ("a", "c")] {
            world.edit("app", &format!("{from}@x.org"), json!({"phone": format!("was {from}")}));
            world.edit("app", &format!("{to}@x.org"), json!({"phone": "1"}));
            world.sync().await;
            assert_eq!(
                world.get("crm", &format!("{to}@x.org"), "phone"),
                json!("1"),
                "{from} {to}\n{}",
                world.story()
            );
        }
        assert_eq!(world.quarantine().await, []);
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn what_nothing_cures_is_tried_ten_times_without_events_and_then_set_aside() {
    let world = World::of([("app", Profile::log()), ("crm", Profile::log())]);
    world.sync().await;
    world.system("crm").constrain(Constraint::Unique { entity: CUSTOMER, column: "phone" });
    world.add("app", json!({"email": "a@x.org", "phone": "1"}));
    world.sync().await;
    for n in 0..3 {
        world.add("app", json!({"email": format!("{n}@x.org"), "phone": "1"}));
    }
    let report = world.sync().await;
    let [cause] = &report.undelivered[..] else { panic!("{:?}", report.undelivered) };
    assert_eq!((cause.system.as_str(), cause.count, cause.state), ("crm", 3, UndeliveredState::Waiting));
    assert!(cause.cause.contains("already exists"), "{cause:?}");
    let (events, blocked) = (world.events().await.len(), world.system("crm").blocked());
    let mut runs = 0;
    while world.quarantine().await.is_empty() {
        assert_eq!(world.events().await.len(), events, "a try leaves no event");
        runs += 1;
        assert!(runs < 20);
        world.sync().await;
    }
    assert!((9..=30).contains(&(world.system("crm").blocked() - blocked + 3)), "{blocked}");
    let report = world.sync().await;
    let [cause] = &report.undelivered[..] else { panic!("{:?}", report.undelivered) };
    assert_eq!((cause.count, cause.state), (3, UndeliveredState::SetAside));
    world.check_laws().await;
    world.check_idle().await;
    // A person corrects one: it arrives and its item closes.
    world.edit("app", "0@x.org", json!({"phone": "2"}));
    world.sync().await;
    assert_eq!(world.get("crm", "0@x.org", "phone"), json!("2"));
    assert_eq!(world.quarantine().await.len(), 2);
}

#[tokio::test]
async fn a_write_that_waits_is_replaced_when_something_else_is_to_be_written() {
    let world = World::of([("app", Profile::log()), ("crm", Profile::log())]);
    world.sync().await;
    world.system("crm").constrain(Constraint::Unique { entity: CUSTOMER, column: "phone" });
    world.add("app", json!({"email": "a@x.org", "phone": "1"}));
    world.add("app", json!({"email": "b@x.org", "phone": "1"}));
    assert_eq!(world.sync().await.undelivered.len(), 1);
    world.edit("app", "b@x.org", json!({"phone": "2"}));
    assert_eq!(world.sync().await.undelivered, []);
    assert_eq!(world.get("crm", "b@x.org", "phone"), json!("2"));
    world.check_in_sync().await;
    // What waits is withdrawn with its record.
    let id = world.add("app", json!({"email": "c@x.org", "phone": "2"}));
    assert_eq!(world.sync().await.undelivered.len(), 1);
    world.system("app").delete(CUSTOMER, &id);
    assert_eq!(world.sync().await.undelivered, []);
    world.check_in_sync().await;
}

#[tokio::test]
async fn a_write_that_is_refused_for_now_is_tried_on_and_shown_and_leaves_quarantine_when_it_succeeds() {
    let mut world = World::of([("app", Profile::log()), ("crm", Profile::cas())]);
    world.settings.patience_ms = 1_000_000;
    world.sync().await;
    world.add("app", json!({"email": "a@x.org"}));
    world.sync().await;
    world.edit("app", "a@x.org", json!({"name": "Ann"}));
    world.system("crm").fail_operation(Operation::Update, vec![Fault::Unavailable; 15]);
    let before = world.events().await.len();
    let report = world.sync().await;
    assert_eq!(report.undelivered, []);
    assert_eq!(world.get("crm", "a@x.org", "name"), json!("Ann"));
    assert_eq!(world.quarantine().await, [], "it has arrived");
    // observed, field_changed, planned, sent, failed, set aside, confirmed, and the echo.
    assert!(world.events().await.len() - before <= 8, "{}", world.story());
    world.check_in_sync().await;
    // While it lasts, it is seen.
    world.edit("app", "a@x.org", json!({"name": "Anna"}));
    world.system("crm").fail_operation(Operation::Update, vec![Fault::Unavailable; 100]);
    let report = world.sync().await;
    assert!(report.undelivered.iter().any(|cause| cause.cause.contains("out of order")), "{report:?}");
    assert_eq!(world.quarantine().await.len(), 1);
}

#[tokio::test]
async fn a_crash_during_a_try_without_an_event_leaves_an_unknown_outcome() {
    for crash in [Fault::CrashAfter, Fault::CrashBefore] {
        for crm in [Profile::cas(), Profile::log(), Profile::correlated()] {
            let world = World::of([("app", Profile::log()), ("crm", crm)]);
            world.sync().await;
            world.add("app", json!({"email": "a@x.org"}));
            world
                .system("crm")
                .fail_operation(Operation::Create, [Fault::Unavailable, Fault::Unavailable, crash.clone()]);
            let run = world.engine();
            let run = run.sync(Default::default(), &avowal_engine::Unwatched);
            // It hangs in the third try.
            assert!(
                futures::FutureExt::now_or_never(tokio::time::timeout(std::time::Duration::ZERO, run))
                    .is_none_or(|run| run.is_err())
            );
            world.system("crm").fail_nothing();
            world.sync().await;
            assert_eq!(world.counts(), [1, 1], "{crash:?}");
            world.check_in_sync().await;
        }
    }
}

#[tokio::test]
async fn creates_go_out_in_the_order_in_which_they_were_made() {
    let world = World::of([("app", Profile::log()), ("crm", Profile::cas())]);
    world.sync().await;
    let names: Vec<String> = (0..40).map(|n| format!("{}@x.org", n * 7 % 40)).collect();
    names.iter().for_each(|email| drop(world.add("app", json!({"email": email}))));
    world.sync().await;
    let mut made: Vec<(u64, String)> = world
        .system("crm")
        .rows(CUSTOMER)
        .into_iter()
        .map(|(id, row)| {
            let n = id.as_str().rsplit('-').next().unwrap().parse().unwrap();
            (n, row["email"].as_text().unwrap().to_owned())
        })
        .collect();
    made.sort();
    assert_eq!(made.into_iter().map(|(_, email)| email).collect::<Vec<_>>(), names);
}

#[tokio::test]
async fn a_row_is_made_anew_after_the_delete_of_its_key_is_done() {
    for crm in [Profile::log(), Profile::cas(), Profile::signal_only()] {
        let world = World::of([("app", Profile::log()), ("crm", crm)]);
        world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
        world.add("app", json!({"email": "b@x.org", "name": "Bob"}));
        world.sync().await;
        let id = world.id("app", "a@x.org");
        world.system("app").delete(CUSTOMER, &id);
        world.add("app", json!({"email": "a@x.org", "name": "Ann again"}));
        world.sync().await;
        assert_eq!(world.counts(), [2, 2]);
        assert_eq!(world.get("crm", "a@x.org", "name"), json!("Ann again"));
        assert_eq!(world.quarantine().await, []);
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn a_system_that_is_down_sets_nothing_aside() {
    let world = World::of([("app", Profile::log()), ("crm", Profile::log())]);
    world.sync().await;
    world.add("app", json!({"email": "a@x.org"}));
    world.system("crm").set_down(Some(unreachable()));
    for _ in 0..30 {
        world.sync().await;
    }
    assert_eq!(world.quarantine().await, []);
    world.system("crm").set_down(None);
    world.sync().await;
    world.check_in_sync().await;
    let _ = customer();
}

/// The create's outcome is unknown, and what it refers to never comes. By the time something else is to be written, the
/// same create is not repeated for ever.
#[tokio::test]
async fn a_create_that_cannot_be_repeated_any_more_is_looked_up() {
    let world = World::with(plain_family(), [("app", Profile::log()), ("crm", Profile::correlated())]);
    world.sync().await;
    let (app, crm) = (world.system("app"), world.system("crm"));
    crm.constrain(FAMILY);
    crm.fail_operation(Operation::Create, [Fault::TimeoutBefore]);
    let kid = app.insert("a_kid", raw(&json!({"number": 10, "parent": 1, "name": "K"})));
    for _ in 0..3 {
        world.sync().await;
        world.clock.advance(60_000);
    }
    assert!(crm.blocked() > 0);
    app.insert("z_parent", raw(&json!({"number": 2, "name": "P"})));
    app.edit("a_kid", &kid, raw(&json!({"parent": 2})));
    for _ in 0..8 {
        world.sync().await;
        world.clock.advance(600_000);
    }
    assert_eq!(world.quarantine().await, []);
    world.check_in_sync().await;
}

/// Two records have the same key by now, and the outcome of both creates is unknown. One is confirmed, and the other one
/// finds that copy in the same turn.
#[tokio::test]
async fn a_copy_that_one_create_made_is_not_found_by_another() {
    let world = World::of([("app", Profile::log()), ("crm", Profile::log())]);
    world.sync().await;
    let (app, crm) = (world.system("app"), world.system("crm"));
    crm.constrain(Constraint::Unique { entity: CUSTOMER, column: "email" });
    crm.set_down(Some(unreachable()));
    world.add("app", json!({"email": "a@x.org", "phone": "1"}));
    let other = world.add("app", json!({"email": "b@x.org", "phone": "2"}));
    let last = world.add("app", json!({"email": "c@x.org", "phone": "3"}));
    assert!(world.try_sync().await.is_ok());
    app.edit(CUSTOMER, &other, raw(&json!({"email": "a@x.org"})));
    assert!(world.try_sync().await.is_ok());
    crm.set_down(None);
    crm.set_feed_stuck(true);
    crm.fail_operation(Operation::Create, [Fault::TimeoutAfter, Fault::TimeoutBefore]);
    for _ in 0..4 {
        world.sync().await;
        world.clock.advance(60_000);
    }
    assert_eq!(crm.rows(CUSTOMER).len(), 2, "one copy for each key");
    app.delete(CUSTOMER, &last);
    world.sync().await;
    assert_eq!(crm.rows(CUSTOMER).len(), 1, "other writes are not held up");
    let items = world.quarantine().await;
    assert_eq!(items.len(), 1, "{items:?}");
    world.check_laws().await;
}
