//! A world of fake systems around one store, and the laws that hold after every story.

use crate::bumpy::BumpyStore;
use avowal_core::data::ids::{EntityName, RecordId, RemoteId, SystemName};
use avowal_core::data::value::Value;
use avowal_core::history::fold::fold;
use avowal_core::history::{Body, ChainVerifier, IntegrationEvent};
use avowal_core::policy::EntityPolicy;
use avowal_core::record::{Copy, Record};
use avowal_engine::ports::connector::{ConnectorError, ConnectorErrorKind, Fields};
use avowal_engine::ports::store::{ReadHistory, ReadRecords, Store};
use avowal_engine::{
    Engine, EngineError, EngineParts, FirstWrites, Settings, SyncOptions, SyncReport, SystemPort, Unwatched,
    WriteRate,
};
use avowal_testkit::fake::{FakeSystem, ManualClock, Profile};
use avowal_testpolicy::{list, try_policy_of};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The entity of most stories.
pub const CUSTOMER: &str = "customer";

/// Some systems, the rules between them, and what the engine knows.
pub struct World {
    pub store: Arc<BumpyStore>,
    pub clock: Arc<ManualClock>,
    pub systems: BTreeMap<SystemName, Arc<FakeSystem>>,
    pub policies: BTreeMap<EntityName, Arc<EntityPolicy>>,
    pub settings: Settings,
    pub rates: BTreeMap<SystemName, WriteRate>,
}

/// The rules of most stories: `email` belongs to app, `stage` to crm, the rest is shared.
pub fn customer() -> Json {
    json!({
        "match_on": ["email"],
        "fields": {
            "email": {"type": "string", "owner": "app", "strategy": "owner_wins", "proposals": ["crm", "billing"]},
            "name": {"type": "string", "owner": "shared", "strategy": "latest_valid_change", "precedence": ["app", "crm", "billing"]},
            "phone": {"type": "string", "owner": "shared", "strategy": "latest_valid_change", "precedence": ["crm", "app", "billing"]},
            "stage": {"type": "string", "owner": "crm", "strategy": "owner_wins"},
            "tags": {"type": "set", "owner": "shared", "strategy": "merge", "merge": "union"},
            "credit": {"type": "integer", "owner": "shared", "strategy": "merge", "merge": "delta"}
        },
        "deletes": {"owner": "shared", "edit_against_delete": "edit_wins"}
    })
}

impl World {
    /// Systems by name and profile, under the rules of most stories.
    pub fn of<const N: usize>(systems: [(&str, Profile); N]) -> Self {
        Self::with(json!({ "customer": customer() }), systems)
    }

    /// An app and a CRM of this profile that hold the same customer, and no delivery under way.
    pub async fn linked(crm: Profile) -> Self {
        let world = Self::of([("app", Profile::log()), ("crm", crm)]);
        world.add("app", json!({"email": "a@x.org", "name": "Ann", "phone": "1"}));
        world.sync().await;
        world.system("crm").take_deliveries();
        world
    }

    /// Systems by name and profile, under rules by entity.
    ///
    /// A system maps all fields under their own names, unless `systems` of the rules lists others for it. The
    /// precedence and the proposals are cut down to the systems that are there.
    pub fn with<const N: usize>(rules: Json, systems: [(&str, Profile); N]) -> Self {
        let clock = Arc::new(ManualClock::new());
        Self::on(clock, rules, systems)
    }

    /// As [`World::with`], under a given clock.
    pub fn on<const N: usize>(clock: Arc<ManualClock>, rules: Json, systems: [(&str, Profile); N]) -> Self {
        let names: Vec<&str> = systems.iter().map(|(name, _)| *name).collect();
        let policies = policies(&rules, &names);
        let fakes = systems.into_iter().map(|(name, profile)| {
            (SystemName::new(name), Arc::new(FakeSystem::new(name, profile, clock.clone())))
        });
        Self {
            store: Arc::new(BumpyStore::default()),
            systems: fakes.collect(),
            clock,
            policies,
            settings: Settings {
                first_writes: FirstWrites::Agreed { by: "Ada".to_owned() },
                ..Settings::default()
            },
            rates: BTreeMap::new(),
        }
    }

    /// A new engine on the same store: what a restart finds.
    pub fn engine(&self) -> Arc<Engine> {
        Arc::new(Engine::new(self.parts(self.store.clone())))
    }

    /// What an engine on this store is made of.
    pub fn parts(&self, store: Arc<dyn Store>) -> EngineParts {
        let port = |name: &SystemName, fake: &Arc<FakeSystem>| SystemPort {
            connector: fake.clone(),
            poll_ms: 5_000,
            rate: self.rates.get(name).copied(),
            lag_ms: None,
        };
        EngineParts {
            run: None,
            store,
            clock: self.clock.clone(),
            systems: self.systems.iter().map(|(name, fake)| (name.clone(), port(name, fake))).collect(),
            policies: self.policies.clone(),
            settings: self.settings.clone(),
        }
    }

    /// One run of a new engine.
    pub async fn sync(&self) -> SyncReport {
        self.try_sync().await.unwrap()
    }

    /// One run of a new engine that may fail.
    pub async fn try_sync(&self) -> Result<SyncReport, EngineError> {
        self.engine().sync(SyncOptions::default(), &Unwatched).await
    }

    /// One run that lists everything.
    pub async fn full_sync(&self) -> SyncReport {
        self.engine().sync(SyncOptions { full: true }, &Unwatched).await.unwrap()
    }

    pub fn system(&self, name: &str) -> &FakeSystem {
        &self.systems[name]
    }

    /// A person adds a customer.
    pub fn add(&self, system: &str, fields: Json) -> RemoteId {
        self.system(system).insert(CUSTOMER, raw(&fields))
    }

    /// A person edits the customer with this email, as this system holds it.
    pub fn edit(&self, system: &str, email: &str, fields: Json) {
        let id = self.id(system, email);
        self.system(system).edit(CUSTOMER, &id, raw(&fields));
    }

    /// The id of the customer with this email in a system.
    pub fn id(&self, system: &str, email: &str) -> RemoteId {
        let found = self.system(system).id_where(CUSTOMER, "email", &Value::text(email));
        found.unwrap_or_else(|| panic!("{system} has no {email}: {:?}", self.system(system).rows(CUSTOMER)))
    }

    /// One column of the customer with this email.
    pub fn get(&self, system: &str, email: &str, column: &str) -> Json {
        let row = self.system(system).row(CUSTOMER, &self.id(system, email)).unwrap();
        serde_json::to_value(row.get(column)).unwrap()
    }

    /// One column of a customer in all systems.
    pub fn everywhere(&self, email: &str, column: &str) -> Vec<Json> {
        self.systems.keys().map(|system| self.get(system.as_str(), email, column)).collect()
    }

    /// How many customers each system holds, in order of name.
    pub fn counts(&self) -> Vec<usize> {
        self.systems.values().map(|fake| fake.rows(CUSTOMER).len()).collect()
    }

    /// All write calls so far.
    pub fn write_calls(&self) -> u64 {
        self.systems.values().map(|fake| fake.calls().writes).sum()
    }

    pub async fn records(&self) -> Vec<Record> {
        let all = self.store.inner.scan_records(None, 100_000).await.unwrap();
        all.into_iter().filter(|record| !record.entity.as_str().starts_with('@')).collect()
    }

    /// As [`World::records`], between two polls of something else.
    pub fn records_now(&self) -> Vec<Record> {
        futures::FutureExt::now_or_never(self.records()).unwrap()
    }

    /// The whole history, one event a line, for the message of a failed test.
    pub fn story(&self) -> String {
        let events = futures::FutureExt::now_or_never(self.events()).unwrap();
        let line = |event: &IntegrationEvent| {
            let mut json = serde_json::to_value(&event.body).unwrap();
            let payload = json["payload"].take();
            format!("{} {:3} {:18} {payload}", event.record, event.seq, event.body.kind())
        };
        events.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    pub async fn events(&self) -> Vec<IntegrationEvent> {
        self.store.inner.scan_events(None, 1_000_000).await.unwrap()
    }

    /// How many events of a kind there are.
    pub async fn count_of(&self, kind: &str) -> usize {
        self.events().await.iter().filter(|event| event.body.kind() == kind).count()
    }

    /// The laws that hold at every moment: state = fold, chains verify, links are a partial bijection, no key
    /// has had two effects.
    pub async fn check_laws(&self) {
        let mut streams: BTreeMap<RecordId, Vec<IntegrationEvent>> = BTreeMap::new();
        for event in self.events().await {
            streams.entry(event.record.clone()).or_default().push(event);
        }
        let mut links = BTreeMap::new();
        for record in self.store.inner.scan_records(None, 100_000).await.unwrap() {
            let events = streams.remove(&record.id).unwrap_or_default();
            let folded = fold(record.id.clone(), record.entity.clone(), &events);
            assert_eq!(json_of(&folded), json_of(&record), "state = fold");
            let mut verifier = ChainVerifier::new(record.id.clone());
            events.iter().for_each(|event| verifier.push(event).unwrap());
            verifier.finish(record.seq, record.head).unwrap();
            for (system, copy) in record.links() {
                let link = (system.clone(), record.entity.clone(), copy.remote_id.clone());
                let other = links.insert(link.clone(), record.id.clone());
                assert_eq!(other, None, "{link:?} is linked twice");
            }
        }
        assert!(streams.is_empty(), "events without a record: {:?}", streams.keys());
        for (system, fake) in &self.systems {
            for (key, effects) in fake.effects() {
                assert!(effects <= 1, "{key} had {effects} effects in {system}");
            }
        }
    }

    /// The laws, and agreement: every row is linked, every copy holds what is believed, nothing waits, and one
    /// more run does nothing at all.
    pub async fn check_in_sync(&self) {
        self.check_laws().await;
        self.check_agreement().await;
        self.check_idle().await;
    }

    /// Every row is linked, and every mapped, writable, uncontested field of it holds what is believed.
    pub async fn check_agreement(&self) {
        let records = self.records().await;
        for (system, fake) in &self.systems {
            for entity in self.policies.keys() {
                for (id, row) in fake.rows(entity.as_str()) {
                    let holder = records.iter().find(|record| {
                        let copy = record.copies.get(system).filter(|copy| !copy.is_replaced);
                        record.entity == *entity && copy.is_some_and(|copy| copy.remote_id == id)
                    });
                    let Some(record) = holder else {
                        panic!("{entity} {id} in {system} is not linked: {row:?}\n{}", self.story())
                    };
                    self.check_copy(record, system, &row).await;
                }
            }
        }
        for record in &records {
            for (system, copy) in record.links() {
                let exists = self.systems[system].row(record.entity.as_str(), &copy.remote_id).is_some();
                assert_eq!(copy.alive, exists, "{} in {system}", record.id);
            }
            assert_eq!(record.intents, BTreeMap::new(), "{} has open intents", record.id);
        }
    }

    async fn check_copy(&self, record: &Record, system: &SystemName, row: &Fields) {
        let policy = &self.policies[&record.entity];
        let Some(mapping) = policy.mappings.get(system) else { return };
        let shown = mapping.read(&policy.fields, row).unwrap();
        let copy: &Copy = &record.copies[system];
        let story = || json_of(record);
        assert!(copy.alive, "{system} holds a row that is taken for dead: {}", story());
        for (field, belief) in &record.fields {
            if !mapping.is_writable(field) || record.is_contested(field) || record.held.contains_key(system) {
                continue;
            }
            // What merely stood in for an owner is not written into the owner's own copy.
            let owns = policy.fields[field].owner.is(system);
            if owns && belief.dot.system != *system && !shown.contains_key(field) {
                continue;
            }
            let is_reference =
                matches!(policy.fields[field].field_type, avowal_core::policy::schema::FieldType::Ref { .. });
            let shadow = copy.fields.get(field);
            let stored = shown.get(field).unwrap_or(&Value::Null);
            if let Some(shadow) = shadow {
                assert!(is_reference || shadow.content == *stored, "{field} in {system}: {}", story());
                let agrees = shadow.is_equivalent_to(&belief.value) || shadow.tolerated;
                assert!(agrees, "{field} in {system} stands at {stored}: {}", story());
            } else {
                assert!(belief.value.is_null(), "{field} never reached {system}: {}", story());
            }
        }
    }

    /// One more run: no write, no event, nothing waiting.
    pub async fn check_idle(&self) {
        let writes = self.write_calls();
        let events = self.events().await.len();
        let report = self.sync().await;
        let after = self.events().await;
        let new: Vec<&Body> = after.iter().skip(events).map(|event| &event.body).collect();
        assert_eq!(after.len(), events, "a second run appended events, as {new:#?}");
        assert_eq!(report.events, 0);
        assert_eq!(report.written(), 0);
        assert_eq!(self.write_calls(), writes, "a second run wrote");
        assert_eq!(report.intents_open, 0, "intents wait");
    }
}

/// JSON members as raw contents.
pub fn raw(json: &Json) -> Fields {
    json.as_object().unwrap().iter().map(|(name, json)| (name.clone(), value(json))).collect()
}

pub fn value(json: &Json) -> Value {
    serde_json::from_value(json.clone()).unwrap()
}

pub fn json_of(record: &Record) -> String {
    serde_json::to_string_pretty(record).unwrap()
}

pub fn unreachable() -> ConnectorError {
    ConnectorError::new(ConnectorErrorKind::Unreachable, "no route to host", Some("Start it"))
}

fn policies(rules: &Json, systems: &[&str]) -> BTreeMap<EntityName, Arc<EntityPolicy>> {
    let rules = rules.as_object().unwrap();
    let entities: BTreeSet<EntityName> = rules.keys().map(EntityName::new).collect();
    let build = |(name, rules): (&String, &Json)| {
        let entity = EntityName::new(name);
        let policy = try_policy_of(&entity, &cut_down(rules, systems), &entities);
        (entity, Arc::new(policy.unwrap_or_else(|errors| panic!("{}", list(&errors)))))
    };
    rules.iter().map(build).collect()
}

/// The rules without the systems that do not take part.
fn cut_down(rules: &Json, systems: &[&str]) -> Json {
    let mut rules = rules.clone();
    for (_, field) in rules["fields"].as_object_mut().unwrap() {
        for list in ["precedence", "proposals"] {
            if let Some(names) = field.get_mut(list).and_then(Json::as_array_mut) {
                names.retain(|name| systems.contains(&name.as_str().unwrap()));
            }
        }
        // A field whose owner does not take part belongs to everybody.
        let owner = field["owner"].as_str().unwrap();
        if owner != "shared" && !systems.contains(&owner) {
            *field = json!({"type": field["type"], "owner": "shared", "strategy": "latest_valid_change", "precedence": systems});
        }
    }
    let written = rules.get("systems").cloned().unwrap_or_default();
    let system = |name: &&str| {
        let mut system = written.get(*name).cloned().unwrap_or_else(|| json!({}));
        system["local"] = json!(*name == "app");
        ((*name).to_owned(), system)
    };
    rules["systems"] = systems.iter().map(system).collect::<serde_json::Map<_, _>>().into();
    rules
}
