//! Random codes of every kind that events and states store.

use super::Random;
use avowal_core::data::ids::FieldName;
use avowal_core::history::{Basis, ConfirmedBy};
use avowal_core::record::Subject;
use avowal_core::record::reason::{
    BeliefRule, ClosingReason, DeleteRule, FailureReason, Refusal, RestoreRule, ReviewReason,
};

impl Random {
    pub(super) fn subject(&mut self) -> Subject {
        if self.one_in(4) { Subject::Existence } else { Subject::Field(self.field()) }
    }

    fn names(&mut self) -> Vec<FieldName> {
        self.some(3, Self::field)
    }

    pub(super) fn basis(&mut self) -> Basis {
        let codes = [
            Basis::NothingBelieved,
            Basis::EqualsBelief,
            Basis::BeliefSeen { belief: self.dot() },
            Basis::OtherBeliefSeen { base: self.dot(), belief: self.dot() },
            Basis::BeliefNotSeen { belief: self.dot() },
            Basis::LogBeforeWrite { belief: self.dot() },
            Basis::WriteInFlight { belief: self.dot() },
            Basis::OlderOrder,
            Basis::WriteKey,
            Basis::SentValues,
            Basis::MostSentValues,
            Basis::LastWrite,
            Basis::EarlierValue,
            Basis::CopyExistsAgain,
            Basis::CopyMissing,
            Basis::Confirmed { by: ConfirmedBy::Receipt },
        ];
        self.pick(&codes)
    }

    pub(super) fn belief_rule(&mut self) -> BeliefRule {
        let codes = [
            BeliefRule::OwnerSet { owner: self.system() },
            BeliefRule::Shared,
            BeliefRule::Proposal { owner: self.system(), system: self.system() },
            BeliefRule::Provisional { owner: self.system(), system: self.system() },
            BeliefRule::OwnerWins { owner: self.system() },
            BeliefRule::LatestByClock { apart_ms: self.below(1 << 40) },
            BeliefRule::Precedence { order: self.some(3, Self::system) },
            BeliefRule::SetByPerson,
            BeliefRule::MergeUnion,
            BeliefRule::MergeDelta,
            BeliefRule::MergeMax,
            BeliefRule::MergeMin,
            BeliefRule::MergeText,
            BeliefRule::MergeExpression { expression: self.text() },
            BeliefRule::CopiesAgree,
            BeliefRule::Answered { by: self.maybe(Self::text), review: self.text() },
        ];
        self.pick(&codes)
    }

    pub(super) fn delete_rule(&mut self) -> DeleteRule {
        let codes = [
            DeleteRule::MayDelete { system: self.system() },
            DeleteRule::DeleteWins { system: self.system(), unseen: self.names() },
            DeleteRule::Answered { by: self.maybe(Self::text), review: self.text() },
        ];
        self.pick(&codes)
    }

    pub(super) fn restore_rule(&mut self) -> RestoreRule {
        let codes = [
            RestoreRule::MadeAgain { system: self.system() },
            RestoreRule::EditWins { system: self.system() },
            RestoreRule::Answered { by: self.maybe(Self::text), review: self.text() },
        ];
        self.pick(&codes)
    }

    pub(super) fn refusal(&mut self) -> Refusal {
        let codes = [
            Refusal::NotOwner { owner: self.system(), system: self.system() },
            Refusal::NullIgnored { system: self.system() },
            Refusal::Invalid { rule: self.text() },
            Refusal::RuleFailed { rule: self.text(), error: self.text() },
            Refusal::Transition { from: self.text(), to: self.text(), allowed: self.some(3, Self::text) },
            Refusal::MayNotDelete { owner: self.system(), system: self.system() },
            Refusal::EditWins { system: self.system(), unseen: self.names() },
            Refusal::DeleteWins { system: self.system() },
        ];
        self.pick(&codes)
    }

    pub(super) fn review_reason(&mut self) -> ReviewReason {
        let codes = [
            ReviewReason::Refused(self.refusal()),
            ReviewReason::ManualReview,
            ReviewReason::NoPrecedence,
            ReviewReason::SumUncertain,
            ReviewReason::SumOutOfRange,
            ReviewReason::SameLines,
            ReviewReason::ExpressionFailed { error: self.text() },
            ReviewReason::ExpressionUnfit { value: self.value(2) },
            ReviewReason::MergedInvalid {
                rule: self.belief_rule(),
                value: self.value(2),
                refusal: self.refusal(),
            },
            ReviewReason::RepairAsks { system: self.system() },
            ReviewReason::NoOwnerOfDeletes { system: self.system() },
            ReviewReason::DeleteAgainstEdit { system: self.system(), unseen: self.names() },
            ReviewReason::EditAgainstDelete { system: self.system() },
        ];
        self.pick(&codes)
    }

    pub(super) fn closing_reason(&mut self) -> ClosingReason {
        let codes = [
            ClosingReason::CopiesAgree { value: self.value(2) },
            ClosingReason::CopiesHoldBelief,
            ClosingReason::CopyExistsAgain { system: self.system() },
        ];
        self.pick(&codes)
    }

    pub(super) fn failure_reason(&mut self) -> FailureReason {
        let codes = [
            FailureReason::Told(self.text()),
            FailureReason::PlaceMissing,
            FailureReason::RunEnded,
            FailureReason::NotSearchable,
            FailureReason::ReadBackShowsNoEffect,
            FailureReason::LookUpShowsNoEffect,
            FailureReason::NoEffectSaid { by: self.text() },
            FailureReason::CopyMissing,
            FailureReason::CopyUnreadable,
            FailureReason::FoundUnreadable { remote_id: self.text() },
            FailureReason::FoundExisting,
            FailureReason::LinkedElsewhere { record: self.text().into() },
            FailureReason::FoundByAnother,
            FailureReason::MayBelongTo { record: self.text().into() },
            FailureReason::ReferentUnknown,
            FailureReason::Flapping { fields: self.some(3, Self::text) },
        ];
        self.pick(&codes)
    }
}
