//! The check that gathers every hole of an entity's written rules on the way to its policy.

use crate::data::ids::{EntityName, FieldName, SystemName};
use crate::policy::cel::Rule;
use crate::policy::domain::DomainRules;
use crate::policy::mapping::{ColumnMapping, Mapping};
use crate::policy::schema::FieldType;
use crate::policy::spec::{
    ColumnDetail, ColumnSpec, EntitySpec, FieldSpec, MappingSpec, MatchKeySpec, OneOrMany, PolicyError,
};
use crate::policy::{
    DeletePolicy, EntityPolicy, FieldOwnershipPolicy, Normalize, OnRefused, Owner, SystemTraits,
};
use crate::record::Subject;
use std::collections::{BTreeMap, BTreeSet};

impl EntitySpec {
    /// Checks the written rules against the configured systems and entities. All holes are reported together. No rule
    /// may name a resolver or validator.
    pub fn build(
        &self,
        entity: &EntityName,
        systems: &BTreeMap<SystemName, SystemTraits>,
        entities: &BTreeSet<EntityName>,
    ) -> Result<EntityPolicy, Vec<PolicyError>> {
        self.build_with(entity, systems, entities, &DomainRules::default())
    }

    /// As [`EntitySpec::build`], where rules may name the resolvers and validators of `domain`.
    pub fn build_with(
        &self,
        entity: &EntityName,
        systems: &BTreeMap<SystemName, SystemTraits>,
        entities: &BTreeSet<EntityName>,
        domain: &DomainRules,
    ) -> Result<EntityPolicy, Vec<PolicyError>> {
        let mut check = Check { entity, spec: self, systems, entities, domain, errors: Vec::new() };
        let fields = check.fields();
        let mappings = check.mappings();
        let match_on = check.match_on();
        let deletes = check.deletes();
        if !check.errors.is_empty() {
            return Err(check.errors);
        }
        let involved = systems
            .iter()
            .filter(|(name, _)| self.systems.contains_key(*name))
            .map(|(name, traits)| (name.clone(), traits.clone()))
            .collect();
        let digest = self.digest(entity, &involved, &fields);
        Ok(EntityPolicy {
            entity: entity.clone(),
            systems: involved,
            fields,
            mappings,
            match_on,
            no_key: self.no_key,
            deletes,
            repair: self.repair,
            digest,
        })
    }
}

/// One pass over an entity's rules that gathers every hole.
pub(super) struct Check<'a> {
    /// The entity.
    entity: &'a EntityName,
    /// Its written rules.
    spec: &'a EntitySpec,
    /// The configured systems.
    pub(super) systems: &'a BTreeMap<SystemName, SystemTraits>,
    /// The configured entities.
    entities: &'a BTreeSet<EntityName>,
    /// What the program has registered.
    pub(super) domain: &'a DomainRules,
    /// The holes so far.
    errors: Vec<PolicyError>,
}

impl Check<'_> {
    pub(super) fn hole(&mut self, path: &[&str], problem: impl Into<String>, cure: impl Into<String>) {
        let mut full = vec!["entities".to_owned(), self.entity.to_string()];
        full.extend(path.iter().map(|part| (*part).to_owned()));
        self.errors.push(PolicyError { path: full, problem: problem.into(), cure: cure.into() });
    }

    fn known_systems(&self) -> String {
        let names: Vec<_> = self.spec.systems.keys().map(SystemName::as_str).collect();
        names.join(", ")
    }

    fn fields(&mut self) -> BTreeMap<FieldName, FieldOwnershipPolicy> {
        let spec = self.spec;
        if spec.fields.is_empty() {
            self.hole(&["fields"], "the entity has no fields", "Declare at least one field with its owner");
        }
        let built: Vec<_> = spec.fields.iter().map(|(name, field)| (name, self.field(name, field))).collect();
        built.into_iter().filter_map(|(name, field)| Some((name.clone(), field?))).collect()
    }

    fn field(&mut self, name: &FieldName, spec: &FieldSpec) -> Option<FieldOwnershipPolicy> {
        let field_type = self.field_type(name, spec);
        let owner = self.owner(name, spec);
        let strategy = match (&field_type, &owner) {
            (Some(field_type), Some(owner)) => self.strategy(name, spec, field_type, owner),
            _ => None,
        };
        self.named_systems(name, "proposals", &spec.proposals);
        self.named_systems(name, "precedence", &spec.precedence);
        if let Some(owner) = &owner {
            self.proposals_fit(name, spec, owner);
        }
        if name.as_str() == Subject::EXISTENCE_TEXT {
            let problem = format!("the name {name} is reserved");
            self.hole(&["fields", name.as_str()], problem, "Choose another name for the field");
        }
        if !self.spec.systems.values().any(|mapping| mapping.fields.contains_key(name)) {
            self.hole(
                &["fields", name.as_str()],
                "no system maps this field",
                "Add it to `fields` of the systems that hold it, or remove it",
            );
        }
        let valid = self.valid(name, spec);
        let transitions = self.transitions(name, spec);
        let validator = self.validator(name, spec);
        let normalize = self.normalize(name, spec);
        Some(FieldOwnershipPolicy {
            field_type: field_type?,
            owner: owner?,
            proposals: spec.proposals.iter().cloned().collect(),
            strategy: strategy?,
            precedence: spec.precedence.clone(),
            on_refused: spec.on_refused.unwrap_or_default(),
            valid,
            transitions,
            validator,
            normalize,
            repair: spec.repair.unwrap_or(self.spec.repair),
        })
    }

    fn field_type(&mut self, name: &FieldName, spec: &FieldSpec) -> Option<FieldType> {
        const KINDS: &str =
            "string, integer, decimal, boolean, date, timestamp, enum, set, list, object or ref";
        let at = ["fields", name.as_str(), "type"];
        let Some(kind) = spec.kind.as_deref() else {
            self.hole(&at[..2], "the field has no type", format!("Write `type = …`: one of {KINDS}"));
            return None;
        };
        if kind != "enum" && spec.values.is_some() {
            self.hole(
                &["fields", name.as_str(), "values"],
                "only an enum has values",
                "Write `type = \"enum\"`",
            );
        }
        if kind != "ref" && spec.to.is_some() {
            self.hole(
                &["fields", name.as_str(), "to"],
                "only a reference has a target",
                "Write `type = \"ref\"`",
            );
        }
        match kind {
            "string" => Some(FieldType::String),
            "integer" => Some(FieldType::Integer),
            "decimal" => Some(FieldType::Decimal),
            "boolean" => Some(FieldType::Boolean),
            "date" => Some(FieldType::Date),
            "timestamp" => Some(FieldType::Timestamp),
            "set" => Some(FieldType::Set),
            "list" => Some(FieldType::List),
            "object" => Some(FieldType::Object),
            "enum" => match spec.values.clone() {
                Some(values) if !values.is_empty() => Some(FieldType::Enum { values }),
                Some(_) | None => {
                    self.hole(&at[..2], "the enum has no values", "Write `values = [\"…\", \"…\"]`");
                    None
                }
            },
            "ref" => match spec.to.clone() {
                Some(entity) if self.entities.contains(&entity) => Some(FieldType::Ref { entity }),
                Some(entity) => {
                    let cure = format!("Declare [entities.{entity}], or name another entity");
                    self.hole(
                        &["fields", name.as_str(), "to"],
                        format!("no entity is named {entity:?}"),
                        cure,
                    );
                    None
                }
                None => {
                    self.hole(&at[..2], "the reference has no target", "Write `to = \"<entity>\"`");
                    None
                }
            },
            other => {
                self.hole(&at, format!("{other:?} is not a type"), format!("Use {KINDS}"));
                None
            }
        }
    }

    fn owner(&mut self, name: &FieldName, spec: &FieldSpec) -> Option<Owner> {
        let at = ["fields", name.as_str(), "owner"];
        let systems = self.known_systems();
        let text = match &spec.owner {
            Some(OneOrMany::One(text)) => text,
            Some(OneOrMany::Many(many)) => {
                let problem = format!("the field has {} owners", many.len());
                self.hole(
                    &at,
                    problem,
                    "Name the one that decides, or write `owner = \"shared\"` with a strategy",
                );
                return None;
            }
            None => {
                let cure = format!("Write `owner = …`: one of {systems}, or \"shared\"");
                self.hole(&at[..2], "the field has no owner", cure);
                return None;
            }
        };
        if text == "shared" {
            return Some(Owner::Shared);
        }
        match self.spec.systems.get(text.as_str()) {
            Some(mapping) if mapping.fields.contains_key(name) => Some(Owner::System(text.as_str().into())),
            Some(_) => {
                let cure = format!("Add `{name}` to [entities.{}.systems.{text}] fields", self.entity);
                self.hole(&at, format!("the owner {text:?} does not hold the field"), cure);
                None
            }
            None => {
                let cure = format!("Use one of {systems}, or \"shared\"");
                self.hole(&at, format!("{text:?} is no system of this entity"), cure);
                None
            }
        }
    }

    fn named_systems(&mut self, name: &FieldName, key: &str, named: &[SystemName]) {
        for (place, system) in named.iter().enumerate() {
            if !self.spec.systems.contains_key(system) {
                let cure = format!("Use systems of this entity: {}", self.known_systems());
                self.hole(
                    &["fields", name.as_str(), key],
                    format!("{system:?} is no system of this entity"),
                    cure,
                );
            } else if named[..place].contains(system) {
                let problem = format!("{system:?} is named twice");
                self.hole(&["fields", name.as_str(), key], problem, "Name each system once");
            }
        }
    }

    fn proposals_fit(&mut self, name: &FieldName, spec: &FieldSpec, owner: &Owner) {
        let at = ["fields", name.as_str(), "proposals"];
        match owner {
            Owner::Shared if !spec.proposals.is_empty() => {
                self.hole(
                    &at,
                    "a shared field has no proposals: every writer may change it",
                    "Remove `proposals`",
                );
            }
            Owner::System(owner) if spec.proposals.contains(owner) => {
                self.hole(&at, format!("{owner:?} owns the field"), "Remove it from `proposals`");
            }
            Owner::Shared | Owner::System(_) => {}
        }
        for system in &spec.proposals {
            let mapping = self.spec.systems.get(system);
            if mapping.is_some_and(|mapping| !mapping.fields.contains_key(name)) {
                let cure = format!(
                    "Add `{name}` to [entities.{}.systems.{system}] fields, or remove it here",
                    self.entity
                );
                self.hole(&at, format!("{system:?} does not hold the field"), cure);
            }
        }
    }

    fn valid(&mut self, name: &FieldName, spec: &FieldSpec) -> Option<Rule> {
        let source = spec.valid.as_deref()?;
        match Rule::compile(source, &["value"]) {
            Ok(rule) => Some(rule),
            Err(error) => {
                let problem = format!("the rule does not compile: {error}");
                self.hole(
                    &["fields", name.as_str(), "valid"],
                    problem,
                    "Correct the CEL expression over `value`",
                );
                None
            }
        }
    }

    fn transitions(
        &mut self,
        name: &FieldName,
        spec: &FieldSpec,
    ) -> Option<BTreeMap<String, BTreeSet<String>>> {
        let at = ["fields", name.as_str(), "transitions"];
        let transitions = spec.transitions.as_ref()?;
        let Some(values) = &spec.values else {
            self.hole(&at, "only an enum has transitions", "Remove `transitions`, or make the field an enum");
            return None;
        };
        let used = transitions.keys().chain(transitions.values().flatten());
        for value in used.filter(|value| !values.contains(value)).collect::<BTreeSet<_>>() {
            let cure = format!("Use {}", values.join(", "));
            self.hole(&at, format!("{value:?} is not a value of the enum"), cure);
        }
        for value in values.iter().filter(|value| !transitions.contains_key(*value)) {
            let cure = format!("Write `{value} = []` if nothing may follow it");
            self.hole(&at, format!("it does not say what may follow {value:?}"), cure);
        }
        Some(transitions.iter().map(|(from, to)| (from.clone(), to.iter().cloned().collect())).collect())
    }

    fn normalize(&mut self, name: &FieldName, spec: &FieldSpec) -> Normalize {
        let mut out = Normalize::default();
        if !spec.normalize.is_empty() && spec.kind.as_deref().is_some_and(|kind| kind != "string") {
            let cure = "Remove it: the other types have one spelling for each value already";
            self.hole(&["fields", name.as_str(), "normalize"], "only a string is normalised", cure);
        }
        for word in &spec.normalize {
            match word.as_str() {
                "trim" => out.trim = true,
                "lowercase" => out.lowercase = true,
                other => {
                    let problem = format!("{other:?} is no normalisation");
                    self.hole(&["fields", name.as_str(), "normalize"], problem, "Use trim, lowercase");
                }
            }
        }
        out
    }

    fn mappings(&mut self) -> BTreeMap<SystemName, Mapping> {
        let spec = self.spec;
        if spec.systems.len() < 2 {
            let cure = "Add [entities.….systems.…] for each system that holds a copy";
            self.hole(&["systems"], "fewer than two systems hold this entity", cure);
        }
        let mut out = BTreeMap::new();
        for (system, mapping) in &spec.systems {
            if system.is_operator() {
                let problem = format!("the name {system} stands for persons");
                self.hole(&["systems", system.as_str()], problem, "Choose another name for the system");
            }
            if !self.systems.contains_key(system) {
                let cure = format!("Declare [systems.{system}], or correct the name");
                self.hole(&["systems", system.as_str()], format!("no system is named {system:?}"), cure);
            }
            out.insert(system.clone(), self.mapping(system, mapping));
        }
        out
    }

    fn mapping(&mut self, system: &SystemName, spec: &MappingSpec) -> Mapping {
        let at = ["systems", system.as_str()];
        if spec.object.is_empty() {
            self.hole(&at, "it has no object", "Write `object = \"<table or path>\"`");
        }
        let mut columns = BTreeMap::new();
        let mut by_name: BTreeMap<String, &FieldName> = BTreeMap::new();
        for (field, column) in &spec.fields {
            let path = ["systems", system.as_str(), "fields", field.as_str()];
            if !self.spec.fields.contains_key(field) {
                let cure = format!("Declare it in [entities.{}.fields], or remove it here", self.entity);
                self.hole(&path, format!("the entity has no field {field:?}"), cure);
            }
            let column = self.column(&path, spec, column);
            if let Some(other) = by_name.insert(column.name.clone(), field) {
                let problem = format!("{:?} is mapped to both {other} and {field}", column.name);
                self.hole(&path, problem, "Map each remote name once");
            }
            columns.insert(field.clone(), column);
        }
        Mapping {
            object: spec.object.clone(),
            id: spec.id.clone(),
            columns,
            create: spec.create,
            is_unlisted: false,
            delete: spec.delete,
        }
    }

    fn column(&mut self, path: &[&str], mapping: &MappingSpec, spec: &ColumnSpec) -> ColumnMapping {
        let detail = match spec {
            ColumnSpec::Name(name) => ColumnDetail { name: name.clone(), ..ColumnDetail::default() },
            ColumnSpec::Full(detail) => detail.clone(),
        };
        if detail.name.is_empty() {
            self.hole(path, "the remote name is missing", "Write `name = \"…\"`");
        }
        let zone_utc = match detail.zone.as_deref() {
            None => false,
            Some("UTC") => true,
            Some(other) => {
                self.hole(
                    path,
                    format!("the zone {other:?} is not supported"),
                    "Write `zone = \"UTC\"`, or nothing",
                );
                false
            }
        };
        ColumnMapping {
            name: detail.name,
            nulls: detail.nulls.unwrap_or(mapping.nulls),
            empty: detail.empty.unwrap_or(mapping.empty),
            read_only: detail.read_only,
            zone_utc,
        }
    }

    fn match_on(&mut self) -> Vec<Vec<FieldName>> {
        let keys: Vec<Vec<FieldName>> = self
            .spec
            .match_on
            .iter()
            .map(|key| match key {
                MatchKeySpec::Field(field) => vec![field.clone()],
                MatchKeySpec::Fields(fields) => fields.clone(),
            })
            .collect();
        if keys.iter().any(Vec::is_empty) {
            self.hole(&["match_on"], "a key has no fields, so every record would match", "Name its fields");
        }
        for field in keys.iter().flatten() {
            if !self.spec.fields.contains_key(field) {
                let cure = "Use fields of this entity";
                self.hole(&["match_on"], format!("the entity has no field {field:?}"), cure);
            }
        }
        keys
    }

    fn deletes(&mut self) -> DeletePolicy {
        let spec = &self.spec.deletes;
        let owner = match spec.owner.as_deref() {
            None => None,
            Some("shared") => Some(Owner::Shared),
            Some(system) => {
                if !self.spec.systems.contains_key(system) {
                    let cure = format!("Use one of {}, or \"shared\"", self.known_systems());
                    self.hole(&["deletes", "owner"], format!("{system:?} is no system of this entity"), cure);
                }
                Some(Owner::System(system.into()))
            }
        };
        DeletePolicy {
            owner,
            on_refused: spec.on_refused.unwrap_or(OnRefused::Review),
            edit_against_delete: spec.edit_against_delete,
        }
    }
}
