//! The sentences, word for word.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::data::ids::{FieldName, RunId, SystemName};
use crate::data::time::Timestamp;
use crate::data::value::{Digest, Value};
use crate::data::version::{Causality, Dot, VersionVector};
use crate::history::{
    Basis, Body, Classification, ConfirmedBy, Doubt, Evidence, Failure, FieldRelation, FieldSeen,
    FieldStored, IntegrationEvent, LinkReason, Loser, RecommendedAction, ReviewAnswer,
};
use crate::policy::OnRefused;
use crate::policy::mapping::{Empty, Nulls};
use crate::policy::spec::{
    ColumnSpec, DeleteSpec, EntitySpec, FieldSpec, MappingSpec, MatchKeySpec, OneOrMany,
};
use crate::policy::{EntityPolicy, SystemTraits};
use crate::record::intent::{Intent, IntentStatus, Operation, OutgoingField};
use crate::record::observation::Channel;
use crate::record::reason::{
    BeliefRule, ClosingReason, DeleteRule, FailureReason, Refusal, RestoreRule, ReviewReason,
};
use crate::record::{Belief, Copy, Record, Review, Shadow, Side, Subject};
use std::collections::{BTreeMap, BTreeSet};

const MINUTE: i64 = 60_000;

fn at(minute: i64) -> Timestamp {
    let ten: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
    ten.plus_millis(minute * MINUTE)
}

fn vector(app: u64, crm: u64) -> VersionVector {
    [Dot::new("app", app), Dot::new("crm", crm)].into_iter().collect()
}

pub(super) fn field(kind: &str, owner: &str) -> FieldSpec {
    FieldSpec { kind: Some(kind.into()), owner: Some(OneOrMany::One(owner.into())), ..FieldSpec::default() }
}

fn mapping(fields: &[&str]) -> MappingSpec {
    MappingSpec {
        object: "customers".into(),
        id: "id".into(),
        fields: fields.iter().map(|name| ((*name).into(), ColumnSpec::Name((*name).into()))).collect(),
        nulls: Nulls::Ignore,
        empty: Empty::default(),
        create: true,
        delete: true,
    }
}

pub(super) fn policy_with(change: impl FnOnce(&mut EntitySpec)) -> EntityPolicy {
    let mut spec = EntitySpec {
        no_key: crate::policy::NoKey::default(),
        repair: crate::policy::Repair::default(),
        match_on: vec![MatchKeySpec::Field("email".into())],
        fields: BTreeMap::from([
            (
                "email".into(),
                FieldSpec {
                    strategy: Some("local_wins".into()),
                    proposals: vec!["crm".into()],
                    valid: Some("value.matches('^[^@ ]+@[^@ ]+$')".into()),
                    ..field("string", "app")
                },
            ),
            (
                "phone".into(),
                FieldSpec {
                    strategy: Some("latest_valid_change".into()),
                    precedence: vec!["app".into(), "crm".into()],
                    normalize: vec!["trim".into()],
                    ..field("string", "shared")
                },
            ),
            (
                "status".into(),
                FieldSpec {
                    values: Some(vec!["trial".into(), "active".into(), "cancelled".into()]),
                    transitions: Some(BTreeMap::from([
                        ("trial".into(), vec!["active".into(), "cancelled".into()]),
                        ("active".into(), vec!["cancelled".into()]),
                        ("cancelled".into(), vec![]),
                    ])),
                    on_refused: Some(OnRefused::Review),
                    ..field("enum", "billing")
                },
            ),
        ]),
        deletes: DeleteSpec::default(),
        systems: BTreeMap::from([
            ("app".into(), mapping(&["email", "phone", "status"])),
            ("crm".into(), mapping(&["email", "phone"])),
            ("billing".into(), mapping(&["email", "status"])),
        ]),
    };
    change(&mut spec);
    let systems = BTreeMap::from([
        (SystemName::new("app"), SystemTraits { local: true, clock_skew_ms: None }),
        (SystemName::new("crm"), SystemTraits::default()),
        (SystemName::new("billing"), SystemTraits::default()),
    ]);
    spec.build(&"customer".into(), &systems, &BTreeSet::from(["customer".into()])).unwrap()
}

pub(super) fn policy() -> EntityPolicy {
    policy_with(|_| {})
}

fn event(seq: u64, minute: i64, body: Body) -> IntegrationEvent {
    IntegrationEvent {
        entity: "customer".into(),
        record: "r1".into(),
        seq,
        source: Some("crm".into()),
        actor: None,
        body,
        vector: vector(12, 6),
        evidence: None,
        policy: Some(policy().short_digest()),
        run: None,
        correlation: None,
        cause: None,
        occurred_at: None,
        received_at: at(minute),
        recorded_at: at(minute),
        prev: Digest::ZERO,
        hash: Digest::ZERO,
    }
}

fn line(body: Body) -> String {
    event_line(&event(1, 8, body))
}

fn side(value: &str, dot: Dot, vector: VersionVector) -> Side {
    Side { value: value.into(), dot, vector }
}

fn seen(from: &str, to: &str, relation: FieldRelation) -> FieldSeen {
    FieldSeen { from: Some(from.into()), to: to.into(), base: None, relation }
}

fn observed(class: Classification, relation: FieldRelation) -> Body {
    Body::Observed {
        system: "crm".into(),
        channel: Channel::Webhook,
        class,
        causality: Causality::Concurrent,
        copy_vector: vector(11, 6),
        dot: Some(Dot::new("crm", 6)),
        fields: BTreeMap::from([("email".into(), seen("first@example.com", "old@example.com", relation))]),
        gone: false,
        empty: Default::default(),
        order: None,
        version: None,
    }
}

fn review() -> Review {
    Review {
        id: "r1-9".into(),
        reason: ReviewReason::ManualReview,
        believed: Some(side("new@example.com", Dot::new("app", 12), vector(12, 5))),
        proposed: BTreeMap::from([(
            "crm".into(),
            side("old@example.com", Dot::new("crm", 6), vector(11, 6)),
        )]),
        opened_at: at(8),
    }
}

#[test]
fn the_story_of_the_seeds_reads_line_by_line() {
    let mut crossing = event(3, 8, observed(Classification::Concurrent, FieldRelation::Concurrent));
    crossing.evidence = Some(Evidence::inferred(Basis::BeliefNotSeen { belief: Dot::new("app", 12) }));
    let lines = [
        line(Body::FieldChanged {
            field: "email".into(),
            from: Some("first@example.com".into()),
            value: "new@example.com".into(),
            dot: Dot::new("app", 12),
            rule: BeliefRule::OwnerSet { owner: "app".into() },
        }),
        line(Body::IntentSent { system: "crm".into(), key: "k".into(), attempt: 1 }),
        event_line(&crossing),
        line(Body::ConflictDetected {
            field: "email".into(),
            believed: side("new@example.com", Dot::new("app", 12), vector(12, 5)),
            shown: side("old@example.com", Dot::new("crm", 6), vector(11, 6)),
        }),
        line(Body::ConflictResolved {
            field: "email".into(),
            value: "new@example.com".into(),
            dot: Dot::new("app", 12),
            rule: BeliefRule::OwnerWins { owner: "app".into() },
            losers: vec![Loser {
                value: "old@example.com".into(),
                system: "crm".into(),
                dot: Dot::new("crm", 6),
                concurrent_with: Dot::new("app", 12),
            }],
        }),
        line(Body::IntentPlanned {
            system: "crm".into(),
            key: "k".into(),
            operation: Operation::Update,
            fields: BTreeMap::from([(
                "email".into(),
                OutgoingField { value: "new@example.com".into(), dot: Dot::new("app", 12) },
            )]),
            correction: true,
        }),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r#"
    10:08:00 - email believed to be "new@example.com" (was "first@example.com"), by app:12: email belongs to app
    10:08:00 - change sent to crm
    10:08:00 - crm webhook: email = "old@example.com" (was "first@example.com", concurrent); version {app: 11, crm: 6} detected as concurrent (inferred: its copy had not seen app:12 when it was first shown)
    10:08:00 - conflict over email: believed "new@example.com" at {app: 12, crm: 5}, crm shows "old@example.com" at {app: 11, crm: 6}
    10:08:00 - conflict over email resolved: "new@example.com" stands (app:12), by owner_wins: the field belongs to app; crm's "old@example.com" (crm:6) did not prevail: concurrent with app:12
    10:08:00 - crm correction scheduled: email = "new@example.com"
    "#);
}

#[test]
fn every_other_event_has_its_line() {
    let stored = FieldStored {
        content: "+49 30 1234".into(),
        sent_as: Some("030/1234".into()),
        wrote: Digest::ZERO,
        base: Dot::new("app", 1),
    };
    let old = BTreeMap::from([("email".into(), Value::from("old@example.com"))]);
    let email = || vec![FieldName::new("email"), FieldName::new("phone")];
    let failed = |failure| Body::IntentFailed {
        system: "crm".into(),
        key: "k".into(),
        failure,
        reason: FailureReason::Told("503 Service Unavailable".into()),
    };
    let linked = |how| Body::Linked { system: "crm".into(), remote_id: "42".into(), how };
    let bodies = vec![
        linked(LinkReason::FirstSeen),
        linked(LinkReason::Matched { key: "email=a@b".into() }),
        linked(LinkReason::Created),
        Body::Unlinked { system: "crm".into(), remote_id: "42".into() },
        observed(Classification::New, FieldRelation::Sequential),
        Body::ManualReviewRequested { subject: "email".into(), review: review() },
        Body::ManualReviewRequested {
            subject: Subject::Existence,
            review: Review { believed: None, proposed: BTreeMap::new(), ..review() },
        },
        Body::ReviewDecided {
            subject: "email".into(),
            review: "r1-9".into(),
            answer: ReviewAnswer::Take { system: "crm".into() },
            note: Some("called the customer".into()),
        },
        Body::ReviewDecided {
            subject: "email".into(),
            review: "r1-9".into(),
            answer: ReviewAnswer::Superseded { reason: ClosingReason::CopiesHoldBelief },
            note: None,
        },
        Body::Refused {
            system: "crm".into(),
            subject: "email".into(),
            value: "nonsense".into(),
            dot: Dot::new("crm", 7),
            reason: Refusal::Invalid { rule: "value.contains('@')".into() },
            then: OnRefused::Revert,
        },
        Body::Refused {
            system: "crm".into(),
            subject: Subject::Existence,
            value: Value::Null,
            dot: Dot::new("crm", 8),
            reason: Refusal::MayNotDelete { owner: "app".into(), system: "crm".into() },
            then: OnRefused::Revert,
        },
        Body::Quarantined {
            system: "crm".into(),
            remote_id: Some("42".into()),
            reason: FailureReason::Told("phone is a list".into()),
        },
        Body::Deleted { dot: Dot::new("app", 13), rule: DeleteRule::MayDelete { system: "app".into() } },
        Body::Restored {
            dot: Dot::new("operator", 1),
            rule: RestoreRule::Answered { by: None, review: "r1-9".into() },
        },
        Body::IntentPlanned {
            system: "crm".into(),
            key: "k".into(),
            operation: Operation::Delete,
            fields: BTreeMap::new(),
            correction: false,
        },
        Body::IntentWithdrawn { system: "crm".into(), key: "k".into(), put_off: false },
        Body::IntentWithdrawn { system: "crm".into(), key: "k".into(), put_off: true },
        Body::IntentSent { system: "crm".into(), key: "k".into(), attempt: 2 },
        Body::IntentConfirmed {
            system: "crm".into(),
            key: "k".into(),
            by: ConfirmedBy::Receipt,
            fields: BTreeMap::from([("phone".into(), stored)]),
            order: None,
            version: None,
        },
        failed(Failure::Retry),
        failed(Failure::Conflict),
        failed(Failure::Rejected),
        failed(Failure::Unknown),
        failed(Failure::Missing),
        Body::EchoRecognised {
            system: "crm".into(),
            channel: Channel::Webhook,
            key: None,
            order: None,
            version: None,
        },
        Body::DuplicateDropped { system: "crm".into(), channel: Channel::Feed },
        Body::StaleDropped {
            system: "crm".into(),
            channel: Channel::Webhook,
            fields: old.clone(),
            order: None,
        },
        Body::StaleSuspected {
            system: "crm".into(),
            channel: Channel::Webhook,
            fields: old,
            why: Doubt::ValueReturned,
        },
        Body::ReconciliationApplied {
            system: "crm".into(),
            found_by: RunId::new(42),
            actions: BTreeMap::from([
                (Subject::Existence, RecommendedAction::ManualReview),
                (Subject::Field("email".into()), RecommendedAction::UpdateExternal),
            ]),
        },
        Body::DriftDetected { system: "crm".into(), fields: email() },
        Body::PolicyChanged { from: Some("aaaa".into()), to: "bbbb".into() },
        Body::Released { system: "crm".into() },
    ];
    let lines = bodies.into_iter().map(|body| {
        let mut event = event(1, 8, body);
        event.actor = matches!(event.body, Body::ReviewDecided { .. } | Body::Released { .. })
            .then(|| "ada".to_owned());
        event_words(&event)
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
    record begins with crm copy 42
    crm copy 42 linked: equal email=a@b
    crm copy 42 created and linked
    crm has given the id 42 to another row
    crm webhook: email = "old@example.com" (was "first@example.com"); version {app: 11, crm: 6} detected as new
    email waits for a person, review r1-9: manual_review: the changes are concurrent, so the policy asks a person (believed "new@example.com", crm shows "old@example.com")
    the record's existence waits for a person, review r1-9: manual_review: the changes are concurrent, so the policy asks a person
    review r1-9 of email decided by ada: crm's value is taken ("called the customer")
    review r1-9 of email closed: all copies hold what is believed
    crm's email = "nonsense" (crm:7) refused: the value does not satisfy value.contains('@'); the believed value is written back
    crm's change of the record's existence (crm:8) refused: deletes belong to app; crm may not delete; the missing copy is made again
    write to crm copy 42 set aside in quarantine: phone is a list
    record deleted (app:13): app may delete, and its copy had seen every edit
    record restored (operator:1): a person decided it in review r1-9
    crm delete scheduled
    crm change withdrawn before it was sent: it is not wanted any more
    crm change put off before it was sent: a person has to decide first
    change sent to crm (attempt 2)
    crm confirmed by its receipt: phone = "+49 30 1234" (stored for our "030/1234")
    write to crm had no effect and will be tried again: 503 Service Unavailable
    write to crm not made, something came between: 503 Service Unavailable
    write to crm set aside for good: 503 Service Unavailable
    write to crm has an unknown outcome and will be checked by reading: 503 Service Unavailable
    write to crm found no copy: 503 Service Unavailable
    crm webhook recognised as the echo of our own write
    crm change feed brought the same fact again: duplicate, dropped
    crm webhook brought an older state (email = "old@example.com"): stale, dropped
    crm webhook looks like an older state (email = "old@example.com"), because a value stood there before: the copy is read before it is believed
    reconciliation applied: run 42 found crm to differ; the record's existence waits for a person, email is written back to crm
    crm listing differs in email and phone: no change feed had reported it
    policy aaaa replaced by bbbb
    refused write to crm released by ada, to be tried again
    "#);
}

#[test]
fn a_hostile_value_stays_on_its_line_and_is_cut() {
    let hostile = format!("\u{1b}[2J\r\nEvil\u{202e}{}", "x".repeat(500));
    let out = line(Body::Quarantined {
        system: "crm".into(),
        remote_id: Some(hostile.as_str().into()),
        reason: FailureReason::Told(hostile.clone()),
    });
    assert!(!out.chars().any(char::is_control), "{out:?}");
    assert!(!out.contains('\u{202e}'));
    assert!(out.chars().count() < 600);
    assert!(short_value(&hostile.as_str().into()).chars().count() < 120);
}

fn record() -> Record {
    let mut record = Record::new("r1".into(), "customer".into());
    record.seq = 6;
    record.vector = vector(12, 6);
    let belief = Belief {
        value: "new@example.com".into(),
        dot: Dot::new("app", 12),
        seq: 1,
        since: at(1),
        occurred_at: Some(at(0)),
    };
    record.fields.insert("email".into(), belief);
    for (system, content) in [("app", "new@example.com"), ("crm", "old@example.com")] {
        let mut copy = Copy::new("42".into());
        let shadow = Shadow {
            content: content.into(),
            base: None,
            sent_as: None,
            wrote: None,
            tolerated: false,
            older: Vec::new(),
        };
        copy.fields.insert("email".into(), shadow);
        record.copies.insert(system.into(), copy);
    }
    let outgoing = OutgoingField { value: "new@example.com".into(), dot: Dot::new("app", 12) };
    let intent = Intent {
        key: "k".into(),
        operation: Operation::Update,
        fields: BTreeMap::from([("email".into(), outgoing)]),
        vector: vector(12, 6),
        status: IntentStatus::Planned,
        attempt: 0,
    };
    record.intents.insert("crm".into(), intent);
    record
}

fn history() -> Vec<IntegrationEvent> {
    let mut first = event(
        1,
        1,
        Body::FieldChanged {
            field: "email".into(),
            from: None,
            value: "new@example.com".into(),
            dot: Dot::new("app", 12),
            rule: BeliefRule::OwnerSet { owner: "app".into() },
        },
    );
    first.evidence = Some(Evidence::proven(Basis::WriteKey));
    vec![
        first,
        event(2, 8, observed(Classification::Concurrent, FieldRelation::Concurrent)),
        event(
            3,
            8,
            Body::ConflictResolved {
                field: "email".into(),
                value: "new@example.com".into(),
                dot: Dot::new("app", 12),
                rule: BeliefRule::OwnerWins { owner: "app".into() },
                losers: vec![Loser {
                    value: "old@example.com".into(),
                    system: "crm".into(),
                    dot: Dot::new("crm", 6),
                    concurrent_with: Dot::new("app", 12),
                }],
            },
        ),
        event(
            4,
            9,
            Body::IntentPlanned {
                system: "crm".into(),
                key: "k".into(),
                operation: Operation::Update,
                fields: BTreeMap::new(),
                correction: true,
            },
        ),
    ]
}

#[test]
fn why_tells_the_value_its_rule_the_losers_and_the_deliveries() {
    let why = why(&policy(), &record(), &history(), &"email".into()).unwrap();
    assert!(!why.policy_changed);
    let story = why.story().replace(&why.policy_digest, "(digest)");
    insta::assert_snapshot!(story, @r#"
    email of customer r1 is "new@example.com".
    Believed since 2026-11-22T10:01:00.000Z, by change 12 of app, event r1-1; app says it happened at 2026-11-22T10:00:00.000Z.
    Decided: owner_wins: the field belongs to app.
    Rule: email belongs to app; crm may propose a change that has seen the latest value; billing may not change it; when changes cross, app's value stays; it must satisfy value.matches('^[^@ ]+@[^@ ]+$'); a refused value is overwritten with the believed one.
    Policy: (digest).
    Evidence: proven: it carries the key of our write.
    Version: {app: 12, crm: 6}.
    Did not prevail: "old@example.com" of crm (crm:6): concurrent with app:12; owner_wins: the field belongs to app.
    In app: confirmed.
    In billing: missing.
    In crm: pending since 2026-11-22T10:09:00.000Z; it holds "old@example.com".
    "#);
    let json = serde_json::to_value(&why).unwrap();
    for key in
        ["value", "dot", "version", "rule", "policy_digest", "evidence", "since", "losers", "propagation"]
    {
        assert!(json.get(key).is_some(), "{key}");
    }
    assert_eq!(json["propagation"]["crm"]["status"], "pending");
    assert_eq!(json["losers"][0]["system"], "crm");
}

#[test]
fn why_knows_each_way_in_which_a_copy_stands() {
    let status = |change: fn(&mut Record)| {
        let mut record = record();
        change(&mut record);
        why(&policy(), &record, &history(), &"email".into()).unwrap().propagation["crm"].status
    };
    assert_eq!(status(|_| {}), PropagationStatus::Pending);
    assert_eq!(
        status(|r| r.intents.get_mut("crm").unwrap().status = IntentStatus::Sent),
        PropagationStatus::Sent
    );
    assert_eq!(
        status(|r| r.intents.get_mut("crm").unwrap().status = IntentStatus::Unknown),
        PropagationStatus::Unknown
    );
    assert_eq!(status(|r| r.copies.get_mut("crm").unwrap().alive = false), PropagationStatus::Missing);
    assert_eq!(status(|r| drop(r.reviews.insert("email".into(), review()))), PropagationStatus::Contested);
    let tolerated = |r: &mut Record| {
        r.copies.get_mut("crm").unwrap().fields.get_mut("email").unwrap().tolerated = true;
    };
    assert_eq!(status(tolerated), PropagationStatus::Tolerated);
    let normalised = |r: &mut Record| {
        let shadow = r.copies.get_mut("crm").unwrap().fields.get_mut("email").unwrap();
        shadow.sent_as = Some("new@example.com".into());
    };
    assert_eq!(status(normalised), PropagationStatus::Confirmed);
}

#[test]
fn a_persons_answer_names_what_it_set_aside() {
    let mut record = record();
    record.fields.get_mut("email").unwrap().dot = Dot::new("operator", 1);
    record.fields.get_mut("email").unwrap().seq = 3;
    record.fields.get_mut("email").unwrap().value = "third@example.com".into();
    let set = ReviewAnswer::Set { value: "third@example.com".into() };
    let decided =
        Body::ReviewDecided { subject: "email".into(), review: "r1-9".into(), answer: set, note: None };
    let mut decided = event(2, 9, decided);
    decided.actor = Some("ada".into());
    let changed = Body::FieldChanged {
        field: "email".into(),
        from: None,
        value: "third@example.com".into(),
        dot: Dot::new("operator", 1),
        rule: BeliefRule::Answered { by: Some("ada".into()), review: "r1-9".into() },
    };
    let events = [
        event(1, 8, Body::ManualReviewRequested { subject: "email".into(), review: review() }),
        decided,
        event(3, 9, changed),
    ];
    let why = why(&policy(), &record, &events, &"email".into()).unwrap();
    let losers: Vec<_> = why.losers.iter().map(|loser| format!("{} {}", loser.value, loser.reason)).collect();
    insta::assert_snapshot!(losers.join("\n"), @r#"
    "new@example.com" ada decided otherwise in review r1-9
    "old@example.com" ada decided otherwise in review r1-9
    "#);
}

#[test]
fn the_view_marks_what_differs() {
    insta::assert_snapshot!(record_view(&policy(), &record()), @r#"
    customer r1, version {app: 12, crm: 6}, after 6 events
    in app: 42, has seen {}
    in crm: 42, has seen {}, a change is pending
    email: "new@example.com" (app:12); crm differs: "old@example.com"
    phone: nothing is believed yet
    status: nothing is believed yet
    "#);
}
