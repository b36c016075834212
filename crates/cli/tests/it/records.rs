//! The commands over a real store: two SQLite files synced, then asked about.

use crate::bench::Bench;
use crate::configuration::GOOD;
use rusqlite::Connection;

/// Two databases with one customer each side, and the app's synced into the CRM.
fn synced() -> Bench {
    let bench = Bench::with(&GOOD.replace(
        "strategy = \"latest_valid_change\", precedence = [\"app\", \"crm\"]",
        "strategy = \"manual_review\"",
    ));
    let app = open(&bench, "app.db");
    app.execute_batch(
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT, phone_number TEXT, tags TEXT);
         INSERT INTO customers VALUES (1, 'ada@example.com', '030 1', '[\"a\"]');",
    )
    .unwrap();
    let crm = open(&bench, "crm.db");
    crm.execute_batch("CREATE TABLE contacts (id INTEGER PRIMARY KEY, email TEXT, phone TEXT, labels TEXT);")
        .unwrap();
    sync(&bench);
    bench
}

fn open(bench: &Bench, name: &str) -> Connection {
    Connection::open(bench.path(name)).unwrap()
}

fn sync(bench: &Bench) {
    let ended = bench.avowal(&["sync", "--yes"]);
    // What it leaves for a person is said, and only that makes it end with 4.
    let waits = ended.out.contains("avowal review list") || ended.out.contains("avowal quarantine list");
    assert_eq!(ended.code, if waits { 4 } else { 0 }, "{}{}", ended.out, ended.err);
}

/// Both sides change the phone number without seeing the other's.
fn crossed(bench: &Bench) {
    open(bench, "app.db").execute("UPDATE customers SET phone_number = '030 2'", []).unwrap();
    open(bench, "crm.db").execute("UPDATE contacts SET phone = '030 3'", []).unwrap();
    sync(bench);
}

#[test]
fn a_record_is_found_by_each_kind_of_key() {
    let bench = synced();
    let by_copy = bench.json(&["show", "customer", "app:1"]);
    let id = by_copy["id"].as_str().unwrap().to_owned();
    assert_eq!(bench.json(&["show", "customer", &id]), by_copy);
    assert_eq!(bench.json(&["show", "customer", "email=Ada@example.com"])["id"], id);
    assert_eq!(bench.json(&["show", "customer", "phone=030 1"])["id"], id);
    assert_eq!(by_copy["fields"]["email"]["copies"]["crm"]["state"], "same");
    let ended = bench.avowal(&["show", "customer", "app:7"]);
    assert_eq!((ended.code, ended.err.contains("app has shown no customer 7")), (1, true), "{}", ended.err);
    let ended = bench.avowal(&["show", "supplier", "app:1"]);
    assert_eq!((ended.code, ended.err.contains("There are: customer")), (2, true), "{}", ended.err);
}

#[test]
fn why_has_everything_that_a_script_needs() {
    let bench = synced();
    let why = bench.json(&["why", "customer", "app:1", "email"]);
    for key in
        ["value", "dot", "version", "rule", "policy_digest", "evidence", "since", "losers", "propagation"]
    {
        assert!(why.get(key).is_some(), "{key}: {why}");
    }
    assert_eq!(why["value"], "ada@example.com");
    assert_eq!(why["propagation"]["crm"]["status"], "confirmed", "{why}");
    assert!(why["propagation"]["crm"]["at"].is_string(), "{why}");
    let ended = bench.avowal(&["why", "customer", "app:1", "emial"]);
    assert_eq!((ended.code, ended.err.contains("There are: email")), (2, true), "{}", ended.err);
}

#[test]
fn the_timeline_tells_the_days_and_json_is_the_wire_form() {
    let bench = synced();
    let ended = bench.avowal(&["timeline", "customer", "app:1"]);
    assert_eq!(ended.code, 0);
    assert!(ended.out.contains(" - record begins with app copy 1\n"), "{}", ended.out);
    assert!(ended.out.contains(" - crm create scheduled: email = \"ada@example.com\""), "{}", ended.out);
    let events = bench.json(&["timeline", "customer", "app:1"]);
    let events = events.as_array().unwrap();
    assert_eq!(events.len() as u64, bench.json(&["show", "customer", "app:1"])["seq"].as_u64().unwrap());
    assert_eq!(events[0]["seq"], 1);
    assert!(events.iter().all(|event| event["hash"].is_string()));
}

#[test]
fn a_review_is_listed_shown_and_resolved() {
    let bench = synced();
    crossed(&bench);
    let reviews = bench.json(&["review", "list"]);
    let id = reviews[0]["review"]["id"].as_str().unwrap_or_else(|| panic!("{reviews}")).to_owned();
    let shown = bench.avowal(&["review", "show", &id]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(shown.out.contains("Rule: phone is shared"), "{}", shown.out);
    let why = bench.json(&["why", "customer", "app:1", "phone"]);
    assert_eq!(why["review"]["id"], id.as_str());
    let ended = bench.avowal(&["review", "resolve", &id, "--set", "030 9", "--note", "asked her"]);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    sync(&bench);
    let phone = |file: &str, sql: &str| -> String {
        open(&bench, file).query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(phone("app.db", "SELECT phone_number FROM customers"), "030 9");
    assert_eq!(phone("crm.db", "SELECT phone FROM contacts"), "030 9");
    let timeline = bench.avowal(&["timeline", "customer", "app:1"]).out;
    assert!(timeline.contains("decided by ada: the value is \"030 9\" (\"asked her\")"), "{timeline}");
    let why = bench.json(&["why", "customer", "app:1", "phone"]);
    assert_eq!(why["losers"].as_array().map(Vec::len), Some(2), "{why}");
    assert_eq!(bench.avowal(&["review", "resolve", &id, "--keep"]).code, 2);
}

#[test]
fn the_history_verifies_and_a_changed_byte_is_named() {
    let bench = synced();
    assert_eq!(bench.avowal(&["history", "verify"]).code, 0);
    assert_eq!(bench.avowal(&["history", "rebuild"]).code, 0);
    let store = open(&bench, "avowal.db");
    unguard(&store);
    let tampered =
        store.execute("UPDATE events SET payload = replace(payload, 'ada@', 'eve@') WHERE seq = 2", []);
    assert_eq!(tampered, Ok(1));
    drop(store);
    let ended = bench.avowal(&["history", "verify"]);
    assert_eq!(ended.code, 1, "{}", ended.out);
    assert!(ended.out.contains("event 2: its contents do not match its hash"), "{}", ended.out);
    let json = bench.json(&["history", "verify"]);
    assert_eq!(json["named"][0]["seq"], 2);
}

#[test]
fn a_state_that_is_not_the_fold_of_its_history_is_found_and_restated() {
    let bench = synced();
    let before = bench.json(&["show", "customer", "app:1"]);
    let store = open(&bench, "avowal.db");
    let changed = store
        .execute("UPDATE records SET state = replace(state, 'ada@', 'eve@') WHERE entity = 'customer'", []);
    assert_eq!(changed, Ok(1));
    drop(store);
    let ended = bench.avowal(&["history", "rebuild"]);
    assert_eq!(ended.code, 1, "{}", ended.out);
    assert!(ended.out.contains("its state differs from the fold of its history at "), "{}", ended.out);
    assert_eq!(bench.avowal(&["history", "rebuild", "--write"]).code, 0);
    assert_eq!(bench.avowal(&["history", "rebuild"]).code, 0);
    assert_eq!(bench.json(&["show", "customer", "app:1"]), before);
    // The rows that point to a state are written anew as well.
    let links = |store: &Connection| {
        let sql = "SELECT count(*) FROM links JOIN match_keys USING (record_id)";
        store.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let store = open(&bench, "avowal.db");
    let stood = links(&store);
    assert!(stood > 0);
    store.execute_batch("DELETE FROM links; DELETE FROM match_keys").unwrap();
    drop(store);
    assert_eq!(bench.avowal(&["history", "rebuild", "--write"]).code, 0);
    assert_eq!(links(&open(&bench, "avowal.db")), stood);
    assert_eq!(bench.json(&["show", "customer", "app:1"]), before);
}

#[test]
fn a_bad_row_is_set_aside_shown_and_replayed_when_it_is_good() {
    let bench = synced();
    let app = open(&bench, "app.db");
    app.execute("INSERT INTO customers VALUES (2, 'bob@example.com', '030 7', 'no list')", []).unwrap();
    sync(&bench);
    let items = bench.json(&["quarantine", "list"]);
    let id = items[0]["id"].as_i64().unwrap_or_else(|| panic!("{items}")).to_string();
    let shown = bench.avowal(&["quarantine", "show", &id]);
    assert_eq!((shown.code, shown.out.contains("tags (`tags`)")), (0, true), "{}{}", shown.out, shown.err);
    app.execute("UPDATE customers SET tags = '[]' WHERE id = 2", []).unwrap();
    let ended = bench.avowal(&["quarantine", "replay", "--all"]);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    sync(&bench);
    assert_eq!(bench.avowal(&["quarantine", "list"]).out, "Nothing is in quarantine.\n");
    assert_eq!(bench.json(&["show", "customer", "email=bob@example.com"])["copies"]["crm"]["alive"], true);
    assert_eq!(bench.avowal(&["quarantine", "show", &id]).code, 2);
}

/// Removes the triggers that keep honest hands off the history.
fn unguard(store: &Connection) {
    let mut statement = store.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'").unwrap();
    let names: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(!names.is_empty());
    for name in names {
        store.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
}

#[test]
fn a_second_sync_has_nothing_to_do() {
    let bench = synced();
    let again = bench.json(&["sync"]);
    assert_eq!(again["events"], 0, "{again}");
    assert_eq!(again["systems"]["crm"]["written"], 0, "{again}");
    let status = bench.avowal(&["status"]);
    assert_eq!(status.code, 0);
    assert!(status.out.contains("customer: 1 record\n"), "{}", status.out);
}

#[test]
fn a_system_that_cannot_be_opened_holds_up_nobody() {
    let bench = synced();
    std::fs::remove_file(bench.path("crm.db")).unwrap();
    let ended = bench.avowal(&["sync"]);
    assert_eq!(ended.code, 1, "{}{}", ended.out, ended.err);
    assert!(ended.out.contains("crm: not in agreement:"), "{}", ended.out);
    assert!(!ended.out.contains("app: not in agreement"), "{}", ended.out);
    let checked = bench.avowal(&["check"]);
    assert_eq!(checked.code, 1);
    assert!(checked.out.contains("app: reached, and it fits"), "{}", checked.out);
    assert!(checked.out.contains("crm: cannot be used:"), "{}", checked.out);
}

#[test]
fn asking_before_the_first_sync_says_so() {
    let ended = Bench::with(GOOD).avowal(&["status"]);
    assert_eq!((ended.code, ended.err.contains("Run `avowal sync` first")), (1, true), "{}", ended.err);
}
