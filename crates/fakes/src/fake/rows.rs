//! The rows behind a fake system, with everything that ever stood in them.

use avowal_core::data::ids::{EntityName, RemoteId};
use avowal_engine::ports::connector::Fields;
use std::collections::BTreeMap;

/// What stood in a row from one change to the next.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) seq: u64,
    pub(super) at_ms: i64,
    /// `None` where the row did not exist.
    pub(super) fields: Option<Fields>,
    pub(super) key: Option<String>,
}

/// One line of the change log.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) entity: EntityName,
    pub(super) id: RemoteId,
    pub(super) version: Version,
}

/// All rows with their pasts, and the change log.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    tables: BTreeMap<EntityName, BTreeMap<RemoteId, Vec<Version>>>,
    log: Vec<Entry>,
    seq: u64,
    ids: u64,
    reuses_ids: bool,
}

impl Rows {
    /// The id of the next row.
    pub(super) fn next_id(&mut self, prefix: &str) -> RemoteId {
        let id = |n: u64| RemoteId::new(format!("{prefix}-{n}"));
        if self.reuses_ids {
            // The one after the greatest that a row has now, in whichever table.
            let is_taken = |n: &u64| self.tables.keys().any(|entity| self.now(entity, &id(*n)).is_some());
            let last = (1..=self.ids).rev().find(is_taken).unwrap_or(0);
            self.ids = self.ids.max(last + 1);
            return id(last + 1);
        }
        self.ids += 1;
        id(self.ids)
    }

    pub(super) fn reuse_ids(&mut self) {
        self.reuses_ids = true;
    }

    /// Gives higher sequences than this one from now on, and shows every row under one of them.
    pub(super) fn go_on_after(&mut self, seq: u64) {
        self.seq = self.seq.max(seq);
        for version in
            self.tables.values_mut().flat_map(BTreeMap::values_mut).filter_map(|past| past.last_mut())
        {
            self.seq += 1;
            version.seq = self.seq;
        }
    }

    pub(super) fn last_seq(&self) -> u64 {
        self.seq
    }

    pub(super) fn put(
        &mut self,
        entity: &EntityName,
        id: &RemoteId,
        fields: Option<Fields>,
        key: Option<&str>,
        at_ms: i64,
    ) {
        self.seq += 1;
        let version = Version { seq: self.seq, at_ms, fields, key: key.map(str::to_owned) };
        self.log.push(Entry { entity: entity.clone(), id: id.clone(), version: version.clone() });
        self.versions(entity, id).push(version);
    }

    /// Changes, makes or removes a row without a line in the log.
    pub(super) fn alter(&mut self, entity: &EntityName, id: &RemoteId, fields: Option<Fields>, at_ms: i64) {
        let seq = self.seq;
        self.versions(entity, id).push(Version { seq, at_ms, fields, key: None });
    }

    fn versions(&mut self, entity: &EntityName, id: &RemoteId) -> &mut Vec<Version> {
        self.tables.entry(entity.clone()).or_default().entry(id.clone()).or_default()
    }

    /// The row as it was at a time; `None` if it never existed until then.
    pub(super) fn at(&self, entity: &EntityName, id: &RemoteId, at_ms: i64) -> Option<&Version> {
        let versions = self.tables.get(entity)?.get(id)?;
        versions.iter().rev().find(|version| version.at_ms <= at_ms)
    }

    /// The row as it is, if it exists.
    pub(super) fn now(&self, entity: &EntityName, id: &RemoteId) -> Option<Fields> {
        self.at(entity, id, i64::MAX)?.fields.clone()
    }

    /// All rows as they are.
    pub(super) fn all(&self, entity: &EntityName) -> BTreeMap<RemoteId, Fields> {
        self.all_at(entity, |_| i64::MAX)
            .into_iter()
            .filter_map(|(id, version)| Some((id.clone(), version.fields.clone()?)))
            .collect()
    }

    /// All rows that existed at a time, which may be another for each.
    pub(super) fn all_at(
        &self,
        entity: &EntityName,
        at_ms: impl Fn(&RemoteId) -> i64,
    ) -> Vec<(&RemoteId, &Version)> {
        let Some(table) = self.tables.get(entity) else { return Vec::new() };
        table
            .keys()
            .filter_map(|id| Some((id, self.at(entity, id, at_ms(id))?)))
            .filter(|(_, version)| version.fields.is_some())
            .collect()
    }

    /// The log after a position.
    pub(super) fn after(&self, entity: &EntityName, seq: u64) -> impl Iterator<Item = &Entry> {
        self.log.iter().filter(move |entry| entry.version.seq > seq && entry.entity == *entity)
    }
}
