//! A plan says what the next run does, and changes nothing: neither a system nor the store.

use crate::world::{CUSTOMER, World};
use avowal_core::data::ids::{RecordId, SystemName};
use avowal_core::history::Body;
use avowal_core::record::intent::{Operation, OutgoingField};
use avowal_engine::{FirstWrites, Plan, PlanOptions, PlanToKeep, Unwatched, copy_store, make_plan};
use avowal_testkit::fake::Profile;
use avowal_testkit::memory::MemoryStore;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One write: its record, its system, what it does and the digests of what it carries.
type Written = (RecordId, SystemName, String, BTreeMap<String, String>);

fn everything() -> PlanOptions {
    PlanOptions { entity: None, system: None, examples: 3, each_write: true }
}

async fn plan_of(world: &World, options: &PlanOptions) -> Plan {
    let scratch = Arc::new(MemoryStore::new());
    copy_store(world.store.as_ref(), scratch.as_ref(), &world.policies).await.unwrap();
    make_plan(world.parts(scratch), options, &Unwatched).await.unwrap()
}

/// A plan during which nothing may change.
async fn quiet_plan(world: &World) -> Plan {
    let before = (world.store.inner.dump(), world.write_calls());
    let rows: Vec<_> = world.systems.values().map(|fake| fake.rows(CUSTOMER)).collect();
    let plan = plan_of(world, &everything()).await;
    assert_eq!((world.store.inner.dump(), world.write_calls()), before, "a plan changes nothing");
    let after: Vec<_> = world.systems.values().map(|fake| fake.rows(CUSTOMER)).collect();
    assert_eq!(rows, after);
    for (system, of_system) in &plan.systems {
        assert_eq!(of_system.calls.made.writes_refused, 0, "{system}: no write is ever asked for");
    }
    plan
}

/// The writes of a plan, with the records to which they went at last.
async fn planned(world: &World, plan: &Plan) -> BTreeSet<Written> {
    let records = world.records().await;
    let write = |write: &avowal_engine::PlannedWrite| {
        let of = |record: &&avowal_core::Record| {
            record.copies.get(&write.copy.system).is_some_and(|copy| copy.remote_id == write.copy.id)
        };
        let record = records.iter().find(of).unwrap_or_else(|| panic!("{write:?}"));
        let fields = write.fields.iter().map(|(field, digest)| (field.to_string(), digest.clone()));
        (record.id.clone(), write.to.clone(), write.operation.to_string(), fields.collect())
    };
    plan.writes.iter().map(write).collect()
}

/// The writes that were confirmed since the history had so many events.
async fn confirmed(world: &World, before: &BTreeSet<(RecordId, u64)>) -> BTreeSet<Written> {
    let mut planned: BTreeMap<String, (Operation, BTreeMap<String, String>)> = BTreeMap::new();
    let mut written = BTreeSet::new();
    for event in world.events().await {
        let is_new = !before.contains(&(event.record.clone(), event.seq));
        match event.body {
            Body::IntentPlanned { key, operation, fields, .. } => {
                let digest = |outgoing: &OutgoingField| outgoing.value.digest().to_string()[..16].to_owned();
                let fields = fields.iter().map(|(field, outgoing)| (field.to_string(), digest(outgoing)));
                planned.insert(key, (operation, fields.collect()));
            }
            Body::IntentConfirmed { system, key, .. } if is_new => {
                let (operation, fields) = planned[&key].clone();
                written.insert((event.record, system, operation.to_string(), fields));
            }
            _ => {}
        }
    }
    written
}

async fn history(world: &World) -> BTreeSet<(RecordId, u64)> {
    world.events().await.into_iter().map(|event| (event.record, event.seq)).collect()
}

/// Plans, runs, and compares the two.
async fn check(world: &World, what: &str) -> Plan {
    let plan = quiet_plan(world).await;
    let before = history(world).await;
    let report = world.sync().await;
    let (planned, confirmed) = (planned(world, &plan).await, confirmed(world, &before).await);
    let only_planned: Vec<_> = planned.difference(&confirmed).collect();
    let only_written: Vec<_> = confirmed.difference(&planned).collect();
    assert!(
        only_planned.is_empty() && only_written.is_empty(),
        "{what}: planned {only_planned:#?}, written {only_written:#?}\n{}",
        world.story()
    );
    assert_eq!(planned.len() as u64, plan.writes_planned(), "{what}");
    assert_eq!(plan.questions_open, report.reviews_open, "{what}");
    let set_aside: u64 = plan.set_aside.iter().map(|aside| aside.count).sum();
    assert_eq!(set_aside, report.quarantine_open, "{what}");
    plan
}

/// A small generator of its own, so that a seed replays for ever.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// Rows that the systems hold in part together, with values that differ, duplicates and rows without a key.
fn fill(world: &World, dice: &mut Dice) {
    for system in ["app", "billing", "crm"] {
        for _ in 0..dice.roll(8) {
            let email = match dice.roll(10) {
                0 => json!(null),
                _ => json!(format!("{}@x.org", dice.roll(10))),
            };
            let mut row = json!({"email": email, "name": format!("n{}", dice.roll(3))});
            if dice.roll(2) == 0 {
                row["phone"] = json!(format!("p{}", dice.roll(3)));
            }
            if dice.roll(3) == 0 {
                row["stage"] = json!(format!("s{}", dice.roll(2)));
            }
            if dice.roll(4) == 0 {
                row["tags"] = json!([format!("t{}", dice.roll(3))]);
            }
            world.add(system, row);
        }
    }
}

/// Edits and deletes, at most one of each record: a delete that meets an edit may be written and taken back within one run,
/// and a plan tells only what comes of it.
fn edit(world: &World, dice: &mut Dice) {
    let mut touched = BTreeSet::new();
    for _ in 0..dice.roll(6) {
        let fake = world.system(["app", "billing", "crm"][dice.roll(3) as usize]);
        let rows: Vec<_> = fake.rows(CUSTOMER).into_iter().collect();
        if rows.is_empty() {
            continue;
        }
        let (id, row) = &rows[dice.roll(rows.len() as u64) as usize];
        if !touched.insert(format!("{:?}", row.get("email"))) {
            continue;
        }
        match dice.roll(6) {
            0 => fake.delete(CUSTOMER, id),
            1 => fake.edit(CUSTOMER, id, crate::world::raw(&json!({"stage": format!("s{}", dice.roll(3))}))),
            _ => fake.edit(CUSTOMER, id, crate::world::raw(&json!({"name": format!("n{}", dice.roll(4))}))),
        }
    }
}

#[tokio::test]
async fn a_plan_is_what_the_next_run_does_in_random_worlds() {
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let profiles = Profile::all().map(|(_, profile)| profile);
        let mut pick = || profiles[dice.roll(5) as usize].clone();
        let world = World::of([("app", pick()), ("billing", pick()), ("crm", pick())]);
        fill(&world, &mut dice);
        let plan = check(&world, &format!("seed {seed}, first")).await;
        for (system, of_system) in &plan.systems {
            assert_eq!(of_system.calls.made.listings, 1, "seed {seed}: {system} is listed once");
        }
        world.clock.advance(120_000);
        world.sync().await;
        edit(&world, &mut dice);
        world.clock.advance(120_000);
        check(&world, &format!("seed {seed}, later")).await;
    }
}

#[tokio::test]
async fn a_plan_tells_what_belongs_together_and_what_would_be_written_by_field() {
    let world = World::of([("app", Profile::log()), ("crm", Profile::cas())]);
    world.add("app", json!({"email": "a@x.org", "name": "Ann", "phone": "1"}));
    world.add("app", json!({"email": "b@x.org", "name": "Bob"}));
    world.add("app", json!({"name": "Nobody"}));
    let first = world.add("crm", json!({"email": "A@X.org", "name": "Anne", "stage": "lead"}));
    let second = world.add("crm", json!({"email": "a@x.org", "name": "Again"}));
    let plan = check(&world, "two systems").await;

    let matches = &plan.entities[CUSTOMER];
    assert_eq!((matches.records, matches.linked.len()), (3, 1));
    assert_eq!((matches.linked[0].key.as_deref(), matches.linked[0].records), (Some("email"), 1));
    assert_eq!(matches.systems["app"].unmatched, 2);
    assert_eq!(matches.systems["app"].without_key, 1);
    assert_eq!(matches.duplicate_keys, 1);
    assert_eq!(matches.duplicates[0].ids, [first, second]);

    let crm = &plan.systems["crm"].entities[CUSTOMER];
    assert_eq!((crm.creates, crm.updates, crm.deletes), (1, 1, 0));
    assert_eq!((crm.fields["email"].replaced, crm.fields["email"].spelling_only), (1, 1));
    assert_eq!((crm.fields["name"].replaced, crm.fields["name"].spelling_only), (1, 0));
    assert_eq!((crm.fields["phone"].filled, crm.fields["phone"].examples.len()), (1, 1));
    let app = &plan.systems["app"].entities[CUSTOMER];
    assert_eq!((app.creates, app.updates, app.fields["stage"].filled), (0, 1, 1));
}

#[tokio::test]
async fn a_plan_may_tell_of_one_system_and_keeps_the_examples_that_are_asked_for() {
    let world = World::of([("app", Profile::log()), ("crm", Profile::cas())]);
    for n in 0..5 {
        world.add("app", json!({"email": format!("{n}@x.org"), "name": "Ann"}));
        world.add("crm", json!({"email": format!("{n}@x.org"), "name": "Anne", "stage": "lead"}));
    }
    let options = PlanOptions { system: Some("crm".into()), examples: 2, ..everything() };
    let plan = plan_of(&world, &options).await;
    assert_eq!(plan.systems.keys().map(SystemName::as_str).collect::<Vec<_>>(), ["crm"]);
    assert!(plan.writes.iter().all(|write| write.to.as_str() == "crm"));
    let name = &plan.systems["crm"].entities[CUSTOMER].fields["name"];
    assert_eq!((name.replaced, name.examples.len()), (5, 2));
    let other = PlanOptions { entity: Some("order".into()), ..everything() };
    assert_eq!(plan_of(&world, &other).await.writes_planned(), 0);
}

#[tokio::test]
async fn a_plan_of_a_system_that_cannot_be_read_says_so() {
    let world = World::of([("app", Profile::log()), ("crm", Profile::cas())]);
    world.add("app", json!({"email": "a@x.org", "name": "Ann"}));
    world.system("crm").set_down(Some(crate::world::unreachable()));
    let plan = plan_of(&world, &everything()).await;
    assert!(!plan.is_complete());
    assert!(plan.systems["crm"].problem.as_deref().unwrap().contains("no route to host"));
    assert!(plan.not_predicted.iter().any(|said| said.contains("What crm holds now")), "{plan:?}");
}

/// The world is held to this plan from now on.
fn hold_to(world: &mut World, plan: Plan) {
    let plan = Arc::new(PlanToKeep::new(plan.entity, plan.system, plan.writes));
    world.settings.first_writes = FirstWrites::Planned { by: "Ada".to_owned(), plan };
}

#[tokio::test]
async fn a_run_that_is_held_to_its_plan_does_all_of_it_in_random_worlds() {
    for seed in 0..100 {
        let mut dice = Dice(seed);
        let profiles = Profile::all().map(|(_, profile)| profile);
        let mut pick = || profiles[dice.roll(5) as usize].clone();
        let mut world = World::of([("app", pick()), ("billing", pick()), ("crm", pick())]);
        fill(&world, &mut dice);
        let plan = quiet_plan(&world).await;
        let before = history(&world).await;
        hold_to(&mut world, plan.clone());
        let report = world.sync().await;
        assert_eq!(planned(&world, &plan).await, confirmed(&world, &before).await, "seed {seed}");
        assert_eq!(report.moved_on, BTreeMap::new(), "seed {seed}");
        assert!(!report.is_held() && report.stops.is_empty(), "seed {seed}: {report:?}");
    }
}

/// Two systems that hold the same customers, each with another name.
fn of_both(rows: usize) -> World {
    let mut world = World::of([("app", Profile::log()), ("crm", Profile::cas())]);
    world.settings.first_writes = FirstWrites::Ask;
    for n in 0..rows {
        world.add("app", json!({"email": format!("{n}@x.org"), "name": "Ann"}));
        world.add("crm", json!({"email": format!("{n}@x.org"), "name": "Anne"}));
    }
    world
}

#[tokio::test]
async fn a_record_that_moved_on_since_the_plan_is_held_and_named_and_the_others_are_written() {
    let mut world = of_both(10);
    let plan = quiet_plan(&world).await;
    assert!(plan.systems["crm"].asks_first && !plan.systems["app"].asks_first);
    world.edit("app", "3@x.org", json!({"name": "Bea"}));
    world.add("app", json!({"email": "new@x.org", "name": "New"}));
    hold_to(&mut world, plan);
    let report = world.sync().await;
    assert_eq!(world.get("crm", "2@x.org", "name"), json!("Ann"));
    assert_eq!(world.get("crm", "3@x.org", "name"), json!("Anne"), "it is not what was planned");
    assert_eq!(world.counts(), [11, 10], "nor is a record that was not there");
    let moved = &report.moved_on["crm"];
    assert_eq!((moved.records, moved.planned, moved.are_many), (2, 10, false));
    assert!(moved.examples.iter().any(|name| name.contains("app-4, crm:crm-4")), "{moved:?}");
    assert!(!report.is_held(), "few have moved on: {report:?}");
    assert!(!report.stops.is_empty(), "what was not planned still waits for a person");

    // Nobody else lets it go, and a new plan does.
    world.settings.first_writes = FirstWrites::Ask;
    world.clock.advance(120_000);
    assert!(world.sync().await.is_held());
    assert_eq!(world.get("crm", "3@x.org", "name"), json!("Anne"));
    let plan = quiet_plan(&world).await;
    assert_eq!(plan.writes_planned(), 2);
    hold_to(&mut world, plan);
    let report = world.sync().await;
    assert!(!report.is_held() && report.stops.is_empty() && report.moved_on.is_empty(), "{report:?}");
    assert_eq!((world.get("crm", "3@x.org", "name"), world.counts()), (json!("Bea"), vec![11, 11]));
}

#[tokio::test]
async fn a_plan_that_is_out_of_date_holds_the_run() {
    let mut world = of_both(10);
    let plan = quiet_plan(&world).await;
    for n in 0..6 {
        world.edit("app", &format!("{n}@x.org"), json!({"name": "Bea"}));
    }
    hold_to(&mut world, plan);
    let report = world.sync().await;
    assert!(report.is_held() && report.moved_on["crm"].are_many, "{report:?}");
    assert_eq!(world.system("crm").calls().writes, 4);
}

#[tokio::test]
async fn a_plan_of_one_system_lets_nothing_go_to_another() {
    let mut world = of_both(3);
    world.add("crm", json!({"email": "crm@x.org", "name": "Cid"}));
    let options = PlanOptions { system: Some("crm".into()), ..everything() };
    let plan = plan_of(&world, &options).await;
    hold_to(&mut world, plan);
    let report = world.sync().await;
    assert_eq!((world.system("crm").calls().writes, world.system("app").calls().writes), (3, 0));
    assert!(report.moved_on.is_empty() && report.is_held(), "app still waits: {report:?}");
    // It is no record of the plan that has moved on, but a system of which nothing was planned.
    world.settings.first_writes = FirstWrites::Agreed { by: "Ada".to_owned() };
    world.clock.advance(120_000);
    world.sync().await;
    assert_eq!(world.counts(), [4, 4]);
}
