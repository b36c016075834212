//! Every hole in written rules is refused with its place and its cure, and every right spelling builds.

use avowal_core::policy::{Owner, Strategy};
use avowal_testpolicy::{list, policy, try_policy};
use serde_json::{Value as Json, json};

/// Sound rules, changed at one place: a JSON pointer and what shall stand there.
fn with(change: &[(&str, Json)]) -> Json {
    let mut rules = json!({
        "systems": {"app": {"local": true}, "crm": {}},
        "fields": {
            "email": {"type": "string", "owner": "app"},
            "stage": {"type": "enum", "values": ["lead", "won"], "owner": "crm"},
            "tags": {"type": "set", "owner": "shared", "strategy": "merge", "merge": "union"},
        },
        "match_on": ["email"],
        "deletes": {"owner": "app"},
    });
    for (pointer, json) in change {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = rules.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        if json.is_null() {
            parent.remove(key);
        } else {
            parent.insert(key.to_owned(), json.clone());
        }
    }
    rules
}

fn check(change: &[(&str, Json)], expected: &[&str]) {
    let errors =
        try_policy(&with(change)).map_or_else(|errors| list(&errors), |_| "no hole was found".to_owned());
    for part in expected {
        assert!(errors.contains(part), "expected {part:?} in:\n{errors}");
    }
    assert_eq!(errors.lines().count(), expected.len(), "as many holes as expected:\n{errors}");
}

#[test]
fn sound_rules_build() {
    policy(&with(&[]));
}

#[test]
fn types() {
    let at = "/fields/email";
    check(
        &[(&format!("{at}/type"), json!(null))],
        &["customer.fields.email: the field has no type. Write `type = …`"],
    );
    check(
        &[(&format!("{at}/type"), json!("text"))],
        &["fields.email.type: \"text\" is not a type. Use string, integer"],
    );
    check(
        &[(&format!("{at}/values"), json!(["x"]))],
        &["fields.email.values: only an enum has values. Write `type = \"enum\"`"],
    );
    check(&[("/fields/stage/values", json!(null))], &["fields.stage: the enum has no values. Write `values"]);
    check(&[("/fields/stage/values", json!([]))], &["fields.stage: the enum has no values"]);
    check(
        &[(&format!("{at}/type"), json!("ref"))],
        &["fields.email: the reference has no target. Write `to"],
    );
    check(
        &[("/fields/email", json!({"type": "ref", "to": "planet", "owner": "app"}))],
        &["fields.email.to: no entity is named \"planet\". Declare [entities.planet]"],
    );
    check(&[("/fields/email/to", json!("company"))], &["fields.email.to: only a reference has a target"]);
}

#[test]
fn owners() {
    let at = "/fields/email/owner";
    check(
        &[(at, json!(null))],
        &["fields.email: the field has no owner. Write `owner = …`: one of app, crm, or \"shared\""],
    );
    check(
        &[(at, json!(["app", "crm"]))],
        &["fields.email.owner: the field has 2 owners. Name the one that decides"],
    );
    check(
        &[(at, json!("erp"))],
        &["fields.email.owner: \"erp\" is no system of this entity. Use one of app, crm"],
    );
    check(
        &[("/systems/app/fields", json!(["stage", "tags"]))],
        &[
            "fields.email.owner: the owner \"app\" does not hold the field. Add `email` to [entities.customer.systems.app] fields",
        ],
    );
    check(
        &[
            ("/systems/app/fields", json!(["email", "stage"])),
            ("/systems/crm/fields", json!(["email", "stage"])),
        ],
        &["fields.tags: no system maps this field. Add it to `fields`"],
    );
}

#[test]
fn strategies() {
    let at = "/fields/email/strategy";
    check(&[(at, json!("newest"))], &["fields.email.strategy: \"newest\" is not a strategy. Use local_wins"]);
    check(
        &[(at, json!("external_wins"))],
        &["external_wins contradicts the owner: app is the local system. Use owner_wins"],
    );
    check(
        &[("/fields/stage/strategy", json!("local_wins"))],
        &["local_wins contradicts the owner: crm is not the local system"],
    );
    check(&[(at, json!("merge"))], &["fields.email: the strategy merge does not say how. Write `merge"]);
    check(
        &[("/fields/email/merge", json!("union"))],
        &["fields.email.merge: merge is not the strategy. Write `strategy = \"merge\"`"],
    );
    let shared = |strategy: Json| {
        ("/fields/email", json!({"type": "string", "owner": "shared", "strategy": strategy}))
    };
    check(&[shared(json!(null))], &["fields.email: a shared field needs a strategy for concurrent changes"]);
    for strategy in ["owner_wins", "local_wins", "external_wins"] {
        let expected = format!("fields.email.strategy: {strategy} needs an owner, but the field is shared");
        check(&[shared(json!(strategy))], &[&expected]);
    }
}

#[test]
fn merges_that_the_type_cannot_carry() {
    let all = [
        "string",
        "integer",
        "decimal",
        "boolean",
        "date",
        "timestamp",
        "enum",
        "set",
        "list",
        "object",
        "ref",
    ];
    for (merge, fits) in [
        ("union", &["set"][..]),
        ("delta", &["integer", "decimal"]),
        ("max", &["integer", "decimal", "date", "timestamp"]),
        ("min", &["integer", "decimal", "date", "timestamp"]),
        ("text", &["string"]),
    ] {
        for kind in all {
            let mut field = json!({"type": kind, "owner": "shared", "strategy": "merge", "merge": merge});
            if kind == "enum" {
                field["values"] = json!(["a"]);
            }
            if kind == "ref" {
                field["to"] = json!("company");
            }
            let change = [("/fields/tags", field)];
            if fits.contains(&kind) {
                policy(&with(&change));
            } else {
                check(&change, &["fields.tags.merge: this merge cannot carry"]);
            }
        }
    }
    check(
        &[("/fields/tags/merge", json!("sum"))],
        &["fields.tags.merge: \"sum\" is not a way to merge. Use union"],
    );
}

#[test]
fn expressions_and_rules() {
    let merge = |expression: Json| {
        (
            "/fields/tags",
            json!({"type": "set", "owner": "shared", "strategy": "merge", "merge": "expression", "expression": expression}),
        )
    };
    policy(&with(&[merge(json!("local + external"))]));
    check(&[merge(json!(null))], &["fields.tags: the merge has no expression. Write `expression"]);
    check(&[merge(json!("local +"))], &["fields.tags.expression: the expression does not compile"]);
    check(&[merge(json!("local + theirs"))], &["the rule names `theirs`; it may use local, external, base"]);
    check(
        &[("/fields/tags/expression", json!("local"))],
        &["fields.tags.expression: the merge is not an expression"],
    );
    check(&[("/fields/email/valid", json!("value ="))], &["fields.email.valid: the rule does not compile"]);
    check(
        &[("/fields/email/valid", json!("now() > value"))],
        &["fields.email.valid: the rule does not compile"],
    );
    check(&[("/fields/email/valid", json!("email != ''"))], &["the rule names `email`; it may use value"]);
    check(
        &[("/fields/email/valid", json!(format!("value == '{}'", "x".repeat(3000))))],
        &["the rule is longer than 2048 bytes"],
    );
}

#[test]
fn named_systems() {
    check(
        &[("/fields/email/proposals", json!(["erp"]))],
        &["fields.email.proposals: \"erp\" is no system of this entity"],
    );
    check(
        &[("/fields/email/proposals", json!(["crm", "crm"]))],
        &["fields.email.proposals: \"crm\" is named twice. Name each system once"],
    );
    check(
        &[("/fields/email/proposals", json!(["app"]))],
        &["fields.email.proposals: \"app\" owns the field. Remove it"],
    );
    check(
        &[("/fields/tags/proposals", json!(["crm"]))],
        &["fields.tags.proposals: a shared field has no proposals"],
    );
    check(
        &[("/fields/tags/precedence", json!(["app", "erp"]))],
        &["fields.tags.precedence: \"erp\" is no system of this entity"],
    );
    check(
        &[("/fields/email/proposals", json!(["crm"])), ("/systems/crm/fields", json!(["stage", "tags"]))],
        &["fields.email.proposals: \"crm\" does not hold the field"],
    );
}

#[test]
fn transitions() {
    let at = "/fields/stage/transitions";
    policy(&with(&[(at, json!({"lead": ["won"], "won": []}))]));
    check(
        &[(at, json!({"lead": ["won"]}))],
        &["fields.stage.transitions: it does not say what may follow \"won\". Write `won = []`"],
    );
    check(
        &[(at, json!({"lead": ["lost"], "won": []}))],
        &["fields.stage.transitions: \"lost\" is not a value of the enum. Use lead, won"],
    );
    check(
        &[("/fields/email/transitions", json!({}))],
        &["fields.email.transitions: only an enum has transitions"],
    );
}

#[test]
fn normalisation() {
    policy(&with(&[("/fields/email/normalize", json!(["trim", "lowercase"]))]));
    check(
        &[("/fields/email/normalize", json!(["upper"]))],
        &["fields.email.normalize: \"upper\" is no normalisation. Use trim, lowercase"],
    );
    check(
        &[("/fields/stage/normalize", json!(["trim"]))],
        &["fields.stage.normalize: only a string is normalised"],
    );
}

#[test]
fn systems_and_keys() {
    check(
        &[("/systems/crm/undeclared", json!(true))],
        &["customer.systems.crm: no system is named \"crm\". Declare [systems.crm]"],
    );
    check(&[("/systems/crm/object", json!(""))], &["customer.systems.crm: it has no object. Write `object"]);
    check(
        &[("/systems/crm/fields", json!(["email", "stage", "tags", "extra"]))],
        &["systems.crm.fields.extra: the entity has no field \"extra\""],
    );
    check(&[("/match_on", json!(["mail"]))], &["customer.match_on: the entity has no field \"mail\""]);
    check(&[("/match_on", json!([[]]))], &["customer.match_on: a key has no fields"]);
    check(
        &[("/deletes/owner", json!("erp"))],
        &["customer.deletes.owner: \"erp\" is no system of this entity"],
    );
    check(
        &[("/systems/operator", json!({}))],
        &["customer.systems.operator: the name operator stands for persons"],
    );
    check(
        &[("/fields/(existence)", json!({"type": "string", "owner": "app"}))],
        &["fields.(existence): the name (existence) is reserved"],
    );
}

#[test]
fn too_little() {
    let nothing = try_policy(&json!({"systems": {"app": {}}, "fields": {}})).unwrap_err();
    insta::assert_snapshot!(list(&nothing), @r#"
    entities.customer.fields: the entity has no fields. Declare at least one field with its owner
    entities.customer.systems: fewer than two systems hold this entity. Add [entities.….systems.…] for each system that holds a copy
    "#);
}

#[test]
fn all_holes_are_reported_together() {
    let errors = try_policy(&with(&[
        ("/fields/email/owner", json!(null)),
        ("/fields/stage/type", json!("enumeration")),
        ("/fields/tags/merge", json!("max")),
    ]))
    .unwrap_err();
    insta::assert_snapshot!(list(&errors), @r#"
    entities.customer.fields.email: the field has no owner. Write `owner = …`: one of app, crm, or "shared"
    entities.customer.fields.stage.values: only an enum has values. Write `type = "enum"`
    entities.customer.fields.stage.type: "enumeration" is not a type. Use string, integer, decimal, boolean, date, timestamp, enum, set, list, object or ref
    entities.customer.fields.tags.merge: this merge cannot carry a set of scalars. It needs an integer, decimal, date or timestamp; choose another merge or strategy
    "#);
}

#[test]
fn every_strategy_spelled_right_builds() {
    for (owner, strategy, merge, kind, expected) in [
        ("app", json!(null), json!(null), "string", Strategy::OwnerWins),
        ("app", json!("owner_wins"), json!(null), "string", Strategy::OwnerWins),
        ("app", json!("local_wins"), json!(null), "string", Strategy::OwnerWins),
        ("crm", json!("external_wins"), json!(null), "string", Strategy::OwnerWins),
        ("shared", json!("latest_valid_change"), json!(null), "string", Strategy::LatestValidChange),
        ("app", json!("latest_valid_change"), json!(null), "string", Strategy::LatestValidChange),
        ("shared", json!("manual_review"), json!(null), "string", Strategy::ManualReview),
        ("crm", json!("manual_review"), json!(null), "string", Strategy::ManualReview),
        ("shared", json!("merge"), json!("union"), "set", Strategy::MergeUnion),
        ("shared", json!("merge"), json!("delta"), "integer", Strategy::MergeDelta),
        ("shared", json!("merge"), json!("max"), "date", Strategy::MergeMax),
        ("shared", json!("merge"), json!("min"), "decimal", Strategy::MergeMin),
        ("shared", json!("merge"), json!("text"), "string", Strategy::MergeText),
    ] {
        let field = json!({"type": kind, "owner": owner, "strategy": strategy, "merge": merge});
        let built = policy(&with(&[("/fields/x", field)]));
        let x = &built.fields["x"];
        assert_eq!(x.strategy, expected);
        assert_eq!(x.owner == Owner::Shared, owner == "shared");
    }
}

#[test]
fn the_digest_moves_with_every_rule() {
    let base = policy(&with(&[])).digest;
    assert_eq!(policy(&with(&[])).digest, base);
    for change in [
        ("/fields/email/proposals", json!(["crm"])),
        ("/fields/email/on_refused", json!("ignore")),
        ("/fields/email/valid", json!("value != ''")),
        ("/deletes/owner", json!("crm")),
        ("/systems/crm/nulls", json!("clear")),
        ("/systems/crm/skew", json!(100)),
        ("/match_on", json!([])),
    ] {
        assert_ne!(policy(&with(std::slice::from_ref(&change))).digest, base, "{change:?}");
    }
}
