//! The first write into a table that holds rows waits for a word, as people and scripts meet it.

use crate::bench::{Bench, wait_until};

const RULES: &str = r#"
[entities.customer]
match_on = ["email"]
deletes = { owner = "shared" }
[entities.customer.fields]
email = { type = "string", owner = "app", strategy = "owner_wins" }
name = { type = "string", owner = "shared", strategy = "latest_valid_change", precedence = ["app", "crm"] }
"#;

/// An app with two customers and a CRM with none.
fn fresh() -> Bench {
    Bench::of_ann_and_bob(RULES)
}

/// As [`fresh`], and the CRM knows one of them under another name.
fn populated() -> Bench {
    let bench = fresh();
    bench.sql("crm", "INSERT INTO contacts (email, name) VALUES ('A@X.example', 'Anne')");
    bench
}

/// What the CRM holds.
fn contacts(bench: &Bench) -> String {
    let sql = "SELECT coalesce(group_concat(email || ' ' || name, ', '), '') FROM (SELECT * FROM contacts ORDER BY id)";
    bench.open("crm").query_row(sql, [], |row| row.get(0)).unwrap()
}

const UNTOUCHED: &str = "A@X.example Anne";
const WRITTEN: &str = "a@x.example Ann, b@x.example Bob";

#[test]
fn the_first_sync_into_a_table_with_rows_asks_and_yes_answers() {
    let bench = populated();
    for _ in 0..2 {
        let said = bench.ends_with(3, &["sync"]);
        assert!(said.contains("crm holds records and was never written to"), "{said}");
        assert!(said.contains("2 writes to it wait for your word: 1 made, 1 changed, 0 deleted"), "{said}");
        assert!(said.contains("avowal sync --yes") && said.contains("avowal plan"), "{said}");
        assert_eq!(contacts(&bench), UNTOUCHED);
    }
    let said = bench.ends_with(0, &["status"]);
    assert!(said.contains("avowal resume crm --yes"), "{said}");
    let said = bench.ends_with(0, &["resume", "crm"]);
    assert!(said.contains("was never written to"), "a bare word is no answer: {said}");
    bench.ends_with(3, &["sync"]);
    bench.ends_with(0, &["sync", "--yes"]);
    assert_eq!(contacts(&bench), WRITTEN);
    bench.sql("app", "UPDATE customers SET name = 'Bea' WHERE id = 2");
    bench.ends_with(0, &["sync"]);
    assert!(contacts(&bench).contains("Bea"), "it is asked once");
}

#[test]
fn yes_answers_no_guard() {
    let bench = populated();
    bench.sql(
        "app",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
         INSERT INTO customers (email, name) SELECT i || '@x.example', 'N' FROM n",
    );
    bench.ends_with(0, &["sync", "--yes"]);
    bench.sql("crm", "DELETE FROM contacts");
    let said = bench.ends_with(3, &["sync", "--yes"]);
    assert!(said.contains("Held by"), "{said}");
}

#[test]
fn an_empty_table_is_filled_without_a_question_and_tables_that_agree_are_asked_nothing() {
    let bench = fresh();
    let said = bench.ends_with(0, &["sync"]);
    assert!(said.contains("2 writes confirmed"), "{said}");
    bench.sql("crm", "UPDATE contacts SET name = 'Bea' WHERE email = 'b@x.example'");
    bench.ends_with(0, &["sync"]);
    let name: String =
        bench.open("app").query_row("SELECT name FROM customers WHERE id = 2", [], |row| row.get(0)).unwrap();
    assert_eq!(name, "Bea");
}

#[test]
fn a_daemon_holds_and_goes_on_without_a_restart() {
    let bench = populated();
    let mut running = bench.command(&["run"]);
    let log = std::fs::File::create(bench.path("run.log")).unwrap();
    let mut daemon = running.stdout(std::process::Stdio::null()).stderr(log).spawn().unwrap();
    let log = || std::fs::read_to_string(bench.path("run.log")).unwrap();
    wait_until("it says what it holds", || log().contains("2 writes to it wait for your word"));
    assert!(log().contains("avowal resume crm --yes"), "{}", log());
    assert_eq!(contacts(&bench), UNTOUCHED);
    bench.ends_with(0, &["resume", "crm", "--yes", "--by", "Ada"]);
    wait_until("it goes on", || contacts(&bench) == WRITTEN);
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}
