//! Questions for a person: what waits, what goes on, and how a question ends.

use crate::world::{World, shows};
use avowal_core::decide::review::ReviewError;
use avowal_core::history::ReviewAnswer;
use serde_json::json;

/// Pay is contested between the two systems; the name is not.
fn contested() -> World {
    let mut world = World::new(&json!({
        "systems": {"app": {"local": true}, "crm": {}},
        "fields": {
            "pay": {"type": "integer", "owner": "shared", "strategy": "manual_review", "valid": "value >= 0"},
            "name": {"type": "string", "owner": "shared", "strategy": "latest_valid_change", "normalize": ["trim"]},
        },
    }));
    world.see(shows("app", &json!({"pay": 100, "name": "ann"})));
    world.drain();
    world.see(shows("app", &json!({"pay": 110})));
    world.see(shows("crm", &json!({"pay": 105})));
    world
}

#[test]
fn a_contested_field_is_written_nowhere_and_the_others_go_on() {
    let mut world = contested();
    assert_eq!(world.review("pay").proposed.keys().map(ToString::to_string).collect::<Vec<_>>(), ["crm"]);
    assert_eq!(world.drain(), "");
    let told = world.see(shows("app", &json!({"name": "bob"}))) + &world.drain();
    insta::assert_snapshot!(told, @r#"
    observed app new app:3, name "ann"→"bob" Sequential
    believe name="bob" (app:3)
    plan update crm name="bob"
    sent crm #1
    confirmed crm by its receipt name="bob"
    "#);
    assert_eq!((world.content("app", "pay"), world.content("crm", "pay")), ("110".into(), "105".into()));
}

#[test]
fn every_answer() {
    for (answer, wanted) in [
        (ReviewAnswer::Keep, "110"),
        (ReviewAnswer::Take { system: "crm".into() }, "105"),
        (ReviewAnswer::Take { system: "app".into() }, "110"),
        (ReviewAnswer::Set { value: 107.into() }, "107"),
    ] {
        let mut world = contested();
        world.answer("pay", answer.clone());
        world.drain();
        assert_eq!(
            (world.content("app", "pay"), world.content("crm", "pay")),
            (wanted.into(), wanted.into()),
            "{answer:?}"
        );
        assert!(world.record.reviews.is_empty());
    }
}

#[test]
fn an_answer_takes_the_present_value() {
    let mut world = contested();
    let told = world.see(shows("crm", &json!({"pay": 106})));
    insta::assert_snapshot!(told, @r"
    observed crm concurrent crm:2, pay 105→106 Concurrent
    review pay: manual_review: the changes are concurrent, so the policy asks a person
    ");
    world.answer("pay", ReviewAnswer::Take { system: "crm".into() });
    world.drain();
    assert_eq!(world.content("app", "pay"), "106");
    assert_eq!(world.dot("pay"), "operator:1");
}

#[test]
fn an_answer_that_does_not_fit_changes_nothing() {
    let mut world = contested();
    for (answer, wanted) in [
        (
            ReviewAnswer::Set { value: (-1).into() },
            "pay cannot become -1: the value does not satisfy value >= 0",
        ),
        (
            ReviewAnswer::Set { value: "much".into() },
            "pay cannot become \"much\": \"much\" is not an integer",
        ),
        (ReviewAnswer::Take { system: "erp".into() }, "erp holds no value of pay"),
        (
            ReviewAnswer::Delete,
            "deleting or restoring does not answer a question about the value of pay. Use --keep, --take SYSTEM or --set VALUE",
        ),
    ] {
        let before = world.record.clone();
        assert_eq!(world.try_answer("pay", answer).unwrap_err().to_string(), wanted);
        assert_eq!(world.record, before);
    }
    let review = world.review("pay").id.clone();
    world.answer("pay", ReviewAnswer::Keep);
    let policy = world.policy.clone();
    let mut result = Ok(());
    world.step(world.context(), |chronicle| {
        result = avowal_core::decide::review::answer_review(
            &policy,
            chronicle,
            &"pay".into(),
            &review,
            ReviewAnswer::Keep,
            None,
        );
    });
    assert_eq!(result, Err(ReviewError::NotOpen(review)));
}

#[test]
fn a_question_closes_itself_when_the_copies_agree_with_the_belief() {
    let mut world = contested();
    let told = world.see(shows("crm", &json!({"pay": 110})));
    insta::assert_snapshot!(told, @r"
    observed crm new crm:2, pay 105→110 Agreement
    decided pay: Superseded, all copies hold what is believed
    ");
    assert!(world.record.reviews.is_empty() && world.record.intents.is_empty());
}

#[test]
fn a_question_closes_itself_when_the_copies_agree_on_the_other_value() {
    let mut world = contested();
    let told = world.see(shows("app", &json!({"pay": 105})));
    insta::assert_snapshot!(told, @r"
    observed app new app:3, pay 110→105 Sequential
    decided pay: Superseded, all copies hold 105
    believe pay=105 (app:3)
    ");
    assert!(world.record.reviews.is_empty() && world.record.intents.is_empty());
    assert_eq!(world.belief("pay"), "105");
}

#[test]
fn a_question_closes_itself_although_a_provider_spells_the_value_otherwise() {
    let mut world = World::new(&json!({
        "systems": {"app": {"local": true}, "crm": {}, "erp": {}},
        "fields": {"phone": {"type": "string", "owner": "shared", "strategy": "manual_review"}},
    }));
    world.see(shows("app", &json!({"phone": "1"})));
    world.drain();
    world.see(shows("app", &json!({"phone": "2"})));
    world.send("erp");
    world.receipt("erp", &json!({"phone": "+2"}));
    world.see(shows("crm", &json!({"phone": "3"})));
    world.see(shows("crm", &json!({"phone": "2"})));
    assert!(world.record.reviews.is_empty(), "erp holds what it made of our 2");
}

#[test]
fn an_invalid_agreement_does_not_close_a_question() {
    let mut world = contested();
    world.see(shows("crm", &json!({"pay": -5})));
    world.see(shows("app", &json!({"pay": -5})));
    assert_eq!(world.belief("pay"), "110");
    assert_eq!(world.review("pay").proposed.len(), 2);
}

#[test]
fn a_person_s_value_is_normalised_like_any_other() {
    let mut world = World::new(&json!({
        "systems": {"app": {"local": true}, "crm": {}},
        "fields": {"name": {"type": "string", "owner": "shared", "strategy": "manual_review", "normalize": ["trim", "lowercase"]}},
    }));
    world.see(shows("app", &json!({"name": "ann"})));
    world.drain();
    world.see(shows("app", &json!({"name": "bob"})));
    world.see(shows("crm", &json!({"name": "cid"})));
    world.answer("name", ReviewAnswer::Set { value: "  Dan ".into() });
    assert_eq!(world.belief("name"), "\"dan\"");
}
