//! How late the reads of each system were seen to be.

use crate::ports::store::StoreError;
use async_trait::async_trait;
use avowal_core::data::ids::SystemName;
use std::collections::BTreeMap;

/// Remembering the longest lag of each system, so that it need not be learned again after a restart.
#[async_trait]
pub trait KeepLags: Send + Sync {
    /// The longest lag that was seen of each system, in milliseconds. A system that has shown none is absent.
    async fn lags(&self) -> Result<BTreeMap<SystemName, u64>, StoreError>;

    /// Remembers a lag in milliseconds, unless a longer one of the system is known.
    async fn keep_lag(&self, system: &SystemName, ms: u64) -> Result<(), StoreError>;
}
