//! `avowal run`: what one system's people do appears in the others within seconds, and SIGTERM ends it cleanly.

use super::row::{Peer, Row, Rows};
use super::world::{World, eventually};
use std::process::Command;
use std::time::{Duration, Instant};

/// From one table to the other: both databases say when something has changed.
const TABLES: Duration = Duration::from_secs(2);
/// PocketBase is asked once a second, and its copies are read before they are written.
const SERVICE: Duration = Duration::from_secs(6);
/// Twenty records made in two systems.
const FIRST_LISTING: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(5);

#[test]
fn edits_travel_within_seconds_and_sigterm_stops_it() {
    let world = World::new();
    let base: Rows = (0..20).map(|n| (format!("c{n:05}"), Row::of_app(n))).collect();
    world.fill(Peer::App, &base);
    let mut running = world.spawn(&["run"]);
    let listed = || Peer::ALL.iter().all(|place| world.rows(*place).len() == base.len());
    let began = Instant::now();
    while !listed() {
        assert!(began.elapsed() < FIRST_LISTING, "the copies are not made: {}", running.log());
        std::thread::sleep(Duration::from_millis(50));
    }

    travels(&world, Peer::App, "full_name", &[(Peer::Billing, TABLES), (Peer::Crm, SERVICE)]);
    travels(&world, Peer::Billing, "name", &[(Peer::App, TABLES), (Peer::Crm, SERVICE)]);
    travels(&world, Peer::Crm, "name", &[(Peer::App, SERVICE), (Peer::Billing, SERVICE)]);

    // A system that goes away and comes back is followed again without a restart.
    let mut world = world;
    world.postgres.stop().unwrap();
    world.edit_one(Peer::App, "c00007", "full_name", "While billing was away");
    std::thread::sleep(Duration::from_millis(500));
    world.postgres.restart().unwrap();
    eventually("billing catches up", Duration::from_secs(30), || {
        world.rows(Peer::Billing)["c00007"].name.as_deref() == Some("While billing was away")
    });
    assert!(running.child.try_wait().unwrap().is_none(), "it ended by itself: {}", running.log());

    let began = Instant::now();
    assert!(
        Command::new("kill").args(["-TERM", &running.child.id().to_string()]).status().unwrap().success()
    );
    let status = running.child.wait().unwrap();
    assert!(status.success(), "{status}: {}", running.log());
    assert!(began.elapsed() < STOP, "it took {:?} to stop", began.elapsed());
    world.assert_quiet();
    world.assert_history();
}

#[track_caller]
fn travels(world: &World, from: Peer, column: &'static str, to: &[(Peer, Duration)]) {
    let name = format!("Edited in {}", from.name());
    world.edit_one(from, "c00003", column, name.as_str());
    for (place, limit) in to {
        let took = eventually(&format!("{} to {}", from.name(), place.name()), *limit, || {
            world.rows(*place)["c00003"].name.as_deref() == Some(&name)
        });
        println!("{} to {}: {took:.1?}", from.name(), place.name());
    }
}
