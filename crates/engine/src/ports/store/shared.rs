//! What several processes that use one store must ask it, because another of them may have changed it meanwhile.

use crate::ports::store::StoreError;
use async_trait::async_trait;
use avowal_core::data::ids::SystemName;
use avowal_core::record::CopyKey;

/// Telling whether several processes may use the store at once.
pub trait ShareStore: Send + Sync {
    /// What has to be asked where several processes may use the store at once; `None` where only this one does. It has
    /// no default: a store that wraps another one must pass it on.
    fn shared(&self) -> Option<&dyn SharedStore>;
}

/// Questions to a store that several processes use at once: what one of them remembers, another may have changed.
#[async_trait]
pub trait SharedStore: Send + Sync {
    /// Whether something that came from each copy stands in quarantine, in the order asked.
    async fn set_aside(&self, copies: &[CopyKey]) -> Result<Vec<bool>, StoreError>;

    /// Whether a signal waits for each copy, in the order asked.
    async fn awaited(&self, copies: &[CopyKey]) -> Result<Vec<bool>, StoreError>;

    /// Returns when another process may have left work for `system`. May return late or never: whoever waits for it
    /// asks now and then all the same.
    async fn work_available(&self, system: &SystemName);
}
