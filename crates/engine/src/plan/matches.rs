//! Which copies belong together: counted record by record.

use crate::parts::doubles::Doubles;
use crate::plan::report::{Duplicates, LinkedBy, MatchReport};
use avowal_core::data::ids::{EntityName, FieldName, SystemName};
use avowal_core::data::value::Value;
use avowal_core::decide::identity::{has_no_key, key_of_fields};
use avowal_core::policy::EntityPolicy;
use avowal_core::record::{Copy, Record};
use std::collections::BTreeMap;

/// The most keys of which the rows are listed.
const DUPLICATES_MAX: usize = 1_000;

/// The match report of one entity in the making.
pub(super) struct Matches<'a> {
    policy: &'a EntityPolicy,
    report: MatchReport,
    linked: BTreeMap<(Option<String>, Vec<SystemName>), u64>,
}

impl<'a> Matches<'a> {
    pub(super) fn new(policy: &'a EntityPolicy) -> Self {
        let mut report = MatchReport::default();
        for system in policy.mappings.keys() {
            report.systems.entry(system.clone()).or_default();
        }
        Self { policy, report, linked: BTreeMap::new() }
    }

    /// Counts a record of the entity.
    pub(super) fn add(&mut self, record: &Record) {
        if record.deleted.is_some() {
            return;
        }
        self.report.records += 1;
        let alive: Vec<(&SystemName, &Copy)> = record.copies.iter().filter(|(_, copy)| copy.alive).collect();
        for (system, copy) in &alive {
            let is_keyless = self.can_have_key(system) && has_no_key(self.policy, &shown(copy));
            let counts = self.report.systems.entry((*system).clone()).or_default();
            counts.copies += 1;
            counts.unmatched += u64::from(alive.len() == 1);
            counts.without_key += u64::from(is_keyless);
        }
        if alive.len() > 1 {
            let systems = alive.iter().map(|(system, _)| (*system).clone()).collect();
            *self.linked.entry((self.common_key(&alive), systems)).or_default() += 1;
        }
    }

    /// Whether a system maps all fields of some key. Others have theirs from another system's copy.
    fn can_have_key(&self, system: &SystemName) -> bool {
        self.policy.mappings.get(system).is_some_and(|mapping| {
            self.policy.match_on.iter().any(|key| key.iter().all(|field| mapping.columns.contains_key(field)))
        })
    }

    /// The first declared key that at least two of the copies have in common, by its fields.
    fn common_key(&self, copies: &[(&SystemName, &Copy)]) -> Option<String> {
        self.policy.match_on.iter().find_map(|fields| {
            let key = |(_, copy): &(&SystemName, &Copy)| {
                key_of_fields(fields, |field| copy.fields.get(field).map(|shadow| &shadow.content))
            };
            let mut keys: Vec<String> = copies.iter().filter_map(key).collect();
            keys.sort();
            let is_common = keys.windows(2).any(|pair| pair[0] == pair[1]);
            is_common.then(|| fields.iter().map(FieldName::as_str).collect::<Vec<_>>().join(" and "))
        })
    }

    /// The report, with the keys that stand in several rows of one system.
    pub(super) fn finish(self, doubles: &Doubles) -> MatchReport {
        let entity: &EntityName = &self.policy.entity;
        let mut report = self.report;
        for ((key, systems), records) in self.linked {
            report.linked.push(LinkedBy { key, systems, records });
        }
        report.linked.sort_by_key(|linked| std::cmp::Reverse(linked.records));
        for (doubled, ids) in doubles.found().filter(|(doubled, _)| doubled.entity == *entity) {
            report.duplicate_keys += 1;
            if report.duplicates.len() < DUPLICATES_MAX {
                let (system, key) = (doubled.system.clone(), doubled.key.clone());
                report.duplicates.push(Duplicates { system, key, ids: ids.clone() });
            }
        }
        report
    }
}

/// What a copy shows, by field.
fn shown(copy: &Copy) -> BTreeMap<FieldName, Value> {
    copy.fields.iter().map(|(field, shadow)| (field.clone(), shadow.content.clone())).collect()
}
