//! From a connector's kind, with types of its own, to one form that all systems of a configuration share.

use super::Reading;
use super::decode::{self, keys_of};
use super::node::{Entry, Table};
use avowal_connectors::Kind;
use avowal_core::data::ids::EntityName;
use avowal_engine::ports::connector::{
    Binding, Capabilities, Connector, ConnectorError, Finding, Installation,
};
use schemars::{JsonSchema as _, Schema, SchemaGenerator};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A kind of connector as the configuration knows it.
pub struct ConnectorKind {
    /// The word after `connector =`.
    pub name: &'static str,
    /// The milliseconds between two questions, where `poll_ms` is not written.
    pub poll_ms: u64,
    /// Whether its systems may send webhooks.
    pub webhooks: bool,
    /// The keys of `[systems.NAME]` that are its own.
    pub system_keys: fn() -> &'static [&'static str],
    /// The keys of its table in an entity's mapping; none if it has no such table.
    pub object_keys: fn() -> &'static [&'static str],
    /// The schema of its own keys of `[systems.NAME]`.
    pub system_schema: fn(&mut SchemaGenerator) -> Schema,
    /// The schema of its table in an entity's mapping.
    pub object_schema: fn(&mut SchemaGenerator) -> Schema,
    /// Begins to read one system of this kind.
    pub begin: fn(&Path) -> Box<dyn Declaring>,
}

impl ConnectorKind {
    /// The kind that a connector exports.
    pub const fn of<K: Kind>() -> Self {
        Self {
            name: K::NAME,
            poll_ms: K::POLL_MS,
            webhooks: K::WEBHOOKS,
            system_keys: keys_of::<K::System>,
            object_keys: keys_of::<K::Object>,
            system_schema: K::System::json_schema,
            object_schema: |generator| generator.subschema_for::<K::Object>(),
            begin: |folder| Box::new(OfKind::<K>::begin(folder)),
        }
    }

    /// Whether an entity's mapping may hold a table of this kind.
    pub fn has_object_table(&self) -> bool {
        !(self.object_keys)().is_empty()
    }
}

/// A system whose declaration is being read. Problems go to the report, so that all of them are found.
pub trait Declaring {
    /// The name of its kind.
    fn kind(&self) -> &'static str;

    /// Reads the kind's own keys of `[systems.NAME]`, which is named at `at`.
    fn read_system(&mut self, reading: &Reading<'_>, table: &Table, at: usize);

    /// Reads the kind's table in the mapping of an entity.
    fn read_object(&mut self, reading: &Reading<'_>, entity: &EntityName, entry: &Entry);

    /// The declaration; `None` if the system's own keys have problems.
    fn finish(self: Box<Self>) -> Option<Box<dyn Declared>>;
}

/// A system as it is declared for its connector.
pub trait Declared: Send + Sync {
    /// Prepares the way to the system for this installation; nothing is sent yet.
    fn open(
        &self,
        installation: &Installation,
        bindings: Vec<Binding>,
    ) -> Result<Arc<dyn Connector>, ConnectorError>;

    /// Checks the declarations as far as that goes without reaching the system.
    fn check_offline(&self, bindings: Vec<Binding>) -> Result<Vec<Finding>, ConnectorError>;

    /// What is proven for an entity, known without opening anything.
    fn capabilities(&self, entity: &EntityName) -> Capabilities;

    /// Whether the bodies of webhooks about an entity are believed.
    fn believes_deliveries(&self, entity: &EntityName) -> bool;
}

/// A system of kind `K`. While it is being read, `system` may be missing.
struct OfKind<K: Kind> {
    folder: PathBuf,
    system: Option<K::System>,
    objects: BTreeMap<EntityName, K::Object>,
}

impl<K: Kind> OfKind<K> {
    fn begin(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), system: None, objects: BTreeMap::new() }
    }
}

impl<K: Kind> Declaring for OfKind<K> {
    fn kind(&self) -> &'static str {
        K::NAME
    }

    fn read_system(&mut self, reading: &Reading<'_>, table: &Table, at: usize) {
        let Some(system) = decode::table::<K::System>(table, at, reading.report) else { return };
        let mut sound = true;
        for fault in K::faults(&system) {
            sound = false;
            let at = table.get(fault.key).map_or(at, |entry| entry.node.at);
            // A reference that leads nowhere was reported where it stands; its empty text is no second problem.
            if !reading.report.has_problem_at(at) {
                reading.report.add(at, fault.problem, fault.cure);
            }
        }
        self.system = sound.then_some(system);
    }

    fn read_object(&mut self, reading: &Reading<'_>, entity: &EntityName, entry: &Entry) {
        if let Some(object) = decode::value(&entry.node, entry.at, reading.report) {
            self.objects.insert(entity.clone(), object);
        }
    }

    fn finish(self: Box<Self>) -> Option<Box<dyn Declared>> {
        let Self { folder, system, objects } = *self;
        Some(Box::new(Sound::<K> { folder, system: system?, objects }))
    }
}

/// A system of kind `K` that was read without a problem.
struct Sound<K: Kind> {
    folder: PathBuf,
    system: K::System,
    objects: BTreeMap<EntityName, K::Object>,
}

impl<K: Kind> Sound<K> {
    /// What is declared of an entity; every key has a default.
    fn object(&self, entity: &EntityName) -> K::Object {
        self.objects.get(entity).cloned().unwrap_or_default()
    }

    fn objects(&self, bindings: Vec<Binding>) -> Vec<(Binding, K::Object)> {
        bindings
            .into_iter()
            .map(|binding| {
                let object = self.object(&binding.entity);
                (binding, object)
            })
            .collect()
    }
}

impl<K: Kind> Declared for Sound<K> {
    fn open(
        &self,
        installation: &Installation,
        bindings: Vec<Binding>,
    ) -> Result<Arc<dyn Connector>, ConnectorError> {
        K::open(&self.system, &self.folder, installation, self.objects(bindings))
    }

    fn check_offline(&self, bindings: Vec<Binding>) -> Result<Vec<Finding>, ConnectorError> {
        K::check_offline(&self.system, &self.folder, self.objects(bindings))
    }

    fn capabilities(&self, entity: &EntityName) -> Capabilities {
        K::capabilities(&self.object(entity))
    }

    fn believes_deliveries(&self, entity: &EntityName) -> bool {
        K::believes_deliveries(&self.object(entity))
    }
}
