//! SIGKILL at random moments, again and again: nothing lost, nothing doubled, the history whole.

use super::row::{Peer, Row, Rows, column};
use super::world::World;
use super::{Chance, scale};
use std::collections::BTreeMap;
use std::time::Duration;

/// The first ones die young, later ones are well under way, however slow the machine is.
const ALIVE_MS_FIRST: usize = 1_500;
const ALIVE_MS_MORE: usize = 250;
/// Small transactions, so that there are many moments between them.
const SETTINGS: &str = "[settings]\nbatch = 100\n\n[store]";
/// So many kills at least shall leave writes behind of which nobody knows the outcome.
const UNKNOWN_MIN: usize = 4;

#[test]
fn killed_at_random_moments_it_loses_and_doubles_nothing() {
    let mut chance = Chance::of_run("killed_at_random_moments_it_loses_and_doubles_nothing");
    let mut rows: Rows = (0..scale(10_000, 1_500)).map(|n| (format!("c{n:05}"), Row::of_app(n))).collect();
    let world = World::new();
    world.reconfigure("[store]", SETTINGS);
    count_effects(&world);
    // All of them are in the app only: the kills come between creates, which are the easiest to double.
    world.fill(Peer::App, &rows);
    let mut edited: BTreeMap<String, u64> = BTreeMap::new();
    let kills = scale(50, 12);
    let (mut killed, mut left_unknown) = (0, 0);
    while killed < kills || (left_unknown < UNKNOWN_MIN && killed < 4 * kills) {
        if killed < kills {
            kill_one(&world, chance.below(ALIVE_MS_FIRST + ALIVE_MS_MORE * killed));
        } else {
            // How often chance comes between a write and its answer depends on the machine; these are aimed.
            kill_while_writing(&world);
        }
        killed += 1;
        let sent = sent_writes(&world);
        left_unknown += usize::from(sent > 0);
        println!(
            "kill {killed}: {} made in billing, {sent} writes of unknown outcome",
            made_in_billing(&world)
        );
        for code in edit_some(&world, &mut rows, &mut chance) {
            *edited.entry(code).or_default() += 1;
        }
    }
    assert!(
        left_unknown >= UNKNOWN_MIN,
        "{killed} kills, and only {left_unknown} of them came between write and answer"
    );
    // A write whose outcome the killed process never learnt is settled by looking, not by repeating.
    world.sync();
    world.assert_all(&rows);
    world.assert_quiet();
    world.assert_history();
    assert_effects(&world, &edited);
}

/// Starts a sync and kills it after so many milliseconds.
fn kill_one(world: &World, alive_ms: usize) {
    let mut running = world.spawn(&["sync", "--yes"]);
    std::thread::sleep(Duration::from_millis(alive_ms as u64 + 20));
    let ended = running.child.try_wait().unwrap();
    assert!(ended.is_none_or(|status| status.success()), "it failed by itself: {}", running.log());
    running.kill();
}

/// Starts a sync and kills it as soon as a write has gone out, or when it has ended.
fn kill_while_writing(world: &World) {
    let mut running = world.spawn(&["sync", "--yes"]);
    while running.child.try_wait().unwrap().is_none() && sent_writes(world) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    running.kill();
}

/// Writes that had gone out when the process died.
fn sent_writes(world: &World) -> i64 {
    // A process that died early has made no table yet.
    let store = world.store();
    store.query_row("SELECT count(*) FROM intents WHERE status = 'sent'", [], |row| row.get(0)).unwrap_or(0)
}

fn made_in_billing(world: &World) -> String {
    world.billing("SELECT count(*) FROM customers").trim().to_owned()
}

/// The credit of a few customers grows in the app. Applied twice, it would show in the sum.
fn edit_some(world: &World, rows: &mut Rows, chance: &mut Chance) -> Vec<String> {
    let mut changes = BTreeMap::new();
    for _ in 0..10 {
        let n = chance.below(rows.len());
        let Some((code, row)) = rows.iter_mut().nth(n) else { continue };
        row.credit += 1;
        changes.insert(code.clone(), vec![(column(Peer::App, "credit"), row.credit.into())]);
    }
    world.edit(Peer::App, &changes);
    changes.into_keys().collect()
}

/// The billing database counts by itself what is done to it.
fn count_effects(world: &World) {
    world.billing(
        "CREATE TABLE effects (code text, what text);
         CREATE FUNCTION note_effect() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN INSERT INTO effects VALUES (coalesce(NEW.code, OLD.code), TG_OP); RETURN NULL; END $$;
         CREATE TRIGGER note_effect AFTER INSERT OR UPDATE OR DELETE ON customers
           FOR EACH ROW EXECUTE FUNCTION note_effect()",
    );
}

/// Every customer was made once, changed at most as often as a person changed it, and never deleted.
fn assert_effects(world: &World, edited: &BTreeMap<String, u64>) {
    let doubled =
        world.billing("SELECT code FROM effects WHERE what = 'INSERT' GROUP BY code HAVING count(*) > 1");
    assert_eq!(doubled.trim(), "", "made twice in billing");
    let deleted = world.billing("SELECT code FROM effects WHERE what = 'DELETE'");
    assert_eq!(deleted.trim(), "", "deleted in billing");
    let json = world.billing(
        "SELECT coalesce(json_object_agg(code, n), '{}') FROM
           (SELECT code, count(*) AS n FROM effects WHERE what = 'UPDATE' GROUP BY code) AS updates",
    );
    let updates: BTreeMap<String, u64> = serde_json::from_str(&json).unwrap();
    for (code, count) in updates {
        let made = edited.get(&code).copied().unwrap_or(0);
        assert!(count <= made, "{code} was changed {count} times in billing for {made} edits");
    }
}
