//! Stops and exit codes as people and scripts meet them, with two SQLite files.

use crate::bench::{Bench, two_files_of_customers, wait_until};
use std::time::Duration;

const RULES: &str = r#"
[entities.customer]
match_on = ["email"]
[entities.customer.fields]
email = { type = "string", owner = "shared", strategy = "latest_valid_change", precedence = ["app", "crm"] }
name = { type = "string", owner = "shared", strategy = "latest_valid_change", precedence = ["app", "crm"] }
"#;

/// A folder with the configuration and two synced files.
fn synced() -> Bench {
    let bench = Bench::of_customers(&two_files_of_customers(RULES));
    bench.sql("app", "INSERT INTO customers (email, name) VALUES ('a@x.example', 'Ann')");
    bench.ends_with(0, &["sync"]);
    bench
}

fn one<T: rusqlite::types::FromSql>(bench: &Bench, system: &str, sql: &str) -> T {
    bench.open(system).query_row(sql, [], |row| row.get(0)).unwrap()
}

fn name_in_crm(bench: &Bench) -> String {
    one(bench, "crm", "SELECT name FROM contacts")
}

#[test]
fn a_paused_system_is_not_written_to_until_it_is_resumed() {
    let bench = synced();
    let said =
        bench.ends_with(0, &["pause", "crm", "--direction", "out", "--by", "Ada", "--note", "cleaning up"]);
    assert!(said.contains("nothing is written to crm") && said.contains("Ada: cleaning up"), "{said}");
    bench.sql("app", "UPDATE customers SET name = 'Bea'");
    let said = bench.ends_with(3, &["sync"]);
    assert!(said.contains("Held by a stop: nothing is written to crm"), "{said}");
    assert_eq!(name_in_crm(&bench), "Ann");
    let said = bench.ends_with(0, &["status"]);
    assert!(said.contains("nothing is written to crm") && said.contains("avowal resume crm"), "{said}");
    let said = bench.ends_with(0, &["resume", "crm"]);
    assert!(said.contains("crm goes on in both directions"), "{said}");
    bench.ends_with(0, &["sync"]);
    assert_eq!(name_in_crm(&bench), "Bea");
    bench.ends_with(2, &["pause", "cmr"]);
    bench.ends_with(2, &["resume", "crm", "--restored"]);
}

#[test]
fn a_running_daemon_obeys_a_stop_at_once() {
    let bench = synced();
    let _daemon = bench.daemon();
    bench.sql("app", "UPDATE customers SET name = 'Bea'");
    wait_until("the daemon writes", || name_in_crm(&bench) == "Bea");
    bench.ends_with(0, &["pause", "crm"]);
    bench.sql("app", "UPDATE customers SET name = 'Cy'");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(name_in_crm(&bench), "Bea");
    bench.ends_with(0, &["resume", "crm"]);
    wait_until("the daemon goes on", || name_in_crm(&bench) == "Cy");
}

#[test]
fn what_is_ours_leaves_a_system_and_comes_back() {
    let bench = synced();
    let said = bench.ends_with(0, &["uninstall", "crm"]);
    assert!(said.contains("Removed from crm: "), "{said}");
    let ours = "SELECT count(*) FROM sqlite_master WHERE name LIKE '%avowal%' OR sql LIKE '%avowal%'";
    assert_eq!(one::<i64>(&bench, "crm", ours), 0);
    assert!(bench.ends_with(0, &["uninstall", "crm"]).contains("nothing of ours"));
    bench.sql("crm", "UPDATE contacts SET name = 'Dee'");
    bench.ends_with(0, &["sync"]);
    bench.sql("crm", "UPDATE contacts SET name = 'Eve'");
    bench.ends_with(0, &["sync"]);
    bench.ends_with(0, &["sync"]);
    assert_eq!(one::<String>(&bench, "app", "SELECT name FROM customers"), "Eve");
}

#[test]
fn a_system_that_refuses_our_credentials_ends_with_five() {
    let bench = synced();
    let config = two_files_of_customers(RULES).replace(
        "connector = \"sqlite\"\nurl = \"sqlite:crm.db\"",
        "connector = \"http\"\nurl = \"http://127.0.0.1:PORT\"\nallow_private = true",
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            refuse(stream);
        }
    });
    let object = "[entities.customer.systems.crm.http]\nitems = \"/contacts\"\n";
    bench.write("avowal.toml", &(config.replace("PORT", &port.to_string()) + object));
    bench.ends_with(5, &["check"]);
    let said = bench.ends_with(5, &["sync"]);
    assert!(said.contains("crm: not in agreement"), "{said}");
}

/// Answers every request with 401.
fn refuse(mut stream: std::net::TcpStream) {
    use std::io::{Read as _, Write as _};
    let mut request = [0; 4096];
    let _ = stream.read(&mut request);
    let _ = stream.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

#[test]
fn a_system_that_lost_everything_is_filled_anew_only_by_a_persons_word() {
    let bench = Bench::of_customers(&two_files_of_customers(RULES).replace(
        "match_on = [\"email\"]",
        "match_on = [\"email\"]\ndeletes = { owner = \"app\", on_refused = \"revert\", edit_against_delete = \"review\" }",
    ));
    bench.sql(
        "app",
        "INSERT INTO customers (email, name) VALUES ('a@x.example', 'Ann'), ('b@x.example', 'Bea')",
    );
    bench.ends_with(0, &["sync"]);
    bench.sql("crm", "DELETE FROM contacts");
    let said = bench.ends_with(3, &["sync"]);
    assert!(said.contains("nothing is created in crm"), "{said}");
    assert!(
        said.contains(
            "2 of the 2 copies of customer that it held are not shown any more and would be made again"
        ),
        "{said}"
    );
    assert_eq!(one::<i64>(&bench, "crm", "SELECT count(*) FROM contacts"), 0);
    let said = bench.ends_with(0, &["status"]);
    assert!(said.contains("avowal resume crm --approve-creates"), "{said}");
    // Letting the system go on in general is another word.
    bench.ends_with(0, &["resume", "crm"]);
    bench.ends_with(3, &["sync"]);
    bench.ends_with(0, &["resume", "crm", "--approve-creates", "--by", "Ada"]);
    bench.ends_with(0, &["sync"]);
    assert_eq!(one::<i64>(&bench, "crm", "SELECT count(*) FROM contacts"), 2);
}

#[test]
fn everything_is_stopped_at_once_and_goes_on_as_it_was() {
    let bench = Bench::of_customers(&two_files_of_customers(RULES));
    bench.sql("app", "INSERT INTO customers (email, name) VALUES ('a@x.example', 'Ann')");
    bench.ends_with(0, &["sync"]);
    bench.ends_with(0, &["pause", "crm", "--direction", "in"]);
    let said = bench.ends_with(0, &["pause", "--all", "--by", "Ada", "--note", "an incident"]);
    assert!(said.contains("no system is asked or written to since"), "{said}");
    assert!(said.contains("stopped by Ada: an incident. Run `avowal resume --all` to go on"), "{said}");
    bench.sql("app", "INSERT INTO customers (email, name) VALUES ('b@x.example', 'Bea')");
    let said = bench.ends_with(3, &["sync"]);
    assert_eq!(said.matches("no system is asked or written to").count(), 1, "{said}");
    assert!(bench.ends_with(0, &["status"]).contains("no system is asked or written to"));
    assert_eq!(one::<i64>(&bench, "crm", "SELECT count(*) FROM contacts"), 1);
    // A single system is another word, in both ways.
    bench.ends_with(0, &["resume", "app"]);
    bench.ends_with(3, &["sync"]);
    bench.ends_with(2, &["resume"]);
    bench.ends_with(2, &["pause", "--all", "crm"]);
    let said = bench.ends_with(0, &["resume", "--all"]);
    assert!(said.contains("what crm shows is not taken in"), "{said}");
    bench.ends_with(3, &["sync"]);
    assert_eq!(one::<i64>(&bench, "crm", "SELECT count(*) FROM contacts"), 2);
    bench.ends_with(0, &["resume", "crm"]);
    bench.ends_with(0, &["sync"]);
    // A daemon obeys within a second.
    let _daemon = bench.daemon();
    bench.sql("app", "UPDATE customers SET name = 'Cy' WHERE email = 'a@x.example'");
    let of_ann = "SELECT name FROM contacts WHERE email = 'a@x.example'";
    wait_until("the daemon writes", || one::<String>(&bench, "crm", of_ann) == "Cy");
    bench.ends_with(0, &["pause", "--all"]);
    std::thread::sleep(Duration::from_secs(1));
    bench.sql("app", "UPDATE customers SET name = 'Di' WHERE email = 'a@x.example'");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(one::<String>(&bench, "crm", of_ann), "Cy");
    bench.ends_with(0, &["resume", "--all"]);
    wait_until("it goes on", || one::<String>(&bench, "crm", of_ann) == "Di");
}

#[test]
fn a_mistake_that_spreads_is_stopped_and_a_write_budget_waits() {
    let bench = Bench::of_customers(&two_files_of_customers(RULES));
    for n in 0..30 {
        let row = format!("INSERT INTO customers (email, name) VALUES ('{n}@x.example', 'Ann {n}')");
        bench.sql("app", &row);
    }
    bench.ends_with(0, &["sync"]);
    bench.sql("app", "UPDATE customers SET name = 'x'");
    let planned = bench.ends_with(4, &["plan"]);
    assert!(
        planned.contains("name would get the same value in 30 of the 30 copies of customer"),
        "{planned}"
    );
    let said = bench.ends_with(3, &["sync"]);
    assert!(said.contains("Held by a guard: nothing is written to crm since"), "{said}");
    assert!(said.contains("name would get the same value in 30 of the 30 copies of customer"), "{said}");
    assert!(said.contains("`avowal resume crm --approve-changes`"), "{said}");
    assert_eq!(one::<i64>(&bench, "crm", "SELECT count(*) FROM contacts WHERE name = 'x'"), 0);
    // Lifted without approval, it is stopped again.
    bench.ends_with(0, &["resume", "crm"]);
    bench.ends_with(3, &["sync"]);
    let guards = "[guards]\nwrites_per_hour = 12\ncanary = 2\n";
    bench.write("avowal.toml", &[guards, &two_files_of_customers(RULES)].concat());
    bench.ends_with(0, &["resume", "crm", "--approve-changes"]);
    let said = bench.ends_with(4, &["sync"]);
    assert!(said.contains("Write budget used up: crm: 12 of 12 writes within an hour"), "{said}");
    assert_eq!(one::<i64>(&bench, "crm", "SELECT count(*) FROM contacts WHERE name = 'x'"), 12);
    assert!(bench.ends_with(0, &["status"]).contains("Write budget of crm: 12 of 12 writes within an hour"));
}
