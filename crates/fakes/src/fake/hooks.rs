//! How a simulation steers a fake system and watches it: who decides its faults, and who sees what really happens.

use super::Fault;
use avowal_core::data::ids::{EntityName, RemoteId};
use avowal_engine::ports::connector::{ConnectorError, Fields, Write};

/// The kinds of calls beside writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Installing or checking the feed.
    Install,
    /// The position of the feed.
    Position,
    /// A page of a listing.
    List,
    /// A page of the feed.
    Changes,
    /// Reading copies.
    Read,
    /// Searching for copies.
    Find,
}

/// Decides what befalls each call.
pub trait Fate: Send + Sync {
    /// How this write ends instead of its plain success.
    fn write(&self, system: &str, write: &Write) -> Option<Fault>;

    /// How this call fails instead of its plain success.
    fn call(&self, system: &str, kind: Kind) -> Option<ConnectorError>;

    /// How far this read lags behind, in milliseconds.
    fn lag_ms(&self, system: &str, id: &RemoteId) -> i64;

    /// How many of `rows` rows a listing shows before it claims to be complete.
    fn listing_max(&self, system: &str, rows: usize) -> Option<usize>;

    /// Why the read of this one row fails, although the system answers.
    fn read_fails(&self, _system: &str, _id: &RemoteId) -> Option<String> {
        None
    }

    /// How much later than reads a search shows a row, in milliseconds.
    fn index_lag_ms(&self, _system: &str) -> i64 {
        0
    }
}

/// A new version of a row.
#[derive(Clone, Copy, Debug)]
pub struct Put<'a> {
    /// In which system.
    pub system: &'a str,
    /// Of which entity.
    pub entity: &'a EntityName,
    /// Which row.
    pub id: &'a RemoteId,
    /// The version's number in that system.
    pub seq: u64,
    /// The row before; `None` if it did not exist.
    pub before: Option<&'a Fields>,
    /// The row after; `None` if it does not exist any more.
    pub after: Option<&'a Fields>,
    /// The key of the write that made it; `None` if a person did.
    pub key: Option<&'a str>,
}

/// What the engine asks of a system, or gets to see.
#[derive(Clone, Copy, Debug)]
pub enum Call<'a> {
    /// It is shown this version of a row.
    Returned {
        /// Which row.
        id: &'a RemoteId,
        /// Which version.
        seq: u64,
    },
    /// It reads a row.
    Read(&'a RemoteId),
    /// It searches.
    Find,
    /// It begins a write.
    Write(&'a Write),
    /// The write with this key is not under way any more.
    Ended(&'a str),
}

/// Sees what really happens, which the engine cannot. Called while the system is locked: it must not call back.
pub trait Witness: Send + Sync {
    /// A row has changed.
    fn put(&self, put: &Put<'_>);

    /// The engine has asked for something, or was shown something.
    fn called(&self, system: &str, call: Call<'_>);
}
