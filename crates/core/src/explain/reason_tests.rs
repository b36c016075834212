//! Every code has one wire form and one sentence.

use super::*;
use crate::data::ids::{FieldName, SystemName};
use crate::data::version::Dot;
use crate::history::{Basis, ConfirmedBy, Evidence};
use crate::record::Subject;
use crate::record::reason::{
    BeliefRule, ClosingReason, DeleteRule, FailureReason, Refusal, ResolverChoice, RestoreRule, ReviewReason,
};
use serde::Serialize;

/// The wire form of a code beside its words.
fn told(code: &impl Serialize, words: &str) -> String {
    format!("{} | {words}", serde_json::to_string(code).unwrap())
}

fn app() -> SystemName {
    "app".into()
}

fn crm() -> SystemName {
    "crm".into()
}

fn unseen() -> Vec<FieldName> {
    vec!["email".into(), "phone".into(), "status".into()]
}

#[test]
fn rules_have_a_wire_form_and_words() {
    let field: FieldName = "email".into();
    let rules = [
        BeliefRule::OwnerSet { owner: app() },
        BeliefRule::Shared,
        BeliefRule::Proposal { owner: app(), system: crm() },
        BeliefRule::Provisional { owner: app(), system: crm() },
        BeliefRule::OwnerWins { owner: app() },
        BeliefRule::LatestByClock { apart_ms: 4_000 },
        BeliefRule::Precedence { order: vec![app(), crm()] },
        BeliefRule::SetByPerson,
        BeliefRule::MergeUnion,
        BeliefRule::MergeDelta,
        BeliefRule::MergeMax,
        BeliefRule::MergeMin,
        BeliefRule::MergeText,
        BeliefRule::MergeExpression { expression: "local + external".into() },
        BeliefRule::Resolver {
            resolver: "the resolver phone (version 2)".into(),
            choice: ResolverChoice::Both,
        },
        BeliefRule::CopiesAgree,
        BeliefRule::Answered { by: Some("ada".into()), review: "r1-9".into() },
    ];
    let mut lines: Vec<String> = rules.iter().map(|rule| told(rule, &rule_words(rule, &field))).collect();
    let deletes = [
        DeleteRule::MayDelete { system: app() },
        DeleteRule::DeleteWins { system: crm(), unseen: unseen() },
        DeleteRule::Answered { by: None, review: "r1-9".into() },
    ];
    lines.extend(deletes.iter().map(|rule| told(rule, &delete_words(rule))));
    let restores = [
        RestoreRule::MadeAgain { system: app() },
        RestoreRule::EditWins { system: crm() },
        RestoreRule::Answered { by: None, review: "r1-9".into() },
    ];
    lines.extend(restores.iter().map(|rule| told(rule, &restore_words(rule))));
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"owner_set":{"owner":"app"}} | email belongs to app
    "shared" | email is shared: every system that holds it may change it
    {"proposal":{"owner":"app","system":"crm"}} | email belongs to app, and crm may propose a change that has seen the latest value
    {"provisional":{"owner":"app","system":"crm"}} | email belongs to app, which has no usable copy yet, so crm's value is believed until it has one
    {"owner_wins":{"owner":"app"}} | owner_wins: the field belongs to app
    {"latest_by_clock":{"apart_ms":4000}} | latest_valid_change: both clocks are trusted and 4000 ms apart
    {"precedence":{"order":["app","crm"]}} | precedence: app before crm
    "set_by_person" | a person decided this value
    "merge_union" | merge by union: additions and removals of both sides are kept
    "merge_delta" | merge by delta: the differences of both sides are added up
    "merge_max" | merge by max: the greater value stands
    "merge_min" | merge by min: the smaller value stands
    "merge_text" | merge by text: both edits are kept, line by line
    {"merge_expression":{"expression":"local + external"}} | merge by expression: local + external
    {"resolver":{"resolver":"the resolver phone (version 2)","choice":"both"}} | the resolver phone (version 2): both changes are kept in one value
    "copies_agree" | all copies came to hold this value while a person was asked
    {"answered":{"by":"ada","review":"r1-9"}} | ada decided it in review r1-9
    {"may_delete":{"system":"app"}} | app may delete, and its copy had seen every edit
    {"delete_wins":{"system":"crm","unseen":["email","phone","status"]}} | crm deleted its copy without having seen the latest email, phone and status; delete_wins
    {"answered":{"review":"r1-9"}} | a person decided it in review r1-9
    {"made_again":{"system":"app"}} | app may delete and restore, and made its copy again
    {"edit_wins":{"system":"crm"}} | crm edited its copy without having seen the delete; edit_wins
    {"answered":{"review":"r1-9"}} | a person decided it in review r1-9
    "#);
}

#[test]
fn refusals_and_reviews_have_a_wire_form_and_words() {
    let (field, existence) = (Subject::from("email"), Subject::Existence);
    let not_owner = Refusal::NotOwner { owner: app(), system: crm() };
    let about_field = [
        not_owner.clone(),
        Refusal::NullIgnored { system: crm() },
        Refusal::Invalid { rule: "value > 0".into() },
        Refusal::RuleFailed { rule: "value > 0".into(), error: "no such overload".into() },
        Refusal::Transition { from: "active".into(), to: "trial".into(), allowed: vec!["cancelled".into()] },
    ];
    let about_existence = [
        Refusal::MayNotDelete { owner: app(), system: crm() },
        Refusal::EditWins { system: crm(), unseen: unseen() },
        Refusal::DeleteWins { system: crm() },
    ];
    let mut lines: Vec<String> =
        about_field.iter().map(|code| told(code, &refusal_words(code, &field))).collect();
    lines.extend(about_existence.iter().map(|code| told(code, &refusal_words(code, &existence))));
    let reviews = [
        ReviewReason::Refused(not_owner),
        ReviewReason::ManualReview,
        ReviewReason::NoPrecedence,
        ReviewReason::SumUncertain,
        ReviewReason::SumOutOfRange,
        ReviewReason::SameLines,
        ReviewReason::ExpressionFailed { error: "division by zero".into() },
        ReviewReason::ExpressionUnfit { value: "x".into() },
        ReviewReason::MergedInvalid {
            rule: BeliefRule::MergeDelta,
            value: (-1).into(),
            refusal: Refusal::Invalid { rule: "value > 0".into() },
        },
    ];
    lines.extend(reviews.iter().map(|code| told(code, &review_words(code, &field))));
    let reviews = [
        ReviewReason::NoOwnerOfDeletes { system: crm() },
        ReviewReason::DeleteAgainstEdit { system: crm(), unseen: unseen() },
        ReviewReason::EditAgainstDelete { system: crm() },
        ReviewReason::RepairAsks { system: crm() },
    ];
    lines.extend(reviews.iter().map(|code| told(code, &review_words(code, &existence))));
    let closings = [
        ClosingReason::CopiesAgree { value: "x".into() },
        ClosingReason::CopiesHoldBelief,
        ClosingReason::CopyExistsAgain { system: crm() },
    ];
    lines.extend(closings.iter().map(|code| told(code, &closing_words(code))));
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"not_owner":{"owner":"app","system":"crm"}} | email belongs to app; crm may not change it
    {"null_ignored":{"system":"crm"}} | null does not clear email in crm (nulls = "ignore")
    {"invalid":{"rule":"value > 0"}} | the value does not satisfy value > 0
    {"rule_failed":{"rule":"value > 0","error":"no such overload"}} | the rule value > 0 could not be evaluated for this value: no such overload
    {"transition":{"from":"active","to":"trial","allowed":["cancelled"]}} | active may not become trial: after active may come cancelled
    {"may_not_delete":{"owner":"app","system":"crm"}} | deletes belong to app; crm may not delete
    {"edit_wins":{"system":"crm","unseen":["email","phone","status"]}} | crm deleted its copy without having seen the latest email, phone and status; edit_wins
    {"delete_wins":{"system":"crm"}} | crm edited its copy without having seen the delete; delete_wins
    {"refused":{"not_owner":{"owner":"app","system":"crm"}}} | email belongs to app; crm may not change it
    "manual_review" | manual_review: the changes are concurrent, so the policy asks a person
    "no_precedence" | nothing proves which change is newer, and no precedence is declared between the two
    "sum_uncertain" | it is unknown whether their number already includes ours, so the sum is not certain
    "sum_out_of_range" | the sum is outside what the field can hold
    "same_lines" | both sides edited the same lines
    {"expression_failed":{"error":"division by zero"}} | the merge expression could not be evaluated: division by zero
    {"expression_unfit":{"value":"x"}} | the merge expression gave "x", which the field cannot hold
    {"merged_invalid":{"rule":"merge_delta","value":-1,"refusal":{"invalid":{"rule":"value > 0"}}}} | merge by delta: the differences of both sides are added up, but -1 is not allowed: the value does not satisfy value > 0
    {"no_owner_of_deletes":{"system":"crm"}} | crm deleted its copy, and no owner of deletes is declared
    {"delete_against_edit":{"system":"crm","unseen":["email","phone","status"]}} | crm deleted its copy without having seen the latest email, phone and status
    {"edit_against_delete":{"system":"crm"}} | crm changed a record that was deleted elsewhere
    {"repair_asks":{"system":"crm"}} | reconciliation found that crm differs, and its repair is left to a person (repair = "review")
    {"copies_agree":{"value":"x"}} | all copies hold "x"
    "copies_hold_belief" | all copies hold what is believed
    {"copy_exists_again":{"system":"crm"}} | the copy in crm exists again
    "#);
}

#[test]
fn failures_and_evidence_have_a_wire_form_and_words() {
    let failures = [
        FailureReason::Told("503 Service Unavailable".into()),
        FailureReason::PlaceMissing,
        FailureReason::RunEnded,
        FailureReason::NotSearchable,
        FailureReason::ReadBackShowsNoEffect,
        FailureReason::LookUpShowsNoEffect,
        FailureReason::NoEffectSaid { by: "ada".into() },
        FailureReason::CopyMissing,
        FailureReason::CopyUnreadable,
        FailureReason::NotShownYet,
        FailureReason::NotShown { fields: vec!["phone".into()] },
        FailureReason::NothingShown,
        FailureReason::NotTaken { fields: vec!["phone".into()] },
        FailureReason::MissingButShown,
        FailureReason::FoundUnreadable { remote_id: "42".into() },
        FailureReason::FoundExisting,
        FailureReason::LinkedElsewhere { record: "r2".into() },
        FailureReason::FoundByAnother,
        FailureReason::MayBelongTo { record: "r2".into() },
        FailureReason::ReferentUnknown,
        FailureReason::Flapping { fields: vec!["email_address".into()] },
    ];
    let mut lines: Vec<String> =
        failures.iter().map(|code| told(code, &failure_words(code, &crm()))).collect();
    let belief = || Dot::new("app", 12);
    let bases = [
        Basis::NothingBelieved,
        Basis::EqualsBelief,
        Basis::BeliefSeen { belief: belief() },
        Basis::OtherBeliefSeen { base: Dot::new("app", 11), belief: belief() },
        Basis::BeliefNotSeen { belief: belief() },
        Basis::LogBeforeWrite { belief: belief() },
        Basis::WriteInFlight { belief: belief() },
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
    lines.extend(bases.iter().map(|code| told(code, &basis_words(code))));
    let evidence = Evidence::inferred(Basis::LastWrite);
    lines.push(told(&evidence, &evidence_words(&evidence)));
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"told":"503 Service Unavailable"} | 503 Service Unavailable
    "place_missing" | the place to create it in is missing
    "run_ended" | the run ended before the answer came
    "not_searchable" | crm cannot be searched, so it is unknown whether the record was created
    "read_back_shows_no_effect" | reading it back shows no effect
    "look_up_shows_no_effect" | looking it up shows no effect
    {"no_effect_said":{"by":"ada"}} | ada says that it had no effect
    "copy_missing" | the copy does not exist any more
    "copy_unreadable" | the copy cannot be read
    "not_shown_yet" | crm does not show yet whether it was done
    {"not_shown":{"fields":["phone"]}} | crm took the write, and still shows what stood in phone before
    "nothing_shown" | crm took the write, and does not show what came of it
    {"not_taken":{"fields":["phone"]}} | crm takes the write and keeps what stood in phone before; let it accept the value there, or map the field as read_only
    "missing_but_shown" | crm answers that the copy does not exist, and shows it all the same
    {"found_unreadable":{"remote_id":"42"}} | a copy with the same key exists in crm and cannot be read: 42
    "found_existing" | a copy with the same key exists there; it is linked instead of creating another
    {"linked_elsewhere":{"record":"r2"}} | the copy with the same key in crm belongs to record r2 already
    "found_by_another" | another record has found the same copy, and is linked with it first
    {"may_belong_to":{"record":"r2"}} | the copy there may be that of record r2, whose create has no known outcome yet
    "referent_unknown" | the copy there refers to a record that is not known yet
    {"flapping":{"fields":["email_address"]}} | crm keeps changing email_address back after we write it; find out what does that there, or let crm own it
    "nothing_believed" | no system had shown this field before
    "equals_belief" | the value equals what is believed
    {"belief_seen":{"belief":{"system":"app","n":12}}} | its copy carried app:12 when it changed
    {"other_belief_seen":{"base":{"system":"app","n":11},"belief":{"system":"app","n":12}}} | its copy carried app:11, not app:12, when it changed
    {"belief_not_seen":{"belief":{"system":"app","n":12}}} | its copy had not seen app:12 when it was first shown
    {"log_before_write":{"belief":{"system":"app","n":12}}} | the change log shows it before our write of app:12 arrived there
    {"write_in_flight":{"belief":{"system":"app","n":12}}} | our write of app:12 was in flight, so the change may have come before or after it
    "older_order" | the system's own order says that it is older than what is known
    "write_key" | it carries the key of our write
    "sent_values" | the copy holds every value that we sent
    "most_sent_values" | the copy holds most of what our create sent
    "last_write" | the copy holds what we wrote last (ledger)
    "earlier_value" | the copy held this value before, so it is read again before it is believed
    "copy_exists_again" | the copy exists again
    "copy_missing" | the system says that the copy does not exist
    {"confirmed":{"by":"receipt"}} | confirmed by its receipt
    {"strength":"inferred","by":"last_write"} | inferred: the copy holds what we wrote last (ledger)
    "#);
}

#[test]
fn a_subject_has_the_wire_form_of_a_name() {
    for (subject, wire) in [(Subject::Existence, "\"(existence)\""), (Subject::from("email"), "\"email\"")] {
        assert_eq!(serde_json::to_string(&subject).unwrap(), wire);
        assert_eq!(serde_json::from_str::<Subject>(wire).unwrap(), subject);
    }
}
