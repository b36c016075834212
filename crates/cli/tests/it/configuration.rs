//! Every refusal of a configuration names its place and its cure.

use crate::bench::Bench;

/// A correct configuration, in which each test breaks something.
pub const GOOD: &str = r#"[store]
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

[entities.customer.fields]
email = { type = "string", owner = "app", strategy = "local_wins", proposals = ["crm"] }
phone = { type = "string", owner = "shared", strategy = "latest_valid_change", precedence = ["app", "crm"] }
tags = { type = "set", owner = "shared", strategy = "merge", merge = "union" }

[entities.customer.systems.app]
object = "customers"
id = "id"
fields = { email = "email", phone = "phone_number", tags = "tags" }

[entities.customer.systems.crm]
object = "contacts"
id = "id"
fields = { email = "email", phone = "phone", tags = { name = "labels" } }
"#;

/// What `check --offline` says of the good configuration with one piece replaced.
fn refusal(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    let ended = Bench::with(&GOOD.replacen(from, to, 1)).avowal(&["check", "--offline"]);
    assert_eq!(ended.code, 2, "{}{}", ended.out, ended.err);
    ended.err.trim_end().to_owned()
}

#[test]
fn a_good_configuration_is_read_back_in_sentences() {
    let ended = Bench::with(GOOD).avowal(&["check", "--offline"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    let (heading, rest) = ended.out.split_once('\n').unwrap();
    assert!(heading.starts_with("customer (policy "), "{heading}");
    insta::assert_snapshot!(rest, @"");
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_one() {
    insta::assert_snapshot!(refusal(r#"owner = "app""#, r#"onwer = "app""#), @"");
    insta::assert_snapshot!(refusal("local = true", "locale = true"), @"");
    insta::assert_snapshot!(refusal("match_on", "mach_on"), @"");
    insta::assert_snapshot!(refusal("object = \"contacts\"", "object = \"contacts\"\nobjects = 1"), @"");
    insta::assert_snapshot!(refusal("[store]", "[stor]\na = 1\n[store]"), @"");
    insta::assert_snapshot!(refusal(r#"name = "labels""#, r#"name = "labels", readonly = true"#), @"");
}

#[test]
fn a_hole_in_the_rules_is_told_at_its_line() {
    insta::assert_snapshot!(refusal(r#"owner = "app", "#, ""), @"");
    insta::assert_snapshot!(refusal(r#"owner = "app""#, r#"owner = ["app", "crm"]"#), @"");
    insta::assert_snapshot!(refusal(r#"strategy = "merge", merge = "union""#, r#"strategy = "merge", merge = "delta""#), @"");
    insta::assert_snapshot!(refusal("local_wins", "external_wins"), @"");
    insta::assert_snapshot!(refusal("latest_valid_change", "newest"), @"");
    insta::assert_snapshot!(refusal(r#"proposals = ["crm"]"#, r#"proposals = ["erp"]"#), @"");
    insta::assert_snapshot!(refusal(r#"strategy = "local_wins""#, r#"strategy = "local_wins", valid = "value.size( > 3""#), @"");
}

#[test]
fn wrong_types_and_missing_keys_are_told() {
    insta::assert_snapshot!(refusal("local = true", "local = \"yes\""), @"");
    insta::assert_snapshot!(refusal(r#"match_on = ["email"]"#, "match_on = \"email\""), @"");
    insta::assert_snapshot!(refusal("id = \"id\"\n", ""), @"");
    insta::assert_snapshot!(refusal("connector = \"sqlite\"\n", ""), @"");
    insta::assert_snapshot!(refusal("connector = \"sqlite\"", "connector = \"sqllite\""), @"");
    insta::assert_snapshot!(refusal("url = \"sqlite:app.db\"", "url = \"app.db\""), @"");
    insta::assert_snapshot!(refusal("url = \"sqlite:app.db\"", "url = \"sqlite:app.db\"\npoll_ms = 1"), @"");
    insta::assert_snapshot!(refusal("[store]", "[settings]\nbatch = 5000\n[store]"), @"");
}

#[test]
fn all_problems_are_told_at_once_in_order() {
    let broken = GOOD
        .replacen("local = true", "locale = true", 1)
        .replacen(r#"owner = "app""#, r#"onwer = "app""#, 1)
        .replacen("id = \"id\"\n", "", 1);
    let ended = Bench::with(&broken).avowal(&["check", "--offline"]);
    assert_eq!(ended.code, 2);
    insta::assert_snapshot!(ended.err, @"");
}

#[test]
fn what_is_not_toml_is_told_at_its_place() {
    insta::assert_snapshot!(refusal("local = true", "local ="), @"");
    insta::assert_snapshot!(refusal("local = true", "local = true\nlocal = true"), @"");
}

#[test]
fn a_missing_reference_is_one_problem_and_never_shows_a_secret() {
    let missing = refusal(
        "connector = \"sqlite\"\nurl = \"sqlite:crm.db\"",
        "connector = \"postgres\"\nurl = \"env:BILLING_URL\"",
    );
    insta::assert_snapshot!(missing, @"");
    let missing = refusal("url = \"sqlite:crm.db\"", "url = \"file:secrets/url\"");
    assert!(missing.starts_with("avowal.toml:11:7: the file ./secrets/url cannot be read:"), "{missing}");
}

#[test]
fn a_secret_from_a_file_is_used_and_not_shown() {
    let http = GOOD.replacen(
        "connector = \"sqlite\"\nurl = \"sqlite:crm.db\"",
        "connector = \"http\"\nurl = \"http://127.0.0.1:1\"\nallow_private = true\nwebhook = { secrets = [\"file:secret\"] }",
        1,
    );
    let bench = Bench::with(&http);
    bench.write("secret", "not-a-secret-of-the-right-form!\n");
    let ended = bench.avowal(&["check", "--offline"]);
    assert_eq!(ended.code, 2);
    insta::assert_snapshot!(ended.err, @"");
    bench.write("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
    let ended = bench.avowal(&["check", "--offline"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
}

#[test]
fn json_tells_the_same_problems() {
    let bench = Bench::with(&GOOD.replacen(r#"owner = "app""#, r#"onwer = "app""#, 1));
    let json = bench.json(&["check", "--offline"]);
    assert_eq!(json["error"], "configuration");
    assert_eq!(json["problems"][0]["line"], 17);
    assert!(json["problems"][0]["cure"].as_str().unwrap().contains("`owner`"));
}

#[test]
fn a_missing_file_says_how_to_begin() {
    let ended = Bench::new().avowal(&["status"]);
    assert_eq!(ended.code, 2);
    insta::assert_snapshot!(ended.err, @"");
}
