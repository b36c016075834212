//! The rules of a scenario as the engine reads them.

use crate::scenario::{ENTITY, KEY, Participant, ProfileKind, Scenario};
use avowal_core::data::ids::{EntityName, SystemName};
use avowal_core::policy::spec::{ColumnDetail, ColumnSpec, DeleteSpec, EntitySpec, FieldSpec, MappingSpec};
use avowal_core::policy::{EntityPolicy, SystemTraits};
use avowal_fakes::fake::Profile;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The policy of a scenario.
pub fn policy(scenario: &Scenario) -> Result<Arc<EntityPolicy>, String> {
    let entity = EntityName::new(ENTITY);
    let traits: BTreeMap<SystemName, SystemTraits> = scenario
        .systems
        .iter()
        .map(|system| {
            let traits = SystemTraits { local: system.name == "app", clock_skew_ms: None };
            (SystemName::new(&system.name), traits)
        })
        .collect();
    let policy = spec(scenario).build(&entity, &traits, &BTreeSet::from([entity.clone()]));
    policy
        .map(Arc::new)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// What a profile lets the engine prove.
pub fn profile(participant: &Participant) -> Profile {
    match participant.profile {
        ProfileKind::Log => Profile::log(),
        ProfileKind::Cas if participant.counter => Profile::counted(),
        ProfileKind::Cas => Profile::cas(),
        ProfileKind::Correlated => Profile::correlated(),
        ProfileKind::SignalOnly => Profile::signal_only(),
        ProfileKind::Bare => Profile::bare(),
    }
}

fn spec(scenario: &Scenario) -> EntitySpec {
    let rules = &scenario.rules;
    let names = [KEY, "name"].into_iter().chain(rules.fields.iter().map(String::as_str));
    let systems =
        scenario.systems.iter().map(|system| (SystemName::new(&system.name), mapping(scenario, system)));
    EntitySpec {
        match_on: serde_json::from_value(json!([KEY])).unwrap_or_default(),
        deletes: DeleteSpec {
            owner: rules.deletes.clone(),
            on_refused: None,
            edit_against_delete: serde_json::from_value(json!(rules.edit_against_delete)).unwrap_or_default(),
        },
        systems: systems.collect(),
        fields: names.map(|name| (name.into(), field(scenario, name))).collect(),
    }
}

fn field(scenario: &Scenario, name: &str) -> FieldSpec {
    let rules = &scenario.rules;
    let precedence = &rules.precedence;
    let json = match name {
        "stage" => json!({
            "type": "string", "owner": rules.owner, "strategy": "owner_wins", "precedence": precedence,
            "proposals": rules.proposers, "on_refused": rules.on_refused
        }),
        "note" => json!({"type": "string", "owner": "shared", "strategy": "manual_review"}),
        "tags" => json!({"type": "set", "owner": "shared", "strategy": "merge", "merge": "union"}),
        "credit" => json!({
            "type": "integer", "owner": "shared", "strategy": "merge", "merge": "delta", "precedence": precedence
        }),
        _ => json!({
            "type": "string", "owner": "shared", "strategy": "latest_valid_change", "precedence": precedence
        }),
    };
    // A spelling that is not known would leave holes, which the check of the policy names.
    serde_json::from_value(json).unwrap_or_default()
}

fn mapping(scenario: &Scenario, system: &Participant) -> MappingSpec {
    let names = [KEY, "name"].into_iter().map(str::to_owned).chain(scenario.rules.fields.iter().cloned());
    let column = |name: String| {
        let detail = ColumnDetail { name: name.clone(), ..ColumnDetail::default() };
        (name.as_str().into(), ColumnSpec::Full(detail))
    };
    MappingSpec {
        object: "customers".to_owned(),
        id: "id".to_owned(),
        fields: names.filter(|name| !system.lacks.contains(name)).map(column).collect(),
        nulls: serde_json::from_value(json!(scenario.rules.nulls)).unwrap_or_default(),
        empty: Default::default(),
        create: true,
        delete: true,
    }
}
