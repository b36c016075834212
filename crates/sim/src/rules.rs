//! The rules of a scenario as the engine reads them.

use crate::family::{CHILD, CHILD_FIELDS, entities};
use crate::scenario::{KEY, Participant, ProfileKind, Rules, Scenario};
use avowal_core::data::ids::EntityName;
use avowal_core::policy::EntityPolicy;
use avowal_fakes::fake::Profile;
use avowal_testpolicy::{list, try_policy_of};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// The policies of a scenario.
pub fn policies(scenario: &Scenario) -> Result<BTreeMap<EntityName, EntityPolicy>, String> {
    let one = |entity: &&str| {
        let policy = policy(scenario, entity)?;
        Ok((EntityName::new(*entity), policy))
    };
    entities(scenario).iter().map(one).collect()
}

fn policy(scenario: &Scenario, entity: &str) -> Result<EntityPolicy, String> {
    let rules = &scenario.rules;
    let fields = names(rules, entity).into_iter().map(|name| (name.to_owned(), field(rules, name)));
    let systems = scenario.systems.iter().map(|system| {
        let of_it = columns(rules, system, entity).into_iter();
        (system.name.clone(), mapping(rules, system, of_it.collect()))
    });
    let json = json!({
        "match_on": [KEY],
        "deletes": {"owner": rules.deletes, "edit_against_delete": rules.edit_against_delete},
        "fields": fields.collect::<Map<_, _>>(),
        "systems": systems.collect::<Map<_, _>>(),
    });
    let entity = EntityName::new(entity);
    let all = entities(scenario).iter().map(EntityName::new).collect::<BTreeSet<_>>();
    let policy = try_policy_of(&entity, &json, &all);
    policy.map_err(|errors| list(&errors))
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

fn names<'a>(rules: &'a Rules, entity: &str) -> Vec<&'a str> {
    if entity == CHILD {
        return [KEY].into_iter().chain(CHILD_FIELDS).collect();
    }
    [KEY, "name"].into_iter().chain(rules.fields.iter().map(String::as_str)).collect()
}

fn field(rules: &Rules, name: &str) -> Json {
    let precedence = &rules.precedence;
    match name {
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
    }
}

/// The fields of an entity that a system maps, each under its own name.
pub fn columns<'a>(rules: &'a Rules, system: &Participant, entity: &str) -> Vec<&'a str> {
    let mut names = names(rules, entity);
    names.retain(|name| !system.lacks.iter().any(|lacking| lacking == name));
    names
}

fn mapping(rules: &Rules, system: &Participant, columns: Vec<&str>) -> Json {
    json!({
        "local": system.name == "app",
        "fields": columns,
        "nulls": rules.nulls,
    })
}
