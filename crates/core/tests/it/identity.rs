//! The keys by which unlinked copies are recognised.

use crate::world::fields;
use avowal_core::decide::identity::{key_of_field, keys_of_copy};
use avowal_testpolicy::policy;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn keys(match_on: Json, copy: &Json) -> Vec<String> {
    let policy = policy(&json!({
        "systems": {"app": {"local": true}, "crm": {}},
        "fields": {
            "email": {"type": "string", "owner": "app"},
            "first": {"type": "string", "owner": "app"},
            "last": {"type": "string", "owner": "app"},
            "number": {"type": "integer", "owner": "app"},
        },
        "match_on": match_on,
    }));
    keys_of_copy(&policy, &fields(copy))
}

#[test]
fn keys_ignore_case_and_space_and_need_all_their_fields() {
    assert_eq!(keys(json!(["email"]), &json!({"email": " Ann@X.org "})), ["email=ann@x.org"]);
    assert_eq!(keys(json!(["email"]), &json!({"email": "  "})), Vec::<String>::new());
    assert_eq!(keys(json!(["email"]), &json!({"email": null})), Vec::<String>::new());
    assert_eq!(keys(json!([["first", "last"]]), &json!({"first": "Ann"})), Vec::<String>::new());
    assert_eq!(
        keys(json!([["first", "last"]]), &json!({"first": "Ann", "last": "Lee"})),
        ["first=ann&last=lee"]
    );
    assert_eq!(
        keys(json!(["number", "email"]), &json!({"email": "x", "number": 5})),
        ["number=5", "email=x"]
    );
    assert_eq!(keys(json!(["email"]), &json!({"email": "X"})), [key_of_field(&"email".into(), &"x".into())]);
}

#[test]
fn a_long_key_becomes_its_digest() {
    let long = keys(json!(["email"]), &json!({"email": "x".repeat(1000)}));
    assert!(long[0].starts_with("sha256:") && long[0].len() == 71, "{long:?}");
}

proptest! {
    /// Two people are never taken for one because a name contains the separator.
    #[test]
    fn keys_of_several_fields_are_unambiguous(a in "[ab&=lst%]{1,9}", b in "[ab&=lst%]{1,9}", c in "[ab&=lst%]{1,9}", d in "[ab&=lst%]{1,9}") {
        let key = |first: &str, last: &str| keys(json!([["first", "last"]]), &json!({"first": first, "last": last}));
        prop_assert_eq!(key(&a, &b) == key(&c, &d), (&a, &b) == (&c, &d));
    }
}

#[test]
fn a_forged_separator_does_not_join_two_people() {
    let key =
        |first: &str, last: &str| keys(json!([["first", "last"]]), &json!({"first": first, "last": last}));
    assert_ne!(key("x&last=1", "2"), key("x", "1&last=2"));
}
