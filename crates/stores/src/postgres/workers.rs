//! How many processes share the work: each leaves a sign of life now and then.

use super::readers::Pool;
use avowal_engine::ports::bucket::Share;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a process that claims work says that it lives.
const SIGN_EVERY: Duration = Duration::from_secs(2);

/// Renews this process's sign of life, and counts the processes that have done so within the last eight seconds.
const SIGN: &str = "INSERT INTO workers (id, seen_at) VALUES ($1, clock_timestamp())
    ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at";
const COUNT: &str = "SELECT count(*) FROM workers WHERE seen_at > clock_timestamp() - interval '8 seconds'";
const BURY: &str = "DELETE FROM workers WHERE seen_at < clock_timestamp() - interval '1 day'";

/// What this process knows of the others.
pub(super) struct Workers {
    id: String,
    last: Mutex<(Option<Instant>, usize)>,
}

impl Workers {
    /// A new worker.
    pub(super) fn new() -> Self {
        let random = RandomState::new().hash_one(std::process::id());
        Self { id: format!("{}-{random:016x}", std::process::id()), last: Mutex::new((None, 1)) }
    }

    /// What this process is called among them.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Whether nobody else is known to share the work. A process that has never claimed any does not know.
    pub(super) fn is_alone(&self) -> bool {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.0.is_some() && last.1 <= 1
    }

    /// How many lanes this process may take of so many, to leave the others theirs. A few more than its part, so
    /// that what a dead worker has left is not waited for.
    pub(super) async fn part_of(&self, pool: &Pool, lanes: usize) -> usize {
        let workers = self.count(pool).await;
        if workers <= 1 { lanes.max(1) } else { Share::COUNT.div_ceil(workers) }
    }

    async fn count(&self, pool: &Pool) -> usize {
        let known = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let is_fresh = last.0.is_some_and(|at| at.elapsed() < SIGN_EVERY);
            if !is_fresh {
                // One call at a time asks; the others go on with what is known.
                last.0 = Some(Instant::now());
            }
            (is_fresh, last.1)
        };
        if let (true, workers) = known {
            return workers;
        }
        let asked = async {
            let lease = pool.lease().await?;
            lease.change(SIGN, &[&self.id]).await?;
            lease.change(BURY, &[]).await?;
            let rows = lease.query(COUNT, &[]).await?;
            let count: i64 = rows.first().map_or(Ok(1), |row| row.try_get(0))?;
            Ok::<_, super::error::Fault>(usize::try_from(count).unwrap_or(1).max(1))
        };
        // Not knowing costs fairness, nothing else.
        let workers = asked.await.unwrap_or(known.1);
        self.last.lock().unwrap_or_else(PoisonError::into_inner).1 = workers;
        workers
    }
}
