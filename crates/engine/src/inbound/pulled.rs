//! What asking a system brought.

use crate::inbound::batch::Ingested;

/// What asking a system brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Pulled {
    /// Events appended.
    pub(crate) events: u64,
    /// Items quarantined.
    pub(crate) quarantined: u64,
    /// Whether another worker is reading the same, so that some of it was not asked.
    pub(crate) elsewhere: bool,
}

impl Pulled {
    /// Nothing, because another worker is reading the same.
    pub(crate) fn elsewhere() -> Self {
        Self { elsewhere: true, ..Self::default() }
    }

    pub(crate) fn add(&mut self, ingested: Ingested) {
        self.events += ingested.events;
        self.quarantined += ingested.quarantined;
    }

    pub(crate) fn join(&mut self, other: Pulled) {
        self.events += other.events;
        self.quarantined += other.quarantined;
        self.elsewhere |= other.elsewhere;
    }
}
