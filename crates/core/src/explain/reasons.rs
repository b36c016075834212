//! The words of every code that events, states and errors of this crate hold, one function for each kind of code.

use super::short::{short_text, short_value, spoken};
use crate::data::ids::{FieldName, SystemName};
use crate::decide::review::ReviewError;
use crate::history::{Basis, Evidence, Strength};
use crate::record::Subject;
use crate::record::reason::{
    BeliefRule, ClosingReason, DeleteRule, FailureReason, Refusal, ResolverChoice, RestoreRule, ReviewReason,
};
use std::fmt;

/// The field, or the record's existence, as the subject of a sentence.
pub fn subject_words(subject: &Subject) -> &str {
    match subject {
        Subject::Existence => "the record's existence",
        Subject::Field(field) => field.as_str(),
    }
}

/// The evidence with its strength: `inferred: its copy carried app:12 when it changed`.
pub fn evidence_words(evidence: &Evidence) -> String {
    format!("{}: {}", strength_word(evidence.strength), basis_words(&evidence.by))
}

fn strength_word(strength: Strength) -> &'static str {
    match strength {
        Strength::Proven => "proven",
        Strength::Inferred => "inferred",
        Strength::Unknown => "unknown",
    }
}

/// What an inference rests on.
pub fn basis_words(basis: &Basis) -> String {
    match basis {
        Basis::NothingBelieved => "no system had shown this field before".to_owned(),
        Basis::EqualsBelief => "the value equals what is believed".to_owned(),
        Basis::BeliefSeen { belief } => format!("its copy carried {belief} when it changed"),
        Basis::OtherBeliefSeen { base, belief } => {
            format!("its copy carried {base}, not {belief}, when it changed")
        }
        Basis::BeliefNotSeen { belief } => format!("its copy had not seen {belief} when it was first shown"),
        Basis::LogBeforeWrite { belief } => {
            format!("the change log shows it before our write of {belief} arrived there")
        }
        Basis::WriteInFlight { belief } => {
            format!("our write of {belief} was in flight, so the change may have come before or after it")
        }
        Basis::OlderOrder => "the system's own order says that it is older than what is known".to_owned(),
        Basis::WriteKey => "it carries the key of our write".to_owned(),
        Basis::SentValues => "the copy holds every value that we sent".to_owned(),
        Basis::MostSentValues => "the copy holds most of what our create sent".to_owned(),
        Basis::LastWrite => "the copy holds what we wrote last (ledger)".to_owned(),
        Basis::EarlierValue => {
            "the copy held this value before, so it is read again before it is believed".to_owned()
        }
        Basis::CopyExistsAgain => "the copy exists again".to_owned(),
        Basis::CopyMissing => "the system says that the copy does not exist".to_owned(),
        Basis::Confirmed { by } => format!("confirmed by {by}"),
    }
}

/// Why the value of a field became, or stayed, the belief.
pub fn rule_words(rule: &BeliefRule, field: &FieldName) -> String {
    match rule {
        BeliefRule::OwnerSet { owner } => format!("{field} belongs to {owner}"),
        BeliefRule::Shared => format!("{field} is shared: every system that holds it may change it"),
        BeliefRule::Proposal { owner, system } => {
            format!(
                "{field} belongs to {owner}, and {system} may propose a change that has seen the latest value"
            )
        }
        BeliefRule::Provisional { owner, system } => {
            format!(
                "{field} belongs to {owner}, which has no usable copy yet, so {system}'s value is believed until it has one"
            )
        }
        BeliefRule::OwnerWins { owner } => format!("owner_wins: the field belongs to {owner}"),
        BeliefRule::LatestByClock { apart_ms } => {
            format!("latest_valid_change: both clocks are trusted and {apart_ms} ms apart")
        }
        BeliefRule::Precedence { order } => {
            let names: Vec<&str> = order.iter().map(SystemName::as_str).collect();
            format!("precedence: {}", names.join(" before "))
        }
        BeliefRule::SetByPerson => "a person decided this value".to_owned(),
        BeliefRule::MergeUnion => "merge by union: additions and removals of both sides are kept".to_owned(),
        BeliefRule::MergeDelta => "merge by delta: the differences of both sides are added up".to_owned(),
        BeliefRule::MergeMax => "merge by max: the greater value stands".to_owned(),
        BeliefRule::MergeMin => "merge by min: the smaller value stands".to_owned(),
        BeliefRule::MergeText => "merge by text: both edits are kept, line by line".to_owned(),
        BeliefRule::MergeExpression { expression } => format!("merge by expression: {expression}"),
        BeliefRule::Resolver { resolver, choice } => match choice {
            ResolverChoice::Believed => format!("{resolver}: the believed value stands"),
            ResolverChoice::Other => format!("{resolver}: the other value stands"),
            ResolverChoice::Both => format!("{resolver}: both changes are kept in one value"),
        },
        BeliefRule::CopiesAgree => "all copies came to hold this value while a person was asked".to_owned(),
        BeliefRule::Answered { by, review } => answered(by.as_deref(), review),
    }
}

/// Why a record was deleted.
pub fn delete_words(rule: &DeleteRule) -> String {
    match rule {
        DeleteRule::MayDelete { system } => format!("{system} may delete, and its copy had seen every edit"),
        DeleteRule::DeleteWins { system, unseen } => format!("{}; delete_wins", missed(system, unseen)),
        DeleteRule::Answered { by, review } => answered(by.as_deref(), review),
    }
}

/// Why a deleted record exists again.
pub fn restore_words(rule: &RestoreRule) -> String {
    match rule {
        RestoreRule::MadeAgain { system } => {
            format!("{system} may delete and restore, and made its copy again")
        }
        RestoreRule::EditWins { system } => {
            format!("{system} edited its copy without having seen the delete; edit_wins")
        }
        RestoreRule::Answered { by, review } => answered(by.as_deref(), review),
    }
}

/// Why a change of the subject was not allowed.
pub fn refusal_words(refusal: &Refusal, subject: &Subject) -> String {
    match refusal {
        Refusal::NotOwner { owner, system } => {
            format!("{subject} belongs to {owner}; {system} may not change it")
        }
        Refusal::NullIgnored { system } => {
            format!("null does not clear {subject} in {system} (nulls = \"ignore\")")
        }
        Refusal::Invalid { rule } => format!("the value does not satisfy {rule}"),
        Refusal::RuleFailed { rule, error } => {
            format!("the rule {rule} could not be evaluated for this value: {error}")
        }
        Refusal::Transition { from, to, allowed } => {
            let allowed = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") };
            format!("{from} may not become {to}: after {from} may come {allowed}")
        }
        Refusal::Validator { validator, reason } => format!("{validator} refuses it: {reason}"),
        Refusal::MayNotDelete { owner, system } => {
            format!("deletes belong to {owner}; {system} may not delete")
        }
        Refusal::EditWins { system, unseen } => format!("{}; edit_wins", missed(system, unseen)),
        Refusal::DeleteWins { system } => {
            format!("{system} edited its copy without having seen the delete; delete_wins")
        }
    }
}

/// Why a person has to decide about the subject.
pub fn review_words(reason: &ReviewReason, subject: &Subject) -> String {
    match reason {
        ReviewReason::Refused(refusal) => refusal_words(refusal, subject),
        ReviewReason::ManualReview => {
            "manual_review: the changes are concurrent, so the policy asks a person".to_owned()
        }
        ReviewReason::NoPrecedence => {
            "nothing proves which change is newer, and no precedence is declared between the two".to_owned()
        }
        ReviewReason::SumUncertain => {
            "it is unknown whether their number already includes ours, so the sum is not certain".to_owned()
        }
        ReviewReason::SumOutOfRange => "the sum is outside what the field can hold".to_owned(),
        ReviewReason::SameLines => "both sides edited the same lines".to_owned(),
        ReviewReason::ExpressionFailed { error } => {
            format!("the merge expression could not be evaluated: {error}")
        }
        ReviewReason::ExpressionUnfit { value } => {
            format!("the merge expression gave {}, which the field cannot hold", short_value(value))
        }
        ReviewReason::ResolverUnfit { resolver, error } => {
            format!("{resolver} gave a value that the field cannot hold: {error}")
        }
        ReviewReason::ResolverAsks { resolver, reason } => format!("{resolver} asks a person: {reason}"),
        ReviewReason::MergedInvalid { rule, value, refusal } => {
            let rule = subject.field().map(|field| rule_words(rule, field)).unwrap_or_default();
            let refusal = refusal_words(refusal, subject);
            format!("{rule}, but {} is not allowed: {refusal}", short_value(value))
        }
        ReviewReason::NoOwnerOfDeletes { system } => {
            format!("{system} deleted its copy, and no owner of deletes is declared")
        }
        ReviewReason::DeleteAgainstEdit { system, unseen } => missed(system, unseen),
        ReviewReason::EditAgainstDelete { system } => {
            format!("{system} changed a record that was deleted elsewhere")
        }
        ReviewReason::RepairAsks { system } => {
            format!(
                "reconciliation found that {system} differs, and its repair is left to a person (repair = \"review\")"
            )
        }
    }
}

/// Why a review closed without a person's answer.
pub fn closing_words(reason: &ClosingReason) -> String {
    match reason {
        ClosingReason::CopiesAgree { value } => format!("all copies hold {}", short_value(value)),
        ClosingReason::CopiesHoldBelief => "all copies hold what is believed".to_owned(),
        ClosingReason::CopyExistsAgain { system } => format!("the copy in {system} exists again"),
    }
}

/// Why a write to a system was not confirmed.
pub fn failure_words(reason: &FailureReason, system: &SystemName) -> String {
    match reason {
        FailureReason::Told(words) => words.clone(),
        FailureReason::PlaceMissing => "the place to create it in is missing".to_owned(),
        FailureReason::RunEnded => "the run ended before the answer came".to_owned(),
        FailureReason::NotSearchable => {
            format!("{system} cannot be searched, so it is unknown whether the record was created")
        }
        FailureReason::ReadBackShowsNoEffect => "reading it back shows no effect".to_owned(),
        FailureReason::LookUpShowsNoEffect => "looking it up shows no effect".to_owned(),
        FailureReason::NotShownYet => format!("{system} does not show yet whether it was done"),
        FailureReason::NotShown { fields } => {
            format!("{system} took the write, and still shows what stood in {} before", listed(fields))
        }
        FailureReason::NothingShown => format!("{system} took the write, and does not show what came of it"),
        FailureReason::NotTaken { fields } => format!(
            "{system} takes the write and keeps what stood in {} before; let it accept the value there, or map the \
             field as read_only",
            listed(fields)
        ),
        FailureReason::MissingButShown => {
            format!("{system} answers that the copy does not exist, and shows it all the same")
        }
        FailureReason::NoEffectSaid { by } => format!("{by} says that it had no effect"),
        FailureReason::CopyMissing => "the copy does not exist any more".to_owned(),
        FailureReason::CopyUnreadable => "the copy cannot be read".to_owned(),
        FailureReason::FoundUnreadable { remote_id } => {
            format!(
                "a copy with the same key exists in {system} and cannot be read: {}",
                short_text(remote_id)
            )
        }
        FailureReason::FoundExisting => {
            "a copy with the same key exists there; it is linked instead of creating another".to_owned()
        }
        FailureReason::LinkedElsewhere { record } => {
            format!("the copy with the same key in {system} belongs to record {record} already")
        }
        FailureReason::FoundByAnother => {
            "another record has found the same copy, and is linked with it first".to_owned()
        }
        FailureReason::MayBelongTo { record } => {
            format!("the copy there may be that of record {record}, whose create has no known outcome yet")
        }
        FailureReason::CopyIsLeaving { record } => {
            format!(
                "the copy with the same key in {system} is that of record {record}, whose delete comes first"
            )
        }
        FailureReason::Outdated => "something else is to be written by now".to_owned(),
        FailureReason::ReferentUnknown => {
            "the copy there refers to a record that is not known yet".to_owned()
        }
        FailureReason::Flapping { fields } => {
            format!(
                "{system} keeps changing {} back after we write it; find out what does that there, or let {system} own it",
                fields.join(", ")
            )
        }
    }
}

fn listed(fields: &[FieldName]) -> String {
    fields.iter().map(FieldName::as_str).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for ReviewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReviewError::NotOpen(review) => {
                write!(f, "the review {review} is not open: it was decided or has closed itself")
            }
            ReviewError::ValueForExistence => f.write_str(
                "a value does not answer a question about whether the record shall exist. \
                 Use --keep, --delete or --restore",
            ),
            ReviewError::ExistenceForField(field) => write!(
                f,
                "deleting or restoring does not answer a question about the value of {field}. \
                 Use --keep, --take SYSTEM or --set VALUE"
            ),
            ReviewError::NoValue(system, field) => write!(f, "{system} holds no value of {field}"),
            ReviewError::WrongType { field, value, error } => {
                write!(f, "{field} cannot become {value}: {error}")
            }
            ReviewError::NotAllowed { field, value, reason } => {
                let reason = refusal_words(reason, &Subject::Field(field.clone()));
                write!(f, "{field} cannot become {value}: {reason}")
            }
        }
    }
}

/// A delete that missed edits.
fn missed(system: &SystemName, unseen: &[FieldName]) -> String {
    let names = spoken(unseen.iter().map(FieldName::as_str), "and");
    format!("{system} deleted its copy without having seen the latest {names}")
}

fn answered(by: Option<&str>, review: &str) -> String {
    format!("{} decided it in review {review}", by.unwrap_or("a person"))
}
