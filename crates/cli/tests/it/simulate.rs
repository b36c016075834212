//! `avowal simulate`: what it says of rules that are sound, of rules that fight, and of every type of field.

use crate::bench::Bench;

/// Enough to see something, and quick in a debug build.
const SMALL: [&str; 9] = ["simulate", "--seeds", "2", "--days", "2", "--records", "20", "--edits", "30"];

fn quickstart() -> Bench {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/quickstart/avowal.toml");
    Bench::with(&std::fs::read_to_string(path).unwrap())
}

const QUICKSTART: [(&str, &str); 3] = [
    ("AVOWAL_LISTEN", "127.0.0.1:8787"),
    ("CRM_URL", "http://127.0.0.1:1"),
    ("CRM_WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
];

/// Two tables. What `name` says is put in; the rest is shared and merges.
fn two_tables(name: &str) -> Bench {
    Bench::with(&format!(
        r#"
[store]
url = "sqlite:avowal.db"
[systems.app]
connector = "sqlite"
url = "sqlite:app.db"
local = true
[systems.crm]
connector = "sqlite"
url = "sqlite:crm.db"
[entities.customer]
match_on = ["email"]
deletes = {{ owner = "shared", edit_against_delete = "delete_wins" }}
[entities.customer.fields]
email = {{ type = "string", owner = "shared", strategy = "latest_valid_change", precedence = ["app", "crm"] }}
name = {{ type = "string", {name} }}
[entities.customer.systems.app]
object = "customers"
id = "id"
fields = {{ email = "email", name = "full_name" }}
[entities.customer.systems.crm]
object = "customers"
id = "id"
fields = {{ email = "email", name = "name" }}
"#
    ))
}

#[test]
fn the_quickstart_converges_and_reads_well() {
    let bench = quickstart();
    let ended = bench.avowal_with(&SMALL, &QUICKSTART);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    for said in [
        "Every seed converges",
        "  edits ",
        "  refused changes ",
        "customer.tax_class",
        "the first link",
        "crm may not change it",
    ] {
        assert!(ended.out.to_lowercase().contains(&said.to_lowercase()), "{said}: {}", ended.out);
    }
    // Neither a store nor a table was touched.
    let left: Vec<_> =
        std::fs::read_dir(bench.path(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["avowal.toml"]);
}

#[test]
fn a_seed_says_the_same_again() {
    let bench = quickstart();
    let json = [&SMALL[..], &["--json"]].concat();
    let (first, second) = (bench.avowal_with(&json, &QUICKSTART), bench.avowal_with(&json, &QUICKSTART));
    assert_eq!(first.code, 0, "{}{}", first.out, first.err);
    assert_eq!(first.out, second.out);
    let json: serde_json::Value = serde_json::from_str(&first.out).unwrap();
    assert_eq!(json["converges"], true);
    assert_eq!(json["seeds"], 2);
    assert!(json["per_day"]["edits"]["mean"].as_f64().unwrap() > 30.0, "{json}");
    assert!(json["per_day"]["writes"]["most"].as_u64().unwrap() > 0, "{json}");
}

#[test]
fn a_rule_that_reverts_what_people_insist_on_is_a_fight() {
    let bench = two_tables(r#"owner = "app", strategy = "local_wins", on_refused = "revert""#);
    let mut many = SMALL;
    many[8] = "100";
    let ended = bench.avowal(&many);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    for said in [
        "Fields that fight",
        "customer.name between crm and app",
        "rule: name belongs to app; crm may not change it",
        "list crm in `proposals`",
    ] {
        assert!(ended.out.contains(said), "{said}: {}", ended.out);
    }
}

#[test]
fn shared_fields_do_not_fight() {
    let bench =
        two_tables(r#"owner = "shared", strategy = "latest_valid_change", precedence = ["app", "crm"]"#);
    let ended = bench.avowal(&SMALL);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    assert!(ended.out.contains("No field flaps"), "{}", ended.out);
}

#[test]
fn every_type_of_field_and_rule_is_played() {
    let bench = Bench::with(include_str!("simulate/every_type.toml"));
    let json = bench.json(&["simulate", "--seeds", "1", "--days", "1", "--records", "8", "--edits", "40"]);
    assert_eq!(json["converges"], true, "{json}");
    assert_eq!(json["without_values"], serde_json::json!(["contact.never"]));
}

#[test]
fn seeds_are_a_number_or_a_range() {
    let bench = two_tables(r#"owner = "shared", strategy = "manual_review""#);
    let json = bench.json(&["simulate", "--seeds", "7-7", "--days", "1", "--records", "3", "--edits", "3"]);
    assert_eq!(json["seeds"], 1);
    for wrong in ["0", "5-3", "x", "1-999999"] {
        let ended = bench.avowal(&["simulate", "--seeds", wrong]);
        assert_eq!(ended.code, 2, "{wrong}");
        assert!(ended.err.contains("write how many"), "{}", ended.err);
    }
}
