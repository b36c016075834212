//! KEY: `system:remote_id`, our record id, or `field=value`.

use crate::reader::{Reader, known_field};
use crate::refusal::{Refusal, RefusalKind};
use avowal_core::data::ids::{FieldName, RecordId, SystemName};
use avowal_core::data::value::Value;
use avowal_core::decide::identity::key_of_field;
use avowal_core::explain::{short_text, short_value};
use avowal_core::policy::EntityPolicy;
use avowal_core::record::{CopyKey, Record};
use avowal_engine::OPEN_ITEMS_MAX;
use avowal_engine::ports::store::QuarantineItem;

/// The most records that are read to find a field's value.
const SCAN_RECORDS_MAX: usize = 1_000_000;

/// How many records are read at once.
const PAGE_RECORDS: usize = 1000;

/// The most matches that an answer names.
const MATCHES_MAX: usize = 10;

/// The ways to name a record.
enum Key {
    Copy(CopyKey),
    Field(FieldName, String),
    Record(RecordId),
}

fn read(policy: &EntityPolicy, key: &str) -> Key {
    if let Some((system, remote_id)) = key.split_once(':')
        && policy.mappings.contains_key(system)
    {
        let system = SystemName::new(system);
        return Key::Copy(CopyKey { system, entity: policy.entity.clone(), remote_id: remote_id.into() });
    }
    match key.split_once('=') {
        Some((field, value)) if policy.fields.contains_key(field) => {
            Key::Field(field.into(), value.to_owned())
        }
        Some(_) | None => Key::Record(key.into()),
    }
}

fn nothing(policy: &EntityPolicy, key: &str) -> Refusal {
    let systems: Vec<&str> = policy.mappings.keys().map(SystemName::as_str).collect();
    Refusal::nothing_there(format!(
        "no {} is known by {:?}. Name it by SYSTEM:ID (systems: {}), by FIELD=VALUE, or by its record id",
        policy.entity,
        short_text(key),
        systems.join(", ")
    ))
}

impl Reader<'_> {
    /// The one record of an entity that a key names.
    pub(crate) async fn find(&self, policy: &EntityPolicy, key: &str) -> Result<Record, Refusal> {
        let id = match read(policy, key) {
            Key::Copy(copy) => self.by_copy(copy).await?,
            Key::Field(field, value) => self.by_field(policy, &field, &value).await?,
            Key::Record(id) => id,
        };
        let record = self.store.load(std::slice::from_ref(&id)).await?.pop().flatten();
        let record = record.filter(|record| record.entity == policy.entity);
        record.ok_or_else(|| nothing(policy, key))
    }

    async fn by_copy(&self, copy: CopyKey) -> Result<RecordId, Refusal> {
        let located = self.store.locate(std::slice::from_ref(&copy)).await?.pop().flatten();
        if let Some(located) = located {
            return Ok(located.record);
        }
        let id = short_text(copy.remote_id.as_str());
        let items = self.store.quarantined(OPEN_ITEMS_MAX).await?;
        let is_of_copy = |item: &&QuarantineItem| {
            item.system == copy.system
                && item.entity == copy.entity
                && item.remote_id.as_ref() == Some(&copy.remote_id)
        };
        Err(match items.iter().find(is_of_copy) {
            Some(item) => Refusal::nothing_there(format!(
                "{} {id} of {} is set aside and has no record: {}. `avowal quarantine show {}` tells more",
                copy.entity,
                copy.system,
                short_text(&item.reason),
                item.id
            )),
            None => Refusal::nothing_there(format!(
                "{} has shown no {} {id} yet. Run `avowal sync`",
                copy.system, copy.entity
            )),
        })
    }

    async fn by_field(
        &self,
        policy: &EntityPolicy,
        field: &FieldName,
        text: &str,
    ) -> Result<RecordId, Refusal> {
        let value = value_of(policy, field, &Value::text(text))?;
        let found = if policy.match_on.iter().any(|key| key.as_slice() == std::slice::from_ref(field)) {
            let keys = [key_of_field(field, &value)];
            self.store.match_records(&policy.entity, &keys).await?.pop().unwrap_or_default()
        } else {
            (self.remark)(format!("{field} is not in match_on, so every record is looked at"));
            self.scan(policy, field, &value).await?
        };
        match found.as_slice() {
            [] => Err(Refusal::nothing_there(format!(
                "no {} is believed to have {field} = {}",
                policy.entity,
                short_value(&value)
            ))),
            [one] => Ok(one.clone()),
            several => {
                let ids: Vec<&str> = several.iter().take(MATCHES_MAX).map(RecordId::as_str).collect();
                let more = if several.len() > MATCHES_MAX { ", and more" } else { "" };
                let text = format!(
                    "several records have {field} = {}: {}{more}",
                    short_value(&value),
                    ids.join(", ")
                );
                Err(Refusal::new(RefusalKind::Ambiguous, text + ". Name one of them"))
            }
        }
    }

    /// Looks through the records, page by page, up to a bound that is said aloud when it is reached.
    async fn scan(
        &self,
        policy: &EntityPolicy,
        field: &FieldName,
        value: &Value,
    ) -> Result<Vec<RecordId>, Refusal> {
        let mut found = Vec::new();
        let mut after = None;
        let mut looked_at = 0;
        loop {
            let page = self.store.scan_records(after.clone(), PAGE_RECORDS).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            looked_at += page.len();
            let equal = |record: &&Record| {
                record.entity == policy.entity
                    && record.deleted.is_none()
                    && record.fields.get(field).is_some_and(|belief| belief.value == *value)
            };
            found.extend(page.iter().filter(equal).map(|record| record.id.clone()));
            if found.len() > MATCHES_MAX {
                break;
            }
            if looked_at >= SCAN_RECORDS_MAX {
                (self.remark)(format!("stopped after {looked_at} records; there may be more matches"));
                break;
            }
        }
        Ok(found)
    }
}

/// A value as a person types it or a program sends it, in the field's canonical form.
pub fn value_of(policy: &EntityPolicy, field: &FieldName, raw: &Value) -> Result<Value, Refusal> {
    let field = known_field(policy, field.as_str())?;
    let Some(rule) = policy.field(&field) else { return Ok(raw.clone()) };
    let value =
        rule.field_type.accept(raw, true).map_err(|error| Refusal::usage(format!("{field}: {error}")))?;
    let normalised = value.as_text().and_then(|text| rule.normalize.apply(text));
    Ok(normalised.map_or(value, Value::text))
}
