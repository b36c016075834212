//! Resolves concurrent changes of one field by its strategy. Every branch begins with what is known by then.

use crate::data::ids::{FieldName, SystemName};
use crate::data::time::Timestamp;
use crate::data::value::Value;
use crate::policy::domain::{ConflictSide, DomainResolution, FieldConflict, RegisteredResolver};
use crate::policy::schema::{FieldType, TypeError};
use crate::policy::{EntityPolicy, FieldOwnershipPolicy, Owner, Strategy};
use crate::record::Record;
use crate::record::reason::{BeliefRule, ResolverChoice, ReviewReason};
use rust_decimal::Decimal;
use std::collections::BTreeSet;
use std::str::FromStr;

/// Two changes of one field that did not see each other, and differ.
#[derive(Clone, Copy, Debug)]
pub struct Contest<'a> {
    /// The record before the observation.
    pub record: &'a Record,
    /// The field.
    pub field: &'a FieldName,
    /// What we believe.
    pub local: &'a Value,
    /// Who made us believe it.
    pub local_system: &'a SystemName,
    /// When, as that source reports.
    pub local_at: Option<Timestamp>,
    /// What the other system shows.
    pub external: &'a Value,
    /// Who shows it.
    pub external_system: &'a SystemName,
    /// When, as that source reports.
    pub external_at: Option<Timestamp>,
    /// What stood in the other system's copy before it changed; `None` if it was never shown.
    pub base: Option<&'a Value>,
    /// Whether it is unknown if the other system had seen our value.
    pub indeterminate: bool,
}

/// The result of resolving a conflict.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConflictResolutionResult {
    /// The belief stays.
    Local {
        /// The rule.
        rule: BeliefRule,
    },
    /// The other system's value becomes the belief.
    External {
        /// The rule.
        rule: BeliefRule,
    },
    /// Both changes are kept in a new value.
    Merged {
        /// The value.
        value: Value,
        /// The rule.
        rule: BeliefRule,
    },
    /// Only a person may decide.
    ManualReviewRequired {
        /// Why.
        reason: ReviewReason,
    },
}

impl ConflictResolutionResult {
    /// Whether only a person may decide.
    pub fn is_for_a_person(&self) -> bool {
        match self {
            Self::ManualReviewRequired { .. } => true,
            Self::Local { .. } | Self::External { .. } | Self::Merged { .. } => false,
        }
    }
}

/// Decides a contest by the field's strategy. Both values are valid, and the external system may write the field.
pub fn resolve_field_conflict(
    policy: &EntityPolicy,
    field: &FieldOwnershipPolicy,
    contest: &Contest<'_>,
) -> ConflictResolutionResult {
    match &field.strategy {
        Strategy::OwnerWins => owner_wins(field, contest),
        Strategy::LatestValidChange => latest(policy, field, contest),
        Strategy::MergeUnion => union(contest),
        Strategy::MergeDelta => delta(field, contest),
        Strategy::MergeMax => extreme(field, contest, true),
        Strategy::MergeMin => extreme(field, contest, false),
        Strategy::MergeText => text(field, contest),
        Strategy::MergeExpression(rule) => expression(field, rule, contest),
        Strategy::ManualReview => review(ReviewReason::ManualReview),
        Strategy::Resolver(resolver) => by_resolver(field, resolver, contest),
    }
}

fn owner_wins(field: &FieldOwnershipPolicy, contest: &Contest<'_>) -> ConflictResolutionResult {
    match &field.owner {
        // The owner itself changed it, so its value prevails over any belief.
        Owner::System(owner) if owner == contest.external_system => {
            ConflictResolutionResult::External { rule: BeliefRule::OwnerWins { owner: owner.clone() } }
        }
        // The belief is the owner's own, or a person's; a proposal that has not seen it gives way.
        Owner::System(owner) if owner == contest.local_system || contest.local_system.is_operator() => {
            ConflictResolutionResult::Local { rule: BeliefRule::OwnerWins { owner: owner.clone() } }
        }
        // Two proposals are concurrent and the owner set nothing, so arrival order must not decide.
        Owner::System(_) | Owner::Shared => by_precedence(field, contest),
    }
}

fn latest(
    policy: &EntityPolicy,
    field: &FieldOwnershipPolicy,
    contest: &Contest<'_>,
) -> ConflictResolutionResult {
    // The changes are concurrent, so causal order does not decide. Clocks decide only if both are trusted and their
    // times differ by more than both skews together.
    let skews =
        policy.trusted_skew_ms(contest.local_system).zip(policy.trusted_skew_ms(contest.external_system));
    if let (Some((local_skew, external_skew)), Some(local), Some(external)) =
        (skews, contest.local_at, contest.external_at)
    {
        let apart_ms = external.millis().abs_diff(local.millis());
        if apart_ms > local_skew.saturating_add(external_skew) {
            let rule = BeliefRule::LatestByClock { apart_ms };
            return if external > local {
                ConflictResolutionResult::External { rule }
            } else {
                ConflictResolutionResult::Local { rule }
            };
        }
    }
    by_precedence(field, contest)
}

fn by_precedence(field: &FieldOwnershipPolicy, contest: &Contest<'_>) -> ConflictResolutionResult {
    let place = |system: &SystemName| field.precedence.iter().position(|named| named == system);
    let rule = || BeliefRule::Precedence { order: field.precedence.clone() };
    match (place(contest.local_system), place(contest.external_system)) {
        (Some(local), Some(external)) if external < local => {
            ConflictResolutionResult::External { rule: rule() }
        }
        (Some(_), Some(_)) => ConflictResolutionResult::Local { rule: rule() },
        (None, _) if contest.local_system.is_operator() => {
            ConflictResolutionResult::Local { rule: BeliefRule::SetByPerson }
        }
        (None, _) | (_, None) => review(ReviewReason::NoPrecedence),
    }
}

/// The value that the copy held before both changes.
fn base_of<'a>(contest: &Contest<'a>) -> Option<&'a Value> {
    contest.base
}

/// Applies what the other system added and removed to the belief. A null side counts as the empty set.
fn union(contest: &Contest<'_>) -> ConflictResolutionResult {
    let members = |value: Option<&Value>| -> BTreeSet<Value> {
        match value {
            Some(Value::List(items)) => items.iter().cloned().collect(),
            Some(
                Value::Null
                | Value::Bool(_)
                | Value::Int(_)
                | Value::Float(_)
                | Value::Text(_)
                | Value::Object(_),
            )
            | None => BTreeSet::new(),
        }
    };
    let (base, external) = (members(base_of(contest)), members(Some(contest.external)));
    let mut merged = members(Some(contest.local));
    merged.retain(|item| !base.contains(item) || external.contains(item));
    merged.extend(external.difference(&base).cloned());
    ConflictResolutionResult::Merged {
        value: Value::List(merged.into_iter().collect()),
        rule: BeliefRule::MergeUnion,
    }
}

/// Adds the other system's difference to the belief.
fn delta(field: &FieldOwnershipPolicy, contest: &Contest<'_>) -> ConflictResolutionResult {
    // Their number may already include ours, and counting it twice would corrupt the sum.
    if contest.indeterminate {
        return review(ReviewReason::SumUncertain);
    }
    let (Some(base), Some(local), Some(external)) =
        (base_of(contest).and_then(number), number(contest.local), number(contest.external))
    else {
        // Without a common base there is no difference to add: the first link of two populated copies.
        return by_precedence(field, contest);
    };
    let sum = external.checked_sub(base).and_then(|difference| local.checked_add(difference));
    match sum.and_then(|sum| field.field_type.accept(&Value::text(sum.normalize().to_string()), false).ok()) {
        Some(value) => ConflictResolutionResult::Merged { value, rule: BeliefRule::MergeDelta },
        None => review(ReviewReason::SumOutOfRange),
    }
}

fn number(value: &Value) -> Option<Decimal> {
    match value {
        Value::Int(int) => Some(Decimal::from(*int)),
        Value::Text(text) => Decimal::from_str(text).ok(),
        Value::Null | Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Object(_) => None,
    }
}

fn extreme(field: &FieldOwnershipPolicy, contest: &Contest<'_>, greatest: bool) -> ConflictResolutionResult {
    let rule = if greatest { BeliefRule::MergeMax } else { BeliefRule::MergeMin };
    let external_greater = match field.field_type {
        FieldType::Integer | FieldType::Decimal => number(contest.external) > number(contest.local),
        // Canonical dates and times in UTC sort as texts only if they are equally long; compare them as times.
        FieldType::Date | FieldType::Timestamp => later(contest.external, contest.local),
        FieldType::String
        | FieldType::Boolean
        | FieldType::Enum { .. }
        | FieldType::Set
        | FieldType::List
        | FieldType::Object
        | FieldType::Ref { .. } => contest.external > contest.local,
    };
    let value = if external_greater == greatest || contest.local.is_null() {
        contest.external
    } else {
        contest.local
    };
    ConflictResolutionResult::Merged { value: value.clone(), rule }
}

fn later(left: &Value, right: &Value) -> bool {
    let time = |value: &Value| value.as_text().and_then(|text| jiff::Timestamp::from_str(text).ok());
    match (time(left), time(right)) {
        (Some(left), Some(right)) => left > right,
        (Some(_), None) | (None, Some(_)) | (None, None) => left > right,
    }
}

fn text(field: &FieldOwnershipPolicy, contest: &Contest<'_>) -> ConflictResolutionResult {
    let (Some(base), Some(local), Some(external)) =
        (contest.base.and_then(Value::as_text), contest.local.as_text(), contest.external.as_text())
    else {
        return by_precedence(field, contest);
    };
    match diffy::merge(base, local, external) {
        Ok(merged) => {
            ConflictResolutionResult::Merged { value: Value::text(merged), rule: BeliefRule::MergeText }
        }
        Err(_) => review(ReviewReason::SameLines),
    }
}

fn expression(
    field: &FieldOwnershipPolicy,
    rule: &crate::policy::cel::Rule,
    contest: &Contest<'_>,
) -> ConflictResolutionResult {
    let null = Value::Null;
    let inputs =
        [("local", contest.local), ("external", contest.external), ("base", contest.base.unwrap_or(&null))];
    let value = match rule.value(&inputs) {
        Ok(value) => value,
        Err(error) => return review(ReviewReason::ExpressionFailed { error: error.to_string() }),
    };
    match of_type(field, &value) {
        Ok(value) => ConflictResolutionResult::Merged {
            value,
            rule: BeliefRule::MergeExpression { expression: rule.source().to_owned() },
        },
        Err(_) => review(ReviewReason::ExpressionUnfit { value }),
    }
}

fn review(reason: ReviewReason) -> ConflictResolutionResult {
    ConflictResolutionResult::ManualReviewRequired { reason }
}

/// Asks the program's own resolver. What it merges has to be of the field's type like any other value.
fn by_resolver(
    field: &FieldOwnershipPolicy,
    resolver: &RegisteredResolver,
    contest: &Contest<'_>,
) -> ConflictResolutionResult {
    let record = contest.record;
    let external_dot = record.vector.next(contest.external_system);
    let copy = record.copies.get(contest.external_system);
    let external_vector = copy.map(|copy| copy.seen.with(&external_dot)).unwrap_or_default();
    // A contest is about a belief, so there is one.
    let Some(belief) = record.fields.get(contest.field) else { return by_precedence(field, contest) };
    let answer = resolver.resolve(&FieldConflict {
        field: contest.field,
        field_type: &field.field_type,
        local: ConflictSide {
            value: contest.local,
            system: contest.local_system,
            dot: &belief.dot,
            vector: &record.vector,
            occurred_at: contest.local_at,
        },
        external: ConflictSide {
            value: contest.external,
            system: contest.external_system,
            dot: &external_dot,
            vector: &external_vector,
            occurred_at: contest.external_at,
        },
        base: contest.base,
        indeterminate: contest.indeterminate,
        record,
    });
    let rule = |choice| BeliefRule::Resolver { resolver: resolver.to_string(), choice };
    match answer {
        DomainResolution::Local => ConflictResolutionResult::Local { rule: rule(ResolverChoice::Believed) },
        DomainResolution::External => {
            ConflictResolutionResult::External { rule: rule(ResolverChoice::Other) }
        }
        DomainResolution::Merged(value) => match of_type(field, &value) {
            Ok(value) => ConflictResolutionResult::Merged { value, rule: rule(ResolverChoice::Both) },
            Err(error) => review(ReviewReason::ResolverUnfit {
                resolver: resolver.to_string(),
                error: error.to_string(),
            }),
        },
        DomainResolution::ManualReviewRequired { reason } => {
            review(ReviewReason::ResolverAsks { resolver: resolver.to_string(), reason })
        }
    }
}

/// A computed value in the canonical form of the field's type.
fn of_type(field: &FieldOwnershipPolicy, value: &Value) -> Result<Value, TypeError> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    field.field_type.accept(value, true)
}
