//! People beside a running daemon: every command that reads or decides works, and the daemon carries it out.

use crate::bench::{Bench, two_files_of_customers, wait_until};
use avowal_testkit::postgres::PrivatePostgres;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

const RULES: &str = r#"
[entities.customer]
match_on = ["email"]
[entities.customer.fields]
email = { type = "string", owner = "shared", strategy = "latest_valid_change", precedence = ["app", "crm"] }
name = { type = "string", owner = "shared", strategy = "manual_review" }
"#;

/// The store of most tests here.
const STORE: &str = "url = \"sqlite:avowal.db\"";

/// Settings that give up on a write soon.
const HASTY: &str = "attempts_max = 1\nbackoff_min_ms = 50\nbackoff_max_ms = 100\n";

/// A folder with two synced files.
fn synced_with(store: &str, settings: &str) -> Bench {
    let configuration = two_files_of_customers(RULES)
        .replace("[settings]\n", &format!("[settings]\n{settings}"))
        .replace(STORE, store);
    let bench = Bench::of_customers(&configuration);
    bench.sql("app", "INSERT INTO customers (email, name) VALUES ('a@x.example', 'Ann')");
    bench.ends_with(0, &["sync"]);
    bench
}

fn synced() -> Bench {
    synced_with(STORE, "")
}

fn name_in(bench: &Bench, system: &str) -> String {
    let table = if system == "app" { "customers" } else { "contacts" };
    bench.open(system).query_row(&format!("SELECT name FROM {table}"), [], |row| row.get(0)).unwrap()
}

/// Both sides change the name without seeing the other's.
fn crossed(bench: &Bench) {
    bench.sql("app", "UPDATE customers SET name = 'Anne'");
    bench.sql("crm", "UPDATE contacts SET name = 'Anna'");
}

fn wait_for(bench: &Bench, socket: &str) {
    wait_until("the daemon listens", || UnixStream::connect(bench.path(socket)).is_ok());
}

/// The id of the one open review.
fn review(bench: &Bench) -> String {
    let listed = || bench.json(&["review", "list"]);
    wait_until("a question is open", || listed().as_array().is_some_and(|all| all.len() == 1));
    listed()[0]["review"]["id"].as_str().unwrap().to_owned()
}

/// What a GET over the socket answers.
fn get(socket: &Path, path: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_review_is_answered_beside_a_running_daemon() {
    let bench = synced();
    crossed(&bench);
    let daemon = bench.daemon();
    wait_for(&bench, "avowal.db.sock");
    let mode = std::fs::metadata(bench.path("avowal.db.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only its user may open it");

    let id = review(&bench);
    let said = bench.ends_with(0, &["review", "show", &id]);
    let shown = bench.json(&["review", "show", &id]);
    // Whose change came first is believed, and the other's is asked about.
    let system = shown["may_take"][0].as_str().unwrap_or_else(|| panic!("{shown}"));
    let (name, other) = if system == "crm" { ("Anna", "app") } else { ("Anne", "crm") };
    assert!(said.contains(&format!("--take {system}")) && said.contains("Rule: name is shared"), "{said}");
    let api = get(&bench.path("avowal.db.sock"), &format!("/api/v1/reviews/{id}"));
    let (head, body) = api.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap(), shown, "one struct for both");

    let said = bench.ends_with(2, &["review", "resolve", "nope", "--keep"]);
    assert!(said.contains("no open review is called \"nope\""), "{said}");
    let said = bench.ends_with(2, &["review", "resolve", &id, "--take", "billing"]);
    assert!(said.contains("Those that differ: "), "{said}");
    let said = bench.ends_with(0, &["review", "resolve", &id, "--take", system, "--by", "Bo"]);
    assert_eq!(said, format!("{id} decided by Bo. The running daemon carries it out.\n"));
    wait_until("the answer reaches the other", || name_in(&bench, other) == name);
    let why = bench.ends_with(0, &["why", "customer", "app:1", "name"]);
    assert!(why.contains("Bo"), "{why}");
    bench.ends_with(2, &["review", "resolve", &id, "--keep"]);
    // The daemon's own run goes on; what Bo did is a run beside it, with an end.
    let runs = bench.json(&["runs", "list"]);
    let of_bo =
        runs.as_array().unwrap().iter().find(|run| run["by"] == "Bo").unwrap_or_else(|| panic!("{runs}"));
    assert_eq!((&of_bo["kind"], &of_bo["end"]), (&"decision".into(), &"done".into()), "{runs}");

    assert_eq!(daemon.terminate(), 0);
    assert!(!bench.path("avowal.db.sock").exists(), "the socket goes with its daemon");
    bench.ends_with(0, &["history", "verify"]);
    bench.ends_with(0, &["sync"]);
}

#[test]
fn what_was_set_aside_is_tried_again_beside_a_running_daemon() {
    let bench = synced_with(STORE, HASTY);
    bench.sql(
        "crm",
        "CREATE TRIGGER no_bo BEFORE UPDATE ON contacts WHEN new.name = 'Bo' BEGIN SELECT RAISE(ABORT, 'no Bo'); END",
    );
    let _daemon = bench.daemon();
    bench.sql("app", "UPDATE customers SET name = 'Bo'");
    let listed = || bench.json(&["quarantine", "list"]);
    wait_until("the write is set aside", || listed().as_array().is_some_and(|all| all.len() == 1));
    let id = listed()[0]["id"].to_string();
    bench.sql("crm", "DROP TRIGGER no_bo");
    let said = bench.ends_with(0, &["quarantine", "replay", &id, "--by", "Ada"]);
    assert_eq!(said, "The running daemon tries 1 item again.\n");
    wait_until("the write arrives", || name_in(&bench, "crm") == "Bo");
    assert_eq!(
        bench.json(&["quarantine", "replay", "--all"]),
        serde_json::json!({ "refused": [], "replayed": [] })
    );
    bench.ends_with(2, &["quarantine", "replay", "4711"]);
}

#[test]
fn a_sync_beside_a_running_daemon_is_done_by_the_daemon() {
    let bench = synced();
    let _daemon = bench.daemon();
    wait_for(&bench, "avowal.db.sock");
    bench.sql("app", "INSERT INTO customers (email, name) VALUES ('b@x.example', 'Bea')");
    let ended = bench.avowal(&["sync"]);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    assert!(ended.err.contains("`avowal run` is running and holds the store"), "{}", ended.err);
    let count: i64 =
        bench.open("crm").query_row("SELECT count(*) FROM contacts", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 2, "what was there when the command began has arrived when it ends");
    let report = bench.json(&["sync", "--full"]);
    assert_eq!(report["systems"]["app"]["listed"], 2, "{report}");
    assert_eq!(report["intents_open"], 0, "{report}");

    bench.ends_with(0, &["plan", "--out", "plan.json"]);
    let refused: [&[&str]; 4] = [
        &["sync", "--plan", "plan.json"],
        &["uninstall", "crm"],
        &["history", "rebuild", "--write"],
        &["run"],
    ];
    for command in refused {
        let said = bench.ends_with(1, command);
        assert!(said.contains("`avowal run` is running and holds the store"), "{command:?}: {said}");
    }
    bench.ends_with(0, &["sync", "--approve-deletes", "crm"]);
    bench.ends_with(0, &["history", "rebuild"]);
    bench.ends_with(0, &["pause", "crm"]);
    assert!(bench.ends_with(0, &["resume", "crm"]).contains("goes on in both directions"));
}

#[test]
fn the_socket_of_a_dead_daemon_is_replaced_and_other_files_are_left_alone() {
    let bench = synced();
    drop(bench.daemon_that_logs("first.log"));
    let path = bench.path("avowal.db.sock");
    let _ = std::fs::remove_file(&path);
    // What a process leaves that is killed.
    drop(UnixListener::bind(&path).unwrap());
    assert!(UnixStream::connect(&path).is_err());
    bench.ends_with(0, &["sync"]);
    let daemon = bench.daemon();
    wait_for(&bench, "avowal.db.sock");
    assert_eq!(daemon.terminate(), 0);

    bench.write("avowal.db.sock", "mine");
    let daemon = bench.daemon_that_logs("second.log");
    let log = || std::fs::read_to_string(bench.path("second.log")).unwrap();
    wait_until("it runs", || log().contains("Running."));
    assert!(log().contains("is no socket and is left alone"), "{}", log());
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn a_command_that_holds_the_store_is_awaited_for_a_while() {
    let bench = synced();
    let lock = std::fs::File::open(bench.path("avowal.db.lock")).unwrap();
    lock.lock().unwrap();
    let replay = |bench: &Bench| bench.avowal(&["quarantine", "replay", "--all"]);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| replay(&bench));
        std::thread::sleep(Duration::from_secs(2));
        lock.unlock().unwrap();
        let ended = waiting.join().unwrap();
        assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
        assert!(ended.err.contains("Waiting for the store: "), "{}", ended.err);
    });
    lock.lock().unwrap();
    let began = Instant::now();
    let ended = replay(&bench);
    assert_eq!(ended.code, 1, "{}{}", ended.out, ended.err);
    assert!(ended.err.contains("Wait until the command that holds it has ended"), "{}", ended.err);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn a_path_that_is_too_long_is_named_and_the_daemon_works_all_the_same() {
    let long = "x".repeat(120);
    let bench = synced_with(&format!("{STORE}\nsocket = \"{long}\""), "");
    let daemon = bench.daemon_that_logs("log");
    let log = || std::fs::read_to_string(bench.path("log")).unwrap();
    wait_until("it says so", || {
        log().contains("longer than 103 bytes") && log().contains("`[store] socket`")
    });
    bench.sql("app", "UPDATE customers SET name = 'Bea'");
    wait_until("it works", || name_in(&bench, "crm") == "Bea");
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn a_postgres_store_is_decided_in_directly_and_its_daemon_answers_beside_the_configuration() {
    let server = PrivatePostgres::start().unwrap();
    let url = server.create_database("store").unwrap();
    let bench = synced_with(&format!("url = \"{url}\""), "");
    crossed(&bench);
    let daemon = bench.daemon();
    wait_for(&bench, "avowal.toml.sock");
    let id = review(&bench);
    let answer = get(&bench.path("avowal.toml.sock"), "/api/v1/status");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"reviews\":1"), "{answer}");
    bench.ends_with(0, &["review", "resolve", &id, "--set", "Annie"]);
    wait_until("the answer arrives", || {
        ["app", "crm"].iter().all(|system| name_in(&bench, system) == "Annie")
    });
    assert_eq!(daemon.terminate(), 0);
    assert!(!bench.path("avowal.toml.sock").exists());
}

/// People edit both tables and ask for one sync after the other while the daemon works: nothing is lost or doubled.
#[test]
fn syncs_beside_a_busy_daemon_lose_and_double_nothing() {
    const ROUNDS: usize = 12;
    const ROWS: usize = 20;
    let bench = synced();
    let daemon = bench.daemon();
    wait_for(&bench, "avowal.db.sock");
    for round in 0..ROUNDS {
        for (system, table) in [("app", "customers"), ("crm", "contacts")] {
            let rows: Vec<String> =
                (0..ROWS).map(|n| format!("('{system}{round}-{n}@x.example', 'from {system}')")).collect();
            bench.sql(system, &format!("INSERT INTO {table} (email, name) VALUES {}", rows.join(", ")));
            bench.sql(
                system,
                &format!("UPDATE {table} SET name = '{round}' WHERE email LIKE '{system}%-{round}@%'"),
            );
        }
        let full: &[&str] = if round % 4 == 3 { &["sync", "--full"] } else { &["sync"] };
        let ended = bench.avowal(full);
        let aside = bench.avowal(&["quarantine", "list"]).out;
        assert_eq!(ended.code, 0, "{}{}{aside}", ended.out, ended.err);
    }
    let rows = |system: &str, table: &str| -> String {
        let sql =
            format!("SELECT group_concat(email || ' ' || name) FROM (SELECT * FROM {table} ORDER BY email)");
        bench.open(system).query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    wait_until("both hold the same", || rows("app", "customers") == rows("crm", "contacts"));
    assert_eq!(rows("app", "customers").split(',').count(), 1 + 2 * ROUNDS * ROWS);
    assert_eq!(daemon.terminate(), 0);
    bench.ends_with(0, &["history", "verify"]);
    bench.ends_with(0, &["history", "rebuild"]);
    let quiet = bench.json(&["sync", "--full"]);
    assert_eq!((&quiet["events"], &quiet["intents_open"]), (&0.into(), &0.into()), "{quiet}");
}
