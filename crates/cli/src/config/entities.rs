//! `[entities.NAME]`: the rules, read into core's written form and checked there.

use super::decode::{self, keys_of};
use super::node::{Entry, Kind, Table};
use super::systems::{SystemRead, Systems};
use super::{Node, Reading};
use crate::connectors::KINDS;
use avowal_core::data::ids::{EntityName, FieldName, SystemName};
use avowal_core::policy::mapping::{Empty, Nulls};
use avowal_core::policy::spec::{
    ColumnSpec, DeleteSpec, EntitySpec, FieldSpec, MappingSpec, MatchKeySpec, OneOrMany, PolicyError,
};
use avowal_core::policy::{EntityPolicy, NoKey, Repair, SystemTraits};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A kind of record, and the rules for it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "entity")]
#[expect(
    dead_code,
    reason = "each key is read by itself, so that all problems are found; this names and describes them"
)]
pub(super) struct EntityKeys {
    /// The keys by which a copy without a link is recognised as a known record, each a field or several fields that all have
    /// to be equal. Space around texts, and upper or lower case, make no difference. Without it every copy begins a record
    /// of its own.
    #[serde(default)]
    #[schemars(with = "Vec<MatchKeySpec>", extend("examples" = [["email", ["country", "tax_id"]]]))]
    match_on: IgnoredAny,
    /// What becomes of a record of which no key of `match_on` is complete, because a field of it is null or empty.
    #[serde(default)]
    #[schemars(with = "NoKey", example = &"create")]
    no_key: IgnoredAny,
    /// What a repair may do about differences that a reconciliation has found: `auto` (what the rules say, as for any other
    /// change), `review` (a person decides) or `never` (they are reported and stay). A field may say otherwise.
    #[serde(default)]
    #[schemars(with = "Repair", example = &"review")]
    repair: IgnoredAny,
    /// The canonical fields by name, with one rule each.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, FieldSpec>")]
    fields: IgnoredAny,
    /// Who may delete a record. Without it a person is asked each time.
    #[serde(default)]
    #[schemars(with = "DeleteSpec", extend("examples" = [{ "owner": "app" }]))]
    deletes: IgnoredAny,
    /// The systems that hold the entity, and their names for it.
    #[serde(default)]
    #[schemars(schema_with = "super::schema::mappings")]
    systems: IgnoredAny,
}

/// A system's names for an entity and its fields. A name that is missing from what the system sends says nothing about
/// the field: absent is not null.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "mapping")]
pub(super) struct MappingKeys {
    /// The table, the collection or the path.
    #[schemars(example = &"customers")]
    object: String,
    /// The system's name of the id.
    #[schemars(example = &"id")]
    id: String,
    /// The system's names by canonical field. A table instead of a name says more about it.
    // It is read column by column, so that all problems are found.
    #[serde(rename = "fields")]
    #[schemars(
        required,
        with = "BTreeMap<String, ColumnSpec>",
        extend("examples" = [{ "email": "email", "phone": { "name": "phone_number", "nulls": "clear" } }])
    )]
    _fields: Option<IgnoredAny>,
    /// What `null` says.
    #[serde(default)]
    #[schemars(example = &"clear")]
    nulls: Nulls,
    /// What the empty string says.
    #[serde(default)]
    #[schemars(example = &"null")]
    empty: Empty,
    /// Whether records that the system lacks are created there.
    #[serde(default = "yes")]
    #[schemars(example = false)]
    create: bool,
    /// Whether deleted records are deleted there.
    #[serde(default = "yes")]
    #[schemars(example = false)]
    delete: bool,
}

/// The rules by entity.
pub type Entities = BTreeMap<EntityName, Arc<EntityPolicy>>;

impl Reading<'_> {
    /// Everything under `[entities]`; `None` if there was a problem anywhere in it.
    pub(super) fn entities(&self, systems: &mut Systems) -> Option<Entities> {
        let Some((table, _)) = self.section("entities") else {
            self.report.add(0, "there are no entities", "Write [entities.NAME] for each kind of record");
            return None;
        };
        let names: BTreeSet<EntityName> = table.keys().map(|name| name.as_str().into()).collect();
        let traits = traits(systems);
        let mut policies = BTreeMap::new();
        for (name, entry) in table {
            self.check_name("an entity", name, entry.at);
            let entity = EntityName::new(name);
            let before = self.report.len();
            let Some(spec) = self.entity(entry, &entity, systems) else { continue };
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
        (policies.len() == names.len()).then_some(policies)
    }

    fn entity(&self, entry: &Entry, entity: &EntityName, systems: &mut Systems) -> Option<EntitySpec> {
        let (table, _) = self.named_table(&entry.node, entry.at)?;
        decode::refuse_unknown(table, keys_of::<EntityKeys>(), self.report);
        let deletes = match table.get("deletes") {
            Some(entry) => decode::value::<DeleteSpec>(&entry.node, entry.at, self.report),
            None => Some(DeleteSpec::default()),
        };
        let no_key = match table.get("no_key") {
            Some(entry) => decode::value::<NoKey>(&entry.node, entry.at, self.report),
            None => Some(NoKey::default()),
        };
        let repair = match table.get("repair") {
            Some(entry) => decode::value::<Repair>(&entry.node, entry.at, self.report),
            None => Some(Repair::default()),
        };
        let mut mappings = BTreeMap::new();
        for (name, entry, table) in self.tables(table, "systems") {
            let system = SystemName::new(name);
            if let Some(mapping) = self.mapping(table, entry.at, systems.get(&system)) {
                mappings.insert(system.clone(), mapping);
            }
            self.object_tables(entity, table, systems.get_mut(&system));
        }
        Some(EntitySpec {
            match_on: table.get("match_on").map(|entry| self.match_on(&entry.node)).unwrap_or_default(),
            no_key: no_key?,
            repair: repair?,
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

    fn mapping(&self, table: &Table, at: usize, system: Option<&SystemRead>) -> Option<MappingSpec> {
        let plain = keys_of::<MappingKeys>();
        let mut known = plain.to_vec();
        for kind in KINDS.iter().filter(|kind| kind.has_object_table()) {
            let fits = system.is_some_and(|system| {
                // Without a known connector any may be meant.
                system.connector.as_ref().is_none_or(|connector| connector.kind() == kind.name)
            });
            // Where it does not fit, `object_tables` says so.
            if fits || table.contains_key(kind.name) {
                known.push(kind.name);
            }
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

    /// Reads the tables that connectors have in a mapping. Each belongs to systems with that connector.
    fn object_tables(&self, entity: &EntityName, table: &Table, system: Option<&mut SystemRead>) {
        let mut connector = system.map(|system| system.connector.as_deref_mut());
        for kind in KINDS.iter().filter(|kind| kind.has_object_table()) {
            let Some(entry) = table.get(kind.name) else { continue };
            match &mut connector {
                Some(Some(connector)) if connector.kind() == kind.name => {
                    connector.read_object(self, entity, entry);
                }
                // The connector is unknown, which has been reported; the table itself may still have problems.
                Some(None) => (kind.begin)(self.folder).read_object(self, entity, entry),
                Some(Some(_)) | None => {
                    let name = kind.name;
                    let problem = format!("`{name}` belongs to systems with the {name} connector");
                    self.report.add(entry.at, problem, "Remove it");
                }
            }
        }
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
