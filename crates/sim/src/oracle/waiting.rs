//! I21: what another pending write cures is not set aside: it waits for that write.

use super::{Ending, Oracle};
use crate::family::{self, CHILD, PARENT, SEAT};
use crate::scenario::{ENTITY, KEY};
use avowal_core::data::ids::FieldName;
use avowal_core::data::value::Value;
use avowal_core::record::Record;
use avowal_engine::ports::connector::Fields;

/// How a system's constraints begin their refusals.
const REFUSALS: [&str; 2] = ["foreign key:", "duplicate key:"];

impl Oracle {
    /// Every write that was set aside because of a constraint is forbidden by what stands there still, now that all that
    /// could be written has been written.
    pub fn judge_set_aside(&self, ending: &Ending) {
        for item in &ending.quarantine {
            let is_refused = REFUSALS.iter().any(|words| item.reason.contains(words));
            let record = ending.records.iter().find(|record| item.record.as_ref() == Some(&record.id));
            let Some(record) = record.filter(|_| is_refused) else { continue };
            if !is_forbidden(ending, record, item.system.as_str()) {
                let what = format!(
                    "{} of {} is set aside in {}, and nothing forbids it any more: {}",
                    record.id, record.entity, item.system, item.reason
                );
                self.accuse("I21", believed(record, KEY).as_ref().and_then(Value::as_text), what);
            }
        }
    }
}

fn believed(record: &Record, field: &str) -> Option<Value> {
    let belief = record.fields.get(&FieldName::new(field))?;
    (!belief.value.is_null()).then(|| belief.value.clone())
}

/// Whether the rows of a system forbid that its copy becomes what is believed.
fn is_forbidden(ending: &Ending, record: &Record, system: &str) -> bool {
    let key = believed(record, KEY);
    let of = |entity: &'static str| {
        let key_of = |row: &Fields| row.get(KEY).cloned().unwrap_or(Value::Null);
        ending.rows.iter().filter_map(move |((holder, _), row)| {
            let is_of = key_of(row).as_text().is_some_and(|key| family::entity_of_key(key) == entity);
            (holder == system && is_of).then_some((key_of(row), row))
        })
    };
    if record.deleted.is_some() {
        return of(CHILD).any(|(_, row)| row.get(PARENT) == key.as_ref());
    }
    let parent = believed(record, PARENT);
    let lacks_parent = parent.is_some_and(|parent| !of(ENTITY).any(|(key, _)| key == parent));
    // Not by the record's own row; but a system that showed nothing may have been given a second row of the same thing.
    let own = record.copies.iter().find(|(of, _)| of.as_str() == system).map(|(_, copy)| &copy.remote_id);
    let is_taken = believed(record, SEAT).is_some_and(|seat| {
        let mut rows = ending.rows.iter().filter(|((holder, id), _)| holder == system && Some(id) != own);
        rows.any(|(_, row)| row.get(SEAT) == Some(&seat))
    });
    lacks_parent || is_taken
}
