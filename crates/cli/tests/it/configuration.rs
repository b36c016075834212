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
    insta::assert_snapshot!(rest, @r"
      email belongs to app; crm may propose a change that has seen the latest value; when changes cross, app's value stays; a refused value is overwritten with the believed one.
      phone is shared: app and crm may change it; when changes cross, an invalid one drops out, and of two valid ones that of app before crm stands.
      tags is shared: app and crm may change it; when changes cross, the additions and removals of both are kept.
      Matching: an unlinked copy joins the record with equal email; several such records go to a person, none begins a new one.
      Deletes: when a copy is deleted, a person decides what becomes of the record.
    app: declared; not reached (--offline)
    crm: declared; not reached (--offline)
    ");
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_one() {
    insta::assert_snapshot!(refusal(r#"owner = "app""#, r#"onwer = "app""#), @r"avowal.toml:17:28: the key `onwer` is not known here. Did you mean `owner`?");
    insta::assert_snapshot!(refusal("local = true", "locale = true"), @r"
    avowal.toml:7:1: the key `locale` is not known here. Did you mean `local`?
    ");
    insta::assert_snapshot!(refusal("match_on", "mach_on"), @r"avowal.toml:14:1: the key `mach_on` is not known here. Did you mean `match_on`?");
    insta::assert_snapshot!(refusal("object = \"contacts\"", "object = \"contacts\"\nobjects = 1"), @r"avowal.toml:28:1: the key `objects` is not known here. Did you mean `object`?");
    insta::assert_snapshot!(refusal("[store]", "[stor]\na = 1\n[store]"), @r"avowal.toml:1:2: the key `stor` is not known here. Did you mean `store`?");
    insta::assert_snapshot!(refusal(r#"name = "labels""#, r#"name = "labels", readonly = true"#), @r"avowal.toml:29:72: the key `readonly` is not known here. Did you mean `read_only`?");
}

#[test]
fn a_hole_in_the_rules_is_told_at_its_line() {
    insta::assert_snapshot!(refusal(r#"owner = "app", "#, ""), @r#"avowal.toml:17:1: customer: fields email: the field has no owner. Write `owner = …`: one of app, crm, or "shared"."#);
    insta::assert_snapshot!(refusal(r#"owner = "app""#, r#"owner = ["app", "crm"]"#), @r#"avowal.toml:17:36: customer: fields email: the field has 2 owners. Name the one that decides, or write `owner = "shared"` with a strategy."#);
    insta::assert_snapshot!(refusal(r#"strategy = "merge", merge = "union""#, r#"strategy = "merge", merge = "delta""#), @r"avowal.toml:19:70: customer: fields tags: this merge cannot carry a set of scalars. It needs an integer or decimal; choose another merge or strategy.");
    insta::assert_snapshot!(refusal("local_wins", "external_wins"), @r"avowal.toml:17:54: customer: fields email: external_wins contradicts the owner: app is the local system. Use owner_wins, or the spelling that agrees with the owner; `local = true` marks the local system.");
    insta::assert_snapshot!(refusal("latest_valid_change", "newest"), @r#"avowal.toml:18:57: customer: fields phone: "newest" is not a strategy. Use local_wins, external_wins, owner_wins, latest_valid_change, merge, manual_review or resolver."#);
    insta::assert_snapshot!(refusal(r#"proposals = ["crm"]"#, r#"proposals = ["erp"]"#), @r#"avowal.toml:17:80: customer: fields email: "erp" is no system of this entity. Use systems of this entity: app, crm."#);
    insta::assert_snapshot!(refusal(r#"strategy = "local_wins""#, r#"strategy = "local_wins", valid = "value.size( > 3""#), @r"avowal.toml:17:76: customer: fields email: the rule does not compile: ERROR: <input>:1:13: Syntax error: extraneous input '>' expecting {'[', '{', '(', ')', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}. Correct the CEL expression over `value`.");
}

#[test]
fn wrong_types_and_missing_keys_are_told() {
    insta::assert_snapshot!(refusal("local = true", "local = \"yes\""), @r"
    avowal.toml:7:9: this is a text. Write true or false.
    ");
    insta::assert_snapshot!(refusal(r#"match_on = ["email"]"#, "match_on = \"email\""), @r#"avowal.toml:14:12: this is a text. Write `match_on = ["email"]`, or `[["name", "city"]]` for fields that belong together."#);
    insta::assert_snapshot!(refusal("id = \"id\"\n", ""), @r"avowal.toml:21:28: the key `id` is missing. Write `id = …`.");
    insta::assert_snapshot!(refusal("connector = \"sqlite\"\n", ""), @r#"avowal.toml:4:10: the key `connector` is missing. Write `connector = …`: "sqlite", "postgres" or "http"."#);
    insta::assert_snapshot!(refusal("connector = \"sqlite\"", "connector = \"sqllite\""), @r#"avowal.toml:5:13: no connector has this name. Did you mean "sqlite"?"#);
    insta::assert_snapshot!(refusal("url = \"sqlite:app.db\"", "url = \"app.db\""), @r"avowal.toml:6:7: this is no address of a SQLite file. Write `sqlite:PATH`, as in `sqlite:app.db`.");
    insta::assert_snapshot!(refusal("url = \"sqlite:app.db\"", "url = \"sqlite:app.db\"\npoll_ms = 1"), @r"avowal.toml:7:11: the pause is too short. Write at least 50.");
    insta::assert_snapshot!(refusal("[store]", "[settings]\nbatch = 5000\n[store]"), @r"avowal.toml:2:9: the value is out of range. Write 1 to 1000.");
}

#[test]
fn all_problems_are_told_at_once_in_order() {
    let broken = GOOD
        .replacen("local = true", "locale = true", 1)
        .replacen(r#"owner = "app""#, r#"onwer = "app""#, 1)
        .replacen("id = \"id\"\n", "", 1);
    let ended = Bench::with(&broken).avowal(&["check", "--offline"]);
    assert_eq!(ended.code, 2);
    insta::assert_snapshot!(ended.err, @r"
    avowal.toml:7:1: the key `locale` is not known here. Did you mean `local`?
    avowal.toml:17:28: the key `onwer` is not known here. Did you mean `owner`?
    avowal.toml:21:28: the key `id` is missing. Write `id = …`.
    ");
}

#[test]
fn what_is_not_toml_is_told_at_its_place() {
    insta::assert_snapshot!(refusal("local = true", "local ="), @r"avowal.toml:7:8: this is not TOML: string values must be quoted, expected literal string. Correct the syntax.");
    insta::assert_snapshot!(refusal("local = true", "local = true\nlocal = true"), @r"avowal.toml:8:1: this is not TOML: duplicate key. Correct the syntax.");
}

#[test]
fn a_missing_reference_is_one_problem_and_never_shows_a_secret() {
    let missing = refusal(
        "connector = \"sqlite\"\nurl = \"sqlite:crm.db\"",
        "connector = \"postgres\"\nurl = \"env:BILLING_URL\"",
    );
    insta::assert_snapshot!(missing, @r#"avowal.toml:11:7: the environment variable "BILLING_URL" is not set. Set it before avowal starts, for example with `export BILLING_URL=…`."#);
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
    insta::assert_snapshot!(ended.err, @r"avowal.toml:13:24: a webhook secret is `whsec_` and base64, as in whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw. Use the secret that the sender shows.");
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
    insta::assert_snapshot!(ended.err, @r"avowal.toml: there is no such file. Run `avowal init` to begin one, or name it with `-c FILE`.");
}
