//! Runs, as people and scripts meet them: who ran what, how it ended, and what it did.

use crate::bench::{Bench, wait_until};

const RULES: &str = r#"
[entities.customer]
match_on = ["email"]
deletes = { owner = "shared" }
[entities.customer.fields]
email = { type = "string", owner = "app", strategy = "owner_wins" }
name = { type = "string", owner = "shared", strategy = "manual_review" }
"#;

/// An app with two customers and a CRM with none, synced once.
fn synced() -> Bench {
    let bench = Bench::of_ann_and_bob(RULES);
    bench.ends_with(0, &["sync"]);
    bench
}

#[test]
fn each_sync_is_a_run_that_its_events_name() {
    let bench = synced();
    bench.sql("app", "UPDATE customers SET name = 'Bea' WHERE id = 2");
    bench.ends_with(0, &["sync", "--full"]);
    let listed = bench.ends_with(0, &["runs", "list"]);
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[0].starts_with("2  ") && lines[1].starts_with("1  "), "{listed}");
    assert!(lines[0].contains("1 belief changed") && lines[0].contains("1 write confirmed"), "{listed}");
    let shown = bench.ends_with(0, &["runs", "show", "2"]);
    assert!(shown.contains("sync --full"), "{shown}");
    assert!(shown.contains("customer: 1 record touched; beliefs changed: name 1"), "{shown}");
    assert!(shown.contains("crm: 1 write confirmed"), "{shown}");
    let why = bench.ends_with(0, &["why", "customer", "app:2", "name"]);
    assert!(why.contains(", in run 2"), "{why}");
    let told = bench.ends_with(0, &["timeline", "customer", "app:2", "--full"]);
    assert!(told.contains("[run 1, policy ") && told.contains("[run 2, policy "), "{told}");
    let json = bench.json(&["runs", "show", "2"]);
    assert_eq!((&json["id"], &json["end"], &json["kind"]), (&2.into(), &"done".into(), &"sync".into()));
    assert_eq!(json["systems"]["crm"]["writes_confirmed"], 1);
    let events = bench.json(&["timeline", "customer", "app:1"]);
    assert!(events.as_array().unwrap().iter().all(|event| event["run"] == 1), "{events}");
    bench.ends_with(0, &["history", "verify"]);
}

#[test]
fn an_answer_is_a_run_of_the_person_and_a_run_that_waits_says_so() {
    let bench = synced();
    bench.sql("app", "UPDATE customers SET name = 'Beate' WHERE id = 2");
    bench.sql("crm", "UPDATE contacts SET name = 'Bea' WHERE id = 2");
    bench.ends_with(4, &["sync"]);
    let reviews = bench.json(&["review", "list"]);
    let id = reviews[0]["review"]["id"].as_str().unwrap().to_owned();
    bench.ends_with(0, &["review", "resolve", &id, "--set", "Bee", "--by", "Grace"]);
    let listed = bench.ends_with(0, &["runs", "list"]);
    let first = listed.lines().next().unwrap();
    assert!(first.starts_with("3  ") && first.contains("decision by Grace: done"), "{listed}");
    assert!(listed.lines().nth(1).unwrap().contains("done, and something waits"), "{listed}");
    assert!(listed.contains("1 question asked"), "{listed}");
    let why = bench.ends_with(0, &["why", "customer", "app:2", "name"]);
    assert!(why.contains(", in run 3"), "{why}");
}

#[test]
fn a_run_that_was_killed_is_known_by_the_end_that_it_lacks() {
    let bench = synced();
    let daemon = bench.daemon();
    wait_until("the daemon has begun its run", || bench.ends_with(0, &["runs", "list"]).starts_with("2  "));
    assert!(bench.ends_with(0, &["runs", "list"]).contains("goes on"));
    drop(daemon);
    bench.ends_with(0, &["sync"]);
    let listed = bench.ends_with(0, &["runs", "list"]);
    assert!(listed.lines().nth(1).unwrap().contains("killed before it ended"), "{listed}");
    let shown = bench.ends_with(0, &["runs", "show", "2"]);
    assert!(shown.contains("last seen at"), "{shown}");
    let said = bench.ends_with(2, &["runs", "show", "77"]);
    assert!(said.contains("there is no run 77") && said.contains("avowal runs list"), "{said}");
}
