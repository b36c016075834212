//! A few connections for reading, made on demand and made again after they were lost.

use super::connection::{Link, Server};
use super::error::{Fault, Remedy};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many connections read at once; more callers wait.
const READERS_MAX: usize = 4;

/// How often a read is tried while the server cannot be reached, and how long it waits in between at first.
const TRIES_MAX: u32 = 6;
const PAUSE_MS: u64 = 50;

/// Connections that nobody uses at the moment.
#[derive(Clone)]
pub(super) struct Pool {
    server: Arc<Server>,
    idle: Arc<Mutex<Vec<Arc<Link>>>>,
    room: Arc<Semaphore>,
}

/// A connection for the length of a call.
pub(super) struct Lease {
    link: Arc<Link>,
    idle: Arc<Mutex<Vec<Arc<Link>>>>,
    _room: OwnedSemaphorePermit,
}

impl Pool {
    /// An empty pool.
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server, idle: Arc::default(), room: Arc::new(Semaphore::new(READERS_MAX)) }
    }

    /// A connection; an idle one where there is one.
    pub(super) async fn lease(&self) -> Result<Lease, Fault> {
        let room = Arc::clone(&self.room).acquire_owned().await;
        let room = room.map_err(|_| Fault::Unreachable("the store is closed".to_owned()))?;
        let idle = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain(|link| !link.is_closed());
            idle.pop()
        };
        let link = match idle {
            Some(link) => link,
            None => Arc::new(self.server.connect().await?),
        };
        Ok(Lease { link, idle: Arc::clone(&self.idle), _room: room })
    }
}

/// How much longer a read bears with a server that cannot be reached. What changes nothing may be repeated.
#[derive(Default)]
pub(super) struct Patience {
    tries: u32,
}

impl Patience {
    /// Waits a while after a fault that may pass; gives the fault back when there is no use in waiting any longer.
    pub(super) async fn bear(&mut self, fault: Fault) -> Result<(), Fault> {
        self.tries += 1;
        if fault.remedy() == Remedy::GiveUp || self.tries >= TRIES_MAX {
            return Err(fault);
        }
        tokio::time::sleep(Duration::from_millis(PAUSE_MS << self.tries)).await;
        Ok(())
    }
}

impl Deref for Lease {
    type Target = Link;

    fn deref(&self) -> &Link {
        &self.link
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.link.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&self.link));
        }
    }
}
