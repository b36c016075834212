//! What trials on real tables found, over SQLite files: a backup that is restored, spellings, order among rows, a table that
//! is made anew under a daemon, and writes that cannot be done.

use crate::bench::{Bench, wait_until};
use avowal_testkit::postgres::PrivatePostgres;
use std::fmt::Write as _;

/// One entity: its name and table, its key, its fields with their rules, and how the two systems map them.
struct Entity {
    name: &'static str,
    table: &'static str,
    key: &'static str,
    fields: &'static [(&'static str, &'static str)],
    mapped: &'static str,
}

const SHARED: &str = "owner = \"shared\", strategy = \"latest_valid_change\", precedence = [\"a\", \"b\"]";

const CUSTOMER: Entity = Entity {
    name: "customer",
    table: "customers",
    key: "email",
    fields: &[("email", "type = \"string\""), ("name", "type = \"string\"")],
    mapped: "email = \"email\", name = \"name\"",
};
const CUSTOMERS: &str =
    "CREATE TABLE customers (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT, name TEXT)";

/// Two files, each with these tables, and a configuration that maps these entities.
fn two(entities: &[Entity], tables: [&str; 2]) -> Bench {
    let mut text = "[store]\nurl = \"sqlite:avowal.db\"\n[settings]\npatience_ms = 2000\n".to_owned();
    for (system, more) in [("a", "local = true\n"), ("b", "")] {
        let _ = writeln!(
            text,
            "[systems.{system}]\nconnector = \"sqlite\"\nurl = \"sqlite:{system}.db\"\n{more}"
        );
    }
    for Entity { name, table, key, fields, mapped } in entities {
        let _ = writeln!(text, "[entities.{name}]\nmatch_on = [\"{key}\"]\ndeletes = {{ owner = \"a\" }}");
        let _ = writeln!(text, "[entities.{name}.fields]");
        for (field, rule) in *fields {
            let _ = writeln!(text, "{field} = {{ {rule}, {SHARED} }}");
        }
        for system in ["a", "b"] {
            let _ = writeln!(text, "[entities.{name}.systems.{system}]\nobject = \"{table}\"\nid = \"id\"");
            let _ = writeln!(text, "nulls = \"clear\"\nfields = {{ {mapped} }}");
        }
    }
    let bench = Bench::with(&text);
    for (system, sql) in ["a", "b"].into_iter().zip(tables) {
        bench.sql(system, sql);
    }
    bench
}

fn one(bench: &Bench, system: &str, sql: &str) -> String {
    let text = format!("SELECT coalesce(CAST(({sql}) AS TEXT), 'null')");
    bench.open(system).query_row(&text, [], |row| row.get(0)).unwrap()
}

/// The command's end is told by what stands in the tables; whether something waits differs from case to case.
fn sync(bench: &Bench) -> String {
    let ended = bench.avowal(&["sync", "--yes"]);
    assert!([0, 4].contains(&ended.code), "{}: {}{}", ended.code, ended.out, ended.err);
    ended.out + &ended.err
}

#[test]
fn a_file_that_was_restored_from_a_backup_is_held_until_a_person_has_said_so() {
    let bench = two(&[CUSTOMER], [CUSTOMERS, CUSTOMERS]);
    bench.sql(
        "a",
        "INSERT INTO customers (email, name) VALUES ('a@x.example', 'Ann'), ('b@x.example', 'Bob')",
    );
    sync(&bench);
    std::fs::copy(bench.path("a.db"), bench.path("backup.db")).unwrap();
    for n in 1..5 {
        bench.sql("a", &format!("UPDATE customers SET name = 'Ann v{n}' WHERE id = 1"));
    }
    sync(&bench);
    std::fs::copy(bench.path("backup.db"), bench.path("a.db")).unwrap();
    bench.sql("a", "UPDATE customers SET name = 'Ann NEW' WHERE id = 1");
    bench.sql("b", "UPDATE customers SET name = 'Bobby' WHERE id = 2");

    let said = bench.ends_with(3, &["sync"]);
    assert!(said.contains("backup") && said.contains("avowal resume a --restored"), "{said}");
    assert_eq!(
        one(&bench, "a", "SELECT name FROM customers WHERE id = 2"),
        "Bob",
        "nothing is written to it"
    );
    assert_eq!(one(&bench, "b", "SELECT name FROM customers WHERE id = 1"), "Ann v4", "nor from it");
    let said = bench.avowal(&["status"]);
    assert!(said.out.contains("avowal resume a --restored"), "{}", said.out);
    bench.ends_with(3, &["sync", "--full"]);

    bench.ends_with(0, &["resume", "a", "--restored"]);
    sync(&bench);
    sync(&bench);
    let names = "SELECT group_concat(name, ', ') FROM (SELECT name FROM customers ORDER BY email)";
    assert_eq!(one(&bench, "a", names), "Ann NEW, Bobby");
    assert_eq!(one(&bench, "b", names), "Ann NEW, Bobby");
}

#[test]
fn a_number_within_json_keeps_its_digits_when_another_key_is_edited() {
    const THING: Entity = Entity {
        name: "thing",
        table: "t",
        key: "k",
        fields: &[("k", "type = \"string\""), ("doc", "type = \"object\"")],
        mapped: "k = \"k\", doc = \"doc\"",
    };
    let table = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, k TEXT, doc TEXT)";
    let bench = two(&[THING], [table, table]);
    bench.sql(
        "b",
        "INSERT INTO t (k, doc) VALUES ('a', '{\"price\": 12345678.12345678901, \"note\": \"x\"}')",
    );
    sync(&bench);
    bench.sql("a", "UPDATE t SET doc = replace(doc, '\"x\"', '\"y\"')");
    bench.sql("a", "INSERT INTO t (k, doc) VALUES ('b', '{\"n\": 12345678901234567890, \"z\": 1.10}')");
    sync(&bench);
    assert_eq!(
        one(
            &bench,
            "b",
            "SELECT doc LIKE '%12345678.12345678901%' AND doc LIKE '%\"y\"%' FROM t WHERE k = 'a'"
        ),
        "1"
    );
    assert_eq!(
        one(&bench, "b", "SELECT replace(doc, ' ', '') FROM t WHERE k = 'b'"),
        r#"{"n":12345678901234567890,"z":1.10}"#
    );
    assert!(sync(&bench).contains("0 writes confirmed"));
}

#[test]
fn a_time_is_written_as_the_column_spells_it() {
    const THING: Entity = Entity {
        name: "thing",
        table: "t",
        key: "k",
        fields: &[("k", "type = \"string\""), ("seen", "type = \"timestamp\"")],
        mapped: "k = \"k\", seen = { name = \"seen\", zone = \"UTC\" }",
    };
    let table = |declared: &str| {
        format!("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, k TEXT, seen {declared})")
    };
    let bench = two(&[THING], [&table("TIMESTAMP"), &table("INTEGER")]);
    bench.sql("a", "INSERT INTO t (k, seen) VALUES ('a', '2026-01-05 10:00:00')");
    sync(&bench);
    bench.sql("b", "UPDATE t SET seen = seen + 3600");
    bench.sql("b", "INSERT INTO t (k, seen) VALUES ('b', 1767610800)");
    sync(&bench);
    assert_eq!(one(&bench, "b", "SELECT seen FROM t WHERE k = 'a'"), "1767610800");
    assert_eq!(
        one(&bench, "a", "SELECT group_concat(seen, ', ') FROM t"),
        "2026-01-05 11:00:00, 2026-01-05 11:00:00"
    );
}

#[test]
fn parents_come_before_their_children_and_go_after_them() {
    const ROWS: [Entity; 2] = [
        Entity {
            name: "z_parent",
            table: "parents",
            key: "id",
            fields: &[("id", "type = \"integer\""), ("name", "type = \"string\"")],
            mapped: "id = \"id\", name = \"name\"",
        },
        Entity {
            name: "a_kid",
            table: "kids",
            key: "id",
            fields: &[("id", "type = \"integer\""), ("parent", "type = \"integer\"")],
            mapped: "id = \"id\", parent = \"parent\"",
        },
    ];
    let tables = "CREATE TABLE parents (id INTEGER PRIMARY KEY, name TEXT);
        CREATE TABLE kids (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parents (id))";
    let bench = two(&ROWS, [tables, tables]);
    sync(&bench);
    let counts = "SELECT (SELECT count(*) FROM parents) || ' ' || (SELECT count(*) FROM kids)";
    bench.sql("a", "INSERT INTO parents VALUES (1, 'P'), (2, 'Q'); INSERT INTO kids VALUES (10, 1), (11, 2)");
    sync(&bench);
    assert_eq!(one(&bench, "b", counts), "2 2");
    bench.sql("a", "BEGIN; DELETE FROM kids WHERE id = 10; DELETE FROM parents WHERE id = 1; COMMIT");
    sync(&bench);
    assert_eq!(one(&bench, "b", counts), "1 1");
    assert_eq!(bench.avowal(&["quarantine", "list"]).out, "Nothing is in quarantine.\n");
}

#[test]
fn a_unique_value_moves_from_one_row_to_another() {
    const THING: Entity = Entity {
        name: "thing",
        table: "t",
        key: "k",
        fields: &[("k", "type = \"string\""), ("chosen", "type = \"boolean\"")],
        mapped: "k = \"k\", chosen = \"chosen\"",
    };
    let table = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, k TEXT, chosen BOOLEAN)";
    let unique = format!("{table}; CREATE UNIQUE INDEX one ON t (chosen) WHERE chosen");
    let bench = two(&[THING], [table, &unique]);
    bench.sql("a", "INSERT INTO t (k, chosen) VALUES ('a', 0), ('b', 1)");
    sync(&bench);
    for (from, to) in [("b", "a"), ("a", "b")] {
        bench.sql("a",
            &format!(
                "BEGIN; UPDATE t SET chosen = 0 WHERE k = '{from}'; UPDATE t SET chosen = 1 WHERE k = '{to}'; COMMIT"
            ),
        );
        sync(&bench);
        assert_eq!(one(&bench, "b", "SELECT group_concat(k) FROM t WHERE chosen"), to);
    }
    assert_eq!(bench.avowal(&["quarantine", "list"]).out, "Nothing is in quarantine.\n");
}

#[test]
fn a_daemon_goes_on_when_the_application_makes_its_table_anew() {
    let bench = two(&[CUSTOMER], [CUSTOMERS, CUSTOMERS]);
    bench.sql("a", "INSERT INTO customers (email, name) VALUES ('a@x.example', 'Ann')");
    let _daemon = bench.daemon();
    let arrives = |name: &str| {
        wait_until(&format!("{name} arrives"), || one(&bench, "b", "SELECT name FROM customers") == name);
    };
    arrives("Ann");
    bench.sql(
        "a",
        "BEGIN; CREATE TABLE n (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT, name TEXT, extra TEXT);
         INSERT INTO n (id, email, name) SELECT id, email, name FROM customers; DROP TABLE customers;
         ALTER TABLE n RENAME TO customers; COMMIT; UPDATE customers SET name = 'Ann 2'",
    );
    arrives("Ann 2");
    bench.sql("a", "UPDATE customers SET name = 'Ann 3'");
    arrives("Ann 3");
}

#[test]
fn a_write_that_cannot_be_done_says_why_is_set_aside_and_comes_back() {
    const KID: Entity = Entity {
        name: "kid",
        table: "kids",
        key: "id",
        fields: &[("id", "type = \"integer\""), ("parent", "type = \"integer\"")],
        mapped: "id = \"id\", parent = \"parent\"",
    };
    let table = "CREATE TABLE kids (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parents (id));
        CREATE TABLE parents (id INTEGER PRIMARY KEY)";
    let bench = two(&[KID], [table, table]);
    sync(&bench);
    // Nobody maps the parents, so no write of ours will ever cure it.
    bench.sql("a", "INSERT INTO parents VALUES (1); INSERT INTO kids VALUES (10, 1)");
    let said = bench.ends_with(4, &["sync"]);
    assert!(said.contains("FOREIGN KEY"), "{said}");
    let status = bench.json(&["status"]);
    assert!(status["undelivered"][0]["cause"].as_str().unwrap().contains("FOREIGN KEY"), "{status}");
    let events = || {
        bench.open("avowal").query_row("SELECT count(*) FROM events", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let after_the_first = events();
    let listed = || bench.avowal(&["quarantine", "list"]).out;
    let mut runs = 0;
    while listed() == "Nothing is in quarantine.\n" {
        assert!(bench.ends_with(4, &["sync"]).contains("FOREIGN KEY"));
        runs += 1;
        assert!(runs < 12, "it is tried without end");
    }
    assert!(listed().contains("FOREIGN KEY"), "{}", listed());
    assert!(
        events() - after_the_first <= 3,
        "tries leave no events: {after_the_first} and then {}",
        events()
    );
    let why = bench.avowal(&["why", "kid", "a:10", "parent"]).out;
    assert!(why.contains("FOREIGN KEY"), "{why}");

    bench.sql("b", "INSERT INTO parents VALUES (1)");
    bench.ends_with(0, &["quarantine", "replay", "--all"]);
    bench.ends_with(0, &["sync"]);
    assert_eq!(one(&bench, "b", "SELECT parent FROM kids"), "1");
    assert_eq!(listed(), "Nothing is in quarantine.\n");
}

#[test]
fn check_names_what_cannot_be_carried() {
    const THING: Entity = Entity {
        name: "thing",
        table: "t",
        key: "k",
        fields: &[
            ("k", "type = \"string\""),
            ("code", "type = \"string\""),
            ("price", "type = \"decimal\""),
            ("doc", "type = \"string\""),
        ],
        mapped: "k = \"k\", code = \"code\", price = \"price\", doc = \"doc\"",
    };
    let plain =
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, k TEXT, code TEXT, price TEXT, doc TEXT)";
    let numeric = plain.replace("code TEXT", "code UUID");
    let bench = two(&[THING], [plain, &numeric]);
    let said = bench.ends_with(1, &["check"]);
    assert!(said.contains("column code") && said.contains("numeric"), "{said}");

    let server = PrivatePostgres::start().unwrap();
    let url = server.create_database("b").unwrap();
    server
        .psql("b", "CREATE TABLE t (id bigserial PRIMARY KEY, k text, code text, price money, doc jsonb)")
        .unwrap();
    let text = std::fs::read_to_string(bench.path("avowal.toml")).unwrap();
    let before = "connector = \"sqlite\"\nurl = \"sqlite:b.db\"";
    bench.write("avowal.toml", &text.replace(before, &format!("connector = \"postgres\"\nurl = \"{url}\"")));
    let said = bench.ends_with(1, &["check"]);
    for column in ["column price", "column doc"] {
        assert!(said.contains(column), "{column}: {said}");
    }
    assert!(!said.contains("column code") && !said.contains("column k:"), "{said}");
}

/// Whoever may not decide a field can fill it in where its owner has not. That is not believed, and `why` says so.
#[test]
fn what_stands_where_the_owner_has_set_nothing_is_told() {
    let bench = Bench::with(
        "[store]\nurl = \"sqlite:avowal.db\"\n\
         [systems.a]\nconnector = \"sqlite\"\nurl = \"sqlite:a.db\"\nlocal = true\n\
         [systems.b]\nconnector = \"sqlite\"\nurl = \"sqlite:b.db\"\n\
         [entities.customer]\nmatch_on = [\"email\"]\ndeletes = { owner = \"a\" }\n\
         [entities.customer.fields]\n\
         email = { type = \"string\", owner = \"shared\", strategy = \"latest_valid_change\", precedence = [\"a\", \"b\"] }\n\
         name = { type = \"string\", owner = \"a\", strategy = \"local_wins\" }\n\
         [entities.customer.systems.a]\nobject = \"customers\"\nid = \"id\"\nfields = { email = \"email\", name = \"name\" }\n\
         [entities.customer.systems.b]\nobject = \"customers\"\nid = \"id\"\nfields = { email = \"email\", name = \"name\" }\n",
    );
    for system in ["a", "b"] {
        bench.sql(system, CUSTOMERS);
    }
    bench.sql("b", "INSERT INTO customers (email) VALUES ('z@x.org')");
    sync(&bench);
    bench.sql("b", "UPDATE customers SET name = 'Zoe'");
    bench.avowal(&["sync"]);
    assert_eq!(one(&bench, "a", "SELECT name FROM customers"), "null");
    let told = bench.ends_with(0, &["why", "customer", "b:1", "name"]);
    assert!(
        told.contains("b holds \"Zoe\", which is not believed: a owns name, and has set nothing."),
        "{told}"
    );
    assert_eq!(bench.json(&["why", "customer", "b:1", "name"])["held"]["b"], "Zoe");
}
