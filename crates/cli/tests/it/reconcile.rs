//! Reconciliation on real tables, as people and scripts meet it: triggers that were off, a migration that went wrong, a
//! copy that was restored, and a repair that is told.

use crate::bench::{Bench, two_files_of_customers};
use avowal_testkit::postgres::PrivatePostgres;

const RULES: &str = r#"
[entities.customer]
match_on = ["email"]
deletes = { owner = "app", on_refused = "revert" }
[entities.customer.fields]
email = { type = "string", owner = "app", strategy = "owner_wins" }
name = { type = "string", owner = "app", strategy = "owner_wins" }
"#;

/// A hundred customers of the app, synced into the CRM.
fn synced() -> Bench {
    let bench = Bench::of_customers(&two_files_of_customers(RULES));
    bench.sql(
        "app",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
         INSERT INTO customers (email, name) SELECT i || '@x.example', 'N' || i FROM n",
    );
    bench.ends_with(0, &["sync"]);
    bench
}

/// Runs statements in the CRM while its triggers are off.
fn unnoticed(bench: &Bench, sql: &str) {
    let crm = bench.open("crm");
    let triggers: Vec<(String, String)> = crm
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(!triggers.is_empty());
    triggers.iter().for_each(|(name, _)| crm.execute_batch(&format!("DROP TRIGGER \"{name}\"")).unwrap());
    crm.execute_batch(sql).unwrap();
    triggers.iter().for_each(|(_, sql)| crm.execute_batch(sql).unwrap());
}

fn contacts(bench: &Bench, condition: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM contacts WHERE {condition}");
    bench.open("crm").query_row(&sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn an_hour_without_triggers_is_found_told_and_repaired() {
    let bench = synced();
    let said = bench.ends_with(0, &["reconcile"]);
    assert!(said.contains("all agree"), "{said}");
    assert!(said.contains("crm: customer: agrees: 100 copies shown, 100 held"), "{said}");
    unnoticed(&bench, "UPDATE contacts SET name = 'Drift' WHERE id = 3; DELETE FROM contacts WHERE id = 6");
    let said = bench.ends_with(0, &["sync"]);
    assert!(said.contains("0 writes confirmed"), "no feed has reported it: {said}");
    let said = bench.ends_with(4, &["reconcile", "--settle", "100ms", "--out", "report.json"]);
    assert!(said.contains("2 differences (2 update_external)"), "{said}");
    assert!(said.contains("name: 1 of 99 differ"), "{said}");
    assert!(said.contains("believed \"N3\", crm shows \"Drift\"; owner app; update_external"), "{said}");
    assert!(said.contains("avowal why customer "), "{said}");
    assert_eq!(contacts(&bench, "name = 'Drift'"), 1, "it changes nothing by itself");

    let kept: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(bench.path("report.json")).unwrap()).unwrap();
    let run = kept["run"].to_string();
    assert_eq!(kept["found"].as_array().unwrap().len(), 2);
    assert_eq!(kept["found"][1]["recommended_action"], "update_external");
    assert_eq!(kept["found"][1]["field_name"], "name");
    assert_eq!(kept["summaries"][0]["matches"], true);
    assert_eq!(bench.json(&["reconcile", "show", &run])["found"], kept["found"]);
    let said = bench.ends_with(0, &["reconcile", "list"]);
    assert!(said.starts_with(&format!("{run}  ")), "{said}");

    let said = bench.ends_with(0, &["reconcile", "repair", &run]);
    assert!(said.contains("2 copies handed in") && said.contains("2 writes confirmed"), "{said}");
    assert_eq!((contacts(&bench, "name = 'Drift'"), contacts(&bench, "1")), (0, 100));
    let told = bench.ends_with(0, &["timeline", "customer", "crm:3"]);
    assert!(
        told.contains(&format!(
            "reconciliation applied: run {run} found crm to differ; name is written back to crm"
        )),
        "{told}"
    );
    let shown = bench.ends_with(0, &["runs", "list"]);
    assert!(shown.lines().next().unwrap().contains("repair by ada: done"), "{shown}");
    let said = bench.ends_with(2, &["reconcile", "repair", "99"]);
    assert!(said.contains("avowal reconcile list"), "{said}");
    let said = bench.ends_with(0, &["sync"]);
    assert!(said.contains("0 writes confirmed"), "{said}");
    bench.ends_with(0, &["reconcile", "--settle", "0s"]);
    bench.ends_with(0, &["history", "verify"]);
}

#[test]
fn a_tenth_of_the_rows_changed_by_a_migration_is_counted_by_field() {
    let bench = synced();
    unnoticed(&bench, "UPDATE contacts SET name = upper(name) || '!' WHERE id % 10 = 0");
    let report = {
        let ended = bench.avowal(&["reconcile", "--settle", "100ms", "--system", "crm", "--json"]);
        assert_eq!(ended.code, 4, "{}", ended.err);
        serde_json::from_str::<serde_json::Value>(&ended.out).unwrap()
    };
    assert_eq!(report["summaries"].as_array().unwrap().len(), 1);
    let fields = &report["summaries"][0]["fields"]["name"];
    assert_eq!((&fields["compared"], &fields["differing"]), (&100.into(), &10.into()));
    let run = report["run"].to_string();
    bench.ends_with(0, &["reconcile", "repair", &run, "--only", "update_external"]);
    assert_eq!(contacts(&bench, "name LIKE '%!'"), 0);
    bench.ends_with(0, &["reconcile", "--settle", "0s"]);
}

#[test]
fn a_copy_that_was_restored_is_recognised_and_not_taken_for_drift() {
    let bench = synced();
    bench.sql("crm", "PRAGMA wal_checkpoint(TRUNCATE)");
    std::fs::copy(bench.path("crm.db"), bench.path("yesterday.db")).unwrap();
    bench.sql("app", "UPDATE customers SET name = 'New ' || name");
    bench.ends_with(0, &["sync"]);
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(bench.path(&format!("crm.db{suffix}")));
    }
    std::fs::copy(bench.path("yesterday.db"), bench.path("crm.db")).unwrap();
    let said = bench.avowal(&["reconcile", "--settle", "100ms"]);
    assert!(matches!(said.code, 1 | 3), "{}: {}{}", said.code, said.out, said.err);
    assert!(said.out.contains("crm: customer: nothing is concluded"), "{}", said.out);
    assert_eq!(contacts(&bench, "name LIKE 'New %'"), 0, "nothing was written");
}

#[test]
fn a_comparison_works_beside_a_daemon() {
    let bench = synced();
    let _daemon = bench.daemon();
    crate::bench::wait_until("the daemon has begun its run", || {
        bench.ends_with(0, &["runs", "list"]).contains("run by ada: goes on")
    });
    unnoticed(&bench, "UPDATE contacts SET name = 'Drift' WHERE id = 3");
    let said = bench.ends_with(4, &["reconcile", "--settle", "100ms"]);
    assert!(said.contains("1 difference (1 update_external)"), "{said}");
}

#[test]
fn a_service_reconciles_on_its_schedule_and_repairs_what_the_rules_let_it() {
    let scheduled =
        format!("{}\n[reconcile]\nevery = \"1s\"\nsettle = \"100ms\"\n", two_files_of_customers(RULES));
    let bench = Bench::of_customers(&scheduled);
    bench.sql("app", "INSERT INTO customers (email, name) VALUES ('a@x.example', 'Ann')");
    bench.ends_with(0, &["sync"]);
    unnoticed(&bench, "UPDATE contacts SET name = 'Drift' WHERE id = 1");
    let daemon = bench.daemon();
    crate::bench::wait_until("the drift is repaired", || contacts(&bench, "name = 'Ann'") == 1);
    let runs = bench.ends_with(0, &["runs", "list"]);
    assert!(runs.contains("reconcile by schedule: done, and something waits"), "{runs}");
    assert!(runs.contains("repair by schedule: "), "{runs}");
    drop(daemon);
    let said = bench.ends_with(0, &["timeline", "customer", "crm:1"]);
    assert!(said.contains("reconciliation applied"), "{said}");
    bench.write("avowal.toml", &scheduled.replace("\"1s\"", "\"soon\""));
    let said = bench.ends_with(2, &["status"]);
    assert!(said.contains("\"soon\" is no length of time") && said.contains("as in 90s"), "{said}");
}

#[test]
fn on_postgres_what_happened_without_triggers_is_found_and_repaired() {
    let server = PrivatePostgres::start().unwrap();
    let (store, crm) = (server.create_database("store").unwrap(), server.create_database("crm").unwrap());
    let rules = two_files_of_customers(RULES).replace("sqlite:avowal.db", &store).replace(
        "connector = \"sqlite\"\nurl = \"sqlite:crm.db\"",
        &format!("connector = \"postgres\"\nurl = \"{crm}\"\nlag_ms = 100"),
    );
    let bench = Bench::of_customers(&rules);
    server.psql("crm", "CREATE TABLE contacts (id serial PRIMARY KEY, email text, name text)").unwrap();
    bench.sql(
        "app",
        "INSERT INTO customers (email, name) VALUES ('a@x.example', 'Ann'), ('b@x.example', 'Bob')",
    );
    bench.ends_with(0, &["sync"]);
    // Whoever may alter the table can get around the triggers, and put them back as they were.
    let unnoticed = "CREATE TEMP TABLE before AS SELECT tgname, tgenabled FROM pg_trigger \
             WHERE tgrelid = 'contacts'::regclass AND NOT tgisinternal; \
         ALTER TABLE contacts DISABLE TRIGGER USER; \
         UPDATE contacts SET name = 'Drift' WHERE email = 'a@x.example'; \
         DELETE FROM contacts WHERE email = 'b@x.example'; \
         DO $$ DECLARE t record; BEGIN FOR t IN SELECT * FROM before LOOP \
             EXECUTE format('ALTER TABLE contacts ENABLE %s TRIGGER %I', \
                 CASE t.tgenabled WHEN 'A' THEN 'ALWAYS' WHEN 'R' THEN 'REPLICA' ELSE '' END, t.tgname); \
         END LOOP; END $$";
    server.psql("crm", unnoticed).unwrap();
    let said = bench.ends_with(4, &["reconcile", "--settle", "100ms"]);
    assert!(said.contains("2 differences (2 update_external)"), "{said}");
    let run = bench.json(&["reconcile", "list"])[0]["run"].to_string();
    let said = bench.ends_with(0, &["reconcile", "repair", &run]);
    assert!(said.contains("2 writes confirmed"), "{said}");
    let names = server.psql("crm", "SELECT string_agg(name, ',' ORDER BY email) FROM contacts").unwrap();
    assert!(names.contains("Ann,Bob"), "{names}");
    let said = bench.ends_with(0, &["runs", "list"]);
    assert!(said.contains("repair by ada: done"), "{said}");
    bench.ends_with(0, &["history", "verify"]);
}
