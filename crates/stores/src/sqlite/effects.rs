//! What writes did and would do, counted for guards and budgets.

use super::column;
use super::connection::open_writer;
use super::error::Fault;
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::outgoing::effects::Effect;
use avowal_engine::ports::store::{EFFECTS_KEPT_MS, EffectCount, PlannedEffects, SENT_KEPT_MS, StoreError};
use rusqlite::{Connection, params};
use std::collections::BTreeMap;
use std::path::Path;

/// What the planned updates of a system would do.
pub(super) fn planned(connection: &Connection, system: &SystemName) -> Result<Vec<PlannedEffects>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT i.entity, e.value, count(*) FROM intents i JOIN json_each(i.effects) e
         WHERE i.system = ?1 AND i.effects IS NOT NULL GROUP BY i.entity, e.value
         HAVING count(*) > 1 OR e.value NOT LIKE 'set %'",
    )?;
    let mut rows = select.query([system.as_str()])?;
    let mut found: BTreeMap<EntityName, BTreeMap<Effect, u64>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let effects = found.entry(EntityName::from(row.get::<_, String>(0)?)).or_default();
        let name: String = row.get(1)?;
        let effect = column::parsed(&name, || format!("intents of {system}, effects"))?;
        effects.insert(effect, column::from_column(row.get(2)?, || "a count".to_owned())?);
    }
    let mut copies = connection
        .prepare_cached("SELECT count(*) FROM links WHERE system = ?1 AND entity = ?2 AND alive = 1")?;
    found
        .into_iter()
        .map(|(entity, effects)| {
            let held = copies.query_row([system.as_str(), entity.as_str()], |row| row.get(0))?;
            Ok(PlannedEffects {
                copies: column::from_column(held, || "a count".to_owned())?,
                entity,
                effects,
            })
        })
        .collect()
}

/// What was counted for a system since a time, by slots.
pub(super) fn counted(
    connection: &Connection,
    system: &SystemName,
    since: Timestamp,
) -> Result<Vec<EffectCount>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT slot, entity, effect, count FROM effects WHERE system = ?1 AND slot >= ?2
         ORDER BY slot, entity, effect",
    )?;
    let mut rows = select.query(params![system.as_str(), EffectCount::slot_of(since)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (slot, name): (i64, String) = (row.get(0)?, row.get(2)?);
        found.push(EffectCount {
            system: system.clone(),
            entity: EntityName::from(row.get::<_, String>(1)?),
            effect: column::parsed(&name, || format!("effects row {system}, slot {slot}, effect"))?,
            at: EffectCount::slot_begins(slot),
            count: row.get(3)?,
        });
    }
    Ok(found)
}

/// Adds to what was counted, and forgets what is old.
pub(super) fn count(connection: &Connection, counts: &[EffectCount]) -> rusqlite::Result<()> {
    let Some(now) = counts.iter().map(|count| count.at).max() else { return Ok(()) };
    let mut add = connection.prepare_cached(
        "INSERT INTO effects (system, slot, entity, effect, count) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET count = count + excluded.count",
    )?;
    for EffectCount { system, entity, effect, at, count } in counts {
        let slot = EffectCount::slot_of(*at);
        add.execute(params![system.as_str(), slot, entity.as_str(), effect.to_string(), count])?;
    }
    let before = |kept_ms: i64| EffectCount::slot_of(now.plus_millis(-kept_ms));
    connection
        .prepare_cached("DELETE FROM effects WHERE slot < CASE WHEN effect = 'sent' THEN ?1 ELSE ?2 END")?
        .execute([before(SENT_KEPT_MS), before(EFFECTS_KEPT_MS)])?;
    Ok(())
}

/// Adds to what was counted, beside the writer's thread.
pub(super) fn count_beside(path: &Path, counts: &[EffectCount]) -> Result<(), StoreError> {
    let fault = |error: rusqlite::Error| Fault::from(error).into_store_error(path);
    let mut connection = open_writer(path)?;
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(fault)?;
    count(&transaction, counts).map_err(fault)?;
    transaction.commit().map_err(fault)
}
