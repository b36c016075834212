//! The rules of a scenario as the engine reads them.

use crate::scenario::{ENTITY, KEY, Participant, ProfileKind, Rules, Scenario};
use avowal_core::data::ids::EntityName;
use avowal_core::policy::EntityPolicy;
use avowal_fakes::fake::Profile;
use avowal_testpolicy::{list, try_policy_of};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;

/// The policy of a scenario.
pub fn policy(scenario: &Scenario) -> Result<EntityPolicy, String> {
    let rules = &scenario.rules;
    let fields = names(rules).map(|name| (name.to_owned(), field(rules, name)));
    let systems = scenario.systems.iter().map(|system| (system.name.clone(), mapping(rules, system)));
    let json = json!({
        "match_on": [KEY],
        "deletes": {"owner": rules.deletes, "edit_against_delete": rules.edit_against_delete},
        "fields": fields.collect::<Map<_, _>>(),
        "systems": systems.collect::<Map<_, _>>(),
    });
    let entity = EntityName::new(ENTITY);
    let policy = try_policy_of(&entity, &json, &BTreeSet::from([entity.clone()]));
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

fn names(rules: &Rules) -> impl Iterator<Item = &str> {
    [KEY, "name"].into_iter().chain(rules.fields.iter().map(String::as_str))
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

/// The fields that a system maps, each under its own name.
pub fn columns<'a>(rules: &'a Rules, system: &'a Participant) -> impl Iterator<Item = &'a str> {
    names(rules).filter(|name| !system.lacks.iter().any(|lacking| lacking == name))
}

fn mapping(rules: &Rules, system: &Participant) -> Json {
    json!({
        "local": system.name == "app",
        "fields": columns(rules, system).collect::<Vec<_>>(),
        "nulls": rules.nulls,
    })
}
