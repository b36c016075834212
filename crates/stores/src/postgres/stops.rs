//! The stops of systems, and the name of this installation. A stop is one statement beside the commits.

use super::connection::Link;
use super::error::Fault;
use avowal_core::data::ids::SystemName;
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::connector::Installation;
use avowal_engine::ports::store::{Direction, Stop, StopCause};
use tokio_postgres::types::ToSql;

/// The name of this installation.
pub(super) async fn installation(link: &Link) -> Result<Installation, Fault> {
    let rows = link.query("SELECT name FROM installation", &[]).await?;
    let name: String = rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or_default();
    Installation::new(name.clone()).ok_or_else(|| Fault::damaged("installation row 1, name", name))
}

/// The stops that stand, oldest first.
pub(super) async fn standing(link: &Link) -> Result<Vec<Stop>, Fault> {
    const STANDING: &str = "SELECT id, system, direction, cause, set_by, note, since FROM stops
        WHERE lifted_at IS NULL ORDER BY id";
    link.query(STANDING, &[]).await?.iter().map(read).collect()
}

fn read(row: &tokio_postgres::Row) -> Result<Stop, Fault> {
    let id: i64 = row.try_get(0)?;
    let (direction, cause): (String, String) = (row.try_get(2)?, row.try_get(3)?);
    let place = |column: &str| format!("stops row {id}, {column}");
    Ok(Stop {
        system: SystemName::from(row.try_get::<_, String>(1)?),
        direction: Direction::parse(&direction)
            .ok_or_else(|| Fault::damaged(place("direction"), &direction))?,
        cause: StopCause::parse(&cause).ok_or_else(|| Fault::damaged(place("cause"), &cause))?,
        by: row.try_get(4)?,
        note: row.try_get(5)?,
        since: Timestamp::from_millis(row.try_get(6)?),
    })
}

/// When a stop of this cause was lifted last.
pub(super) async fn last_lifted(
    link: &Link,
    system: &SystemName,
    cause: StopCause,
) -> Result<Option<Timestamp>, Fault> {
    const LAST: &str = "SELECT max(lifted_at) FROM stops WHERE system = $1 AND cause = $2";
    let rows = link.query(LAST, &[&system.as_str(), &cause.as_str()]).await?;
    let last: Option<i64> = rows.first().map(|row| row.try_get(0)).transpose()?.flatten();
    Ok(last.map(Timestamp::from_millis))
}

/// Sets a stop, unless one of its cause stands. Answers whether it is new.
pub(super) async fn set(link: &Link, stop: &Stop) -> Result<bool, Fault> {
    const SET: &str = "INSERT INTO stops (system, direction, cause, set_by, note, since)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    let params: [&(dyn ToSql + Sync); 6] = [
        &stop.system.as_str(),
        &stop.direction.as_str(),
        &stop.cause.as_str(),
        &stop.by,
        &stop.note,
        &stop.since.millis(),
    ];
    Ok(link.change(SET, &params).await? > 0)
}

/// Lifts a stop. Answers whether it stood.
pub(super) async fn lift(link: &Link, stop: &Stop, by: &str, at: Timestamp) -> Result<bool, Fault> {
    const LIFT: &str = "UPDATE stops SET lifted_by = $4, lifted_at = $5
        WHERE system = $1 AND direction = $2 AND cause = $3 AND lifted_at IS NULL";
    let params: [&(dyn ToSql + Sync); 5] =
        [&stop.system.as_str(), &stop.direction.as_str(), &stop.cause.as_str(), &by, &at.millis()];
    Ok(link.change(LIFT, &params).await? > 0)
}
