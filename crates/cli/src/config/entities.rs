//! `[entities.NAME]`: the rules, read into core's written form and checked there.

use super::decode::{self, keys_of};
use super::node::{Entry, Kind, Table};
use super::systems::Systems;
use super::{Node, Reading};
use avowal_connectors::http::HttpObject;
use avowal_core::data::ids::{EntityName, FieldName, SystemName};
use avowal_core::policy::mapping::{Empty, Nulls};
use avowal_core::policy::spec::{
    ColumnSpec, DeleteSpec, EntitySpec, FieldSpec, MappingSpec, MatchKeySpec, OneOrMany, PolicyError,
};
use avowal_core::policy::{EntityPolicy, SystemTraits};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The plain keys of `[entities.E.systems.S]`; `fields` and `http` are read by themselves.
#[derive(Deserialize)]
struct MappingKeys {
    object: String,
    id: String,
    #[serde(default)]
    nulls: Nulls,
    #[serde(default)]
    empty: Empty,
    #[serde(default = "yes")]
    create: bool,
    #[serde(default = "yes")]
    delete: bool,
}

/// The rules by entity, and the HTTP objects by system and entity.
pub type Entities =
    (BTreeMap<EntityName, Arc<EntityPolicy>>, BTreeMap<SystemName, BTreeMap<EntityName, HttpObject>>);

impl Reading<'_> {
    /// Everything under `[entities]`; `None` if there was a problem anywhere in it.
    pub(super) fn entities(&self, systems: &Systems) -> Option<Entities> {
        let Some((table, _)) = self.section("entities") else {
            self.report.add(0, "there are no entities", "Write [entities.NAME] for each kind of record");
            return None;
        };
        let names: BTreeSet<EntityName> = table.keys().map(|name| name.as_str().into()).collect();
        let traits = traits(systems);
        let mut policies = BTreeMap::new();
        let mut http: BTreeMap<SystemName, BTreeMap<EntityName, HttpObject>> = BTreeMap::new();
        for (name, entry) in table {
            self.check_name("an entity", name, entry.at);
            let entity = EntityName::new(name);
            let before = self.report.len();
            let Some(spec) = self.entity(entry, &entity, systems, &mut http) else { continue };
            // A hole would often be told twice: as the typing error that it is, and as what is missing for it.
            if self.report.len() > before {
                continue;
            }
            match spec.build_with(&entity, &traits, &names, self.domain) {
                Ok(policy) => drop(policies.insert(entity, Arc::new(policy))),
                Err(holes) => {
                    for hole in holes.into_iter().filter(|hole| !follows_from_a_system(hole, &spec, systems))
                    {
                        self.report.add(
                            self.root.locate(&hole.path),
                            place_words(&hole.path, &hole.problem),
                            hole.cure,
                        );
                    }
                }
            }
        }
        (policies.len() == names.len()).then_some((policies, http))
    }

    fn entity(
        &self,
        entry: &Entry,
        entity: &EntityName,
        systems: &Systems,
        http: &mut BTreeMap<SystemName, BTreeMap<EntityName, HttpObject>>,
    ) -> Option<EntitySpec> {
        let (table, _) = self.named_table(&entry.node, entry.at)?;
        decode::refuse_unknown(table, &["match_on", "fields", "deletes", "systems"], self.report);
        let deletes = match table.get("deletes") {
            Some(entry) => decode::value::<DeleteSpec>(&entry.node, entry.at, self.report),
            None => Some(DeleteSpec::default()),
        };
        let mut mappings = BTreeMap::new();
        for (name, entry, table) in self.tables(table, "systems") {
            let system = SystemName::new(name);
            let is_http = systems.get(&system).is_some_and(|system| system.is_http);
            if let Some(mapping) = self.mapping(table, entry.at, is_http) {
                mappings.insert(system.clone(), mapping);
            }
            if let Some(object) = self.http_object(table, is_http) {
                http.entry(system).or_default().insert(entity.clone(), object);
            }
        }
        Some(EntitySpec {
            match_on: table.get("match_on").map(|entry| self.match_on(&entry.node)).unwrap_or_default(),
            fields: self.fields(table),
            deletes: deletes?,
            systems: mappings,
        })
    }

    /// The tables inside a table of tables, with their names.
    fn tables<'t>(&self, table: &'t Table, key: &str) -> Vec<(&'t str, &'t Entry, &'t Table)> {
        let Some(entry) = table.get(key) else { return Vec::new() };
        let Some((inner, _)) = self.named_table(&entry.node, entry.at) else { return Vec::new() };
        inner
            .iter()
            .filter_map(|(name, entry)| {
                Some((name.as_str(), entry, self.named_table(&entry.node, entry.at)?.0))
            })
            .collect()
    }

    fn fields(&self, table: &Table) -> BTreeMap<FieldName, FieldSpec> {
        let mut out = BTreeMap::new();
        for (name, entry, table) in self.tables(table, "fields") {
            self.check_name("a field", name, entry.at);
            if let Some(spec) = decode::table::<FieldSpec>(table, entry.at, self.report) {
                out.insert(name.into(), spec);
            }
        }
        out
    }

    fn match_on(&self, node: &Node) -> Vec<MatchKeySpec> {
        let cure =
            "Write `match_on = [\"email\"]`, or `[[\"name\", \"city\"]]` for fields that belong together";
        let Kind::List(keys) = &node.kind else {
            self.report.add(node.at, format!("this is {}", node.describe()), cure);
            return Vec::new();
        };
        keys.iter()
            .filter_map(|key| match &key.kind {
                Kind::Text(field) => Some(MatchKeySpec::Field(field.as_str().into())),
                Kind::List(_) => decode::value(key, key.at, self.report).map(MatchKeySpec::Fields),
                Kind::Integer(_) | Kind::Float(_) | Kind::Boolean(_) | Kind::Time(_) | Kind::Table(_) => {
                    self.report.add(key.at, format!("this is {}", key.describe()), cure);
                    None
                }
            })
            .collect()
    }

    fn mapping(&self, table: &Table, at: usize, is_http: bool) -> Option<MappingSpec> {
        let plain = keys_of::<MappingKeys>();
        let mut known = plain.to_vec();
        known.push("fields");
        if is_http || table.contains_key("http") {
            known.push("http");
        }
        decode::refuse_unknown(table, &known, self.report);
        let keys: Option<MappingKeys> = decode::table(&decode::part(table, plain), at, self.report);
        let fields = self.columns(table, at);
        let keys = keys?;
        Some(MappingSpec {
            object: keys.object,
            id: keys.id,
            fields,
            nulls: keys.nulls,
            empty: keys.empty,
            create: keys.create,
            delete: keys.delete,
        })
    }

    fn columns(&self, table: &Table, at: usize) -> BTreeMap<FieldName, ColumnSpec> {
        let Some(entry) = table.get("fields") else {
            self.report.add(at, "the key `fields` is missing", "Write `fields = { canonical = \"remote\" }`");
            return BTreeMap::new();
        };
        let Some((columns, _)) = self.named_table(&entry.node, entry.at) else { return BTreeMap::new() };
        columns
            .iter()
            .filter_map(|(field, entry)| Some((field.as_str().into(), self.column(entry)?)))
            .collect()
    }

    fn column(&self, entry: &Entry) -> Option<ColumnSpec> {
        match &entry.node.kind {
            Kind::Text(name) => Some(ColumnSpec::Name(name.clone())),
            Kind::Table(table) => decode::table(table, entry.at, self.report).map(ColumnSpec::Full),
            Kind::Integer(_) | Kind::Float(_) | Kind::Boolean(_) | Kind::Time(_) | Kind::List(_) => {
                let cure = "Write the remote name, or `{ name = \"…\", read_only = true }`";
                self.report.add(entry.node.at, format!("this is {}", entry.node.describe()), cure);
                None
            }
        }
    }

    fn http_object(&self, table: &Table, allowed: bool) -> Option<HttpObject> {
        let Some(entry) = table.get("http") else { return Some(HttpObject::default()) };
        if !allowed {
            self.report.add(entry.at, "`http` belongs to systems with the http connector", "Remove it");
            return None;
        }
        decode::value(&entry.node, entry.at, self.report)
    }
}

/// Whether a strategy only seems to contradict the owner, because the owner's own declaration has a problem.
fn follows_from_a_system(hole: &PolicyError, spec: &EntitySpec, systems: &Systems) -> bool {
    let [.., field, key] = hole.path.as_slice() else { return false };
    let owner = match spec.fields.get(field.as_str()).map(|field| &field.owner) {
        Some(Some(OneOrMany::One(owner))) => owner.as_str(),
        Some(Some(OneOrMany::Many(_)) | None) | None => return false,
    };
    key == "strategy" && systems.get(owner).is_some_and(|system| !system.local_is_certain)
}

/// A hole's words, with the field that they speak of where the place alone would leave it open.
fn place_words(path: &[String], problem: &str) -> String {
    match path {
        [_, entity, section, name, ..] => format!("{entity}: {section} {name}: {problem}"),
        [_, entity, section] => format!("{entity}: {section}: {problem}"),
        _ => problem.to_owned(),
    }
}

fn traits(systems: &Systems) -> BTreeMap<SystemName, SystemTraits> {
    systems.iter().map(|(name, system)| (name.clone(), system.traits.clone())).collect()
}

fn yes() -> bool {
    true
}
