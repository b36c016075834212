//! Judges one changed field by the policy: authority first, then strategy.

use crate::data::ids::{FieldName, SystemName};
use crate::data::value::Value;
use crate::data::version::Dot;
use crate::decide::classify::may_be_echo;
use crate::decide::diff::Difference;
use crate::decide::resolve::{ConflictResolutionResult, Contest, resolve_field_conflict};
use crate::history::FieldRelation;
use crate::policy::OnRefused;
use crate::policy::domain::FieldChange;
use crate::policy::mapping::Nulls;
use crate::policy::{EntityPolicy, FieldOwnershipPolicy, Owner, Repair};
use crate::record::Record;
use crate::record::observation::Observation;
use crate::record::reason::{BeliefRule, Refusal, ReviewReason};

/// The judgement of one changed field by the policy.
#[derive(Clone, PartialEq, Debug)]
pub enum Judgement {
    /// The content equals the belief.
    Agree,
    /// The content equals our unconfirmed write, so the write arrived and the system made no change. The belief may be
    /// newer by now.
    Arrived {
        /// The change that it carries.
        dot: Dot,
    },
    /// The content cannot change the belief: it is empty, or the owner has not set the field yet.
    Nothing,
    /// The value becomes the belief.
    Accept {
        /// Why.
        rule: BeliefRule,
    },
    /// The value is not allowed.
    Refuse {
        /// Why.
        reason: Refusal,
        /// What is done with it.
        then: OnRefused,
    },
    /// Two changes did not see each other.
    Conflict {
        /// How the conflict is resolved.
        resolution: ConflictResolutionResult,
    },
    /// A person decides, whatever the rules say.
    Ask {
        /// Why.
        reason: ReviewReason,
    },
    /// The field has an open review.
    Contested,
    /// All copies agree on a valid value, so the open review closes.
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
        && let Some(dot) = arrived(policy, record, observation, found)
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
    // A field of which nothing was believed is no difference yet: what a new copy brings is taken in as ever.
    if observation.is_repair && relation != FieldRelation::First {
        match field.repair {
            Repair::Auto => {}
            // What may never be repaired is not handed in; if it were, nothing of it would be decided without a person.
            Repair::Review | Repair::Never => {
                return Judgement::Ask {
                    reason: ReviewReason::RepairAsks { system: observation.system.clone() },
                };
            }
        }
    }
    if found.to.is_null()
        && let Some(judgement) = null(policy, record, observation, found, field)
    {
        return judgement;
    }
    let then = field.on_refused;
    if let Some(reason) = invalid(field, record, found) {
        return Judgement::Refuse { reason, then };
    }
    let rule = match authority(field, record, observation, found, relation) {
        Authority::May(rule) => rule,
        Authority::MayNot(reason) => return Judgement::Refuse { reason, then },
        Authority::NotYet => return Judgement::Nothing,
    };
    match relation {
        FieldRelation::Agreement => Judgement::Agree,
        FieldRelation::First | FieldRelation::Sequential => Judgement::Accept { rule },
        FieldRelation::Concurrent | FieldRelation::Indeterminate => {
            let is_indeterminate = relation == FieldRelation::Indeterminate;
            let resolution = contested(policy, field, record, observation, found, is_indeterminate);
            resolution.map_or(Judgement::Accept { rule }, |resolution| Judgement::Conflict { resolution })
        }
    }
}

/// Whether a system may change a field.
enum Authority {
    /// It may, by this rule.
    May(BeliefRule),
    /// It may not.
    MayNot(Refusal),
    /// The owner has a copy without a value. This value is kept in the shadow and judged when the owner sets one.
    NotYet,
}

/// Whether the system may change the field, and by which rule.
fn authority(
    field: &FieldOwnershipPolicy,
    record: &Record,
    observation: &Observation,
    found: &Difference<'_>,
    relation: FieldRelation,
) -> Authority {
    let system = &observation.system;
    match &field.owner {
        Owner::Shared => Authority::May(BeliefRule::Shared),
        Owner::System(owner) if owner == system => {
            Authority::May(BeliefRule::OwnerSet { owner: owner.clone() })
        }
        Owner::System(owner) if field.proposals.contains(system) => {
            Authority::May(BeliefRule::Proposal { owner: owner.clone(), system: system.clone() })
        }
        // The owner has no copy and no person has set the field, so another system's value is accepted provisionally.
        Owner::System(owner) if is_unset(record, owner, found.field) && has_seen(relation) => {
            Authority::May(BeliefRule::Provisional { owner: owner.clone(), system: system.clone() })
        }
        Owner::System(_) if relation == FieldRelation::First => Authority::NotYet,
        Owner::System(owner) => {
            Authority::MayNot(Refusal::NotOwner { owner: owner.clone(), system: system.clone() })
        }
    }
}

/// How the field's strategy resolves the change against the belief; `None` where nothing is believed.
fn contested(
    policy: &EntityPolicy,
    field: &FieldOwnershipPolicy,
    record: &Record,
    observation: &Observation,
    found: &Difference<'_>,
    indeterminate: bool,
) -> Option<ConflictResolutionResult> {
    let belief = record.fields.get(found.field)?;
    let contest = Contest {
        record,
        field: found.field,
        local: &belief.value,
        local_system: &belief.dot.system,
        local_at: belief.occurred_at,
        external: found.to,
        external_system: &observation.system,
        external_at: observation.occurred_at,
        base: found.from,
        indeterminate,
    };
    Some(obeying(field, record, found, resolve_field_conflict(policy, field, &contest)))
}

/// The change that the value carries, if we wrote the value and see it in the copy for the first time.
fn arrived(
    policy: &EntityPolicy,
    record: &Record,
    observation: &Observation,
    found: &Difference<'_>,
) -> Option<Dot> {
    open_write(policy, record, observation, found).or_else(|| first_shown(record, observation, found))
}

/// The change of our write in flight, if its value is in the copy now.
fn open_write(
    policy: &EntityPolicy,
    record: &Record,
    observation: &Observation,
    found: &Difference<'_>,
) -> Option<Dot> {
    let intent = record.intents.get(&observation.system)?;
    let outgoing = intent.fields.get(found.field)?;
    let is_ours = intent.is_open() && may_be_echo(policy, record, observation, found.field, found.to);
    is_ours.then(|| outgoing.dot.clone())
}

/// The change of our confirmed write, if the system shows only now how it spells the value.
fn first_shown(record: &Record, observation: &Observation, found: &Difference<'_>) -> Option<Dot> {
    let shadow = record.copies.get(&observation.system)?.fields.get(found.field)?;
    shadow.base.clone().filter(|_| shadow.is_first_spelled(found.to))
}

/// Whether the owner has no copy and neither the owner nor a person has set the field.
fn is_unset(record: &Record, owner: &SystemName, field: &FieldName) -> bool {
    let may_set = |system: &SystemName| system == owner || system.is_operator();
    !record.copies.contains_key(owner)
        && record.fields.get(field).is_none_or(|belief| !may_set(&belief.dot.system))
}

/// Whether the change included the belief, or there was none.
fn has_seen(relation: FieldRelation) -> bool {
    match relation {
        FieldRelation::First | FieldRelation::Sequential => true,
        FieldRelation::Concurrent | FieldRelation::Indeterminate | FieldRelation::Agreement => false,
    }
}

/// Whether this change makes all copies agree on another value than the belief, and the owner is among them, so no
/// review is needed.
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
        Some(refusal) => ConflictResolutionResult::ManualReviewRequired {
            reason: ReviewReason::MergedInvalid { rule, value, refusal },
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

/// What a `null` means; `None` if it clears the field, which is a change like any other.
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
    // A field that was never filled there cannot be cleared there, and without a belief there is nothing to clear.
    if !believed || !was_filled {
        return Some(Judgement::Nothing);
    }
    match nulls {
        Some(Nulls::Clear) => None,
        Some(Nulls::Ignore) | None => Some(Judgement::Refuse {
            reason: Refusal::NullIgnored { system: observation.system.clone() },
            then: field.on_refused,
        }),
    }
}

/// Why the value is not allowed by itself or after the present one; `None` if it is.
pub fn invalid(field: &FieldOwnershipPolicy, record: &Record, found: &Difference<'_>) -> Option<Refusal> {
    // The first value that a system shows is no transition.
    let from = found.from.and(record.fields.get(found.field)).map(|belief| &belief.value);
    breaks_rule(field, found.to)
        .or_else(|| breaks_transitions(field, from?, found.to))
        .or_else(|| fails_validator(field, record, found.field, from, found.to))
}

fn breaks_transitions(field: &FieldOwnershipPolicy, from: &Value, to: &Value) -> Option<Refusal> {
    let (from, to) = (from.as_text()?, to.as_text()?);
    let allowed = field.transitions.as_ref()?.get(from)?;
    (from != to && !allowed.contains(to)).then(|| Refusal::Transition {
        from: from.to_owned(),
        to: to.to_owned(),
        allowed: allowed.iter().cloned().collect(),
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
) -> Option<Refusal> {
    let validator = rules.validator.as_ref()?;
    let answer = validator.check(&FieldChange { field, field_type: &rules.field_type, from, to, record });
    answer.err().map(|reason| Refusal::Validator { validator: validator.to_string(), reason })
}

/// Why the value breaks the field's `valid` rule; `None` if it does not.
pub fn breaks_rule(field: &FieldOwnershipPolicy, value: &Value) -> Option<Refusal> {
    let rule = field.valid.as_ref().filter(|_| !value.is_null())?;
    match rule.holds(value) {
        Ok(true) => None,
        Ok(false) => Some(Refusal::Invalid { rule: rule.source().to_owned() }),
        Err(error) => Some(Refusal::RuleFailed { rule: rule.source().to_owned(), error: error.to_string() }),
    }
}
