//! What writes did and would do, counted for guards and budgets.

use super::column;
use super::connection::Link;
use super::encode::PreparedCommit;
use super::error::Fault;
use super::statements::{Step, columns, run};
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::outgoing::effects::Effect;
use avowal_engine::ports::store::{EFFECTS_KEPT_MS, EffectCount, PlannedEffects, SENT_KEPT_MS};
use std::collections::BTreeMap;

/// In the order of their key, so that two processes never wait for each other.
const ADD: &str = "INSERT INTO effects AS e (system, slot, entity, effect, count)
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bigint[])
    ON CONFLICT (system, slot, entity, effect) DO UPDATE SET count = e.count + excluded.count";

const FORGET: &str = "DELETE FROM effects WHERE (system, slot, entity, effect) IN
    (SELECT system, slot, entity, effect FROM effects
     WHERE slot < CASE WHEN effect = 'sent' THEN $1::bigint ELSE $2::bigint END
     ORDER BY system, slot, entity, effect FOR UPDATE SKIP LOCKED)";

/// The statements of this file that a commit sends, to be prepared before.
pub(super) const STATEMENTS: &[&str] = &[ADD, FORGET];

/// What the planned updates of a system would do.
pub(super) async fn planned(link: &Link, system: &SystemName) -> Result<Vec<PlannedEffects>, Fault> {
    const PLANNED: &str = "SELECT i.entity, e.effect, count(*) FROM intents i
        CROSS JOIN LATERAL jsonb_array_elements_text(i.effects::jsonb) AS e (effect)
        WHERE i.system = $1 AND i.effects IS NOT NULL GROUP BY i.entity, e.effect
        HAVING count(*) > 1 OR e.effect NOT LIKE 'set %'";
    const COPIES: &str = "SELECT count(*) FROM links WHERE system = $1 AND entity = $2 AND alive";
    let mut found: BTreeMap<EntityName, BTreeMap<Effect, u64>> = BTreeMap::new();
    for row in link.query(PLANNED, &[&system.as_str()]).await? {
        let effect = parsed(&row.try_get::<_, String>(1)?, || format!("intents of {system}, effects"))?;
        let effects = found.entry(EntityName::from(row.try_get::<_, String>(0)?)).or_default();
        effects.insert(effect, column::from_number(row.try_get(2)?, || "a count".to_owned())?);
    }
    let mut planned = Vec::with_capacity(found.len());
    for (entity, effects) in found {
        let rows = link.query(COPIES, &[&system.as_str(), &entity.as_str()]).await?;
        let copies: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
        let copies = column::from_number(copies, || "a count".to_owned())?;
        planned.push(PlannedEffects { entity, copies, effects });
    }
    Ok(planned)
}

/// What was counted for a system since a time, by slots.
pub(super) async fn counted(
    link: &Link,
    system: &SystemName,
    since: Timestamp,
) -> Result<Vec<EffectCount>, Fault> {
    const COUNTED: &str = "SELECT slot, entity, effect, count FROM effects WHERE system = $1 AND slot >= $2
        ORDER BY slot, entity, effect";
    let rows = link.query(COUNTED, &[&system.as_str(), &EffectCount::slot_of(since)]).await?;
    rows.iter()
        .map(|row| {
            let slot: i64 = row.try_get(0)?;
            let place = || format!("effects row {system}, slot {slot}, effect");
            Ok(EffectCount {
                system: system.clone(),
                entity: EntityName::from(row.try_get::<_, String>(1)?),
                effect: parsed(&row.try_get::<_, String>(2)?, place)?,
                at: EffectCount::slot_begins(slot),
                count: row.try_get(3)?,
            })
        })
        .collect()
}

fn parsed(name: &str, place: impl Fn() -> String) -> Result<Effect, Fault> {
    name.parse().map_err(|_| Fault::damaged(place(), name))
}

/// Adds to what was counted, beside any commit.
pub(super) async fn count(link: &Link, counts: &[EffectCount]) -> Result<(), Fault> {
    let mut steps = Vec::new();
    add(counts.iter(), &mut steps);
    for statement in STATEMENTS {
        link.prepared(statement).await?;
    }
    run(link, steps).await?;
    Ok(())
}

/// What the commits count.
pub(super) fn write(commits: &[&PreparedCommit], steps: &mut Vec<Step>) {
    add(commits.iter().flat_map(|prepared| &prepared.effects), steps);
}

fn add<'a>(counts: impl Iterator<Item = &'a EffectCount>, steps: &mut Vec<Step>) {
    type Row<'a> = ((&'a str, i64, &'a str, String), i64);
    let mut sums = BTreeMap::new();
    let mut now = Timestamp::default();
    for EffectCount { system, entity, effect, at, count } in counts {
        now = now.max(*at);
        let key = (system.as_str(), EffectCount::slot_of(*at), entity.as_str(), effect.to_string());
        *sums.entry(key).or_insert(0) += count;
    }
    if sums.is_empty() {
        return;
    }
    let rows: Vec<Row<'_>> = sums.into_iter().collect();
    let params = columns!(rows;
        systems: String = |row: &Row<'_>| row.0.0.to_owned(),
        slots: i64 = |row: &Row<'_>| row.0.1,
        entities: String = |row: &Row<'_>| row.0.2.to_owned(),
        effects: String = |row: &Row<'_>| column::text(&row.0.3),
        counts: i64 = |row: &Row<'_>| row.1,
    );
    steps.push(Step::any(ADD, params));
    let before = |kept_ms: i64| EffectCount::slot_of(now.plus_millis(-kept_ms));
    steps.push(Step::any(FORGET, vec![Box::new(before(SENT_KEPT_MS)), Box::new(before(EFFECTS_KEPT_MS))]));
}
