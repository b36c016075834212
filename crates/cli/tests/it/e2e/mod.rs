//! End to end: the real binary between a SQLite file, a private Postgres server and a private PocketBase.
//!
//! By default the sizes are such that all of it takes a few minutes on two cores; `AVOWAL_E2E_FULL=1` takes the full
//! ones (10 000 records, 50 kills). All randomness comes from one seed, which is printed; `AVOWAL_E2E_SEED=…` repeats
//! a run.

mod daemon;
mod edits;
mod failures;
mod hooks;
mod kill;
mod link;
mod people;
mod row;
mod services;
mod touch;
mod workers;
mod world;

/// `full` in full mode, `default` otherwise.
fn scale(full: usize, default: usize) -> usize {
    if std::env::var_os("AVOWAL_E2E_FULL").is_some_and(|value| value == "1") { full } else { default }
}

/// A small, seeded source of chance (xorshift64*): the same on every machine and with every version.
#[derive(Clone, Debug)]
struct Chance(u64);

impl Chance {
    /// The seed of this run, printed with the name of the test.
    fn of_run(test: &str) -> Self {
        let seed =
            std::env::var("AVOWAL_E2E_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_122);
        println!("{test}: AVOWAL_E2E_SEED={seed}");
        Self(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    /// A number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or(0)
    }

    /// One of them.
    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}
