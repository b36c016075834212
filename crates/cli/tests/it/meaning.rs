//! What values mean, over two SQLite files: sums, words that nobody knows, rows without a key, empty texts.

use crate::bench::Bench;

/// Two databases with one table each, mapped column by column.
fn two(fields: &str, extra: &str, rows: [&[&str]; 2]) -> Bench {
    let columns = "key = \"key\", qty = \"qty\", status = \"status\", note = \"note\"";
    let side = |system: &str| {
        format!("[entities.thing.systems.{system}]\nobject = \"t\"\nid = \"id\"\nfields = {{ {columns} }}\n")
    };
    let bench = Bench::with(&format!(
        "[store]\nurl = \"sqlite:avowal.db\"\n[systems.a]\nconnector = \"sqlite\"\nurl = \"sqlite:a.db\"\nlocal = true\n\
         [systems.b]\nconnector = \"sqlite\"\nurl = \"sqlite:b.db\"\n\
         [entities.thing]\nmatch_on = [\"key\"]\n{extra}\n[entities.thing.fields]\nkey = {{ type = \"string\", owner = \"a\" }}\n\
         {fields}\n{}{}",
        side("a"),
        side("b"),
    ));
    for (name, rows) in ["a", "b"].into_iter().zip(rows) {
        bench.sql(
            name,
            "CREATE TABLE t (id INTEGER PRIMARY KEY, key TEXT, qty INTEGER, status TEXT, note TEXT)",
        );
        for row in rows {
            bench.sql(name, &format!("INSERT INTO t (key, qty, status, note) VALUES ({row})"));
        }
    }
    bench
}

const FIELDS: &str = "qty = { type = \"integer\", owner = \"shared\", strategy = \"merge\", merge = \"delta\" }\n\
     status = { type = \"enum\", values = [\"pending\", \"paid\"], owner = \"b\" }\n\
     note = { type = \"string\", owner = \"shared\", strategy = \"latest_valid_change\", precedence = [\"a\", \"b\"] }";

fn one(bench: &Bench, database: &str, sql: &str) -> String {
    bench.open(database).query_row(sql, [], |row| row.get::<_, rusqlite::types::Value>(0)).map_or_else(
        |error| error.to_string(),
        |value| match value {
            rusqlite::types::Value::Integer(int) => int.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => format!("{other:?}"),
        },
    )
}

fn sync(bench: &Bench) {
    bench.avowal(&["sync", "--yes"]);
}

#[test]
fn what_both_sides_take_from_a_sum_is_taken_twice() {
    let row: &[&str] = &["'W-1', 100, 'paid', NULL"];
    let bench = two(FIELDS, "", [row, row]);
    sync(&bench);
    for database in ["a", "b"] {
        bench.sql(database, "UPDATE t SET qty = qty - 3");
    }
    sync(&bench);
    sync(&bench);
    bench.avowal(&["sync", "--yes", "--full"]);
    let sums = ["a", "b"].map(|database| one(&bench, database, "SELECT qty FROM t"));
    assert_eq!(sums, ["94", "94"]);
}

#[test]
fn a_word_that_nobody_knows_is_set_aside_and_named_until_it_is_understood() {
    let row: &[&str] = &["'W-1', 100, 'pending', NULL"];
    let bench = two(FIELDS, "", [row, row]);
    sync(&bench);
    bench.sql("b", "UPDATE t SET status = 'processing', note = 'soon', qty = 'many'");
    sync(&bench);
    assert_eq!(one(&bench, "a", "SELECT status || ' ' || note || ' ' || qty FROM t"), "pending soon 100");
    let asked: [&[&str]; 4] = [
        &["show", "thing", "a:1"],
        &["why", "thing", "a:1", "status"],
        &["timeline", "thing", "a:1"],
        &["status"],
    ];
    for command in asked {
        let ended = bench.avowal(command);
        assert!(
            ended.out.contains("\"processing\" is not one of pending, paid"),
            "{command:?}: {}",
            ended.out
        );
    }
    // Another change of the same row goes through, and a full listing changes nothing.
    bench.sql("a", "UPDATE t SET note = 'later'");
    sync(&bench);
    bench.avowal(&["sync", "--yes", "--full"]);
    assert_eq!(
        one(&bench, "b", "SELECT status || ' ' || note || ' ' || qty FROM t"),
        "processing later many"
    );
    bench.sql("b", "UPDATE t SET status = 'paid', qty = 90");
    sync(&bench);
    assert_eq!(one(&bench, "a", "SELECT status || ' ' || qty FROM t"), "paid 90");
    assert!(!bench.avowal(&["status"]).out.contains("is not one of"));
}

#[test]
fn a_row_without_a_key_is_counted_and_goes_on_when_it_has_one() {
    let bench = two(FIELDS, "", [&["NULL, 1, 'paid', NULL", "'', 2, 'paid', NULL"], &[]]);
    let said = bench.ends_with(0, &["check"]);
    assert!(said.contains("entity thing: 2 of 2 rows have no key, because key is empty"), "{said}");
    sync(&bench);
    assert_eq!(one(&bench, "b", "SELECT count(*) FROM t"), "0");
    let listed = bench.avowal(&["quarantine", "list"]);
    assert_eq!(listed.out.matches("it has no key, because key is empty").count(), 2, "{}", listed.out);
    bench.sql("a", "UPDATE t SET key = 'K-1' WHERE qty = 1");
    sync(&bench);
    assert_eq!(one(&bench, "b", "SELECT key FROM t"), "K-1");
    let listed = bench.avowal(&["quarantine", "list"]);
    assert_eq!(listed.out.matches("it has no key").count(), 1, "{}", listed.out);
    let made = two(FIELDS, "no_key = \"create\"", [&["NULL, 1, 'paid', NULL"], &[]]);
    assert!(!made.ends_with(0, &["check"]).contains("have no key"));
    sync(&made);
    assert_eq!(one(&made, "b", "SELECT qty FROM t"), "1");
}

#[test]
fn an_empty_text_erases_nothing_unless_it_is_declared_a_value() {
    let row: &[&str] = &["'W-1', 100, 'paid', 'rich'"];
    let bench = two(FIELDS, "", [row, row]);
    sync(&bench);
    bench.sql("b", "UPDATE t SET note = ''");
    sync(&bench);
    assert_eq!(one(&bench, "a", "SELECT note FROM t"), "rich");
}

#[test]
fn only_systems_that_may_decide_are_offered_as_answers() {
    let bench = Bench::with(
        "[store]\nurl = \"sqlite:avowal.db\"\n[systems.a]\nconnector = \"sqlite\"\nurl = \"sqlite:a.db\"\nlocal = true\n\
         [systems.b]\nconnector = \"sqlite\"\nurl = \"sqlite:b.db\"\n[systems.c]\nconnector = \"sqlite\"\nurl = \"sqlite:c.db\"\n\
         [entities.thing]\nmatch_on = [\"key\"]\n[entities.thing.fields]\nkey = { type = \"string\", owner = \"a\" }\n\
         note = { type = \"string\", owner = \"a\", proposals = [\"b\"], strategy = \"manual_review\" }\n\
         [entities.thing.systems.a]\nobject = \"t\"\nid = \"id\"\nfields = { key = \"key\", note = \"note\" }\n\
         [entities.thing.systems.b]\nobject = \"t\"\nid = \"id\"\nfields = { key = \"key\", note = \"note\" }\n\
         [entities.thing.systems.c]\nobject = \"t\"\nid = \"id\"\nfields = { key = \"key\", note = \"note\" }\n",
    );
    for database in ["a", "b", "c"] {
        bench.sql(database, "CREATE TABLE t (id INTEGER PRIMARY KEY, key TEXT, note TEXT)");
    }
    bench.sql("a", "INSERT INTO t VALUES (1, 'K', 'first')");
    sync(&bench);
    for (database, note) in [("a", "of a"), ("b", "of b"), ("c", "of c")] {
        bench.sql(database, &format!("UPDATE t SET note = '{note}'"));
    }
    sync(&bench);
    let reviews = bench.json(&["review", "list"]);
    let id = reviews[0]["review"]["id"].as_str().unwrap_or_else(|| panic!("{reviews}")).to_owned();
    let shown = bench.avowal(&["review", "show", &id]).out;
    assert!(shown.contains("--take b") && shown.contains("--keep") && !shown.contains("--take c"), "{shown}");
    bench.ends_with(0, &["review", "resolve", &id, "--take", "b"]);
    sync(&bench);
    for database in ["a", "b", "c"] {
        assert_eq!(one(&bench, database, "SELECT note FROM t"), "of b", "{database}");
    }
}
