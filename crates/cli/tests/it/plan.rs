//! `avowal plan` on real tables: it changes nothing, works beside a daemon, and says what the sync then does.

use crate::bench::{Bench, TWO_FILES};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The CRM takes a write a second.
const RATE: &str = "rate = { per_second = 1, burst = 1 }\n";

const ENTITIES: &str = r#"
[entities.company]
match_on = ["name"]
[entities.company.fields]
name = { type = "string", owner = "shared", strategy = "latest_valid_change", precedence = ["app", "crm"] }
[entities.company.systems.app]
object = "companies"
id = "id"
fields = { name = "name" }
[entities.company.systems.crm]
object = "companies"
id = "id"
fields = { name = "name" }
[entities.customer]
match_on = ["email"]
[entities.customer.fields]
email = { type = "string", owner = "app", strategy = "owner_wins" }
name = { type = "string", owner = "shared", strategy = "latest_valid_change", precedence = ["app", "crm"] }
company = { type = "ref", to = "company", owner = "app", strategy = "owner_wins" }
[entities.customer.systems.app]
object = "customers"
id = "id"
fields = { email = "email", name = "name", company = "company_id" }
[entities.customer.systems.crm]
object = "contacts"
id = "id"
fields = { email = "email", name = "name", company = "company_id" }
"#;

/// Two files that hold some of the same customers.
fn populated() -> Bench {
    let bench = Bench::with(&[TWO_FILES, ENTITIES].concat());
    let companies = "CREATE TABLE companies (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);";
    let people = "(id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT, name TEXT, company_id INTEGER);";
    bench.sql("app", &format!("{companies} CREATE TABLE customers {people}"));
    bench.sql("crm", &format!("{companies} CREATE TABLE contacts {people}"));
    bench.sql("app", "INSERT INTO companies (name) VALUES ('Acme'), ('Bolt')");
    bench.sql("crm", "INSERT INTO companies (name) VALUES ('Core'), ('Bolt')");
    bench.sql(
        "app",
        "INSERT INTO customers (email, name, company_id) VALUES ('a@x.example', 'Ann', 1),
         ('b@x.example', 'Bob', 2), ('c@x.example', 'Cid', NULL)",
    );
    bench.sql(
        "crm",
        "INSERT INTO contacts (email, name, company_id) VALUES ('A@X.example', 'Anne', NULL),
         ('b@x.example', 'Bob', 2), ('d@x.example', 'Dan', 1)",
    );
    bench
}

/// The files of the systems, byte for byte.
fn bytes(bench: &Bench, names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| std::fs::read(bench.path(name)).unwrap()).collect()
}

/// What stands in all tables of a system.
fn rows(bench: &Bench, system: &str, table: &str) -> BTreeMap<i64, Vec<Option<String>>> {
    let connection = bench.open(system);
    let sql = format!("SELECT id, email, name, CAST(company_id AS TEXT) FROM {table}");
    let mut statement = connection.prepare(&sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, vec![row.get(1)?, row.get(2)?, row.get(3)?])));
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_plan_leaves_everything_as_it_was_and_says_what_the_sync_then_does() {
    let bench = populated();
    let before = bytes(&bench, &["app.db", "crm.db"]);
    let said = bench.ends_with(0, &["plan", "--out", "plan.json"]);
    assert_eq!(bytes(&bench, &["app.db", "crm.db"]), before, "the systems are only read");
    assert!(!bench.path("avowal.db").exists(), "no store is made");
    assert!(said.contains("1 create, 2 updates") || said.contains("create"), "{said}");
    assert!(said.contains("\"A@X.example\" → \"a@x.example\""), "{said}");
    assert!(said.contains("only spelled otherwise"), "{said}");

    let plan: Json = serde_json::from_slice(&std::fs::read(bench.path("plan.json")).unwrap()).unwrap();
    let (app, crm) = (rows(&bench, "app", "customers"), rows(&bench, "crm", "contacts"));
    bench.ends_with(0, &["sync", "--plan", "plan.json"]);
    for (system, table, before) in [("app", "customers", app), ("crm", "contacts", crm)] {
        let after = rows(&bench, system, table);
        let planned = &plan["systems"][system]["entities"]["customer"];
        assert_eq!(planned["creates"], after.len() - before.len(), "{system}: {planned}");
        let changed = before.iter().filter(|(id, row)| after[id] != **row).count();
        assert_eq!(planned["updates"], changed, "{system}: {planned}");
        for (at, field) in ["email", "name", "company"].into_iter().enumerate() {
            let changed = before.iter().filter(|(id, row)| after[id][at] != row[at]).count();
            let of_field = &planned["fields"][field];
            let told = ["filled", "replaced", "emptied"].map(|kind| of_field[kind].as_u64().unwrap_or(0));
            assert_eq!(told.iter().sum::<u64>(), changed as u64, "{system} {field}: {planned}");
        }
    }
    let said = bench.ends_with(0, &["plan"]);
    assert!(said.contains("0 writes are planned"), "{said}");
}

#[test]
fn a_plan_works_beside_a_daemon_and_leaves_its_store_alone() {
    let bench = populated();
    bench.ends_with(0, &["sync", "--yes"]);
    // The store is closed, so the file holds everything.
    let before = bytes(&bench, &["avowal.db"]);
    bench.ends_with(0, &["plan"]);
    assert_eq!(bytes(&bench, &["avowal.db"]), before);
    bench.ends_with(0, &["pause", "crm", "--direction", "out"]);
    let _daemon = bench.daemon();
    bench.sql("app", "UPDATE customers SET name = 'Anna' WHERE id = 1");
    let said = bench.ends_with(4, &["plan"]);
    assert!(said.contains("\"Ann\" → \"Anna\"") && said.contains("avowal resume crm"), "{said}");
}

#[test]
fn a_plan_names_calls_and_the_time_under_a_declared_rate() {
    let bench = populated();
    bench.write("avowal.toml", &[TWO_FILES, RATE, ENTITIES].concat());
    let plan = bench.json(&["plan", "--system", "crm", "--sample", "1"]);
    let crm = &plan["systems"]["crm"];
    let writes: u64 = ["company", "customer"]
        .iter()
        .map(|entity| {
            let of_entity = &crm["entities"][entity];
            ["creates", "updates"].map(|kind| of_entity[kind].as_u64().unwrap()).iter().sum::<u64>()
        })
        .sum();
    assert_eq!(crm["calls"]["seconds_at_least"], writes - 1, "{crm}");
    assert_eq!(crm["calls"]["made"]["listings"], 2, "one listing for each entity: {crm}");
    assert_eq!(crm["calls"]["made"]["writes_refused"], 0);
    assert!(plan["systems"].get("app").is_none(), "{plan}");
    bench.ends_with(2, &["plan", "--system", "crn"]);
    bench.ends_with(2, &["plan", "--entity", "custommer"]);
}

#[test]
fn a_plan_of_a_system_that_is_not_there_has_failed_and_says_which() {
    let bench = populated();
    std::fs::remove_file(bench.path("crm.db")).unwrap();
    let said = bench.ends_with(1, &["plan"]);
    assert!(said.contains("crm.db") && said.contains("What crm holds now"), "{said}");
    assert!(!bench.path("crm.db").exists());
}

#[test]
fn what_moved_on_since_the_plan_is_held_and_named_and_a_plan_of_other_rules_is_refused() {
    let bench = populated();
    bench.ends_with(0, &["plan", "--out", "plan.json"]);
    bench.sql("app", "UPDATE customers SET name = 'Anna' WHERE id = 1");
    let said = bench.ends_with(4, &["sync", "--plan", "plan.json"]);
    assert!(
        said.contains("Not as planned: 1 record has moved on") && said.contains("app:1, crm:1"),
        "{said}"
    );
    assert_eq!(rows(&bench, "crm", "contacts")[&1][1].as_deref(), Some("Anne"));
    assert!(
        rows(&bench, "app", "customers").values().any(|row| row[1].as_deref() == Some("Dan")),
        "the rest goes"
    );
    let said = bench.ends_with(3, &["sync"]);
    assert!(said.contains("1 write to it waits for your word"), "{said}");

    bench.ends_with(2, &["sync", "--plan", "plan.json", "--yes"]);
    let said = bench.ends_with(2, &["sync", "--plan", "none.json"]);
    assert!(said.contains("avowal plan --out none.json"), "{said}");
    let rules = std::fs::read_to_string(bench.path("avowal.toml")).unwrap();
    bench.write("avowal.toml", &rules.replace("[\"app\", \"crm\"]", "[\"crm\", \"app\"]"));
    let said = bench.ends_with(2, &["sync", "--plan", "plan.json"]);
    assert!(said.contains("made under other rules"), "{said}");
    bench.ends_with(0, &["plan", "--out", "plan.json"]);
    bench.ends_with(0, &["sync", "--plan", "plan.json"]);
    bench.ends_with(0, &["sync"]);
}

#[test]
fn the_page_of_a_plan_stands_by_itself_and_takes_nothing_for_markup() {
    let bench = populated();
    bench.sql("app", "UPDATE customers SET name = '<script>alert(1)</script>' WHERE id = 1");
    bench.ends_with(0, &["plan", "--html", "plan.html"]);
    let page = std::fs::read_to_string(bench.path("plan.html")).unwrap();
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
    assert!(
        !page.contains("http") && !page.contains("src=") && !page.contains("@import"),
        "it needs nothing else"
    );
    assert!(
        page.contains("1 only spelled otherwise") && page.contains("Copies that agree already"),
        "{page}"
    );
    assert_eq!(page.matches("<tr>").count(), page.matches("</tr>").count());
}
