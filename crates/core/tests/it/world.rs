//! A small world: one record, some systems, and every step checked against the laws of the fold and the chain.

use avowal_core::data::ids::{FieldName, RemoteId, RunId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::Value;
use avowal_core::decide::lifecycle::link;
use avowal_core::decide::own_write::recognise;
use avowal_core::decide::review::{ReviewError, answer_review};
use avowal_core::decide::sight::Sight;
use avowal_core::decide::table::{Assessment, assess};
use avowal_core::decide::{Decision, decide};
use avowal_core::explain::{
    closing_words, delete_words, failure_words, refusal_words, restore_words, review_words, rule_words,
};
use avowal_core::history::chronicle::Chronicle;
use avowal_core::history::fold::{apply, fold};
use avowal_core::history::{
    Basis, Body, ChainVerifier, ConfirmedBy, Context, Evidence, Failure, IntegrationEvent, LinkReason,
    ReviewAnswer,
};
use avowal_core::outgoing::confirm::{Receipt, confirm, fail, send};
use avowal_core::outgoing::plan::plan;
use avowal_core::policy::EntityPolicy;
use avowal_core::record::observation::{
    Channel, CopyState, Look as Sighting, Observation, OrderToken, Place,
};
use avowal_core::record::reason::FailureReason;
use avowal_core::record::{Misread, Record, Review, Subject};
use avowal_testpolicy::policy;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The time at which every world begins, in milliseconds.
pub const START_MS: i64 = 1_767_261_600_000;

/// A JSON value as a canonical one.
pub fn value(json: &Json) -> Value {
    serde_json::from_value(json.clone()).unwrap()
}

/// JSON members as canonical fields.
pub fn fields(json: &Json) -> BTreeMap<FieldName, Value> {
    json.as_object().unwrap().iter().map(|(name, json)| (FieldName::new(name), value(json))).collect()
}

/// An observation under construction: a complete, unconfirmed feed entry without evidence.
#[derive(Clone, Debug)]
pub struct Look(pub Observation);

/// What `system` shows: these fields.
pub fn shows(system: &str, json: &Json) -> Look {
    look(system, CopyState::Present(fields(json)))
}

/// The copy in `system` is gone.
pub fn gone(system: &str) -> Look {
    // As a second look has confirmed it: a first read may lag behind the making of the copy.
    let Look(observation) = look(system, CopyState::Gone);
    Look(Observation { look: Sighting::Final, ..observation })
}

fn look(system: &str, shown: CopyState) -> Look {
    Look(Observation {
        system: system.into(),
        entity: "customer".into(),
        remote_id: RemoteId::new(format!("{system}-1")),
        shown,
        aside: BTreeMap::new(),
        channel: Channel::Feed,
        order: None,
        version: None,
        correlation: None,
        actor: None,
        occurred_at: None,
        received_at: Timestamp::from_millis(START_MS),
        place: Place::Quiescent,
        look: Sighting::First,
        is_repair: false,
        lags: false,
    })
}

impl Look {
    /// The system's reads may be so late that this is what stood there before.
    pub fn lagging(mut self) -> Self {
        self.0.lags = true;
        self
    }

    /// A field of the copy cannot be understood.
    pub fn aside(mut self, field: &str, found: &str) -> Self {
        let misread = Misread {
            found: found.to_owned(),
            expected: "one of pending, paid".to_owned(),
            hint: String::new(),
        };
        self.0.aside.insert(field.into(), misread);
        self
    }

    /// With a true order token.
    pub fn seq(mut self, n: u64) -> Self {
        self.0.order = Some(OrderToken::Sequence(n));
        self.0.place = Place::of(self.0.place == Place::InLog, self.0.order.as_ref(), true);
        self
    }
    /// With the source's clock as a hint of order, in seconds after the start.
    pub fn time(mut self, s: i64) -> Self {
        self.0.order = Some(OrderToken::Time(Timestamp::from_millis(START_MS + s * 1000)));
        self
    }
    /// With the source's word on when it happened, in milliseconds after the start.
    pub fn at(mut self, ms: i64) -> Self {
        self.0.occurred_at = Some(Timestamp::from_millis(START_MS + ms));
        self
    }
    /// With an opaque version.
    pub fn version(mut self, version: &str) -> Self {
        self.0.version = Some(version.to_owned());
        self
    }
    /// With a key of ours attached to it.
    pub fn key(mut self, key: &str) -> Self {
        self.0.correlation = Some(key.to_owned());
        self
    }
    /// As a second look.
    pub fn confirmed(mut self) -> Self {
        self.0.look = Sighting::Final;
        self.0.channel = Channel::Read;
        self
    }
    /// As a first look.
    pub fn first(mut self) -> Self {
        self.0.look = Sighting::First;
        self
    }
    /// So soon after the copy's last change that a read may lag.
    pub fn too_early(mut self) -> Self {
        self.0.place = Place::TooEarly;
        self
    }
    /// From a change log in true order.
    pub fn log(mut self) -> Self {
        self.0.place = Place::InLog;
        self
    }
    /// By a webhook whose body is believed.
    pub fn webhook(mut self) -> Self {
        self.0.channel = Channel::Webhook;
        self
    }
}

/// One record and its history.
pub struct World {
    /// The rules.
    pub policy: EntityPolicy,
    /// The state.
    pub record: Record,
    /// The whole history.
    pub history: Vec<IntegrationEvent>,
    /// What became of the last observation.
    pub decision: Option<Decision>,
    /// The row of the last observation.
    pub assessment: Option<Assessment>,
    /// Whether every step is checked by writing and reading it, which costs time. On unless turned off.
    pub thorough: bool,
    links: BTreeMap<SystemName, u32>,
    verifier: ChainVerifier,
    now_ms: i64,
    /// The run that the events name.
    pub run: Option<RunId>,
}

impl World {
    /// A world without copies.
    pub fn new(rules: &Json) -> Self {
        Self::with(policy(rules))
    }

    /// A world under a given policy.
    pub fn with(policy: EntityPolicy) -> Self {
        Self {
            record: Record::new("r1".into(), policy.entity.clone()),
            policy,
            history: Vec::new(),
            decision: None,
            assessment: None,
            thorough: true,
            links: BTreeMap::new(),
            verifier: ChainVerifier::new("r1".into()),
            now_ms: START_MS,
            run: None,
        }
    }

    /// Takes an observation, linking the copy if it is not; answers the events.
    pub fn see(&mut self, look: Look) -> String {
        let mut observation = look.0;
        let system = observation.system.clone();
        observation.received_at = Timestamp::from_millis(self.now_ms);
        let context = Context {
            source: Some(system.clone()),
            occurred_at: observation.occurred_at,
            correlation: observation.correlation.clone(),
            ..self.context()
        };
        let unlinked = !self.record.copies.contains_key(&system);
        let remote_id = self.remote_id(&system, unlinked);
        observation.remote_id = remote_id.clone();
        let policy = self.policy.clone();
        let mut decision = None;
        let mut assessment = None;
        let told = self.step(context, |chronicle| {
            if unlinked {
                link(chronicle, &system, &remote_id, LinkReason::FirstSeen);
            }
            assessment = Some(assessed(&policy, chronicle.clone(), &observation));
            decision = Some(decide(&policy, chronicle, &observation));
        });
        self.decision = decision;
        self.assessment = assessment;
        told
    }

    /// Whether the last observation asked for another look.
    pub fn looks_again(&self) -> bool {
        self.decision.unwrap().doubt().is_some()
    }

    /// Takes an observation, and where it asks for a second look, takes that too.
    pub fn see_twice(&mut self, look: Look) -> String {
        let told = self.see(look.clone());
        if !self.looks_again() {
            return told;
        }
        let place = Place::of(look.0.place == Place::InLog, None, true);
        let second = Look(Observation { order: None, correlation: None, place, ..look.0 }).confirmed();
        format!("{told}look again\n{}", self.see(second))
    }

    /// Links a copy that nobody has seen yet.
    pub fn link(&mut self, system: &str) -> String {
        let system = SystemName::new(system);
        let remote_id = self.remote_id(&system, true);
        self.step(self.context(), |chronicle| link(chronicle, &system, &remote_id, LinkReason::FirstSeen))
    }

    /// Sends the planned change to `system`.
    pub fn send(&mut self, system: &str) -> String {
        let system = SystemName::new(system);
        self.step(self.context(), |chronicle| assert!(send(chronicle, &system), "nothing to send"))
    }

    /// The receipt of the change in flight; `after` holds what the system made of it, beyond what was sent.
    pub fn receipt(&mut self, system: &str, after: &Json) -> String {
        let system = SystemName::new(system);
        let intent = self.record.intents.get(&system).expect("an intent").clone();
        let made = self.record.live_copy(&system).is_none();
        let remote_id = self.remote_id(&system, made);
        let mut shown: BTreeMap<FieldName, Value> =
            intent.fields.iter().map(|(field, outgoing)| (field.clone(), outgoing.value.clone())).collect();
        shown.extend(fields(after));
        let policy = self.policy.clone();
        self.step(Context { source: Some(system.clone()), ..self.context() }, |chronicle| {
            if made {
                link(chronicle, &system, &remote_id, LinkReason::Created);
            }
            let receipt = Receipt {
                system: &system,
                key: &intent.key,
                after: &shown,
                order: None,
                version: None,
                by: ConfirmedBy::Receipt,
            };
            assert!(confirm(chronicle, &receipt, Evidence::proven(Basis::Confirmed { by: receipt.by })));
            plan(&policy, chronicle, None);
        })
    }

    /// Sends the planned change and takes the receipt of exactly that.
    pub fn send_to(&mut self, system: &str) -> String {
        let sent = self.send(system);
        sent + &self.receipt(system, &serde_json::json!({}))
    }

    /// Delivers until nothing is planned.
    pub fn drain(&mut self) -> String {
        let mut told = String::new();
        for _ in 0..10 {
            let Some(system) = self.record.intents.keys().next().cloned() else { return told };
            told += &self.send_to(system.as_str());
        }
        panic!("no quiescence after 10 writes:\n{told}");
    }

    /// The change in flight did not come to a confirmed end.
    pub fn fail(&mut self, system: &str, failure: Failure) -> String {
        let system = SystemName::new(system);
        let key = self.record.intents.get(&system).expect("an intent").key.clone();
        let policy = self.policy.clone();
        self.step(self.context(), |chronicle| {
            let reason = FailureReason::Told("the system's words".to_owned());
            assert!(fail(chronicle, &system, &key, failure, reason));
            plan(&policy, chronicle, None);
        })
    }

    /// A person answers the open review of a field.
    pub fn answer(&mut self, field: &str, answer: ReviewAnswer) -> String {
        self.try_answer(field, answer).unwrap()
    }

    /// A person tries to answer the open review of a field.
    pub fn try_answer(&mut self, field: &str, answer: ReviewAnswer) -> Result<String, ReviewError> {
        let subject = Subject::from(field);
        let review = self.review(field).id.clone();
        let policy = self.policy.clone();
        let mut result = Ok(());
        let context =
            Context { source: Some(SystemName::operator()), actor: Some("ann".to_owned()), ..self.context() };
        let told = self.step(context, |chronicle| {
            result = answer_review(&policy, chronicle, &subject, &review, answer, None);
        });
        result.map(|()| told)
    }

    /// Any other step.
    pub fn step(&mut self, context: Context, act: impl FnOnce(&mut Chronicle)) -> String {
        self.now_ms += 1000;
        let mut chronicle = Chronicle::new(self.record.clone(), context, Timestamp::from_millis(self.now_ms));
        act(&mut chronicle);
        let (expected_seq, state, events) = chronicle.finish();
        assert_eq!(expected_seq, self.record.seq);
        self.check_laws(&state, &events);
        self.record = state;
        let told = events.iter().map(line).collect::<Vec<_>>();
        self.history.extend(events);
        told.into_iter().fold(String::new(), |all, line| all + &line + "\n")
    }

    /// I11 and I12: the state is the fold of the events, byte for byte, also after they were written and read
    /// again; the sequence is dense and the chain verifies.
    fn check_laws(&mut self, state: &Record, events: &[IntegrationEvent]) {
        let mut folded = self.record.clone();
        if !self.thorough {
            events.iter().for_each(|event| apply(&mut folded, event));
            assert_eq!(&folded, state, "the state is not the fold of its history");
            return;
        }
        for event in events {
            self.verifier.push(event).unwrap();
            let text = serde_json::to_string(event).unwrap();
            let read: IntegrationEvent =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert_eq!(&read, event, "an event changes when it is written and read");
            apply(&mut folded, &read);
        }
        self.verifier.finish(state.seq, state.head).unwrap();
        let (state_text, folded_text) = (text(state), text(&folded));
        assert_eq!(state_text, folded_text, "the state is not the fold of its history");
        let read: Record = serde_json::from_str(&state_text).unwrap();
        assert_eq!(&read, state, "a state changes when it is written and read");
    }

    /// The fold of the whole history from nothing, as text.
    pub fn refold(&self) -> String {
        text(&fold(self.record.id.clone(), self.record.entity.clone(), &self.history))
    }

    /// A context at the present time.
    pub fn context(&self) -> Context {
        Context {
            policy: Some(self.policy.short_digest()),
            run: self.run,
            received_at: Timestamp::from_millis(self.now_ms),
            ..Context::default()
        }
    }

    /// What is believed of a field; `-` if nothing.
    pub fn belief(&self, field: &str) -> String {
        self.record.fields.get(field).map_or_else(|| "-".to_owned(), |belief| belief.value.to_string())
    }

    /// The change that made a belief; `-` if nothing is believed.
    pub fn dot(&self, field: &str) -> String {
        self.record.fields.get(field).map_or_else(|| "-".to_owned(), |belief| belief.dot.to_string())
    }

    /// What stands in a copy.
    pub fn content(&self, system: &str, field: &str) -> String {
        let shadow = self.record.copies.get(system).and_then(|copy| copy.fields.get(field));
        shadow.map_or_else(|| "-".to_owned(), |shadow| shadow.content.to_string())
    }

    /// The planned or sent change to a system, in one line; empty for none.
    pub fn intent(&self, system: &str) -> String {
        let Some(intent) = self.record.intents.get(system) else { return String::new() };
        let fields: Vec<_> =
            intent.fields.iter().map(|(field, outgoing)| format!("{field}={}", outgoing.value)).collect();
        format!("{} {}", intent.operation, fields.join(" ")).trim_end().to_owned()
    }

    /// The open review of a field.
    pub fn review(&self, field: &str) -> &Review {
        self.record.reviews.get(&Subject::from(field)).unwrap_or_else(|| panic!("no review of {field}"))
    }

    fn remote_id(&mut self, system: &SystemName, fresh: bool) -> RemoteId {
        let count = self.links.entry(system.clone()).or_insert(0);
        *count += u32::from(fresh);
        RemoteId::new(format!("{system}-{count}"))
    }
}

/// The row of an observation, after our own write was recognised in it.
pub fn assessed(policy: &EntityPolicy, mut chronicle: Chronicle, observation: &Observation) -> Assessment {
    let copy = &chronicle.record().copies[&observation.system];
    let own = recognise(policy, chronicle.record(), copy, observation);
    if let Some(own) = &own {
        own.record(&mut chronicle, observation);
    }
    let sight = Sight::of(policy, chronicle.record(), observation, own.as_ref()).unwrap();
    let assessment = assess(&sight);
    assert_eq!(assess(&sight), assessment, "an assessment depends on nothing but its sight");
    assessment
}

/// JSON text.
pub fn text(state: &impl serde::Serialize) -> String {
    serde_json::to_string(state).unwrap()
}

/// One event in a few words.
pub fn line(event: &IntegrationEvent) -> String {
    match &event.body {
        Body::Unlinked { system, remote_id } => format!("unlinked {system} {remote_id}"),
        Body::Linked { system, remote_id, .. } => format!("linked {system} {remote_id}"),
        Body::Observed { system, class, dot, fields, gone, .. } => {
            let mut out = format!("observed {system} {class}");
            if let Some(dot) = dot {
                let _ = write!(out, " {dot}");
            }
            for (field, seen) in fields {
                let from = seen.from.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
                let _ = write!(out, ", {field} {from}→{} {:?}", seen.to, seen.relation);
            }
            if *gone {
                out.push_str(", gone");
            }
            out
        }
        Body::FieldChanged { field, value, dot, .. } => format!("believe {field}={value} ({dot})"),
        Body::ConflictDetected { field, believed, shown } => {
            format!(
                "conflict {field}: {} ({}) against {} ({})",
                believed.value, believed.dot, shown.value, shown.dot
            )
        }
        Body::ConflictResolved { field, value, rule, .. } => {
            format!("resolved {field}={value}: {}", rule_words(rule, field))
        }
        Body::ManualReviewRequested { subject, review } => {
            format!("review {subject}: {}", review_words(&review.reason, subject))
        }
        Body::ReviewDecided { subject, answer, .. } => format!("decided {subject}: {}", answer_word(answer)),
        Body::Refused { system, subject, value, reason, then, .. } => {
            format!("refused {system} {subject}={value}: {} ({then:?})", refusal_words(reason, subject))
        }
        Body::FieldSetAside { system, field, misread } => format!("aside {system} {field}: {misread}"),
        Body::FieldUnderstood { system, field } => format!("understood {system} {field}"),
        Body::Quarantined { system, reason, .. } => {
            format!("quarantined {system}: {}", failure_words(reason, system))
        }
        Body::Deleted { dot, rule } => format!("deleted ({dot}): {}", delete_words(rule)),
        Body::Restored { dot, rule } => format!("restored ({dot}): {}", restore_words(rule)),
        Body::IntentPlanned { system, operation, fields, correction, .. } => {
            let fields: String =
                fields.iter().map(|(field, outgoing)| format!(" {field}={}", outgoing.value)).collect();
            let what = if *correction { "correct" } else { "plan" };
            format!("{what} {operation} {system}{fields}")
        }
        Body::IntentWithdrawn { system, .. } => format!("withdrawn {system}"),
        Body::IntentSent { system, attempt, .. } => format!("sent {system} #{attempt}"),
        Body::IntentConfirmed { system, by, fields, .. } => {
            let fields: String =
                fields.iter().map(|(field, stored)| format!(" {field}={}", stored.content)).collect();
            format!("confirmed {system} by {by}{fields}")
        }
        Body::IntentFailed { system, failure, .. } => format!("failed {system}: {failure:?}"),
        Body::EchoRecognised { system, .. } => format!("echo {system}"),
        Body::DuplicateDropped { system, .. } => format!("duplicate {system}"),
        Body::StaleDropped { system, fields, .. } => format!("stale {system} {}", text(fields)),
        Body::StaleSuspected { system, fields, .. } => format!("suspect {system} {}", text(fields)),
        Body::ReconciliationApplied { .. }
        | Body::DriftDetected { .. }
        | Body::PolicyChanged { .. }
        | Body::Released { .. } => event.body.kind().to_owned(),
    }
}

/// An answer in a few words.
fn answer_word(answer: &ReviewAnswer) -> String {
    match answer {
        ReviewAnswer::Superseded { reason } => format!("Superseded, {}", closing_words(reason)),
        ReviewAnswer::Keep
        | ReviewAnswer::Take { .. }
        | ReviewAnswer::Set { .. }
        | ReviewAnswer::Delete
        | ReviewAnswer::Restore => format!("{answer:?}"),
    }
}
