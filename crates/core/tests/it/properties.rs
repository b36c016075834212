//! Random systems, policies and interleavings: the laws hold after every step, and everything comes to rest.

use crate::world::{Look, World, gone, shows, text};
use avowal_core::data::ids::{FieldName, SystemName};
use avowal_core::data::version::{Causality, VersionVector};
use avowal_core::history::{Body, Failure, ReviewAnswer};
use avowal_core::policy::Owner;
use avowal_core::record::Subject;
use avowal_core::record::intent::IntentStatus;
use avowal_testpolicy::policy;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

const SYSTEMS: [&str; 4] = ["app", "crm", "erp", "pay"];
const FIELDS: [&str; 4] = ["name", "stage", "tags", "credit"];

/// The contents of a copy as its system holds them.
type Contents = BTreeMap<String, Json>;

/// What may happen next. Numbers choose among what is possible at that moment.
#[derive(Clone, Debug)]
enum Step {
    Edit { system: usize, field: usize, value: usize },
    Late { system: usize, back: usize },
    Delete { system: usize },
    Show { system: usize },
    Send { system: usize },
    Receipt { system: usize },
    Fail { system: usize, failure: usize },
    Answer { answer: usize },
}

fn any_step() -> impl Strategy<Value = Step> {
    let system = 0..SYSTEMS.len();
    prop_oneof![
        8 => (system.clone(), 0..FIELDS.len(), 0..5usize)
            .prop_map(|(system, field, value)| Step::Edit { system, field, value }),
        2 => (system.clone(), 0..4usize).prop_map(|(system, back)| Step::Late { system, back }),
        1 => system.clone().prop_map(|system| Step::Delete { system }),
        2 => system.clone().prop_map(|system| Step::Show { system }),
        5 => system.clone().prop_map(|system| Step::Send { system }),
        5 => system.clone().prop_map(|system| Step::Receipt { system }),
        2 => (system, 0..4usize).prop_map(|(system, failure)| Step::Fail { system, failure }),
        1 => (0..4usize).prop_map(|answer| Step::Answer { answer }),
    ]
}

/// Sound rules for 2 to 4 systems.
fn any_rules() -> impl Strategy<Value = Json> {
    let strategy = prop_oneof![
        Just(json!({"owner": "app"})),
        Just(json!({"owner": "app", "proposals": ["crm"]})),
        Just(
            json!({"owner": "crm", "proposals": ["app"], "strategy": "latest_valid_change", "precedence": ["crm", "app"]})
        ),
        Just(
            json!({"owner": "shared", "strategy": "latest_valid_change", "precedence": ["app", "crm", "erp", "pay"]})
        ),
        Just(json!({"owner": "shared", "strategy": "latest_valid_change"})),
        Just(json!({"owner": "shared", "strategy": "manual_review"})),
    ];
    let set = prop_oneof![
        Just(json!({"owner": "shared", "strategy": "merge", "merge": "union"})),
        Just(json!({"owner": "crm"}))
    ];
    let number = prop_oneof![
        Just("delta"), Just("max"), Just("min")
    ]
    .prop_map(|merge| json!({"owner": "shared", "strategy": "merge", "merge": merge, "precedence": ["app", "crm", "erp", "pay"]}));
    let refused = prop_oneof![Just("revert"), Just("ignore"), Just("review")];
    let delete_owner = prop_oneof![Just(json!(null)), Just(json!("shared")), Just(json!("app"))];
    let against = prop_oneof![Just("review"), Just("delete_wins"), Just("edit_wins")];
    (2..=4usize, strategy.clone(), strategy, set, number, refused, (delete_owner, against, any::<bool>())).prop_map(
        |(count, name, stage, tags, credit, on_refused, (owner, against, clears))| {
            let nulls = if clears { "clear" } else { "ignore" };
            let systems: serde_json::Map<_, _> = SYSTEMS[..count]
                .iter()
                .map(|system| (system.to_string(), json!({"local": *system == "app", "nulls": nulls})))
                .collect();
            let only = |mut rule: Json, kind: &str| {
                rule["type"] = json!(kind);
                rule["on_refused"] = json!(on_refused);
                if let Some(Json::Array(named)) = rule.get_mut("precedence") {
                    named.retain(|system| SYSTEMS[..count].iter().any(|known| system == known));
                }
                rule
            };
            let mut stage = only(stage, "enum");
            stage["values"] = json!(["v0", "v1", "v2", "v3"]);
            let mut name = only(name, "string");
            name["valid"] = json!("value != 'v4'");
            json!({
                "systems": systems,
                "fields": {"name": name, "stage": stage, "tags": only(tags, "set"), "credit": only(credit, "integer")},
                "deletes": {"owner": owner, "on_refused": on_refused, "edit_against_delete": against},
            })
        },
    )
}

fn content(field: usize, value: usize) -> Json {
    match FIELDS[field] {
        "tags" => json!(["a", "b", "c", "d"][..value.min(4)]),
        "credit" if value == 4 => Json::Null,
        "credit" => json!(10 * value),
        "stage" => json!(format!("v{}", value.min(3))),
        _ if value == 3 => Json::Null,
        _ => json!(format!("v{value}")),
    }
}

/// A world beside the true contents of each system, which the engine never sees but through observations.
struct Play {
    world: World,
    truth: BTreeMap<String, Contents>,
    sequences: BTreeMap<String, u64>,
    /// The states that each system showed, with their sequence.
    past: BTreeMap<String, Vec<(u64, Contents)>>,
    vectors: Vec<VersionVector>,
    /// Whether crm makes another spelling of every name that we send.
    crm_normalises: bool,
}

impl Play {
    fn new(rules: &Json, crm_normalises: bool) -> Self {
        let mut play = Self {
            world: World::with(policy(rules)),
            truth: BTreeMap::new(),
            sequences: BTreeMap::new(),
            past: BTreeMap::new(),
            vectors: vec![VersionVector::new()],
            crm_normalises,
        };
        let first: BTreeMap<_, _> =
            FIELDS.iter().enumerate().map(|(at, field)| (field.to_string(), content(at, 1))).collect();
        play.truth.insert("app".to_owned(), first);
        play.show("app", false);
        play
    }

    fn system(&self, at: usize) -> String {
        let systems: Vec<_> = self.world.policy.systems.keys().map(ToString::to_string).collect();
        systems[at % systems.len()].clone()
    }

    /// What a system says beside a state: nothing, a true order, its clock, or an opaque version.
    fn dressed(system: &str, n: u64, look: Look) -> Look {
        match system {
            "crm" => look.seq(n),
            "erp" => look.time(n as i64),
            "pay" => look.version(&n.to_string()),
            _ => look,
        }
    }

    fn truth(&self, system: &str) -> Look {
        self.truth.get(system).map_or_else(|| gone(system), |fields| shows(system, &json!(fields)))
    }

    /// Shows the true content of a copy; a second look where one is asked for.
    fn show(&mut self, system: &str, changed: bool) {
        let n = self.sequences.entry(system.to_owned()).or_insert(0);
        *n += u64::from(changed);
        let n = *n;
        if !self.world.record.copies.contains_key(system) && !self.truth.contains_key(system) {
            return;
        }
        if let Some(fields) = self.truth.get(system) {
            self.past.entry(system.to_owned()).or_default().push((n, fields.clone()));
        }
        self.take(Self::dressed(system, n, self.truth(system)));
    }

    /// A webhook delivers a state of long ago. Where the system gives any order, that never changes a belief.
    fn late(&mut self, system: &str, back: usize) {
        let alive = self.world.record.live_copy(&SystemName::new(system)).is_some();
        let Some((n, fields)) = self.past.get(system).and_then(|past| past.iter().rev().nth(back)).cloned()
        else {
            return;
        };
        if !alive || !self.truth.contains_key(system) {
            return;
        }
        let before = self.world.record.fields.clone();
        self.take(Self::dressed(system, n, shows(system, &json!(fields)).webhook()));
        if matches!(system, "crm" | "erp") {
            assert_eq!(self.world.record.fields, before, "I9: a late state of {system} won");
        }
    }

    fn take(&mut self, look: Look) {
        let system = look.0.system.clone();
        self.world.see(look);
        if self.world.looks_again() {
            let second = self.truth(system.as_str()).confirmed();
            self.world.see(second);
            assert!(!self.world.looks_again(), "a third look");
        }
        self.laws();
    }

    fn act(&mut self, step: &Step) {
        match step {
            Step::Late { system, back } => {
                let system = self.system(*system);
                self.late(&system, *back);
            }
            Step::Edit { system, field, value } => {
                let system = self.system(*system);
                let Some(fields) = self.truth.get_mut(&system) else { return };
                fields.insert(FIELDS[*field].to_owned(), content(*field, *value));
                self.show(&system, true);
            }
            Step::Delete { system } => {
                let system = self.system(*system);
                if self.truth.remove(&system).is_some() {
                    self.show(&system, true);
                }
            }
            Step::Show { system } => {
                let system = self.system(*system);
                self.show(&system, false);
            }
            Step::Send { system } => {
                let system = self.system(*system);
                if self.status(&system) == Some(IntentStatus::Planned) {
                    self.world.send(&system);
                }
            }
            Step::Receipt { system } => {
                let system = self.system(*system);
                if matches!(self.status(&system), Some(IntentStatus::Sent | IntentStatus::Unknown)) {
                    self.arrive(&system);
                }
            }
            Step::Fail { system, failure } => {
                let system = self.system(*system);
                if self.status(&system) == Some(IntentStatus::Sent) {
                    // Only failures without an effect: with one, the truth would have changed.
                    let failures = [Failure::Retry, Failure::Unknown, Failure::Conflict, Failure::Retry];
                    self.world.fail(&system, failures[*failure]);
                }
            }
            Step::Answer { answer } => self.answer(*answer),
        }
        self.laws();
    }

    fn status(&self, system: &str) -> Option<IntentStatus> {
        self.world.record.intents.get(system).map(|intent| intent.status)
    }

    /// The write reaches the system, and its receipt reaches us.
    fn arrive(&mut self, system: &str) {
        let normalised = system == "crm" && self.crm_normalises;
        let intent = self.world.record.intents[system].clone();
        let mut after = json!({});
        match intent.operation {
            avowal_core::record::intent::Operation::Delete => {
                self.truth.remove(system);
            }
            avowal_core::record::intent::Operation::Create
            | avowal_core::record::intent::Operation::Update => {
                let exists = self.truth.contains_key(system);
                if !exists && intent.operation == avowal_core::record::intent::Operation::Update {
                    // A person deleted it meanwhile.
                    self.world.fail(system, Failure::Missing);
                    return;
                }
                let empty = || FIELDS.iter().map(|field| (field.to_string(), Json::Null)).collect();
                let copy = self.truth.entry(system.to_owned()).or_insert_with(empty);
                for (field, outgoing) in &intent.fields {
                    let mut stored: Json = serde_json::from_str(&text(&outgoing.value)).unwrap();
                    if let (true, "name", Some(name)) = (normalised, field.as_str(), stored.as_str()) {
                        stored = json!(format!("{}+", name.trim_end_matches('+')));
                        after["name"] = stored.clone();
                    }
                    copy.insert(field.to_string(), stored);
                }
            }
        }
        *self.sequences.entry(system.to_owned()).or_insert(0) += 1;
        self.world.receipt(system, &after);
    }

    fn answer(&mut self, answer: usize) {
        let Some(subject) = self.world.record.reviews.keys().next().cloned() else { return };
        let existence = subject == Subject::Existence;
        let answer = match (answer, existence) {
            (0, true) => ReviewAnswer::Delete,
            (1, true) => ReviewAnswer::Restore,
            (2, false) => ReviewAnswer::Take { system: "crm".into() },
            (3, false) => ReviewAnswer::Take { system: "app".into() },
            _ => ReviewAnswer::Keep,
        };
        // A value that is not there, or not allowed, is no answer; the question stays open then.
        let _ = self.world.try_answer(subject.as_str(), answer);
    }

    /// The laws that hold after every step, beside those that the world checks itself (I11, I12).
    fn laws(&mut self) {
        let record = &self.world.record;
        let last = self.vectors.last().unwrap();
        let grown = matches!(record.vector.compare(last), Causality::Same | Causality::LeftAfterRight);
        assert!(grown, "I9: the vector shrank from {last} to {}", record.vector);
        self.vectors.push(record.vector.clone());
        for (system, copy) in &record.copies {
            let bounded =
                matches!(copy.seen.compare(&copy.sent), Causality::Same | Causality::RightAfterLeft);
            assert!(bounded, "{system}: seen {} is not within sent {}", copy.seen, copy.sent);
            let within =
                matches!(copy.sent.compare(&record.vector), Causality::Same | Causality::RightAfterLeft);
            assert!(within, "{system}: sent {} is not within {}", copy.sent, record.vector);
        }
        for belief in record.fields.values() {
            assert!(record.vector.includes(&belief.dot), "a belief without its change");
        }
        for (system, intent) in &record.intents {
            for (field, outgoing) in &intent.fields {
                let contested = record.is_contested(field) && intent.status == IntentStatus::Planned;
                assert!(!contested, "{field} is contested and planned for {system}");
                // What is on its way was judged when it was planned.
                if intent.status == IntentStatus::Planned {
                    self.authorised(system, field, &outgoing.dot.system);
                }
            }
        }
    }

    /// I4: a write changes a field that its target owns only if another change prevailed by the rules, or if
    /// the target's own last change was refused, overruled or answered, and the history says so.
    fn authorised(&self, target: &SystemName, field: &FieldName, believed_of: &SystemName) {
        let owned = self.world.policy.fields[field].owner == Owner::System(target.clone());
        if !owned || believed_of != target {
            return;
        }
        let since = self.world.record.fields.get(field).map_or(0, |belief| belief.seq);
        let said =
            self.world.history.iter().filter(|event| event.seq >= since.saturating_sub(2)).any(|event| {
                match &event.body {
                    Body::Refused { subject, .. } | Body::ReviewDecided { subject, .. } => {
                        subject.field().is_none_or(|of| of == field)
                    }
                    Body::ConflictResolved { field: of, .. } => of == field,
                    // A copy that is made again is made with everything.
                    Body::Restored { .. } | Body::Linked { .. } => true,
                    _ => false,
                }
            });
        let never_filled = self.world.record.live_copy(target).is_none();
        // An empty field that says nothing is filled with what its owner said last.
        let empty = self.world.content(target.as_str(), field.as_str()) == "null";
        // An older word of its own, which was under way to it, has just arrived there.
        let believed = self.world.record.fields.get(field).map(|belief| &belief.dot);
        let shadow = self.world.record.live_copy(target).and_then(|copy| copy.fields.get(field));
        let arrived =
            shadow.and_then(|shadow| shadow.base.as_ref()).is_some_and(|base| Some(base) != believed);
        assert!(
            said || never_filled || empty || arrived,
            "I4: {field} of {target} is written although it owns it"
        );
    }

    /// Edits stop. Everything is delivered, every question is answered, every copy is shown again.
    fn heal(&mut self) -> usize {
        let mut writes = 0;
        for _ in 0..60 {
            let systems: Vec<String> = self.world.policy.systems.keys().map(ToString::to_string).collect();
            let before = self.world.record.seq;
            for system in &systems {
                if self.status(system) == Some(IntentStatus::Planned) {
                    self.world.send(system);
                }
                if self.status(system).is_some() {
                    self.arrive(system);
                    writes += 1;
                }
                self.show(system, false);
            }
            while !self.world.record.reviews.is_empty() {
                let subject = self.world.record.reviews.keys().next().unwrap();
                let answer =
                    if *subject == Subject::Existence { ReviewAnswer::Restore } else { ReviewAnswer::Keep };
                let subject = subject.to_string();
                self.world.answer(&subject, answer);
            }
            self.laws();
            if self.world.record.seq == before && self.world.record.intents.is_empty() {
                return writes;
            }
        }
        panic!("I2: no rest after 60 rounds");
    }

    /// I2: every live copy holds what is believed, where it may be written and the difference is not tolerated.
    fn agreed(&self) {
        let record = &self.world.record;
        if record.deleted.is_some() {
            assert!(record.copies.values().all(|copy| !copy.alive), "a deleted record has a live copy");
            return;
        }
        for (system, copy) in record.copies.iter().filter(|(_, copy)| copy.alive) {
            for (field, belief) in &record.fields {
                let Some(shadow) = copy.fields.get(field) else {
                    panic!("{field} in {system} was never shown")
                };
                assert!(
                    shadow.tolerated || shadow.is_equivalent_to(&belief.value),
                    "I2: {field} in {system}"
                );
                let truth = &self.truth[system.as_str()][field.as_str()];
                // A person may have spelled it as we did: what a system makes of that is the same value.
                let lies = !shadow.is_equivalent_to(&crate::world::value(truth));
                assert!(!lies, "the shadow of {field} in {system} holds {}, not {truth}", shadow.content);
            }
        }
    }
}

/// As many cases as `PROPTEST_CASES` says, otherwise as many as a short run can bear.
fn cases() -> u32 {
    if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { 96 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold_and_everything_comes_to_rest(rules in any_rules(), crm_normalises in any::<bool>(), steps in prop::collection::vec(any_step(), 0..40)) {
        let mut play = Play::new(&rules, crm_normalises);
        for step in &steps {
            play.act(step);
        }
        play.heal();
        play.agreed();
        // I3: after that, nothing happens any more.
        let rest = play.world.record.clone();
        prop_assert_eq!(play.heal(), 0, "I3: a write after rest");
        prop_assert_eq!(text(&play.world.record), text(&rest));
        // I11, from the very beginning.
        prop_assert_eq!(play.world.refold(), text(&rest));
        // No key stands for two contents.
        let mut contents = BTreeMap::new();
        for event in &play.world.history {
            if let Body::IntentPlanned { system, key, operation, fields, .. } = &event.body {
                let content = format!("{operation} {system} {}", text(fields));
                let first = contents.entry(key.clone()).or_insert_with(|| content.clone());
                prop_assert_eq!(first.as_str(), content.as_str(), "one key, two contents");
            }
        }
    }

    /// Changes of different fields by different systems commute: any order gives the same beliefs.
    #[test]
    fn changes_of_different_fields_commute(order in Just(vec![0usize, 1, 2, 3]).prop_shuffle(), values in prop::collection::vec(0..4usize, 4)) {
        let rules = json!({
            "systems": {"app": {"local": true}, "crm": {}, "erp": {}, "pay": {}},
            "fields": {
                "name": {"type": "string", "owner": "app"},
                "stage": {"type": "string", "owner": "shared", "strategy": "manual_review"},
                "tags": {"type": "set", "owner": "shared", "strategy": "merge", "merge": "union"},
                "credit": {"type": "integer", "owner": "pay"},
            },
        });
        let run = |order: &[usize]| {
            let mut play = Play::new(&rules, false);
            play.heal();
            for system in order {
                let edit = Step::Edit { system: *system, field: *system, value: values[*system] };
                play.act(&edit);
            }
            FIELDS.map(|field| format!("{field}={} {}", play.world.belief(field), play.world.dot(field)))
        };
        prop_assert_eq!(run(&order), run(&[0, 1, 2, 3]));
    }
}
