//! Comparing the systems with what is believed: what counts as a difference, what does not, and how it is repaired.

use crate::world::{CUSTOMER, World, customer, raw, unreachable};
use avowal_core::history::RecommendedAction;
use avowal_core::record::Subject;
use avowal_engine::ports::store::{
    KeepReconciliations as _, NewRun, Reconciliation, ReconciliationDifference, RunEnd, RunKind,
};
use avowal_engine::{Engine, ReconcileOptions, RepairOptions, RepairReport, Unwatched};
use avowal_testkit::fake::Profile;
use serde_json::json;

async fn begun(world: &World, kind: RunKind) -> Engine {
    let new = NewRun {
        kind,
        by: "Ada".to_owned(),
        why: "a test".to_owned(),
        configuration: "none".to_owned(),
        began_at: avowal_engine::ports::clock::Clock::now(&*world.clock),
    };
    world.engine().begin_run(&new).await.unwrap()
}

/// Compares, and checks that this writes nothing to any system and nothing to the history.
async fn reconcile(world: &World) -> (Reconciliation, Vec<ReconciliationDifference>) {
    let (writes, events) = (world.write_calls(), world.events().await.len());
    let engine = begun(world, RunKind::Reconcile).await;
    let report = engine.reconcile(&ReconcileOptions::default(), &Unwatched).await.unwrap();
    engine.end_run(RunEnd::Done).await.unwrap();
    assert_eq!(
        (world.write_calls(), world.events().await.len()),
        (writes, events),
        "it has changed something"
    );
    let found = world.store.differences(report.run, 0, 1000).await.unwrap();
    assert_eq!(found.len() as u64, report.differences);
    (report, found)
}

async fn repair(world: &World, report: &Reconciliation, only: Option<&str>) -> RepairReport {
    let options = RepairOptions { found_by: report.run, only: only.map(str::to_owned) };
    begun(world, RunKind::Repair).await.repair(&options, &Unwatched).await.unwrap()
}

/// Each difference as `system field action`.
fn told(found: &[ReconciliationDifference]) -> Vec<String> {
    let line = |one: &ReconciliationDifference| {
        format!("{} {} {}", one.system, one.field_name.as_str(), one.recommended_action.as_str())
    };
    found.iter().map(line).collect()
}

fn agrees(report: &Reconciliation) -> bool {
    report.differences == 0 && report.summaries.iter().all(|summary| summary.matches)
}

#[tokio::test]
async fn a_missed_change_is_found_and_repaired_by_the_rules() {
    for (name, profile) in Profile::all() {
        let world = World::linked(profile).await;
        let (report, _) = reconcile(&world).await;
        assert!(agrees(&report), "{name}: {report:?}");
        let id = world.id("crm", "a@x.org");
        world.system("crm").edit_silently(CUSTOMER, &id, raw(&json!({"phone": "9"})));
        let (report, found) = reconcile(&world).await;
        assert_eq!(told(&found), ["crm phone update_local"], "{name}");
        assert_eq!(found[0].owner, "shared");
        let crm = report.summaries.iter().find(|summary| summary.system.as_str() == "crm").unwrap();
        assert!(!crm.matches && crm.local_hash != crm.external_hash, "{name}");
        assert_eq!((crm.fields["phone"].compared, crm.fields["phone"].differing), (1, 1));
        let done = repair(&world, &report, None).await;
        assert_eq!((done.copies, done.written), (1, 1), "{name}: {done:?}");
        assert_eq!(world.everywhere("a@x.org", "phone"), [json!("9"), json!("9")], "{name}");
        let applied = world.events().await;
        let applied: Vec<_> =
            applied.iter().filter(|event| event.body.kind() == "reconciliation_applied").collect();
        assert_eq!(applied.len(), 1, "{name}");
        assert!(applied[0].run > Some(report.run) && applied[0].cause.is_some(), "{name}");
        world.sync().await;
        assert!(agrees(&reconcile(&world).await.0), "{name}");
        world.check_laws().await;
    }
}

#[tokio::test]
async fn a_change_of_an_owned_field_is_written_back_and_one_by_name_only() {
    let world = World::linked(Profile::log()).await;
    world.add("crm", json!({"email": "b@x.org", "stage": "lead"}));
    world.edit("crm", "a@x.org", json!({"stage": "lead"}));
    world.sync().await;
    for email in ["a@x.org", "b@x.org"] {
        let id = world.id("app", email);
        world.system("app").edit_silently(CUSTOMER, &id, raw(&json!({"stage": "won"})));
    }
    let (report, found) = reconcile(&world).await;
    assert_eq!(told(&found), ["app stage update_external", "app stage update_external"]);
    let named = format!("app:{}", world.id("app", "a@x.org"));
    let done = repair(&world, &report, Some(&named)).await;
    assert_eq!((done.wanted, done.written), (1, 1), "{done:?}");
    assert_eq!(world.everywhere("a@x.org", "stage"), [json!("lead"), json!("lead")]);
    assert_eq!(world.everywhere("b@x.org", "stage"), [json!("won"), json!("lead")], "it was not named");
    let done = repair(&world, &report, Some("stage")).await;
    assert_eq!((done.wanted, done.written), (2, 1), "{done:?}");
    assert_eq!(world.everywhere("b@x.org", "stage"), [json!("lead"), json!("lead")]);
}

#[tokio::test]
async fn what_the_feed_reports_and_what_a_lag_explains_is_no_difference() {
    let world = World::linked(Profile::log()).await;
    world.edit("crm", "a@x.org", json!({"phone": "2"}));
    let (report, found) = reconcile(&world).await;
    assert_eq!((found.len(), report.unsettled.len()), (0, 1), "{report:?}");
    assert!(report.unsettled[0].reason.contains("the change feed reports it"));

    // A provider that shows a change late: the listing lacks it, the second look after the window does not.
    let world = World::linked(Profile::cas()).await;
    world.system("crm").set_lag_ms(5_000);
    world.edit("app", "a@x.org", json!({"phone": "3"}));
    world.sync().await;
    let (report, found) = reconcile(&world).await;
    assert_eq!(told(&found), [""; 0], "{report:?}");
}

#[tokio::test]
async fn a_change_inside_the_settle_window_is_named_and_not_counted() {
    let world = World::linked(Profile::bare()).await;
    let id = world.id("crm", "a@x.org");
    world.system("crm").edit_silently(CUSTOMER, &id, raw(&json!({"phone": "9"})));
    world.edit("app", "a@x.org", json!({"name": "Anna"}));
    // Nothing has been sent to the CRM yet, so a write is under way there.
    world.system("crm").set_down(Some(unreachable()));
    world.sync().await;
    world.system("crm").set_down(None);
    let (report, found) = reconcile(&world).await;
    assert_eq!(told(&found), [""; 0], "{report:?}");
    assert!(report.unsettled[0].reason.contains("a write to crm is under way"), "{report:?}");
}

#[tokio::test]
async fn a_listing_that_is_not_whole_concludes_nothing() {
    let world = World::linked(Profile::log()).await;
    world.add("app", json!({"email": "b@x.org", "name": "Bob"}));
    world.add("app", json!({"email": "c@x.org", "name": "Cid"}));
    world.sync().await;
    // It claims to be complete: what it lacks is read by its id.
    world.system("crm").set_listing_max(Some(1));
    let (report, found) = reconcile(&world).await;
    assert!(found.is_empty() && agrees(&report), "{report:?}");
    world.system("crm").set_listing_max(None);
    world.system("crm").delete_silently(CUSTOMER, &world.id("crm", "b@x.org"));
    world.system("crm").fail_lists([unreachable()]);
    let (report, found) = reconcile(&world).await;
    assert!(found.is_empty(), "{found:?}");
    let crm = report.summaries.iter().find(|summary| summary.system.as_str() == "crm").unwrap();
    assert!(crm.incomplete.is_some() && !crm.matches, "{crm:?}");
}

#[tokio::test]
async fn missing_and_unknown_copies_are_told_with_what_the_rules_do() {
    let world = World::linked(Profile::log()).await;
    world.system("crm").delete_silently(CUSTOMER, &world.id("crm", "a@x.org"));
    world.system("crm").edit_silently(
        CUSTOMER,
        &"crm-77".into(),
        raw(&json!({"email": "n@x.org", "name": "New"})),
    );
    let (report, found) = reconcile(&world).await;
    assert_eq!(told(&found), ["crm (existence) update_local", "crm (existence) update_local"], "{found:?}");
    let crm = report.summaries.iter().find(|summary| summary.system.as_str() == "crm").unwrap();
    assert_eq!((crm.missing, crm.unknown), (1, 1));
    repair(&world, &report, None).await;
    world.sync().await;
    assert_eq!(world.counts(), [1, 1]);
    assert_eq!(world.everywhere("n@x.org", "name"), [json!("New"), json!("New")]);
    assert!(agrees(&reconcile(&world).await.0));
}

#[tokio::test]
async fn what_was_deleted_on_purpose_stays_deleted() {
    let world = World::linked(Profile::log()).await;
    let id = world.id("crm", "a@x.org");
    let row = world.system("crm").row(CUSTOMER, &id).unwrap();
    world.system("app").delete(CUSTOMER, &world.id("app", "a@x.org"));
    world.sync().await;
    assert_eq!(world.counts(), [0, 0]);
    // Somebody puts the row back from a backup.
    world.system("crm").edit_silently(CUSTOMER, &id, row);
    let (report, found) = reconcile(&world).await;
    assert_eq!(told(&found), ["crm (existence) manual_review"], "{found:?}");
    let done = repair(&world, &report, None).await;
    world.sync().await;
    assert_eq!(world.counts(), [0, 1], "nothing was made again in the app");
    assert_eq!(done.questions, 1);
    let records = world.records_now();
    let record = records.iter().find(|record| record.entity.as_str() == CUSTOMER).unwrap();
    assert!(record.deleted.is_some());
}

#[tokio::test]
async fn a_repair_goes_as_far_as_it_is_declared() {
    let mut rules = customer();
    rules["fields"]["phone"]["repair"] = json!("review");
    rules["fields"]["name"]["repair"] = json!("never");
    let world = World::with(json!({ "customer": rules }), [("app", Profile::log()), ("crm", Profile::log())]);
    world.add("app", json!({"email": "a@x.org", "name": "Ann", "phone": "1"}));
    world.sync().await;
    let id = world.id("crm", "a@x.org");
    let change = json!({"phone": "9", "name": "Drift", "stage": "won"});
    world.system("crm").edit_silently(CUSTOMER, &id, raw(&change));
    let (report, found) = reconcile(&world).await;
    assert_eq!(told(&found), ["crm name ignore", "crm phone manual_review", "crm stage update_local"]);
    let done = repair(&world, &report, None).await;
    assert_eq!((done.wanted, done.not_allowed, done.questions), (3, 1, 1), "{done:?}");
    assert_eq!(world.everywhere("a@x.org", "stage"), [json!("won"), json!("won")]);
    assert_eq!(world.everywhere("a@x.org", "phone"), [json!("1"), json!("9")], "a person is asked first");
    assert_eq!(world.everywhere("a@x.org", "name"), [json!("Ann"), json!("Drift")]);
    let (_, found) = reconcile(&world).await;
    assert_eq!(told(&found), ["crm name ignore", "crm phone manual_review"]);
    assert_eq!(found[1].recommended_action, RecommendedAction::ManualReview);
    assert_eq!(found[1].field_name, Subject::Field("phone".into()));
}

#[tokio::test]
async fn another_key_under_an_id_is_left_to_a_person_who_names_it() {
    let world = World::linked(Profile::log()).await;
    let id = world.id("crm", "a@x.org");
    world.system("crm").edit_silently(CUSTOMER, &id, raw(&json!({"email": "z@x.org", "phone": "5"})));
    let (report, found) = reconcile(&world).await;
    assert_eq!(told(&found), ["crm email manual_review", "crm phone manual_review"]);
    let done = repair(&world, &report, None).await;
    assert_eq!((done.copies, done.doubtful.len()), (0, 1), "{done:?}");
    assert_eq!(world.get("app", "a@x.org", "phone"), json!("1"));
    let named = format!("crm:{id}");
    let done = repair(&world, &report, Some(&named)).await;
    assert_eq!(done.copies, 1);
    assert_eq!(world.everywhere("z@x.org", "phone"), [json!("5"), json!("5")]);
}
