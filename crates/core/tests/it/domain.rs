//! Resolvers and validators written in Rust: what they are told, what their answers do, and which names are refused.

use crate::world::{World, shows};
use avowal_core::explain::review_words;
use avowal_core::history::ReviewAnswer;
use avowal_core::policy::spec::PolicyError;
use avowal_core::{
    Causality, DomainResolution, DomainResolver, DomainRules, DomainValidator, EntityPolicy, FieldChange,
    FieldConflict, Value,
};
use avowal_testpolicy::{list, spec};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

/// Answers by a function.
struct Answers(u32, fn(&FieldConflict<'_>) -> DomainResolution);

impl DomainResolver for Answers {
    fn name(&self) -> &str {
        "mine"
    }
    fn version(&self) -> u32 {
        self.0
    }
    fn resolve(&self, conflict: &FieldConflict<'_>) -> DomainResolution {
        (self.1)(conflict)
    }
}

/// Checks by a function.
struct Checks(u32, fn(&FieldChange<'_>) -> Result<(), String>);

impl DomainValidator for Checks {
    fn name(&self) -> &str {
        "mine"
    }
    fn version(&self) -> u32 {
        self.0
    }
    fn check(&self, change: &FieldChange<'_>) -> Result<(), String> {
        (self.1)(change)
    }
}

fn try_policy(field: &Json, domain: &DomainRules) -> Result<EntityPolicy, Vec<PolicyError>> {
    let rules = json!({
        "systems": {"app": {"local": true, "nulls": "clear"}, "crm": {"nulls": "clear"}},
        "fields": {"f": field, "other": {"type": "string", "owner": "app"}},
    });
    let (spec, systems) = spec(&rules);
    spec.build_with(&"customer".into(), &systems, &BTreeSet::from(["customer".into()]), domain)
}

fn world(field: &Json, domain: &DomainRules) -> World {
    World::with(try_policy(field, domain).unwrap_or_else(|errors| panic!("{}", list(&errors))))
}

/// Both hold 5; app changes it to 10, crm to 20, unseen by each other. The belief after that; `?` where a person is asked.
fn decided(answer: fn(&FieldConflict<'_>) -> DomainResolution, validator: Option<Checks>) -> String {
    let mut field = json!({"type": "integer", "owner": "shared", "resolver": "mine"});
    let mut domain = DomainRules::new().resolver(Answers(3, answer));
    if let Some(validator) = validator {
        field["validator"] = json!("mine");
        domain = domain.validator(validator);
    }
    let mut world = world(&field, &domain);
    world.see(shows("app", &json!({"f": 5, "other": "o"})));
    world.drain();
    world.see(shows("app", &json!({"f": 10})));
    world.see(shows("crm", &json!({"f": 20})));
    if world.record.is_contested(&"f".into()) {
        return format!("? {}", review_words(&world.review("f").reason, &"f".into()));
    }
    world.drain();
    assert_eq!(world.content("app", "f"), world.content("crm", "f"), "both hold what was decided");
    world.belief("f")
}

#[test]
fn every_answer_of_a_resolver() {
    assert_eq!(decided(|_| DomainResolution::Local, None), "10");
    assert_eq!(decided(|_| DomainResolution::External, None), "20");
    assert_eq!(decided(|_| DomainResolution::Merged(Value::from(7)), None), "7");
    let asks = |_: &FieldConflict<'_>| DomainResolution::ManualReviewRequired { reason: "hm".to_owned() };
    assert_eq!(decided(asks, None), "? the resolver mine (version 3) asks a person: hm");
}

#[test]
fn a_merged_value_is_checked_like_any_other() {
    let text = |_: &FieldConflict<'_>| DomainResolution::Merged(Value::from("many"));
    assert_eq!(
        decided(text, None),
        "? the resolver mine (version 3) gave no usable value: \"many\" is not an integer"
    );
    let small =
        Checks(1, |change| if *change.to < Value::from(30) { Ok(()) } else { Err("too much".into()) });
    let sum = |_: &FieldConflict<'_>| DomainResolution::Merged(Value::from(30));
    assert_eq!(
        decided(sum, Some(small)),
        "? the resolver mine (version 3): both changes are kept in one value, but 30 is not allowed: the validator mine (version 1) refuses it: too much"
    );
}

#[test]
fn a_resolver_is_told_both_changes_and_what_stands_beside_them() {
    let checked = |conflict: &FieldConflict<'_>| {
        let (local, external) = (&conflict.local, &conflict.external);
        assert_eq!((local.system.as_str(), external.system.as_str()), ("app", "crm"));
        assert_eq!((local.dot.to_string(), external.dot.to_string()), ("app:2".into(), "crm:1".into()));
        assert_eq!(local.vector.compare(external.vector), Causality::Concurrent);
        assert_eq!(conflict.base, Some(&Value::from(5)));
        assert!(!conflict.indeterminate);
        assert_eq!(conflict.believed("other"), Some(&Value::from("o")));
        DomainResolution::Merged(Value::from(1))
    };
    assert_eq!(decided(checked, None), "1");
}

#[test]
fn a_resolver_decides_between_an_owner_and_a_proposal_too() {
    let field = json!({"type": "integer", "owner": "app", "proposals": ["crm"], "resolver": "mine"});
    let mut world = world(&field, &DomainRules::new().resolver(Answers(1, |_| DomainResolution::External)));
    world.see(shows("app", &json!({"f": 5})));
    world.drain();
    world.see(shows("app", &json!({"f": 10})));
    world.see(shows("crm", &json!({"f": 20})));
    assert_eq!(world.belief("f"), "20");
}

#[test]
fn a_validator_sees_every_value_and_where_it_comes_from() {
    let grows = Checks(2, |change| match (change.from, change.to) {
        (_, Value::Null) => Err("it may not be cleared".to_owned()),
        (Some(from), to) if to < from => Err(format!("it may not fall from {from}")),
        (Some(_) | None, _) => Ok(()),
    });
    let field = json!({"type": "integer", "owner": "app", "validator": "mine", "on_refused": "review"});
    let mut world = world(&field, &DomainRules::new().validator(grows));
    world.see(shows("app", &json!({"f": 5})));
    world.drain();
    world.see(shows("app", &json!({"f": 6})));
    assert_eq!(world.belief("f"), "6");
    world.see(shows("app", &json!({"f": 4})));
    assert_eq!(
        review_words(&world.review("f").reason, &"f".into()),
        "the validator mine (version 2) refuses it: it may not fall from 6"
    );
    // A person may take the step back, but not what the validator never allows.
    let cleared = world.try_answer("f", ReviewAnswer::Set { value: Value::Null }).unwrap_err();
    assert!(cleared.to_string().contains("it may not be cleared"), "{cleared}");
    world.answer("f", ReviewAnswer::Set { value: Value::from(3) });
    assert_eq!(world.belief("f"), "3");
    world.drain();
    world.see(shows("app", &json!({"f": null})));
    assert_eq!(
        review_words(&world.review("f").reason, &"f".into()),
        "the validator mine (version 2) refuses it: it may not be cleared"
    );
}

#[test]
fn names_that_stand_for_nothing_are_refused_with_the_cure() {
    let resolver = json!({"type": "string", "owner": "shared", "resolver": "phone"});
    let validator = json!({"type": "string", "owner": "app", "validator": "phone"});
    let nameless = json!({"type": "string", "owner": "shared", "strategy": "resolver"});
    let beside = json!({"type": "string", "owner": "app", "strategy": "owner_wins", "resolver": "mine"});
    let resolves = || Answers(1, |_| DomainResolution::Local);
    let checks = || Checks(1, |_| Ok(()));
    let mine = DomainRules::new().resolver(resolves()).validator(checks());
    let twice = DomainRules::new().resolver(resolves()).resolver(resolves());
    let ambiguous = json!({"type": "string", "owner": "shared", "resolver": "mine"});
    let refused: Vec<String> = [
        (&resolver, &DomainRules::new()),
        (&resolver, &mine),
        (&validator, &DomainRules::new()),
        (&validator, &mine),
        (&nameless, &mine),
        (&beside, &mine),
        (&ambiguous, &twice),
    ]
    .into_iter()
    .map(|(field, domain)| list(&try_policy(field, domain).unwrap_err()))
    .collect();
    insta::assert_snapshot!(refused.join("\n"), @r#"
    entities.customer.fields.f.resolver: no resolver "phone" is registered in this binary. Register it in `main` with `.resolver(…)`, or remove `resolver`
    entities.customer.fields.f.resolver: no resolver "phone" is registered in this binary. Register it in `main` with `.resolver(…)`, or use one of mine
    entities.customer.fields.f.validator: no validator "phone" is registered in this binary. Register it in `main` with `.validator(…)`, or remove `validator`
    entities.customer.fields.f.validator: no validator "phone" is registered in this binary. Register it in `main` with `.validator(…)`, or use one of mine
    entities.customer.fields.f: the strategy resolver does not name one. Write `resolver = "NAME"` with the name of a registered resolver
    entities.customer.fields.f.resolver: the strategy is not a resolver. Write `strategy = "resolver"`, or remove it
    entities.customer.fields.f.resolver: several resolvers are registered as "mine". Give each a name of its own in the program
    "#);
}

#[test]
fn the_digest_moves_with_the_version_of_what_a_rule_names() {
    let both = json!({"type": "integer", "owner": "shared", "resolver": "mine", "validator": "mine"});
    let digest = |field: &Json, resolver: u32, validator: u32| {
        let domain = DomainRules::new()
            .resolver(Answers(resolver, |_| DomainResolution::Local))
            .validator(Checks(validator, |_| Ok(())));
        try_policy(field, &domain).unwrap().digest
    };
    assert_eq!(digest(&both, 1, 1), digest(&both, 1, 1));
    assert_ne!(digest(&both, 1, 1), digest(&both, 2, 1));
    assert_ne!(digest(&both, 1, 1), digest(&both, 1, 2));
    // What no rule names decides nothing.
    let none = json!({"type": "integer", "owner": "app"});
    assert_eq!(digest(&none, 1, 1), digest(&none, 2, 2));
}
