//! In here: the real engine under somebody's own rules, between fake systems that can do what the declared ones can,
//! with people who edit; and the count of what the rules lead to: conflicts, reviews, refused changes, writes, flapping.
//! Never in here: a real system, and a judgement on the engine (the oracle of `avowal-sim`). Begin with [`forecast`].

mod agreement;
mod people;
mod report;
mod run;
mod seed_figures;
mod system;
mod value_source;

pub use report::{
    Average, Counts, Diverged, FieldForecast, FlappingField, Forecast, PerDay, Reason, Refusals, Unequal,
};

use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::policy::EntityPolicy;
use avowal_engine::Settings;
use avowal_engine::ports::connector::Capabilities;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is played.
#[derive(Clone)]
pub struct Plan {
    /// The rules by entity.
    pub policies: BTreeMap<EntityName, Arc<EntityPolicy>>,
    /// The systems as they are declared.
    pub systems: BTreeMap<SystemName, Participant>,
    /// The engine's bounds and delays.
    pub settings: Settings,
    /// The first seed and the last.
    pub seeds: (u64, u64),
    /// Days of traffic for each seed.
    pub days: u32,
    /// Records of each entity to begin with.
    pub records: u32,
    /// Edits a day in each system.
    pub edits: u32,
}

/// One system as it is declared.
#[derive(Clone, Debug)]
pub struct Participant {
    /// What it lets the engine prove, by entity.
    pub capabilities: BTreeMap<EntityName, Capabilities>,
    /// Whether it sends webhooks.
    pub webhooks: bool,
    /// The entities whose webhooks are believed by their bodies.
    pub bodies: Vec<EntityName>,
    /// How often its feed is asked, in milliseconds.
    pub poll_ms: u64,
}

/// The most seeds that are played at once.
const THREADS_MAX: usize = 8;

/// Plays every seed and sums up. The same plan gives the same forecast, however many processors there are.
pub fn forecast(plan: &Plan) -> Forecast {
    let seeds: Vec<u64> = (plan.seeds.0..=plan.seeds.1).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, THREADS_MAX);
    let share = seeds.len().div_ceil(threads).max(1);
    let played = std::thread::scope(|scope| {
        let workers: Vec<_> = seeds
            .chunks(share)
            .map(|chunk| scope.spawn(move || chunk.iter().map(|seed| run::play(plan, *seed)).collect()))
            .collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        // A panic is a mistake of ours, and goes on as one.
        joined
            .flat_map(|runs: std::thread::Result<Vec<_>>| {
                runs.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect::<Vec<_>>()
    });
    report::sum_up(plan, &played)
}
