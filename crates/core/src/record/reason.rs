//! Why something was decided, refused, asked or not confirmed: the codes that events and states store.
//!
//! A code is a name with the values it needs. It never holds a sentence of ours; `explain` makes the words when a
//! code is read. Only texts that another program wrote (a service's error, the answer of an expression) are kept as
//! they came.

use crate::data::ids::{FieldName, RecordId, SystemName};
use crate::data::value::Value;
use serde::{Deserialize, Serialize};

/// The rule by which a value became, or stayed, the belief.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BeliefRule {
    /// The system that changed the field owns it.
    OwnerSet {
        /// The owner.
        owner: SystemName,
    },
    /// The field is shared, so every system that holds it may change it.
    Shared,
    /// The system may propose a change, and its change had seen the belief.
    Proposal {
        /// The owner.
        owner: SystemName,
        /// Who proposed.
        system: SystemName,
    },
    /// The owner has no copy yet, so another system's value is believed until the owner sets one.
    Provisional {
        /// The owner.
        owner: SystemName,
        /// Whose value is believed meanwhile.
        system: SystemName,
    },
    /// Strategy `owner_wins`: the owner's value stays.
    OwnerWins {
        /// The owner.
        owner: SystemName,
    },
    /// Strategy `latest_valid_change`: both clocks are trusted, and the times differ by more than their skew.
    LatestByClock {
        /// How far the two times are apart, in milliseconds.
        apart_ms: u64,
    },
    /// The declared precedence of systems decided.
    Precedence {
        /// The systems, highest first.
        order: Vec<SystemName>,
    },
    /// The believed value was set by a person, and no precedence ranks a person below a system.
    SetByPerson,
    /// Merge `union`: additions and removals of both sides are kept.
    MergeUnion,
    /// Merge `delta`: the differences of both sides are added up.
    MergeDelta,
    /// Merge `max`: the greater value stands.
    MergeMax,
    /// Merge `min`: the smaller value stands.
    MergeMin,
    /// Merge `text`: both edits are kept, line by line.
    MergeText,
    /// Merge `expression`.
    MergeExpression {
        /// The expression as it was declared.
        expression: String,
    },
    /// The program's own resolver decided.
    Resolver {
        /// Its name and version.
        resolver: String,
        /// What it chose.
        choice: ResolverChoice,
    },
    /// All copies came to hold this value while the field waited for a person.
    CopiesAgree,
    /// A person answered the review.
    Answered {
        /// The person, if a name is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// The review.
        review: String,
    },
}

/// Which value the program's own resolver chose.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolverChoice {
    /// The believed value.
    Believed,
    /// The value of the system that changed the field.
    Other,
    /// A value of its own, in which it merged both changes.
    Both,
}

/// Why a record was deleted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeleteRule {
    /// The system may delete, and its copy had seen every edit.
    MayDelete {
        /// Who deleted.
        system: SystemName,
    },
    /// `edit_against_delete = "delete_wins"`: the delete stands although it had not seen these edits.
    DeleteWins {
        /// Who deleted.
        system: SystemName,
        /// The fields whose latest value its copy had not seen.
        unseen: Vec<FieldName>,
    },
    /// A person answered the review.
    Answered {
        /// The person, if a name is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// The review.
        review: String,
    },
}

/// Why a deleted record exists again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreRule {
    /// The system may delete and restore, and it made its copy again.
    MadeAgain {
        /// Who restored.
        system: SystemName,
    },
    /// `edit_against_delete = "edit_wins"`: the edit had not seen the delete.
    EditWins {
        /// Who edited.
        system: SystemName,
    },
    /// A person answered the review.
    Answered {
        /// The person, if a name is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// The review.
        review: String,
    },
}

/// Why a system's value, delete or edit was not allowed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The field belongs to another system.
    NotOwner {
        /// The owner.
        owner: SystemName,
        /// Who changed it.
        system: SystemName,
    },
    /// `nulls = "ignore"`: a null in this system clears nothing.
    NullIgnored {
        /// Which system.
        system: SystemName,
    },
    /// The value does not satisfy the field's `valid` rule.
    Invalid {
        /// The rule as it was declared.
        rule: String,
    },
    /// The field's `valid` rule could not be evaluated for the value.
    RuleFailed {
        /// The rule as it was declared.
        rule: String,
        /// The evaluator's own words.
        error: String,
    },
    /// The field's `transitions` do not allow this step.
    Transition {
        /// The believed value.
        from: String,
        /// The refused value.
        to: String,
        /// The values that may follow.
        allowed: Vec<String>,
    },
    /// The program's own validator refuses the value.
    Validator {
        /// Its name and version.
        validator: String,
        /// The validator's own words.
        reason: String,
    },
    /// Deletes belong to another system.
    MayNotDelete {
        /// The owner of deletes.
        owner: SystemName,
        /// Who deleted.
        system: SystemName,
    },
    /// `edit_against_delete = "edit_wins"`: the delete had not seen these edits.
    EditWins {
        /// Who deleted.
        system: SystemName,
        /// The fields whose latest value its copy had not seen.
        unseen: Vec<FieldName>,
    },
    /// `edit_against_delete = "delete_wins"`: the edit had not seen the delete.
    DeleteWins {
        /// Who edited.
        system: SystemName,
    },
}

/// Why only a person may decide.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewReason {
    /// `on_refused = "review"`: the change was refused.
    Refused(Refusal),
    /// Strategy `manual_review`: the changes are concurrent.
    ManualReview,
    /// Nothing proves which change is newer, and no precedence ranks the two systems.
    NoPrecedence,
    /// Merge `delta`: it is unknown whether the system's number already includes ours.
    SumUncertain,
    /// Merge `delta`: the sum is outside what the field can hold.
    SumOutOfRange,
    /// Merge `text`: both sides edited the same lines.
    SameLines,
    /// Merge `expression`: the expression could not be evaluated.
    ExpressionFailed {
        /// The evaluator's own words.
        error: String,
    },
    /// Merge `expression`: the field cannot hold the expression's value.
    ExpressionUnfit {
        /// The expression's value.
        value: Value,
    },
    /// The field cannot hold the value that the program's own resolver merged.
    ResolverUnfit {
        /// Its name and version.
        resolver: String,
        /// Why the field cannot hold the value.
        error: String,
    },
    /// The program's own resolver leaves the decision to a person.
    ResolverAsks {
        /// Its name and version.
        resolver: String,
        /// The resolver's own words.
        reason: String,
    },
    /// The merged value is not allowed.
    MergedInvalid {
        /// How it was merged.
        rule: BeliefRule,
        /// The merged value.
        value: Value,
        /// Why it is not allowed.
        refusal: Refusal,
    },
    /// A copy was deleted, and the policy declares no owner of deletes.
    NoOwnerOfDeletes {
        /// Who deleted.
        system: SystemName,
    },
    /// A copy was deleted that had not seen these edits.
    DeleteAgainstEdit {
        /// Who deleted.
        system: SystemName,
        /// The fields whose latest value its copy had not seen.
        unseen: Vec<FieldName>,
    },
    /// A copy was edited whose record had been deleted elsewhere.
    EditAgainstDelete {
        /// Who edited.
        system: SystemName,
    },
    /// `repair = "review"`: a reconciliation found a difference.
    RepairAsks {
        /// Whose copy differs.
        system: SystemName,
    },
}

/// Why a review closed without a person's answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosingReason {
    /// All copies hold the same valid value, which became the belief.
    CopiesAgree {
        /// The value.
        value: Value,
    },
    /// All copies hold the believed value.
    CopiesHoldBelief,
    /// The missing copy exists again.
    CopyExistsAgain {
        /// In which system.
        system: SystemName,
    },
}

/// Why a write was not confirmed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// What the system or its connector said, in its own words.
    Told(String),
    /// The place where the copy should be created does not exist.
    PlaceMissing,
    /// The run ended before the system answered.
    RunEnded,
    /// The system cannot be searched, so it is unknown whether the create made a copy.
    NotSearchable,
    /// The read-back shows that the write had no effect.
    ReadBackShowsNoEffect,
    /// The look-up shows that the write had no effect.
    LookUpShowsNoEffect,
    /// It was accepted or its answer was lost, and nothing shows the copy yet.
    NotShownYet,
    /// The system said that it was done, and shows what stood in these fields before.
    NotShown {
        /// The fields.
        fields: Vec<FieldName>,
    },
    /// The system said that it was done, and neither its answer nor a read shows the copy.
    NothingShown,
    /// The system keeps what stood in these fields before, although it takes the write.
    NotTaken {
        /// The fields.
        fields: Vec<FieldName>,
    },
    /// The system says that the copy does not exist, and shows it.
    MissingButShown,
    /// A person stated that the write had no effect.
    NoEffectSaid {
        /// The person.
        by: String,
    },
    /// The copy does not exist any more.
    CopyMissing,
    /// The copy cannot be read.
    CopyUnreadable,
    /// A copy with the same key exists and cannot be read.
    FoundUnreadable {
        /// The copy's id in its system.
        remote_id: String,
    },
    /// A copy with the same key exists and is linked instead of creating another one.
    FoundExisting,
    /// The copy with the same key is linked with another record.
    LinkedElsewhere {
        /// The other record.
        record: RecordId,
    },
    /// Another record found the same copy and is linked with it first.
    FoundByAnother,
    /// The copy with the same key may have been made by another record's create, whose outcome is unknown.
    MayBelongTo {
        /// The other record.
        record: RecordId,
    },
    /// The copy with the same key is about to be deleted, and this write comes after that.
    CopyIsLeaving {
        /// The record whose copy it is.
        record: RecordId,
    },
    /// Something else is to be written by now.
    Outdated,
    /// The copy refers to a record that is not known yet.
    ReferentUnknown,
    /// The system keeps undoing the write.
    Flapping {
        /// The fields, in the system's names.
        fields: Vec<String>,
    },
}
