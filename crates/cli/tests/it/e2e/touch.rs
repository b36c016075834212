//! A bulk job that stamps every row anew, and changes nothing.

use super::row::{Peer, Rows};
use super::world::World;
use serde_json::Value;

/// In each system in turn, and in all of them at once: no write, no event.
pub fn every_row_of_each_system(world: &World, base: &Rows) {
    for place in Peer::ALL {
        stamp(world, place, base.len());
        world.assert_quiet();
    }
    for place in Peer::ALL {
        stamp(world, place, base.len());
    }
    world.assert_quiet();
    world.assert_all(base);
}

fn stamp(world: &World, place: Peer, rows: usize) {
    match place {
        Peer::App => {
            let touched = world.app().execute("UPDATE customers SET updated_at = datetime('now')", []);
            assert_eq!(touched.unwrap(), rows);
        }
        Peer::Billing => {
            world.billing("UPDATE customers SET updated_at = now()");
        }
        Peer::Crm => {
            let nothing = || Value::Object(serde_json::Map::new());
            let updates: Vec<_> = world.crm_ids().into_values().map(|id| (id, nothing())).collect();
            world.pocketbase.update("customers", &updates).unwrap();
        }
    }
}
