//! A bounded crowd of senders: whoever comes is let in, and where there is no room the one that has dawdled longest goes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Those who are in, by the order in which they came.
pub(crate) struct Crowd {
    most: usize,
    members: Mutex<Members>,
}

#[derive(Default)]
struct Members {
    next: u64,
    inside: BTreeMap<u64, Member>,
}

struct Member {
    leave: Arc<Notify>,
    stays: bool,
}

/// A member's place. It is free when this is dropped.
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    number: u64,
    leave: Arc<Notify>,
}

impl Crowd {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, members: Mutex::default() })
    }

    /// Lets somebody in. `None` where there is no room and nobody may be sent away.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Place> {
        let mut members = self.members();
        if members.inside.len() >= self.most {
            let oldest =
                members.inside.iter().find(|(_, member)| !member.stays).map(|(number, _)| *number)?;
            let gone = members.inside.remove(&oldest)?;
            gone.leave.notify_one();
        }
        let (number, leave) = (members.next, Arc::new(Notify::new()));
        members.next += 1;
        members.inside.insert(number, Member { leave: Arc::clone(&leave), stays: false });
        Some(Place { crowd: Arc::clone(self), number, leave })
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Whether the member is kept when others want in.
    pub(crate) fn stay(&self, stays: bool) {
        if let Some(member) = self.crowd.members().inside.get_mut(&self.number) {
            member.stays = stays;
        }
    }

    /// Returns when the member has to go.
    pub(crate) async fn sent_away(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.members().inside.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;

    async fn is_sent_away(place: &Place) -> bool {
        tokio::time::timeout(Duration::from_millis(10), place.sent_away()).await.is_ok()
    }

    #[tokio::test]
    async fn the_one_that_has_dawdled_longest_goes_and_who_stays_does_not() {
        let crowd = Crowd::new(2);
        let (first, second) = (crowd.enter().unwrap(), crowd.enter().unwrap());
        first.stay(true);
        let third = crowd.enter().unwrap();
        assert!(is_sent_away(&second).await);
        assert!(!is_sent_away(&first).await && !is_sent_away(&third).await);
        third.stay(true);
        assert!(crowd.enter().is_none(), "nobody may be sent away");
        first.stay(false);
        let fourth = crowd.enter().unwrap();
        assert!(is_sent_away(&first).await);
        // Who was sent away leaves no room twice.
        drop((first, second, third));
        let (fifth, _sixth) = (crowd.enter().unwrap(), crowd.enter().unwrap());
        assert!(is_sent_away(&fourth).await && !is_sent_away(&fifth).await);
    }
}
