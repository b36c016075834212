//! Each rule of a policy as one plain sentence: the sticky note.

use super::short::spoken;
use crate::data::ids::{FieldName, SystemName};
use crate::policy::OnRefused;
use crate::policy::{
    EditAgainstDelete, EntityPolicy, FieldOwnershipPolicy, Normalize, Owner, Repair, Strategy,
};
use std::collections::{BTreeMap, BTreeSet};

/// One sentence for each field, in order of name.
pub fn policy_sentences(policy: &EntityPolicy) -> Vec<(FieldName, String)> {
    policy.fields.keys().filter_map(|field| Some((field.clone(), field_sentence(policy, field)?))).collect()
}

/// The rule of one field: who may change it, what happens when changes cross, what a value must satisfy, and
/// what happens to a refused one. `None` if the entity has no such field.
pub fn field_sentence(policy: &EntityPolicy, field: &FieldName) -> Option<String> {
    let rule = policy.field(field)?;
    let mut parts = vec![authority(policy, field, rule)];
    parts.extend(proposals(rule));
    parts.extend(outsiders(policy, field, rule));
    parts.push(format!("when changes cross, {}", crossing(policy, field, rule)));
    parts.extend(rule.valid.as_ref().map(|valid| format!("it must satisfy {}", valid.source())));
    parts.extend(rule.transitions.as_ref().map(transitions));
    parts.extend(rule.validator.as_ref().map(|validator| format!("{validator} must accept it")));
    parts.extend(spelling(rule.normalize));
    parts.extend(repaired(rule.repair).map(str::to_owned));
    if can_refuse(policy, field, rule) {
        parts.push(refused(rule.on_refused).to_owned());
    }
    Some(format!("{}.", parts.join("; ")))
}

/// The rule of deletes.
pub fn delete_sentence(policy: &EntityPolicy) -> String {
    let rule = &policy.deletes;
    let mut parts = Vec::new();
    match &rule.owner {
        None => parts.push("when a copy is deleted, a person decides what becomes of the record".to_owned()),
        Some(owner) => {
            parts.push(match owner {
                Owner::System(system) => format!("a delete in {system} deletes the record everywhere"),
                Owner::Shared => "a delete in any system deletes the record everywhere".to_owned(),
            });
            parts.push(edit_against_delete(rule.edit_against_delete).to_owned());
            if let Owner::System(_) = owner {
                parts.push(refused_delete(rule.on_refused).to_owned());
            }
        }
    }
    let never = |allowed: fn(&crate::policy::mapping::Mapping) -> bool| -> Vec<&str> {
        policy
            .mappings
            .iter()
            .filter(|(_, mapping)| !allowed(mapping))
            .map(|(system, _)| system.as_str())
            .collect()
    };
    let (uncreated, undeleted) = (never(|mapping| mapping.create), never(|mapping| mapping.delete));
    if !undeleted.is_empty() {
        parts.push(format!("nothing is ever deleted in {}", spoken(undeleted, "or")));
    }
    if !uncreated.is_empty() {
        parts.push(format!("nothing is ever created in {}", spoken(uncreated, "or")));
    }
    format!("{}.", parts.join("; "))
}

/// The rule by which unlinked copies find their record.
pub fn match_sentence(policy: &EntityPolicy) -> String {
    if policy.match_on.is_empty() {
        return "copies are never matched: each unlinked copy begins a record of its own.".to_owned();
    }
    let keys = policy.match_on.iter().map(|key| match key.as_slice() {
        [one] => format!("equal {one}"),
        several => format!("equal {} together", spoken(several.iter().map(FieldName::as_str), "and")),
    });
    let keys = spoken(keys, "or by");
    format!(
        "an unlinked copy joins the record with {keys}; several such records go to a person, none begins a new one."
    )
}

fn authority(policy: &EntityPolicy, field: &FieldName, rule: &FieldOwnershipPolicy) -> String {
    match &rule.owner {
        Owner::System(owner) => format!("{field} belongs to {owner}"),
        Owner::Shared => {
            format!("{field} is shared: {} may change it", names(&holders(policy, field), "and"))
        }
    }
}

fn proposals(rule: &FieldOwnershipPolicy) -> Option<String> {
    let who = names(&rule.proposals.iter().collect::<Vec<_>>(), "and");
    (!who.is_empty()).then(|| format!("{who} may propose a change that has seen the latest value"))
}

fn outsiders(policy: &EntityPolicy, field: &FieldName, rule: &FieldOwnershipPolicy) -> Option<String> {
    let outside = outside(policy, field, rule);
    (!outside.is_empty()).then(|| format!("{} may not change it", names(&outside, "and")))
}

/// The systems that hold the field and may never change it.
fn outside<'a>(
    policy: &'a EntityPolicy,
    field: &FieldName,
    rule: &FieldOwnershipPolicy,
) -> Vec<&'a SystemName> {
    match &rule.owner {
        Owner::Shared => Vec::new(),
        Owner::System(owner) => holders(policy, field)
            .into_iter()
            .filter(|system| *system != owner && !rule.proposals.contains(*system))
            .collect(),
    }
}

fn crossing(policy: &EntityPolicy, field: &FieldName, rule: &FieldOwnershipPolicy) -> String {
    match &rule.strategy {
        Strategy::OwnerWins => match &rule.owner {
            Owner::System(owner) => format!("{owner}'s value stays"),
            // A checked policy has no such rule; the sentence still says what would follow.
            Owner::Shared => "the believed value stays".to_owned(),
        },
        Strategy::LatestValidChange => latest_valid(policy, field, rule),
        Strategy::MergeUnion => "the additions and removals of both are kept".to_owned(),
        Strategy::MergeDelta => "the differences of both are added up".to_owned(),
        Strategy::MergeMax => "the greater value stands".to_owned(),
        Strategy::MergeMin => "the smaller value stands".to_owned(),
        Strategy::MergeText => {
            "both texts are merged line by line, and a person decides where they overlap".to_owned()
        }
        Strategy::MergeExpression(rule) => format!("the value becomes {}", rule.source()),
        Strategy::ManualReview => "a person decides".to_owned(),
        Strategy::Resolver(resolver) => format!("{resolver} decides"),
    }
}

fn latest_valid(policy: &EntityPolicy, field: &FieldName, rule: &FieldOwnershipPolicy) -> String {
    let mut ways = Vec::new();
    let trusted: Vec<&SystemName> = holders(policy, field)
        .into_iter()
        .filter(|system| policy.trusted_skew_ms(system).is_some())
        .collect();
    if trusted.len() > 1 {
        ways.push(format!("the later one by the trusted clocks of {}", names(&trusted, "and")));
    }
    if !rule.precedence.is_empty() {
        let order: Vec<&str> = rule.precedence.iter().map(SystemName::as_str).collect();
        ways.push(format!("that of {}", order.join(" before ")));
    }
    let all_have_a_place = holders(policy, field).into_iter().all(|system| rule.precedence.contains(system));
    let person = if all_have_a_place { "" } else { ", else a person decides" };
    match ways.join(", else ") {
        none if none.is_empty() => {
            "an invalid one drops out, and a person decides between two valid ones".to_owned()
        }
        ways => format!("an invalid one drops out, and of two valid ones {ways} stands{person}"),
    }
}

fn transitions(transitions: &BTreeMap<String, BTreeSet<String>>) -> String {
    let (open, closed): (Vec<_>, Vec<_>) = transitions.iter().partition(|(_, to)| !to.is_empty());
    let mut steps: Vec<String> =
        open.into_iter().map(|(from, to)| format!("from {from} to {}", spoken(to, "or"))).collect();
    if !closed.is_empty() {
        steps.push(format!("nowhere from {}", spoken(closed.into_iter().map(|(from, _)| from), "or")));
    }
    format!("it may go {}", spoken(steps, "and"))
}

fn spelling(normalize: Normalize) -> Option<String> {
    let what = match (normalize.trim, normalize.lowercase) {
        (false, false) => return None,
        (true, false) => "surrounding space makes",
        (false, true) => "letter case makes",
        (true, true) => "surrounding space and letter case make",
    };
    Some(format!("{what} no difference"))
}

/// Whether any value of a holder can be refused at all.
fn can_refuse(policy: &EntityPolicy, field: &FieldName, rule: &FieldOwnershipPolicy) -> bool {
    rule.valid.is_some()
        || rule.transitions.is_some()
        || rule.validator.is_some()
        || !rule.proposals.is_empty()
        || !outside(policy, field, rule).is_empty()
}

fn refused(then: OnRefused) -> &'static str {
    match then {
        OnRefused::Revert => "a refused value is overwritten with the believed one",
        OnRefused::Ignore => "a refused value stays in its own copy until that copy changes again",
        OnRefused::Review => "a refused value goes to a person",
    }
}

fn refused_delete(then: OnRefused) -> &'static str {
    match then {
        OnRefused::Revert => "a copy deleted elsewhere is made again",
        OnRefused::Ignore => "a copy deleted elsewhere stays deleted there",
        OnRefused::Review => "a delete elsewhere goes to a person",
    }
}

fn edit_against_delete(rule: EditAgainstDelete) -> &'static str {
    match rule {
        EditAgainstDelete::Review => "a delete that had not seen a newer edit goes to a person",
        EditAgainstDelete::DeleteWins => "a delete prevails over an edit that it had not seen",
        EditAgainstDelete::EditWins => "an edit prevails over a delete that had not seen it",
    }
}

fn holders<'a>(policy: &'a EntityPolicy, field: &FieldName) -> Vec<&'a SystemName> {
    policy
        .mappings
        .iter()
        .filter(|(_, mapping)| mapping.columns.contains_key(field))
        .map(|(system, _)| system)
        .collect()
}

fn names(systems: &[&SystemName], last: &str) -> String {
    spoken(systems.iter().map(|system| system.as_str()), last)
}

/// How far a repair goes, where it does not do what the rules say.
fn repaired(repair: Repair) -> Option<&'static str> {
    match repair {
        Repair::Auto => None,
        Repair::Review => Some("what a reconciliation finds to differ is repaired by a person's answer only"),
        Repair::Never => Some("what a reconciliation finds to differ is reported and never repaired"),
    }
}
