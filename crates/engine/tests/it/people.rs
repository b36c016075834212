//! What a person decides, through the engine.

use crate::world::{World, customer};
use avowal_core::data::value::Value;
use avowal_core::history::ReviewAnswer;
use avowal_engine::EngineError;
use avowal_engine::ports::store::ReadOverview;
use avowal_testkit::fake::Profile;
use avowal_testkit::memory::CommitFault;
use serde_json::json;

async fn contested() -> (World, String) {
    let mut rules = customer();
    rules["fields"]["phone"] = json!({"type": "string", "owner": "shared", "strategy": "manual_review"});
    let world = World::with(json!({ "customer": rules }), [("app", Profile::log()), ("crm", Profile::cas())]);
    world.add("app", json!({"email": "a@x.org", "name": "Ann", "phone": "1"}));
    world.sync().await;
    world.edit("app", "a@x.org", json!({"phone": "app", "name": "Bea"}));
    world.edit("crm", "a@x.org", json!({"phone": "crm"}));
    let report = world.sync().await;
    assert_eq!(report.reviews_open, 1);
    assert_eq!(world.everywhere("a@x.org", "phone"), [json!("app"), json!("crm")], "it is written nowhere");
    assert_eq!(world.everywhere("a@x.org", "name"), [json!("Bea"), json!("Bea")], "the others go through");
    world.check_in_sync().await;
    let review = world.store.open_reviews(10).await.unwrap().remove(0).review.id;
    (world, review)
}

#[tokio::test]
async fn a_review_is_answered_and_the_answer_arrives() {
    let answers = [
        (ReviewAnswer::Keep, "app"),
        (ReviewAnswer::Take { system: "crm".into() }, "crm"),
        (ReviewAnswer::Set { value: Value::text("third") }, "third"),
    ];
    for (answer, expected) in answers {
        let (world, review) = contested().await;
        world.engine().decide_review(&review, answer, "ann", Some("asked them".into())).await.unwrap();
        world.sync().await;
        assert_eq!(world.everywhere("a@x.org", "phone"), [json!(expected), json!(expected)]);
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn an_answer_counts_once_whatever_becomes_of_its_commit() {
    for fault in [CommitFault::Conflict, CommitFault::UnknownApplied, CommitFault::UnknownNotApplied] {
        let (world, review) = contested().await;
        world.store.fail_commit(1, fault);
        let answer = ReviewAnswer::Take { system: "crm".into() };
        world.engine().decide_review(&review, answer, "ann", None).await.unwrap();
        assert_eq!(world.count_of("review_decided").await, 1, "{fault:?}");
        world.sync().await;
        world.check_in_sync().await;
    }
}

#[tokio::test]
async fn a_question_that_is_not_asked_cannot_be_answered() {
    let (world, review) = contested().await;
    let engine = world.engine();
    let wrong = engine.decide_review("nonsense", ReviewAnswer::Keep, "ann", None).await;
    assert!(matches!(wrong, Err(EngineError::Usage(text)) if text.contains("avowal review list")));
    let unfit = engine.decide_review(&review, ReviewAnswer::Delete, "ann", None).await;
    assert!(matches!(unfit, Err(EngineError::Usage(_))));
    engine.decide_review(&review, ReviewAnswer::Keep, "ann", None).await.unwrap();
    let twice = engine.decide_review(&review, ReviewAnswer::Keep, "ann", None).await;
    assert!(matches!(twice, Err(EngineError::Usage(_))));
}

#[tokio::test]
async fn a_delete_that_nobody_may_do_asks_and_is_answered() {
    for (answer, expected) in [(ReviewAnswer::Delete, [0, 0]), (ReviewAnswer::Restore, [1, 1])] {
        let mut rules = customer();
        rules["deletes"] = json!({});
        let world =
            World::with(json!({ "customer": rules }), [("app", Profile::log()), ("crm", Profile::cas())]);
        world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
        world.sync().await;
        let id = world.id("app", "a@x.org");
        world.system("app").delete("customer", &id);
        assert_eq!(world.sync().await.reviews_open, 1);
        assert_eq!(world.counts(), [0, 1], "nothing happens before the answer");
        let review = world.store.open_reviews(10).await.unwrap().remove(0).review.id;
        world.engine().decide_review(&review, answer.clone(), "ann", None).await.unwrap();
        world.sync().await;
        assert_eq!(world.counts(), expected, "{answer:?}");
        world.check_in_sync().await;
    }
}
