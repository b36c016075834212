//! Whether anything is due, and when the next thing will be.

use super::connection::Link;
use super::error::Fault;
use avowal_core::data::ids::SystemName;
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::bucket::{Share, Shares};
use avowal_engine::ports::store::Due;

/// The shares in which something is due: one look into the index for each.
pub(super) async fn shares(
    link: &Link,
    system: &SystemName,
    due: Due,
    now: Timestamp,
) -> Result<Shares, Fault> {
    const INTENTS: &str = "SELECT k.share FROM generate_series(0, 63) AS k (share) WHERE EXISTS (SELECT 1
        FROM intents i WHERE i.system = $1 AND i.share = k.share::smallint AND i.not_before <= $2)";
    const SIGNALS: &str = "SELECT k.share FROM generate_series(0, 63) AS k (share) WHERE EXISTS (SELECT 1
        FROM signals s WHERE s.system = $1 AND s.share = k.share::smallint AND s.not_before <= $2)";
    let sql = match due {
        Due::Intents => INTENTS,
        Due::Signals => SIGNALS,
    };
    let rows = link.query(sql, &[&system.as_str(), &now.millis()]).await?;
    rows.iter()
        .map(|row| {
            let share: i32 = row.try_get(0)?;
            Ok(Share::new(u8::try_from(share).map_err(|error| Fault::damaged("a share", error))?))
        })
        .collect()
}

/// When the next intent or signal is due.
pub(super) async fn next_due(link: &Link) -> Result<Option<Timestamp>, Fault> {
    const NEXT: &str =
        "SELECT least((SELECT min(not_before) FROM intents), (SELECT min(not_before) FROM signals))";
    let rows = link.query(NEXT, &[]).await?;
    let next: Option<i64> = rows.first().map(|row| row.try_get(0)).transpose()?.flatten();
    Ok(next.map(Timestamp::from_millis))
}

pub(super) fn share_numbers(shares: Shares) -> Vec<i16> {
    shares.iter().map(|share| i16::from(share.number())).collect()
}
