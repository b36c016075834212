//! How late the reads of each system were seen to be.

use avowal_engine::ports::store::Store;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Of each system the longest lag is kept, and of one that showed none nothing.
pub async fn the_longest_lag_is_kept(store: Arc<dyn Store>) {
    assert_eq!(store.lags().await.unwrap(), BTreeMap::new());
    for (system, ms) in [("crm", 5_000), ("app", 10), ("crm", 4_000), ("app", 30)] {
        store.keep_lag(&system.into(), ms).await.unwrap();
    }
    assert_eq!(store.lags().await.unwrap(), BTreeMap::from([("app".into(), 30), ("crm".into(), 5_000)]));
}
