//! Every rule of a policy is one sentence.

use super::tests::{field, policy, policy_with};
use super::*;
use crate::policy::spec::{DeleteSpec, FieldSpec, MatchKeySpec};
use crate::policy::{EditAgainstDelete, OnRefused};

#[test]
fn each_rule_is_one_sentence() {
    let sentences = policy_sentences(&policy()).into_iter().map(|(_, sentence)| sentence).collect::<Vec<_>>();
    insta::assert_snapshot!(sentences.join("\n"), @r"
    email belongs to app; crm may propose a change that has seen the latest value; billing may not change it; when changes cross, app's value stays; it must satisfy value.matches('^[^@ ]+@[^@ ]+$'); a refused value is overwritten with the believed one.
    phone is shared: app and crm may change it; when changes cross, an invalid one drops out, and of two valid ones that of app before crm stands; surrounding space makes no difference.
    status belongs to billing; app may not change it; when changes cross, billing's value stays; it may go from active to cancelled, from trial to active or cancelled and nowhere from cancelled; a refused value goes to a person.
    ");
}

#[test]
fn every_strategy_has_its_words() {
    let with = |kind: &str, strategy: &str, merge: Option<&str>| {
        let policy = policy_with(|spec| {
            let changed = FieldSpec {
                strategy: Some(strategy.into()),
                merge: merge.map(str::to_owned),
                expression: (merge == Some("expression")).then(|| "local + external".to_owned()),
                ..field(kind, "shared")
            };
            spec.fields.insert("phone".into(), changed);
        });
        field_sentence(&policy, &"phone".into()).unwrap()
    };
    let all = [
        with("set", "merge", Some("union")),
        with("integer", "merge", Some("delta")),
        with("integer", "merge", Some("max")),
        with("date", "merge", Some("min")),
        with("string", "merge", Some("text")),
        with("string", "merge", Some("expression")),
        with("string", "manual_review", None),
        with("string", "latest_valid_change", None),
    ];
    insta::assert_snapshot!(all.join("\n"), @r"
    phone is shared: app and crm may change it; when changes cross, the additions and removals of both are kept.
    phone is shared: app and crm may change it; when changes cross, the differences of both are added up.
    phone is shared: app and crm may change it; when changes cross, the greater value stands.
    phone is shared: app and crm may change it; when changes cross, the smaller value stands.
    phone is shared: app and crm may change it; when changes cross, both texts are merged line by line, and a person decides where they overlap.
    phone is shared: app and crm may change it; when changes cross, the value becomes local + external.
    phone is shared: app and crm may change it; when changes cross, a person decides.
    phone is shared: app and crm may change it; when changes cross, an invalid one drops out, and a person decides between two valid ones.
    ");
}

#[test]
fn deletes_and_matching_have_sentences() {
    let owned = policy_with(|spec| {
        spec.deletes = DeleteSpec {
            owner: Some("app".into()),
            on_refused: Some(OnRefused::Revert),
            edit_against_delete: EditAgainstDelete::EditWins,
        };
        spec.systems.get_mut("billing").unwrap().delete = false;
        spec.match_on = vec![
            MatchKeySpec::Field("email".into()),
            MatchKeySpec::Fields(vec!["phone".into(), "status".into()]),
        ];
    });
    let unmatched = policy_with(|spec| spec.match_on.clear());
    let all = [
        delete_sentence(&policy()),
        match_sentence(&policy()),
        delete_sentence(&owned),
        match_sentence(&owned),
        match_sentence(&unmatched),
    ];
    insta::assert_snapshot!(all.join("\n"), @r"
    when a copy is deleted, a person decides what becomes of the record.
    an unlinked copy joins the record with equal email; several such records go to a person, none begins a new one.
    a delete in app deletes the record everywhere; an edit prevails over a delete that had not seen it; a copy deleted elsewhere is made again; nothing is ever deleted in billing.
    an unlinked copy joins the record with equal email or by equal phone and status together; several such records go to a person, none begins a new one.
    copies are never matched: each unlinked copy begins a record of its own.
    ");
}
