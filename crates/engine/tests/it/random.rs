//! Random days under random faults, then peace: everything agrees, and nothing more is written.

use crate::world::{CUSTOMER, World, unreachable, value};
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_engine::ports::clock::Clock as _;
use avowal_engine::ports::store::ControlStops as _;
use avowal_engine::{Engine, SyncOptions, Unwatched};
use avowal_testkit::fake::{Fault, Profile};
use avowal_testkit::memory::CommitFault;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::pin::Pin;

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

const SYSTEMS: [&str; 3] = ["app", "billing", "crm"];

/// What people last said of each stage in the system that owns it.
type Stages = BTreeMap<RemoteId, Json>;

/// Some edits with trouble between them, and runs: each of a new engine, or all of a service's with somebody who asks it for
/// a sync.
async fn day(world: &World, dice: &mut Dice, stages: &mut Stages, service: Option<&Engine>) {
    for _ in 0..1 + dice.roll(6) {
        let system = SYSTEMS[dice.roll(3) as usize];
        let fake = world.system(system);
        let ids: Vec<_> = fake.rows(CUSTOMER).into_keys().collect();
        match dice.roll(20) {
            0..=3 => {
                let email = format!("{}@x.org", dice.roll(15));
                // Two rows of one person in one system are another story.
                if fake.id_where(CUSTOMER, "email", &Value::text(&email)).is_none() {
                    world.add(system, json!({"email": email, "name": "new"}));
                }
            }
            4..=14 if !ids.is_empty() => {
                let id = &ids[dice.roll(ids.len() as u64) as usize];
                let edit = edit(dice);
                if let Some(stage) = edit.get("stage").filter(|_| system == "crm") {
                    stages.insert(id.clone(), stage.clone());
                }
                fake.edit(CUSTOMER, id, crate::world::raw(&edit));
            }
            15 if !ids.is_empty() => fake.delete(CUSTOMER, &ids[dice.roll(ids.len() as u64) as usize]),
            16 => fake.touch_all(CUSTOMER),
            _ => {}
        }
        if dice.roll(3) == 0 {
            trouble(world, dice);
        }
        for delivery in fake.take_deliveries() {
            if dice.roll(3) > 0 {
                let by_itself = world.engine();
                service.unwrap_or(&by_itself).receive_delivery(&system.into(), &delivery).await;
            }
        }
        match (dice.roll(4), service) {
            (0, _) => {}
            (_, Some(service)) => side_by_side(service, dice).await,
            (1, None) => {
                let polls = dice.roll(150) as usize;
                poll_some(world, polls).await;
            }
            (_, None) => drop(world.try_sync().await),
        }
        world.check_laws().await;
        world.clock.advance(dice.roll(3_000) as i64);
    }
}

/// A service's turns at each system, and a sync that is asked of it meanwhile, step by step in an order by chance.
async fn side_by_side(service: &Engine, dice: &mut Dice) {
    let mut tasks: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
    for system in SYSTEMS {
        let turns = 1 + dice.roll(4);
        tasks.push(Box::pin(async move {
            for _ in 0..turns {
                drop(service.turn(&system.into(), &Unwatched).await);
            }
        }));
    }
    let options = SyncOptions { full: dice.roll(4) == 0 };
    tasks.push(Box::pin(async move { drop(service.sync_beside_run(options, &Unwatched).await) }));
    let mut context = std::task::Context::from_waker(futures::task::noop_waker_ref());
    for step in 0_u64.. {
        if tasks.is_empty() {
            return;
        }
        let at = dice.roll(tasks.len() as u64) as usize;
        if tasks[at].as_mut().poll(&mut context).is_ready() {
            drop(tasks.swap_remove(at));
        }
        if step % 16 == 0 {
            // What a test may poll at a stretch is bounded.
            tokio::task::yield_now().await;
        }
    }
}

async fn poll_some(world: &World, polls: usize) {
    let engine = world.engine();
    let mut run = Box::pin(engine.sync(SyncOptions::default(), &Unwatched));
    let mut context = std::task::Context::from_waker(futures::task::noop_waker_ref());
    for _ in 0..polls {
        if run.as_mut().poll(&mut context).is_ready() {
            return;
        }
    }
}

fn edit(dice: &mut Dice) -> Json {
    let value = dice.roll(4);
    match dice.roll(5) {
        0 => json!({"name": format!("n{value}")}),
        1 => json!({"phone": format!("p{value}")}),
        2 => json!({"stage": format!("s{value}")}),
        3 => json!({"tags": ["a", format!("t{value}")]}),
        _ => json!({"name": format!("n{value}"), "phone": format!("p{value}")}),
    }
}

fn trouble(world: &World, dice: &mut Dice) {
    let fake = world.system(SYSTEMS[dice.roll(3) as usize]);
    match dice.roll(9) {
        0 => fake.fail_writes([Fault::TimeoutBefore]),
        1 => fake.fail_writes([Fault::TimeoutAfter]),
        2 => fake.fail_writes([Fault::Limited(dice.roll(2_000))]),
        3 => fake.fail_writes([Fault::Unavailable]),
        4 => fake.fail_writes([Fault::Conflict]),
        5 => fake.set_down(if dice.roll(2) == 0 { Some(unreachable()) } else { None }),
        6 => fake.expire_feed(),
        7 => fake.set_lag_ms(dice.roll(800) as i64),
        _ => {
            let kinds = [
                CommitFault::Conflict,
                CommitFault::UnknownApplied,
                CommitFault::UnknownNotApplied,
                CommitFault::Full,
            ];
            world.store.fail_commit(1 + dice.roll(6) as usize, kinds[dice.roll(4) as usize]);
        }
    }
}

/// `AVOWAL_SEEDS=FROM..TO` plays others, or one again.
fn seeds() -> std::ops::Range<u64> {
    #[allow(clippy::disallowed_methods, reason = "a test stands where the program would")]
    let asked = std::env::var("AVOWAL_SEEDS").unwrap_or_default();
    match asked.split_once("..").map(|(from, to)| (from.parse(), to.parse())) {
        Some((Ok(from), Ok(to))) => from..to,
        Some(_) | None => 0..60,
    }
}

/// Faults and edits have stopped.
async fn heal(world: &World, service: Option<&Engine>) {
    world.store.heal();
    for system in SYSTEMS {
        let fake = world.system(system);
        fake.set_down(None);
        fake.set_lag_ms(0);
        fake.fail_nothing();
    }
    for _ in 0..4 {
        world.clock.advance(120_000);
        // People look at what guards hold, and let it go.
        for stop in world.store.stops().await.unwrap() {
            world.store.lift_stop(&stop, "op", world.clock.now()).await.unwrap();
        }
        match service {
            Some(service) => {
                service.sync_beside_run(SyncOptions { full: true }, &Unwatched).await.unwrap();
            }
            None => drop(world.full_sync().await),
        }
    }
}

/// A system that has held copies and shows none may only seem empty, so a create of unknown outcome stays set aside there. A
/// person looks, and has it made. Answers whether there was one.
async fn say_what_was_not_done(world: &World, service: Option<&Engine>) -> bool {
    let own = world.engine();
    let engine = service.unwrap_or(&own);
    let mut any = false;
    for item in world.quarantine().await {
        let is_unknown = item.reason.contains("the outcome stays unknown");
        if is_unknown && world.system(item.system.as_str()).rows(CUSTOMER).is_empty() {
            engine.replay(&item, "op").await.unwrap();
            any = true;
        }
    }
    any
}

#[tokio::test]
async fn after_any_days_and_any_trouble_comes_agreement() {
    agreement_comes(Runs::OneByOne).await;
}

#[tokio::test]
async fn a_sync_that_is_asked_of_a_running_service_harms_nothing() {
    agreement_comes(Runs::BesideAService).await;
}

/// Who works in a story.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runs {
    /// One engine after the other.
    OneByOne,
    /// One engine for the whole story, which somebody asks for a sync now and then.
    BesideAService,
}

async fn agreement_comes(runs: Runs) {
    for seed in seeds() {
        let mut dice = Dice(seed);
        let profiles = [Profile::log(), Profile::cas(), Profile::correlated(), Profile::signal_only()];
        let mut pick = || profiles[dice.roll(4) as usize].clone();
        let mut world = World::of([("app", Profile::log()), ("billing", pick()), ("crm", pick())]);
        // Of so few copies each delete is a large share. What guards hold has tests of its own.
        world.settings.guards.deletes_approved = SYSTEMS.map(Into::into).into();
        println!("seed {seed}: AVOWAL_SEEDS={seed}..{} replays it", seed + 1);
        let mut stages = Stages::new();
        let service = (runs == Runs::BesideAService).then(|| world.engine());
        if let Some(service) = &service {
            service.prepare().await.unwrap();
        }
        for _ in 0..4 {
            day(&world, &mut dice, &mut stages, service.as_deref()).await;
        }
        heal(&world, service.as_deref()).await;
        world.check_laws().await;
        if say_what_was_not_done(&world, service.as_deref()).await {
            heal(&world, service.as_deref()).await;
        }
        let items = world.quarantine().await;
        let doubles = items.iter().filter(|item| item.reason.contains("a second copy")).count();
        assert_eq!(items.len(), doubles, "{items:?}");
        if doubles == 0 {
            world.check_agreement().await;
        }
        world.check_idle().await;
        check_stages(&world, &stages);
        if doubles == 0 {
            last_word(&world, &mut dice).await;
        }
    }
}

/// The owner's last word stands, whatever happened around it.
fn check_stages(world: &World, stages: &Stages) {
    for (id, stage) in stages {
        if let Some(row) = world.system("crm").row(CUSTOMER, id) {
            assert_eq!(row.get("stage"), Some(&value(stage)), "{id}: {}", world.story());
        }
    }
}

/// One more edit in peace reaches every system.
async fn last_word(world: &World, dice: &mut Dice) {
    let editor = world.system(SYSTEMS[dice.roll(3) as usize]);
    let emails: Vec<Value> =
        editor.rows(CUSTOMER).into_values().filter_map(|mut row| row.remove("email")).collect();
    if emails.is_empty() {
        return;
    }
    let email = &emails[dice.roll(emails.len() as u64) as usize];
    let id = editor.id_where(CUSTOMER, "email", email).unwrap();
    // Sometimes a value that stood there before.
    let phone = if dice.roll(2) == 0 { json!("the last word") } else { json!(format!("p{}", dice.roll(4))) };
    editor.edit(CUSTOMER, &id, crate::world::raw(&json!({"phone": phone})));
    world.sync().await;
    world.clock.advance(10_000);
    world.sync().await;
    for (system, fake) in &world.systems {
        let id = fake.id_where(CUSTOMER, "email", email).unwrap();
        let stands = fake.row(CUSTOMER, &id).unwrap().remove("phone");
        assert_eq!(stands, Some(value(&phone)), "{email} in {system}: {}", world.story());
    }
    world.check_in_sync().await;
}
