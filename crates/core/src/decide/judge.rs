//! Authority, then strategy: what the policy says about one changed field.

use crate::data::ids::{FieldName, SystemName};
use crate::data::spelling::is_spelling_of;
use crate::data::value::Value;
use crate::data::version::Dot;
use crate::decide::diff::Difference;
use crate::decide::resolve::{ConflictResolutionResult, Contest, resolve_field_conflict};
use crate::history::FieldRelation;
use crate::planted::{Mistake, planted};
use crate::policy::OnRefused;
use crate::policy::domain::FieldChange;
use crate::policy::mapping::Nulls;
use crate::policy::{EntityPolicy, FieldOwnershipPolicy, Owner};
use crate::record::Record;
use crate::record::observation::{Channel, Observation};

/// What the policy says about one changed field.
#[derive(Clone, PartialEq, Debug)]
pub enum Judgement {
    /// The content equals the belief.
    Agree,
    /// The content is what we have sent and not heard of yet, though something newer is believed by now: ours has
    /// arrived, and the system has changed nothing.
    Arrived {
        /// The change that it carries.
        dot: Dot,
    },
    /// The content says nothing that could change a belief.
    Nothing,
    /// The value becomes the belief.
    Accept {
        /// Why, in words.
        rule: String,
    },
    /// The value is not allowed.
    Refuse {
        /// Why, in words.
        reason: String,
        /// What happens to it.
        then: OnRefused,
    },
    /// Two changes did not see each other.
    Conflict {
        /// What stands.
        resolution: ConflictResolutionResult,
    },
    /// A person is already asked about this field.
    Contested,
    /// A person is asked about this field, but all copies have come to agree on a value that may stand.
    ClosesReview,
}

/// Judges one changed field, in the order of the model: validity, owner, proposals, strategy.
pub fn judge(
    policy: &EntityPolicy,
    record: &Record,
    observation: &Observation,
    found: &Difference<'_>,
    relation: FieldRelation,
) -> Judgement {
    let Some(field) = policy.field(found.field) else { return Judgement::Nothing };
    if relation != FieldRelation::Agreement
        && let Some(dot) = arrived(record, observation, found)
    {
        return Judgement::Arrived { dot };
    }
    if record.is_contested(found.field) {
        return if closes_review(field, record, observation, found) {
            Judgement::ClosesReview
        } else {
            Judgement::Contested
        };
    }
    if relation == FieldRelation::Agreement {
        return Judgement::Agree;
    }
    if found.to.is_null()
        && let Some(judgement) = null(policy, record, observation, found, field)
    {
        return judgement;
    }
    let then = if planted(Mistake::SkipRevert) { OnRefused::Ignore } else { field.on_refused };
    if let Some(reason) = invalid(field, record, found) {
        return Judgement::Refuse { reason, then };
    }
    let system = &observation.system;
    let role = match &field.owner {
        Owner::Shared => format!("{} is shared: every system that holds it may change it", found.field),
        Owner::System(owner) if owner == system => format!("{} belongs to {owner}", found.field),
        Owner::System(owner) if field.proposals.contains(system) => {
            format!(
                "{} belongs to {owner}, and {system} may propose a change that has seen the latest value",
                found.field
            )
        }
        // The owner holds no copy that could speak, and nobody has spoken who may. Until the owner does, what
        // another system knows stands in for it.
        Owner::System(owner) if is_unspoken(record, owner, found.field) && has_seen(relation) => {
            format!("{} belongs to {owner}, which has no copy yet; {system} stands in for it", found.field)
        }
        // The owner has a copy and has not spoken. What stands here is remembered, and judged when it does.
        Owner::System(_) if relation == FieldRelation::First => return Judgement::Nothing,
        Owner::System(_) if planted(Mistake::IgnoreOwner) => "everybody may".to_owned(),
        Owner::System(_)
            if planted(Mistake::RepairOutsidePolicy) && observation.channel == Channel::Listing =>
        {
            "a listing shows it".to_owned()
        }
        Owner::System(owner) => {
            let reason = format!("{} belongs to {owner}; {system} may not change it", found.field);
            return Judgement::Refuse { reason, then };
        }
    };
    match relation {
        FieldRelation::Agreement => Judgement::Agree,
        FieldRelation::First | FieldRelation::Sequential => Judgement::Accept { rule: role },
        FieldRelation::Concurrent | FieldRelation::Indeterminate => {
            let Some(belief) = record.fields.get(found.field) else {
                return Judgement::Accept { rule: role };
            };
            let contest = Contest {
                record,
                field: found.field,
                local: &belief.value,
                local_system: &belief.dot.system,
                local_at: belief.occurred_at,
                external: found.to,
                external_system: system,
                external_at: observation.occurred_at,
                base: found.from,
                indeterminate: relation == FieldRelation::Indeterminate,
            };
            let resolution = obeying(field, record, found, resolve_field_conflict(policy, field, &contest));
            Judgement::Conflict { resolution }
        }
    }
}

/// The change that a value carries which we have sent and not seen there before.
fn arrived(record: &Record, observation: &Observation, found: &Difference<'_>) -> Option<Dot> {
    open_write(record, observation, found).or_else(|| first_shown(record, observation, found))
}

/// It is on its way to the copy, and stands there now.
fn open_write(record: &Record, observation: &Observation, found: &Difference<'_>) -> Option<Dot> {
    let intent = record.intents.get(&observation.system)?;
    let outgoing = intent.fields.get(found.field)?;
    (intent.is_open() && is_spelling_of(found.to, &outgoing.value)).then(|| outgoing.dot.clone())
}

/// The write is done, and only now the system shows how it spells it.
fn first_shown(record: &Record, observation: &Observation, found: &Difference<'_>) -> Option<Dot> {
    let shadow = record.copies.get(&observation.system)?.fields.get(found.field)?;
    shadow.base.clone().filter(|_| shadow.is_first_spelled(found.to))
}

/// Whether neither the owner nor a person has said anything of the field yet, and the owner has no copy to say it with.
fn is_unspoken(record: &Record, owner: &SystemName, field: &FieldName) -> bool {
    let spoke = |system: &SystemName| system == owner || system.is_operator();
    !record.copies.contains_key(owner)
        && record.fields.get(field).is_none_or(|belief| !spoke(&belief.dot.system))
}

/// Whether nothing was believed that the change had not seen.
fn has_seen(relation: FieldRelation) -> bool {
    match relation {
        FieldRelation::First | FieldRelation::Sequential => true,
        FieldRelation::Concurrent | FieldRelation::Indeterminate | FieldRelation::Agreement => false,
    }
}

/// Whether the copies agree by this change, on another value than the belief, with nobody left who could object.
fn closes_review(
    field: &FieldOwnershipPolicy,
    record: &Record,
    observation: &Observation,
    found: &Difference<'_>,
) -> bool {
    let believed = record.fields.get(found.field).is_some_and(|belief| belief.value == *found.to);
    let mut others = record
        .copies
        .iter()
        .filter(|(system, copy)| copy.alive && **system != observation.system)
        .filter_map(|(system, copy)| Some((system, copy.fields.get(found.field)?)));
    let agreed =
        others.clone().count() > 0 && others.clone().all(|(_, shadow)| shadow.is_equivalent_to(found.to));
    let owner_agrees = match &field.owner {
        Owner::Shared => true,
        Owner::System(owner) => *owner == observation.system || others.any(|(system, _)| system == owner),
    };
    !believed && !found.to.is_null() && agreed && owner_agrees && invalid(field, record, found).is_none()
}

/// A merged value has to be as valid as any other; two valid values may add up to one that is not.
fn obeying(
    field: &FieldOwnershipPolicy,
    record: &Record,
    found: &Difference<'_>,
    resolution: ConflictResolutionResult,
) -> ConflictResolutionResult {
    let ConflictResolutionResult::Merged { value, rule } = resolution else { return resolution };
    let value = normalised(field, value);
    match invalid(field, record, &Difference { to: &value, ..found.clone() }) {
        None => ConflictResolutionResult::Merged { value, rule },
        Some(reason) => ConflictResolutionResult::ManualReviewRequired {
            reason: format!("{rule}, but {value} is not allowed: {reason}"),
        },
    }
}

/// The value without the spelling differences that the field declares to be none.
pub fn normalised(field: &FieldOwnershipPolicy, value: Value) -> Value {
    match value.as_text().and_then(|text| field.normalize.apply(text)) {
        Some(text) => Value::text(text),
        None => value,
    }
}

/// What `null` says; `None` if it is a clear like any other change.
fn null(
    policy: &EntityPolicy,
    record: &Record,
    observation: &Observation,
    found: &Difference<'_>,
    field: &FieldOwnershipPolicy,
) -> Option<Judgement> {
    let mapping = policy.mappings.get(&observation.system);
    let nulls = mapping.and_then(|mapping| mapping.columns.get(found.field)).map(|column| column.nulls);
    let believed = record.fields.get(found.field).is_some_and(|belief| !belief.value.is_null());
    let was_filled = found.from.is_some_and(|from| !from.is_null());
    // An empty field that was never filled there clears nothing, and neither does one where nothing is believed.
    if !believed || !was_filled {
        return Some(Judgement::Nothing);
    }
    match nulls {
        Some(Nulls::Clear) => None,
        Some(Nulls::Ignore) | None => Some(Judgement::Refuse {
            reason: format!(
                "null does not clear {} in {} (nulls = \"ignore\")",
                found.field, observation.system
            ),
            then: field.on_refused,
        }),
    }
}

/// Why the value is not allowed by itself or after the present one; `None` if it is.
pub fn invalid(field: &FieldOwnershipPolicy, record: &Record, found: &Difference<'_>) -> Option<String> {
    // At first sight nothing has moved from anywhere.
    let from = found.from.and(record.fields.get(found.field)).map(|belief| &belief.value);
    breaks_rule(field, found.to)
        .or_else(|| breaks_transitions(field, from?, found.to))
        .or_else(|| fails_validator(field, record, found.field, from, found.to))
}

fn breaks_transitions(field: &FieldOwnershipPolicy, from: &Value, to: &Value) -> Option<String> {
    let (from, to) = (from.as_text()?, to.as_text()?);
    let allowed = field.transitions.as_ref()?.get(from)?;
    (from != to && !allowed.contains(to)).then(|| {
        let may: Vec<_> = allowed.iter().map(String::as_str).collect();
        let may = if may.is_empty() { "nothing".to_owned() } else { may.join(", ") };
        format!("{from} may not become {to}: after {from} may come {may}")
    })
}

/// Why the program's own validator refuses the value; `None` if it does not. Without `from` there is no transition to
/// judge.
pub fn fails_validator(
    rules: &FieldOwnershipPolicy,
    record: &Record,
    field: &FieldName,
    from: Option<&Value>,
    to: &Value,
) -> Option<String> {
    let validator = rules.validator.as_ref()?;
    let answer = validator.check(&FieldChange { field, field_type: &rules.field_type, from, to, record });
    answer.err().map(|reason| format!("{validator} refuses it: {reason}"))
}

/// Why the value breaks the field's `valid` rule; `None` if it does not.
pub fn breaks_rule(field: &FieldOwnershipPolicy, value: &Value) -> Option<String> {
    let rule = field.valid.as_ref().filter(|_| !value.is_null())?;
    match rule.holds(value) {
        Ok(true) => None,
        Ok(false) => Some(format!("the value does not satisfy {}", rule.source())),
        Err(error) => Some(format!("the rule {} gave no answer for this value: {error}", rule.source())),
    }
}
