//! Deletes: who may, what an unseen edit means, and what becomes of every answer.

use crate::world::{World, gone, shows};
use avowal_core::history::ReviewAnswer;
use serde_json::{Value as Json, json};

fn rules(owner: Json, on_refused: &str, against: &str) -> Json {
    json!({
        "systems": {"app": {"local": true}, "crm": {}},
        "fields": {
            "name": {"type": "string", "owner": "shared", "strategy": "latest_valid_change", "precedence": ["app", "crm"]},
            "note": {"type": "string", "owner": "crm"},
        },
        "deletes": {"owner": owner, "on_refused": on_refused, "edit_against_delete": against},
    })
}

fn synced(rules: &Json) -> World {
    let mut world = World::new(rules);
    world.see(shows("app", &json!({"name": "ann", "note": null})));
    world.send_to("crm");
    world.see(shows("crm", &json!({"name": "ann", "note": "vip"})));
    world.drain();
    world
}

/// What a delete leads to, in one word.
fn state(world: &World) -> &'static str {
    match (world.record.deleted.is_some(), world.record.existence_contested()) {
        (true, false) => "deleted",
        (true, true) => "deleted, asked",
        (false, true) => "asked",
        (false, false) => "lives",
    }
}

/// The oracle: the rule of deletes, written down independently of the code.
fn expected(
    owner: &Json,
    on_refused: &str,
    against: &str,
    deleter: &str,
    unseen: bool,
) -> (&'static str, String) {
    let create = |system: &str| format!("create in {system}");
    let allowed = owner == "shared" || owner == deleter;
    let other = if deleter == "app" { "crm" } else { "app" };
    if owner.is_null() {
        return ("asked", "-".into());
    }
    if !allowed {
        return match on_refused {
            "revert" => ("lives", create(deleter)),
            "ignore" => ("lives", "-".into()),
            _ => ("asked", "-".into()),
        };
    }
    match (unseen, against) {
        (false, _) | (true, "delete_wins") => ("deleted", format!("delete in {other}")),
        (true, "edit_wins") => ("lives", create(deleter)),
        (true, _) => ("asked", "-".into()),
    }
}

#[test]
fn every_delete_under_every_rule() {
    let mut cases = 0;
    for owner in [json!(null), json!("shared"), json!("app"), json!("crm")] {
        for on_refused in ["revert", "ignore", "review"] {
            for against in ["review", "delete_wins", "edit_wins"] {
                for deleter in ["app", "crm"] {
                    for unseen in [false, true] {
                        let mut world = synced(&rules(owner.clone(), on_refused, against));
                        let other = if deleter == "app" { "crm" } else { "app" };
                        if unseen {
                            world.see(shows(other, &json!({"name": "bob"})));
                        }
                        world.see(gone(deleter));
                        let planned: Vec<String> = ["app", "crm"]
                            .iter()
                            .filter(|system| !world.intent(system).is_empty())
                            .map(|system| {
                                format!("{} in {system}", world.intent(system).split(' ').next().unwrap())
                            })
                            .collect();
                        let planned = if planned.is_empty() { "-".to_owned() } else { planned.join(", ") };
                        let (wanted, intent) = expected(&owner, on_refused, against, deleter, unseen);
                        let case = format!(
                            "owner {owner}, {on_refused}, {against}, {deleter} deletes, unseen {unseen}"
                        );
                        assert_eq!((state(&world), planned), (wanted, intent), "{case}");
                        cases += 1;
                    }
                }
            }
        }
    }
    assert_eq!(cases, 144);
}

#[test]
fn an_accepted_delete_is_carried_out_once_and_not_undone() {
    let mut world = synced(&rules(json!("app"), "review", "review"));
    let told = world.see(gone("app")) + &world.drain();
    insta::assert_snapshot!(told, @r#"
    observed app new app:2, gone
    deleted (app:2): app may delete, and its copy had seen every edit
    plan delete crm
    sent crm #1
    confirmed crm by its receipt
    "#);
    assert_eq!(world.see(gone("app")), "");
    assert_eq!(world.see(gone("crm")), "");
    assert!(world.record.intents.is_empty(), "an intentional delete is never undone");
}

#[test]
fn a_copy_that_somebody_else_deleted_first_confirms_ours() {
    let mut world = synced(&rules(json!("app"), "review", "review"));
    world.see(gone("app"));
    let told = world.see(gone("crm"));
    insta::assert_snapshot!(told, @r#"
    confirmed crm by its echo
    "#);
}

#[test]
fn a_refused_delete_is_made_again() {
    let mut world = synced(&rules(json!("app"), "revert", "review"));
    let told = world.see(gone("crm")) + &world.drain();
    insta::assert_snapshot!(told, @r#"
    observed crm new crm:2, gone
    refused crm (existence)=null: deletes belong to app; crm may not delete (Revert)
    plan create crm name="ann" note="vip"
    sent crm #1
    linked crm crm-2
    confirmed crm by its receipt name="ann" note="vip"
    "#);
    assert_eq!(world.content("crm", "name"), "\"ann\"");
}

#[test]
fn every_answer_to_a_delete_that_nobody_may_decide() {
    let asked = || {
        let mut world = synced(&rules(json!(null), "review", "review"));
        world.see(gone("crm"));
        world
    };
    let mut world = asked();
    world.answer("(existence)", ReviewAnswer::Delete);
    assert_eq!((state(&world), world.intent("app")), ("deleted", "delete".into()));
    let mut world = asked();
    world.answer("(existence)", ReviewAnswer::Restore);
    assert_eq!((state(&world), world.intent("crm")), ("lives", "create name=\"ann\" note=\"vip\"".into()));
    let mut world = asked();
    world.answer("(existence)", ReviewAnswer::Keep);
    assert_eq!(
        (state(&world), world.intent("crm"), world.intent("app")),
        ("lives", String::new(), String::new())
    );
    // A value is no answer, and a review is answered once.
    let mut world = asked();
    let error = world.try_answer("(existence)", ReviewAnswer::Set { value: "x".into() }).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a value does not answer a question about whether the record shall exist. Use --keep, --delete or --restore"
    );
}

#[test]
fn the_missed_copy_comes_back_by_itself() {
    let mut world = synced(&rules(json!(null), "review", "review"));
    world.see(gone("crm"));
    // A lagging read may show what is gone: it is looked at twice.
    world.see(shows("crm", &json!({"name": "ann", "note": "vip"})));
    assert!(world.looks_again());
    let told = world.see(shows("crm", &json!({"name": "ann", "note": "vip"})).confirmed());
    insta::assert_snapshot!(told, @r"
    observed crm new crm:3
    decided (existence): Superseded, the copy in crm exists again
    ");
    assert_eq!(state(&world), "lives");
}

/// A record that app deleted, while crm, which has not seen it, edits its copy.
fn edited_after_delete(against: &str) -> (World, String) {
    let mut world = synced(&rules(json!("app"), "review", against));
    world.see(gone("app"));
    let told = world.see(shows("crm", &json!({"note": "called today"})));
    (world, told)
}

#[test]
fn an_edit_after_a_delete() {
    let (world, told) = edited_after_delete("delete_wins");
    insta::assert_snapshot!(told, @r#"
    observed crm new crm:2, note "vip"→"called today" Sequential
    refused crm (existence)=null: crm edited its copy without having seen the delete; delete_wins (Ignore)
    believe note="called today" (crm:2)
    "#);
    assert_eq!((state(&world), world.intent("crm")), ("deleted", "delete".into()));
    let (world, told) = edited_after_delete("edit_wins");
    insta::assert_snapshot!(told, @r#"
    observed crm new crm:2, note "vip"→"called today" Sequential
    restored (crm:2): crm edited its copy without having seen the delete; edit_wins
    believe note="called today" (crm:2)
    plan create app name="ann" note="called today"
    withdrawn crm
    "#);
    assert_eq!(
        (state(&world), world.intent("app")),
        ("lives", "create name=\"ann\" note=\"called today\"".into())
    );
}

#[test]
fn the_edit_that_brings_a_record_back_is_not_lost() {
    let (mut world, told) = edited_after_delete("review");
    insta::assert_snapshot!(told, @r#"
    observed crm new crm:2, note "vip"→"called today" Sequential
    review (existence): crm changed a record that was deleted elsewhere
    believe note="called today" (crm:2)
    withdrawn crm
    "#);
    assert_eq!((state(&world), world.intent("crm")), ("deleted, asked", String::new()));
    world.answer("(existence)", ReviewAnswer::Restore);
    world.drain();
    for system in ["app", "crm"] {
        assert_eq!(world.content(system, "note"), "\"called today\"", "{system}");
    }
    let (mut world, _) = edited_after_delete("review");
    world.answer("(existence)", ReviewAnswer::Keep);
    assert_eq!((state(&world), world.intent("crm")), ("deleted", "delete".into()));
}

/// The delete was none: a read had lagged, or somebody made the copy again.
#[test]
fn an_edit_of_a_deleted_record_counts_when_it_comes_back() {
    let (mut world, _) = edited_after_delete("delete_wins");
    world.see(shows("app", &json!({"name": "ann", "note": "vip"})).confirmed());
    assert_eq!((state(&world), world.intent("app")), ("lives", "update note=\"called today\"".into()));
    world.drain();
    for system in ["app", "crm"] {
        assert_eq!(world.content(system, "note"), "\"called today\"", "{system}");
    }
}

/// Nobody is asked about a field of a deleted record.
#[test]
fn an_edit_of_a_deleted_record_opens_no_review() {
    let mut rules = rules(json!("app"), "review", "delete_wins");
    rules["fields"]["name"] = json!({"type": "string", "owner": "shared", "strategy": "manual_review"});
    let mut world = synced(&rules);
    world.see(shows("app", &json!({"name": "anna", "note": "vip"})));
    world.see(gone("app"));
    let told = world.see(shows("crm", &json!({"name": "anne", "note": "vip"})));
    assert!(!told.contains("review"), "{told}");
    assert_eq!(state(&world), "deleted");
}

/// Two workers: one has listed crm to its end and planned the create, the other still believes that nobody knows what
/// crm lacks.
#[test]
fn a_create_that_is_planned_stays_planned_for_whoever_has_not_seen_the_listing() {
    let mut world = World::new(&rules(json!("app"), "review", "review"));
    world.see(shows("app", &json!({"name": "ann"})));
    assert_eq!(world.intent("crm"), "create name=\"ann\"");
    world.policy.mappings.get_mut("crm").unwrap().is_unlisted = true;
    world.see(shows("app", &json!({"name": "bob"})));
    assert_eq!(world.intent("crm"), "create name=\"bob\"");
    // Without a plan there is none.
    let mut world = World::new(&rules(json!("app"), "review", "review"));
    world.policy.mappings.get_mut("crm").unwrap().is_unlisted = true;
    world.see(shows("app", &json!({"name": "ann"})));
    assert_eq!(world.intent("crm"), "");
}

/// Providers replay the answer to a key that they know, so each of these writes needs its own.
#[test]
fn a_record_that_goes_and_comes_gets_new_keys() {
    let mut world = synced(&rules(json!("app"), "review", "review"));
    let mut keys = std::collections::BTreeSet::new();
    for round in 0..3 {
        world.see(gone("app"));
        assert!(keys.insert(world.record.intents["crm"].key.clone()), "delete in round {round}");
        world.drain();
        world.see(shows("app", &json!({"name": "ann", "note": "vip"})).confirmed());
        assert!(keys.insert(world.record.intents["crm"].key.clone()), "create in round {round}");
        world.drain();
        assert_eq!(world.content("crm", "name"), "\"ann\"");
    }
}
