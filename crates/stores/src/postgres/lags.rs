//! The longest lag of each system. It is one statement beside the commits.

use super::connection::Link;
use super::error::Fault;
use avowal_core::data::ids::SystemName;
use std::collections::BTreeMap;

/// The longest lag that was seen of each system.
pub(super) async fn known(link: &Link) -> Result<BTreeMap<SystemName, u64>, Fault> {
    let mut found = BTreeMap::new();
    for row in link.query("SELECT system, ms FROM lags", &[]).await? {
        let ms: i64 = row.try_get(1)?;
        found.insert(SystemName::from(row.try_get::<_, String>(0)?), u64::try_from(ms).unwrap_or_default());
    }
    Ok(found)
}

/// Remembers a lag, unless a longer one is known.
pub(super) async fn keep(link: &Link, system: &SystemName, ms: u64) -> Result<(), Fault> {
    const KEEP: &str = "INSERT INTO lags VALUES ($1, $2)
        ON CONFLICT (system) DO UPDATE SET ms = greatest(lags.ms, excluded.ms)";
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    link.change(KEEP, &[&system.as_str(), &ms]).await?;
    Ok(())
}
