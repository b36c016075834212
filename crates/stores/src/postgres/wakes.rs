//! A process that leaves work for a system tells the others on a channel of the server, so that they need not wait
//! for their next poll. It is a hint and no more: it is sent after the commit, never with it, because a transaction
//! that notifies would wait for all others that do. What is lost, or where the server has no channels, polling covers.

use super::connection::Server;
use super::readers::Pool;
use super::workers::Workers;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;

/// How long work is gathered before it is told, at least.
const TELL_EVERY: Duration = Duration::from_millis(20);
/// How long a channel that is lost, or that the server does not have, is left alone.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// How many notifications may wait to be heard; what is more is dropped, like any hint.
const HEARD_MAX: usize = 256;
/// The most bytes of names in one notification: the server takes 8000.
const NAMES_BYTES_MAX: usize = 7_000;
/// In the place of names, where they would be too many: all systems.
const EVERYBODY: &str = "*";

const LISTEN: &str = "LISTEN avowal_store";
const TELL: &str = "SELECT pg_notify('avowal_store', $1)";

/// The hints that go out and come in.
pub(super) struct Wakes {
    shared: Arc<Shared>,
    listening: OnceLock<AbortHandle>,
}

struct Shared {
    server: Arc<Server>,
    pool: Pool,
    workers: Arc<Workers>,
    /// Who waits, by system.
    waiting: Mutex<BTreeMap<String, Arc<Notify>>>,
    /// What is still to be told, and whether a task is at it.
    told: Mutex<(BTreeSet<String>, bool)>,
}

impl Wakes {
    /// Nothing is heard before somebody waits.
    pub(super) fn new(server: Arc<Server>, pool: Pool, workers: Arc<Workers>) -> Self {
        let shared = Shared { server, pool, workers, waiting: Mutex::default(), told: Mutex::default() };
        Self { shared: Arc::new(shared), listening: OnceLock::new() }
    }

    /// Tells the others, soon, that there is work for these systems.
    pub(super) fn tell(&self, systems: BTreeSet<String>) {
        if systems.is_empty() || self.shared.workers.is_alone() {
            return;
        }
        let mut told = self.shared.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.0.extend(systems);
        if !std::mem::replace(&mut told.1, true) {
            tokio::spawn(Arc::clone(&self.shared).tell_all());
        }
    }

    /// Returns when another process has told of work for the system.
    pub(super) async fn work_available(&self, system: &str) {
        self.listening.get_or_init(|| tokio::spawn(Arc::clone(&self.shared).listen()).abort_handle());
        self.shared.waiter(system).notified().await;
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        if let Some(listening) = self.listening.get() {
            listening.abort();
        }
    }
}

impl Shared {
    fn waiter(&self, system: &str) -> Arc<Notify> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(waiting.entry(system.to_owned()).or_default())
    }

    async fn tell_all(self: Arc<Self>) {
        loop {
            let systems = {
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                if told.0.is_empty() {
                    told.1 = false;
                    return;
                }
                std::mem::take(&mut told.0)
            };
            let text = spell(self.workers.id(), &systems);
            let told = async { self.pool.lease().await?.query(TELL, &[&text]).await };
            let pause = match told.await {
                Ok(_) => TELL_EVERY,
                Err(fault) => {
                    let error = fault.into_store_error(self.server.place());
                    tracing::debug!(%error, "other processes are not told of work; they find it by polling");
                    TRY_AGAIN
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn listen(self: Arc<Self>) {
        loop {
            let (heard, mut hearing) = mpsc::channel(HEARD_MAX);
            let listening = async {
                let link = self.server.connect_and_hear(heard).await?;
                link.execute(LISTEN).await?;
                Ok::<_, super::error::Fault>(link)
            };
            match listening.await {
                // Kept as long as it is heard.
                Ok(_link) => {
                    // What was told before, or while the channel was lost, was not heard.
                    self.wake(EVERYBODY);
                    while let Some(text) = hearing.recv().await {
                        if let Some(systems) = of_others(self.workers.id(), &text) {
                            systems.lines().for_each(|system| self.wake(system));
                        }
                    }
                }
                Err(fault) => {
                    let error = fault.into_store_error(self.server.place());
                    tracing::debug!(%error, "no channel to other processes; their work is found by polling");
                }
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }

    fn wake(&self, system: &str) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match system {
            EVERYBODY => waiting.values().for_each(|waiter| waiter.notify_one()),
            system => waiting.get(system).into_iter().for_each(|waiter| waiter.notify_one()),
        }
    }
}

/// Who tells, then the systems, each in a line of its own.
fn spell(id: &str, systems: &BTreeSet<String>) -> String {
    let names: usize = systems.iter().map(|system| system.len() + 1).sum();
    let mut text = id.to_owned();
    if names > NAMES_BYTES_MAX {
        text.push('\n');
        text.push_str(EVERYBODY);
    } else {
        systems.iter().for_each(|system| {
            text.push('\n');
            text.push_str(system);
        });
    }
    text
}

/// The systems, if another process has told of them.
fn of_others<'a>(id: &str, text: &'a str) -> Option<&'a str> {
    text.split_once('\n').filter(|(teller, _)| *teller != id).map(|(_, systems)| systems)
}

#[cfg(test)]
mod tests {
    use super::{BTreeSet, of_others, spell};

    fn names(count: usize) -> BTreeSet<String> {
        (0..count).map(|no| format!("system_{no:04}")).collect()
    }

    #[test]
    fn what_is_told_is_read_by_others_and_not_by_oneself() {
        let text = spell("7-a", &names(2));
        assert_eq!(of_others("7-a", &text), None);
        assert_eq!(of_others("8-b", &text), Some("system_0000\nsystem_0001"));
        assert_eq!(of_others("8-b", "nonsense"), None);
    }

    #[test]
    fn too_many_names_are_everybody() {
        let text = spell("7-a", &names(2_000));
        assert!(text.len() < 8_000);
        assert_eq!(of_others("8-b", &text), Some("*"));
    }
}
