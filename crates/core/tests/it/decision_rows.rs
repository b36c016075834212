//! One test for each row of the decision table, and all small sights against what the table says of them.

use crate::stories::{rules, synced};
use crate::world::{Look, World, assessed, gone, shows};
use avowal_core::data::time::Timestamp;
use avowal_core::decide::table::{Assessment, Row};
use avowal_core::decide::{Decision, decide};
use avowal_core::history::chronicle::Chronicle;
use avowal_core::history::{Context, Doubt};
use avowal_core::record::Record;
use avowal_core::record::observation::{
    Channel, CopyState, Look as Sighting, Observation, OrderToken, Place,
};
use serde_json::json;
use std::collections::BTreeSet;

/// Sees `look`, and checks its row.
fn check(world: &mut World, look: Look, row: Assessment) {
    world.see(look);
    assert_eq!(world.assessment, Some(row));
}

/// The change of app is under way to crm, with this key.
fn crossing() -> (World, String) {
    let mut world = synced();
    world.see(shows("app", &json!({"phone": "2"})));
    world.send("crm");
    let key = world.record.intents["crm"].key.clone();
    (world, key)
}

/// App deleted the record; the delete of crm's copy is planned.
fn deleted() -> World {
    let mut rules = rules();
    rules["deletes"] = json!({"owner": "app"});
    let mut world = World::new(&rules);
    world.see(shows("app", &json!({"phone": "1", "stage": "lead"})));
    world.drain();
    world.see(gone("app"));
    assert_eq!(world.intent("crm"), "delete");
    world
}

#[test]
fn late() {
    let mut world = synced();
    world.see(shows("crm", &json!({"phone": "2"})).seq(9));
    check(&mut world, shows("crm", &json!({"phone": "9"})).seq(7), Assessment::Late);
    assert_eq!(world.belief("phone"), "\"2\"");
}

#[test]
fn gone_too_soon() {
    let mut world = synced();
    check(&mut world, gone("crm").first(), Assessment::GoneTooSoon);
    assert_eq!(world.decision, Some(Decision::LookAgain(Doubt::GoneTooSoon)));
    assert!(world.record.copies["crm"].alive);
}

#[test]
fn gone_as_asked() {
    let mut world = deleted();
    check(&mut world, gone("crm"), Assessment::GoneAsAsked);
    assert_eq!(world.intent("crm"), "");
}

#[test]
fn already_gone() {
    let mut world = synced();
    world.see(gone("crm"));
    check(&mut world, gone("crm").first(), Assessment::AlreadyGone);
}

#[test]
fn gone_by_its_system() {
    let mut world = synced();
    check(&mut world, gone("crm").first().seq(3), Assessment::Gone);
    assert!(!world.record.copies["crm"].alive);
}

#[test]
fn back_too_soon() {
    let mut world = synced();
    world.see(gone("crm"));
    check(&mut world, shows("crm", &json!({"phone": "1"})), Assessment::BackTooSoon);
    assert_eq!(world.decision, Some(Decision::LookAgain(Doubt::BackTooSoon)));
    assert!(!world.record.copies["crm"].alive);
}

#[test]
fn back() {
    let mut world = synced();
    world.see(gone("crm"));
    check(&mut world, shows("crm", &json!({"phone": "1"})).confirmed(), Assessment::Back);
    assert!(world.record.copies["crm"].alive);
}

#[test]
fn unchanged() {
    let mut world = synced();
    check(&mut world, shows("crm", &json!({"phone": "1"})).too_early(), Assessment::Unchanged);
}

#[test]
fn carries_another_writes_key() {
    let mut world = synced();
    check(&mut world, shows("crm", &json!({"phone": "9"})).key("k").seq(9), Assessment::AnotherWritesKey);
    assert_eq!(world.decision, Some(Decision::LookAgain(Doubt::AnotherWritesKey)));
}

#[test]
fn read_may_lag() {
    let mut world = synced();
    check(&mut world, shows("crm", &json!({"phone": "9"})).too_early(), Assessment::ReadMayLag);
    assert_eq!(world.decision, Some(Decision::LookAgain(Doubt::ReadMayLag)));
}

#[test]
fn same_order_other_contents() {
    let mut world = synced();
    world.see(shows("crm", &json!({"phone": "2"})).seq(5));
    let row = Assessment::SameOrderOtherContents;
    check(&mut world, shows("crm", &json!({"phone": "9"})).seq(5), row);
    assert_eq!(world.decision, Some(Decision::LookAgain(Doubt::SameOrderOtherContents)));
}

#[test]
fn clock_went_back() {
    let mut world = synced();
    world.see(shows("crm", &json!({"phone": "2"})).time(50));
    check(&mut world, shows("crm", &json!({"phone": "9"})).time(40), Assessment::ClockWentBack);
    assert_eq!(world.decision, Some(Decision::LookAgain(Doubt::ClockWentBack)));
}

#[test]
fn value_returned() {
    let mut world = synced();
    world.see(shows("crm", &json!({"phone": "2"})));
    check(&mut world, shows("crm", &json!({"phone": "1"})), Assessment::ValueReturned);
    assert_eq!(world.decision, Some(Decision::LookAgain(Doubt::ValueReturned)));
    assert_eq!(world.belief("phone"), "\"2\"");
}

#[test]
fn ours_may_be_on_its_way() {
    let (mut world, _) = crossing();
    check(&mut world, shows("crm", &json!({"phone": "9"})), Assessment::OursMayBeOnItsWay);
    assert_eq!(world.decision, Some(Decision::LookAgain(Doubt::OursMayBeOnItsWay)));
    assert_eq!(world.belief("phone"), "\"2\"");
}

#[test]
fn changed() {
    let mut world = synced();
    check(&mut world, shows("crm", &json!({"phone": "9"})), Assessment::Changed);
    assert_eq!(world.belief("phone"), "\"9\"");
}

/// Small states of a record whose copy in crm is looked at.
fn states() -> Vec<(&'static str, World)> {
    let after = |mut world: World, looks: Vec<Look>| {
        for look in looks {
            world.see(look);
        }
        world
    };
    let phone = |value: &str| shows("crm", &json!({"phone": value}));
    let mut written = crossing().0;
    written.receipt("crm", &json!({}));
    let mut delete_sent = deleted();
    delete_sent.send("crm");
    let mut created = World::new(&rules());
    created.see(shows("app", &json!({"phone": "1", "stage": "lead"})));
    created.send("crm");
    vec![
        ("synced", synced()),
        ("with a sequence", after(synced(), vec![phone("2").seq(5)])),
        ("with a clock", after(synced(), vec![phone("2").time(50)])),
        ("from 1 to 2", after(synced(), vec![phone("2")])),
        ("a write is planned", after(synced(), vec![shows("app", &json!({"phone": "2"}))])),
        ("a write is sent", crossing().0),
        ("a write is sent, after a sequence", {
            let mut world = after(synced(), vec![phone("1").seq(4), phone("3").seq(5)]);
            world.see(shows("app", &json!({"phone": "3"})));
            world.drain();
            world.see(shows("app", &json!({"phone": "2"})));
            world.send("crm");
            world
        }),
        ("a write is confirmed", written),
        ("gone", after(synced(), vec![gone("crm")])),
        ("a delete is planned", deleted()),
        ("a delete is sent", delete_sent),
        ("a create is sent", created),
    ]
}

/// All observations of crm's copy that differ in what a decision may ask. `key` is that of the write in flight.
fn observations(key: Option<&str>) -> Vec<Observation> {
    let contents = |value: &str| shows("crm", &json!({"phone": value})).0.shown;
    let shown =
        [CopyState::Gone, shows("crm", &json!({})).0.shown, contents("1"), contents("2"), contents("3")];
    let Observation { order: fifty, .. } = shows("crm", &json!({})).time(50).0;
    let Observation { order: forty, .. } = shows("crm", &json!({})).time(40).0;
    let orders = [4, 5, 6].map(|n| Some(OrderToken::Sequence(n)));
    let orders: Vec<_> = orders.into_iter().chain([None, forty, fifty]).collect();
    let keys: BTreeSet<Option<&str>> = [None, Some("another"), key].into_iter().collect();
    let mut all = Vec::new();
    for shown in shown {
        for order in &orders {
            for key in &keys {
                for channel in [Channel::Webhook, Channel::Read] {
                    for bits in 0..8 {
                        let (in_log, quiescent, second) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
                        all.push(Observation {
                            shown: shown.clone(),
                            order: order.clone(),
                            correlation: key.map(str::to_owned),
                            channel,
                            place: Place::of(in_log, order.as_ref(), quiescent),
                            look: Sighting::of(second, quiescent),
                            ..gone("crm").0
                        });
                    }
                }
            }
        }
    }
    all
}

/// Decides one observation twice, and holds what comes of it against its row of the table.
fn hold_against_table(world: &World, record: &Record, observation: &Observation, name: &str) -> Assessment {
    let case = || format!("{name}: {observation:?}");
    let begin = || Chronicle::new(record.clone(), Context::default(), record_time());
    let mut chronicle = begin();
    let assessment = assessed(&world.policy, begin(), observation);
    let decision = decide(&world.policy, &mut chronicle, observation);
    let mut again = begin();
    assert_eq!(decide(&world.policy, &mut again, observation), decision, "{}", case());
    assert_eq!(again, chronicle, "{}", case());

    let row = Row::all().iter().find(|row| row.assessment == assessment).unwrap();
    let word =
        decision.doubt().map_or_else(|| decision.class().to_string(), |doubt| doubt.as_str().to_owned());
    assert!(row.outcome.contains(&word), "{}: {} does not tell of {word}", case(), row.name);
    if decision.doubt().is_some() {
        assert_ne!(observation.look, Sighting::Final, "{}: a look after the final one", case());
    }
    let judges = [Assessment::Gone, Assessment::Back, Assessment::Changed].contains(&assessment);
    if !judges {
        let after = chronicle.record();
        assert_eq!(after.fields, record.fields, "{}: only a judgement changes beliefs", case());
        assert_eq!(after.vector, record.vector, "{}: only a judgement mints dots", case());
        let kinds: BTreeSet<_> = chronicle.events().iter().map(|event| event.body.kind()).collect();
        for kind in kinds {
            let is_own_write = kind == "intent_confirmed";
            let is_planned = kind == "intent_planned" && assessment.is_followed_by_plan();
            let is_told = row.records.contains(&format!("`{kind}`"));
            assert!(is_own_write || is_planned || is_told, "{}: {} records {kind}", case(), row.name);
        }
    }
    assessment
}

fn record_time() -> Timestamp {
    Timestamp::from_millis(crate::world::START_MS + 1_000_000)
}

#[test]
fn the_table_is_total_and_true_for_all_small_sights() {
    let mut reached = BTreeSet::new();
    let mut cases = 0;
    for (name, mut world) in states() {
        if !world.record.copies.contains_key("crm") {
            // The copy has been linked by its id, and nobody has seen it.
            world.link("crm");
        }
        let record = world.record.clone();
        let key = record.intents.get("crm").map(|intent| intent.key.clone());
        for observation in observations(key.as_deref()) {
            reached.insert(hold_against_table(&world, &record, &observation, name));
            cases += 1;
        }
    }
    let all: BTreeSet<_> = Row::all().iter().map(|row| row.assessment).collect();
    assert_eq!(reached, all, "each row is reached");
    assert_eq!(all.len(), Row::all().len(), "no row stands twice");
    assert!(cases > 10_000, "{cases} cases");
}
