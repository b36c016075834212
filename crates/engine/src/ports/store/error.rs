//! Why the store could not do its work.

/// Why the store could not do its work.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full or a quota is reached. Nothing was written; go on after making room.
    #[error("the store is full: {0}. Nothing was lost; free some space and run again")]
    Full(String),
    /// Another process holds the store.
    #[error("the store is in use by another process: {0}. Stop that process, or wait for it to end")]
    Locked(String),
    /// The store holds something it never wrote.
    #[error("the store is damaged at {place}: {what}. Run `avowal history verify`, then restore or rebuild")]
    Corrupt {
        /// Which table and row.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// It cannot be reached, opened or read.
    #[error("the store is not available: {0}")]
    Unavailable(String),
}
