//! Random records and events from a seed: every variant, every optional part, awkward texts and numbers.

mod reasons;

use super::sample::Stream;
use avowal_core::data::ids::{FieldName, RunId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::{Digest, Value};
use avowal_core::data::version::{Causality, Dot, VersionVector};
use avowal_core::history::{
    Body, Classification, ConfirmedBy, Doubt, Evidence, Failure, FieldRelation, FieldSeen, FieldStored,
    IntegrationEvent, LinkReason, Loser, RecommendedAction, ReviewAnswer, Strength,
};
use avowal_core::policy::OnRefused;
use avowal_core::record::intent::{Intent, IntentStatus, Operation, OutgoingField};
use avowal_core::record::observation::{Channel, OrderToken};
use avowal_core::record::{Belief, Copy, Held, Misread, Record, Review, Shadow, Side, Subject, Tombstone};
use std::collections::BTreeMap;

/// A reproducible source of variety (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Begins at `seed`; the same seed gives the same sequence everywhere.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.bits() % bound
    }

    /// True once in `n`.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        let at = usize::try_from(self.bits() % items.len() as u64).unwrap();
        items[at].clone()
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.one_in(2) { None } else { Some(make(self)) }
    }

    fn some<T>(&mut self, max: u64, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(max + 1)).map(|_| make(self)).collect()
    }

    /// A text that a careless writer would spoil.
    pub fn text(&mut self) -> String {
        let odd = [
            "", " ", "a", "ü", "日本", "\"", "\\", "'; --", "\n", "\u{1}", "\u{0}", "😀", "null", "{}",
            "\u{feff}",
        ];
        (0..self.below(4)).map(|_| self.pick(&odd)).collect()
    }

    /// Any value, nested up to `depth`.
    pub fn value(&mut self, depth: u32) -> Value {
        match self.below(if depth == 0 { 5 } else { 7 }) {
            0 => Value::Null,
            1 => Value::Bool(self.one_in(2)),
            2 => Value::Int(self.bits() as i64),
            3 => self.float(),
            4 => Value::text(self.text()),
            5 => Value::List(self.some(3, |random| random.value(depth - 1))),
            _ => Value::Object(
                self.some(3, |random| (random.text(), random.value(depth - 1))).into_iter().collect(),
            ),
        }
    }

    fn float(&mut self) -> Value {
        loop {
            // Any bit pattern: the store must give back the very same double.
            if let Ok(value) = Value::from_f64(f64::from_bits(self.bits())) {
                return value;
            }
        }
    }

    /// A time from the year −9999 to 9999, mostly near ours.
    pub fn time(&mut self) -> Timestamp {
        let far = self.one_in(5);
        Timestamp::from_millis(if far { self.bits() as i64 } else { self.below(2_000_000_000_000) as i64 })
    }

    fn system(&mut self) -> SystemName {
        self.pick(&["app", "billing", "crm", "operator", "ünïcode"].map(SystemName::from))
    }

    fn field(&mut self) -> FieldName {
        self.pick(&["credit", "email", "phone", "tags", "x y"].map(FieldName::from))
    }

    fn dot(&mut self) -> Dot {
        Dot { system: self.system(), n: 1 + self.below(100) }
    }

    fn vector(&mut self) -> VersionVector {
        self.some(3, Self::dot).into_iter().collect()
    }

    fn digest(&mut self) -> Digest {
        Digest::of(&self.bits().to_le_bytes())
    }

    fn order(&mut self) -> OrderToken {
        if self.one_in(2) { OrderToken::Sequence(self.bits()) } else { OrderToken::Time(self.time()) }
    }

    fn side(&mut self) -> Side {
        Side { value: self.value(2), dot: self.dot(), vector: self.vector() }
    }

    fn review(&mut self, id: String) -> Review {
        Review {
            id,
            reason: self.review_reason(),
            believed: self.maybe(Self::side),
            proposed: self.some(2, |random| (random.system(), random.side())).into_iter().collect(),
            opened_at: self.time(),
        }
    }

    fn outgoing(&mut self) -> BTreeMap<FieldName, OutgoingField> {
        let one = |random: &mut Self| OutgoingField { value: random.value(2), dot: random.dot() };
        self.some(2, |random| (random.field(), one(random))).into_iter().collect()
    }

    fn operation(&mut self) -> Operation {
        self.pick(&[Operation::Create, Operation::Update, Operation::Delete])
    }

    fn intent(&mut self) -> Intent {
        Intent {
            key: self.text(),
            operation: self.operation(),
            fields: self.outgoing(),
            vector: self.vector(),
            status: self.pick(&IntentStatus::ALL),
            attempt: self.bits() as u32,
        }
    }

    fn shadow(&mut self) -> Shadow {
        Shadow {
            content: self.value(3),
            base: self.maybe(Self::dot),
            sent_as: self.maybe(|random| random.value(2)),
            wrote: self.maybe(Self::digest),
            tolerated: self.one_in(2),
            older: self.some(Shadow::OLDER_MAX as u64, Self::digest),
        }
    }

    fn copy(&mut self, remote_id: String) -> Copy {
        Copy {
            remote_id: remote_id.into(),
            alive: self.one_in(2),
            wanted: self.one_in(3),
            is_replaced: false,
            fields: self.some(3, |random| (random.field(), random.shadow())).into_iter().collect(),
            suspected: self.maybe(Self::digest),
            aside: self
                .maybe(|random| {
                    let misread =
                        Misread { found: random.text(), expected: random.text(), hint: random.text() };
                    (random.field(), misread)
                })
                .into_iter()
                .collect(),
            seen: self.vector(),
            sent: self.vector(),
            changed_at: self.time(),
            order: self.maybe(Self::order),
            version: self.maybe(Self::text),
        }
    }

    fn belief(&mut self) -> Belief {
        Belief {
            value: self.value(3),
            dot: self.dot(),
            seq: self.below(1 << 40),
            since: self.time(),
            occurred_at: self.maybe(Self::time),
        }
    }

    /// Replaces all of a state but its id, entity, sequence and head. Remote ids stay unique by the record's id.
    pub fn fill(&mut self, record: &mut Record) {
        let id = record.id.clone();
        record.vector = self.vector();
        record.fields = self.some(4, |random| (random.field(), random.belief())).into_iter().collect();
        let copies = self.some(4, |random| {
            let (system, remote_id) = (random.system(), format!("{id}/{}", random.text()));
            (system, random.copy(remote_id))
        });
        record.copies = copies.into_iter().collect();
        record.intents = self.some(3, |random| (random.system(), random.intent())).into_iter().collect();
        let held = |random: &mut Self| Held { content: random.digest(), reason: random.failure_reason() };
        record.held = self.some(2, |random| (random.system(), held(random))).into_iter().collect();
        let reviews = self.some(2, |random| {
            let review = format!("{id}-{}", random.below(3));
            (random.subject(), random.review(review))
        });
        record.reviews = reviews.into_iter().collect();
        record.deleted =
            if self.one_in(4) { Some(Tombstone { dot: self.dot(), since: self.time() }) } else { None };
    }

    /// Appends `bodies` to a stream, each with a context of its own.
    pub fn append(&mut self, stream: &mut Stream, bodies: Vec<Body>) {
        let strengths = [Strength::Unknown, Strength::Inferred, Strength::Proven];
        for body in bodies {
            let event = IntegrationEvent {
                entity: stream.state.entity.clone(),
                record: stream.state.id.clone(),
                seq: 0,
                source: self.maybe(Self::system),
                actor: self.maybe(Self::text),
                body,
                vector: self.vector(),
                evidence: self
                    .maybe(|random| Evidence { strength: random.pick(&strengths), by: random.basis() }),
                policy: self.maybe(Self::text),
                correlation: self.maybe(Self::text),
                run: self.maybe(|random| RunId::new(random.below(1 << 40))),
                cause: self.maybe(|random| random.below(1 << 50)),
                occurred_at: self.maybe(Self::time),
                received_at: self.time(),
                recorded_at: self.time(),
                prev: Digest::ZERO,
                hash: Digest::ZERO,
            };
            stream.push_event(event);
        }
    }

    /// One body of each type of the wire form.
    pub fn bodies(&mut self) -> Vec<Body> {
        let mut bodies = self.bodies_seen();
        bodies.extend(self.bodies_decided());
        bodies.extend(self.bodies_written());
        bodies.extend(self.bodies_of_the_house());
        bodies
    }

    fn channel(&mut self) -> Channel {
        self.pick(&[
            Channel::Webhook,
            Channel::Signal,
            Channel::Feed,
            Channel::Listing,
            Channel::Read,
            Channel::Receipt,
            Channel::Manual,
        ])
    }

    fn values(&mut self) -> BTreeMap<FieldName, Value> {
        self.some(3, |random| (random.field(), random.value(3))).into_iter().collect()
    }

    fn field_seen(&mut self) -> FieldSeen {
        FieldSeen {
            from: self.maybe(|random| random.value(2)),
            to: self.value(3),
            base: self.maybe(Self::dot),
            relation: self.pick(&[
                FieldRelation::First,
                FieldRelation::Sequential,
                FieldRelation::Concurrent,
                FieldRelation::Indeterminate,
                FieldRelation::Agreement,
            ]),
        }
    }

    fn bodies_seen(&mut self) -> Vec<Body> {
        let how =
            [LinkReason::FirstSeen, LinkReason::Matched { key: "email=a".to_owned() }, LinkReason::Created];
        let classes = [
            Classification::Confirmation,
            Classification::Duplicate,
            Classification::Stale,
            Classification::New,
            Classification::Concurrent,
            Classification::Indeterminate,
        ];
        let causalities =
            [Causality::Same, Causality::LeftAfterRight, Causality::RightAfterLeft, Causality::Concurrent];
        vec![
            Body::Linked { system: self.system(), remote_id: self.text().into(), how: self.pick(&how) },
            Body::Unlinked { system: self.system(), remote_id: self.text().into() },
            Body::Observed {
                system: self.system(),
                channel: self.channel(),
                class: self.pick(&classes),
                causality: self.pick(&causalities),
                copy_vector: self.vector(),
                dot: self.maybe(Self::dot),
                fields: self.some(3, |random| (random.field(), random.field_seen())).into_iter().collect(),
                gone: self.one_in(2),
                empty: self.some(2, |random| random.field()).into_iter().collect(),
                order: self.maybe(Self::order),
                version: self.maybe(Self::text),
            },
            Body::EchoRecognised {
                system: self.system(),
                channel: self.channel(),
                key: self.maybe(Self::text),
                order: self.maybe(Self::order),
                version: self.maybe(Self::text),
            },
            Body::DuplicateDropped { system: self.system(), channel: self.channel() },
            Body::StaleDropped {
                system: self.system(),
                channel: self.channel(),
                fields: self.values(),
                order: self.maybe(Self::order),
            },
            Body::StaleSuspected {
                system: self.system(),
                channel: self.channel(),
                fields: self.values(),
                why: self.pick(&Doubt::ALL),
            },
        ]
    }

    fn bodies_decided(&mut self) -> Vec<Body> {
        let loser = |random: &mut Self| Loser {
            value: random.value(2),
            system: random.system(),
            dot: random.dot(),
            concurrent_with: random.dot(),
        };
        let answers = [
            ReviewAnswer::Keep,
            ReviewAnswer::Take { system: "crm".into() },
            ReviewAnswer::Set { value: self.value(2) },
            ReviewAnswer::Delete,
            ReviewAnswer::Restore,
            ReviewAnswer::Superseded { reason: self.closing_reason() },
        ];
        let review = format!("asked-{}", self.bits());
        vec![
            Body::FieldChanged {
                field: self.field(),
                from: self.maybe(|random| random.value(2)),
                value: self.value(3),
                dot: self.dot(),
                rule: self.belief_rule(),
            },
            Body::ConflictDetected { field: self.field(), believed: self.side(), shown: self.side() },
            Body::ConflictResolved {
                field: self.field(),
                value: self.value(2),
                dot: self.dot(),
                rule: self.belief_rule(),
                losers: self.some(2, loser),
            },
            Body::ManualReviewRequested { subject: self.subject(), review: self.review(review.clone()) },
            Body::ReviewDecided {
                subject: self.subject(),
                review,
                answer: self.pick(&answers),
                note: self.maybe(Self::text),
            },
            Body::Refused {
                system: self.system(),
                subject: self.subject(),
                value: self.value(2),
                dot: self.dot(),
                reason: self.refusal(),
                then: self.pick(&[OnRefused::Revert, OnRefused::Ignore, OnRefused::Review]),
            },
            Body::FieldSetAside {
                system: self.system(),
                field: self.field(),
                misread: Misread { found: self.text(), expected: self.text(), hint: self.text() },
            },
            Body::FieldUnderstood { system: self.system(), field: self.field() },
            Body::Quarantined {
                system: self.system(),
                remote_id: self.maybe(|random| random.text().into()),
                reason: self.failure_reason(),
            },
            Body::Deleted { dot: self.dot(), rule: self.delete_rule() },
            Body::Restored { dot: self.dot(), rule: self.restore_rule() },
        ]
    }

    fn bodies_written(&mut self) -> Vec<Body> {
        let by = [ConfirmedBy::Receipt, ConfirmedBy::ReadBack, ConfirmedBy::LookUp, ConfirmedBy::Echo];
        let failures = [
            Failure::Retry,
            Failure::Conflict,
            Failure::Rejected,
            Failure::Unknown,
            Failure::Missing,
            Failure::Waits,
        ];
        let stored = |random: &mut Self| FieldStored {
            content: random.value(2),
            sent_as: random.maybe(|random| random.value(2)),
            wrote: random.digest(),
            base: random.dot(),
        };
        vec![
            Body::IntentPlanned {
                system: self.system(),
                key: self.text(),
                operation: self.operation(),
                fields: self.outgoing(),
                correction: self.one_in(2),
            },
            Body::IntentWithdrawn { system: self.system(), key: self.text(), put_off: self.one_in(2) },
            Body::IntentSent { system: self.system(), key: self.text(), attempt: self.bits() as u32 },
            Body::IntentConfirmed {
                system: self.system(),
                key: self.text(),
                by: self.pick(&by),
                fields: self.some(3, |random| (random.field(), stored(random))).into_iter().collect(),
                order: self.maybe(Self::order),
                version: self.maybe(Self::text),
            },
            Body::IntentFailed {
                system: self.system(),
                key: self.text(),
                failure: self.pick(&failures),
                reason: self.failure_reason(),
            },
            Body::Released { system: self.system() },
        ]
    }

    fn bodies_of_the_house(&mut self) -> Vec<Body> {
        vec![
            Body::ReconciliationApplied {
                system: self.system(),
                found_by: RunId::new(self.below(1 << 40)),
                actions: (self.some(3, |random| {
                    let field = Subject::Field(random.field());
                    (field, random.pick(&RecommendedAction::ALL))
                }))
                .into_iter()
                .collect(),
            },
            Body::DriftDetected { system: self.system(), fields: self.some(3, Self::field) },
            Body::PolicyChanged { from: self.maybe(Self::text), to: self.text() },
        ]
    }
}
