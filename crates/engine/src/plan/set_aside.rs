//! What stands in quarantine at the end of a plan, by system and cause.

use crate::parts::undelivered::common_part;
use crate::plan::report::SetAside;
use crate::ports::store::QuarantineItem;
use avowal_core::data::ids::{EntityName, SystemName};
use std::collections::BTreeMap;

/// What the items of one group share: the system, the entity, whether they came in, and the common part of their reasons.
type Cause = (SystemName, EntityName, bool, String);

/// The items grouped by cause, each group with so many examples.
pub(super) fn grouped(items: &[QuarantineItem], examples: usize) -> Vec<SetAside> {
    let mut groups: BTreeMap<Cause, Vec<&QuarantineItem>> = BTreeMap::new();
    for item in items {
        let came_in = item.record.is_none();
        let cause = (item.system.clone(), item.entity.clone(), came_in, common_part(&item.reason));
        groups.entry(cause).or_default().push(item);
    }
    let group = |((system, entity, came_in, common), items): (Cause, Vec<&QuarantineItem>)| {
        let first = items.first().map(|item| item.reason.clone()).unwrap_or_default();
        let is_same = items.iter().all(|item| item.reason == first);
        SetAside {
            system,
            entity,
            came_in,
            cause: if is_same { first } else { common },
            count: items.len() as u64,
            examples: items.iter().take(examples).map(|item| name(item)).collect(),
        }
    };
    groups.into_iter().map(group).collect()
}

fn name(item: &QuarantineItem) -> String {
    match (&item.remote_id, &item.record) {
        (Some(id), _) => format!("{}:{id}", item.system),
        (None, Some(record)) => record.to_string(),
        (None, None) => format!("item {}", item.id),
    }
}
