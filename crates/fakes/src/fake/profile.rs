//! What kinds of systems there are, by what they let the engine prove.

use avowal_engine::ports::connector::{Capabilities, OrderKind};

/// What a change feed shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FeedKind {
    /// Every change with the contents that it left, in order: a log.
    Images,
    /// Every changed row once, with its present contents: "updated since".
    Present,
    /// Which rows changed; they have to be read.
    Ids,
}

/// One kind of system.
#[derive(Clone, PartialEq, Debug)]
pub struct Profile {
    /// What it declares.
    pub capabilities: Capabilities,
    /// What its feed shows, if it has one.
    pub feed: FeedKind,
    /// Whether rows carry an opaque version.
    pub etags: bool,
    /// Whether it sends webhooks.
    pub webhooks: bool,
    /// Whether the body of a webhook says what changed, or only where.
    pub bodies: bool,
}

impl Profile {
    /// An ordered change log that carries our keys: a table with triggers.
    pub fn log() -> Self {
        Self {
            capabilities: Capabilities {
                order: OrderKind::CommitLog,
                correlation: true,
                precondition: true,
                idempotent: true,
                searchable: true,
                receipt: true,
                deletes_in_feed: true,
                images: true,
                feed: true,
                batch_writes_max: 100,
            },
            feed: FeedKind::Images,
            etags: false,
            webhooks: false,
            bodies: false,
        }
    }

    /// Compare and set by etag; an "updated since" feed without deletes.
    pub fn cas() -> Self {
        Self {
            capabilities: Capabilities {
                order: OrderKind::None,
                correlation: false,
                precondition: true,
                idempotent: false,
                searchable: true,
                receipt: true,
                deletes_in_feed: false,
                images: false,
                feed: true,
                batch_writes_max: 1,
            },
            feed: FeedKind::Present,
            etags: true,
            webhooks: true,
            bodies: false,
        }
    }

    /// Compare and set, with a counter that orders the states of each row and is sent with them.
    pub fn counted() -> Self {
        let mut profile = Self::cas();
        profile.capabilities.order = OrderKind::Counter;
        profile.bodies = true;
        profile
    }

    /// Snapshots with our key and a coarse clock; idempotent, not searchable.
    pub fn correlated() -> Self {
        Self {
            capabilities: Capabilities {
                order: OrderKind::Time,
                correlation: true,
                precondition: false,
                idempotent: true,
                searchable: false,
                receipt: true,
                deletes_in_feed: true,
                images: true,
                feed: true,
                batch_writes_max: 10,
            },
            feed: FeedKind::Images,
            etags: false,
            webhooks: true,
            bodies: true,
        }
    }

    /// Says which copy changed, and nothing more.
    pub fn signal_only() -> Self {
        Self {
            capabilities: Capabilities {
                order: OrderKind::None,
                correlation: false,
                precondition: false,
                idempotent: false,
                searchable: true,
                receipt: false,
                deletes_in_feed: true,
                images: false,
                feed: true,
                batch_writes_max: 1,
            },
            feed: FeedKind::Ids,
            etags: false,
            webhooks: true,
            bodies: false,
        }
    }

    /// Proves nothing: values in the webhook, no feed, no order, no search.
    pub fn bare() -> Self {
        Self {
            capabilities: Capabilities {
                order: OrderKind::None,
                correlation: false,
                precondition: false,
                idempotent: false,
                searchable: false,
                receipt: false,
                deletes_in_feed: false,
                images: false,
                feed: false,
                batch_writes_max: 1,
            },
            feed: FeedKind::Present,
            etags: false,
            webhooks: true,
            bodies: true,
        }
    }

    /// All five, with their names.
    pub fn all() -> [(&'static str, Profile); 5] {
        [
            ("log", Self::log()),
            ("cas", Self::cas()),
            ("correlated", Self::correlated()),
            ("signal_only", Self::signal_only()),
            ("bare", Self::bare()),
        ]
    }

    /// With or without remembered keys, and with or without search.
    pub fn proving(mut self, idempotent: bool, searchable: bool) -> Self {
        self.capabilities.idempotent = idempotent;
        self.capabilities.searchable = searchable;
        self
    }
}
