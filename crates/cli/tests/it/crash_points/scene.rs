//! A store and two tables in real files, with edits on both sides, and what must hold when everything has ended.

use super::points::{PointedConnector, PointedStore, Points};
use async_trait::async_trait;
use avowal_connectors::sqlite::{SqliteConnector, SqliteOptions};
use avowal_core::data::ids::{EntityName, RecordId, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::history::ChainVerifier;
use avowal_core::history::fold::fold;
use avowal_core::policy::EntityPolicy;
use avowal_core::policy::schema::FieldType;
use avowal_engine::ports::clock::Clock;
use avowal_engine::ports::connector::{Binding, Column, Connector, Installation};
use avowal_engine::ports::store::Store;
use avowal_engine::{
    Engine, EngineParts, FirstWrites, Settings, SyncOptions, SyncReport, SystemPort, Unwatched,
};
use avowal_stores::sqlite::SqliteStore;
use avowal_testkit::dice::Dice;
use avowal_testkit::layer::Layered;
use rusqlite::Connection;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const SYSTEMS: [&str; 2] = ["app", "crm"];
const FIELDS: [&str; 5] = ["email", "name", "tags", "credit", "stage"];
const ROWS: u64 = 6;

/// One folder with everything in it.
pub struct Scene {
    folder: PathBuf,
    seed: u64,
}

struct RealClock;

#[async_trait]
impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Timestamp::from_millis(now.as_millis() as i64)
    }

    fn new_record_id(&self) -> RecordId {
        RecordId::new(ulid::Ulid::generate().to_string())
    }

    async fn sleep(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

impl Scene {
    pub fn new(folder: &Path, seed: u64) -> Self {
        Self { folder: folder.to_owned(), seed }
    }

    fn table(&self, system: &str) -> Connection {
        let connection = Connection::open(self.folder.join(format!("{system}.db"))).unwrap();
        connection.busy_timeout(Duration::from_secs(10)).unwrap();
        connection
    }

    /// Both tables: rows that stand in both, in one, and that differ. Each table counts what is done to it.
    pub fn fill(&self) {
        let mut dice = Dice::new(self.seed);
        let tables = SYSTEMS.map(|system| self.table(system));
        for table in &tables {
            table
                .execute_batch(
                    "CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT, name TEXT, tags TEXT, credit INTEGER, stage TEXT);
                     CREATE TABLE effects (email TEXT, what TEXT);
                     CREATE TRIGGER made AFTER INSERT ON customers BEGIN INSERT INTO effects VALUES (NEW.email, 'made'); END;
                     CREATE TRIGGER gone AFTER DELETE ON customers BEGIN INSERT INTO effects VALUES (OLD.email, 'gone'); END;",
                )
                .unwrap();
        }
        for n in 0..ROWS {
            let place = dice.roll(3);
            for (at, table) in tables.iter().enumerate() {
                if place != 2 && place != at as u64 {
                    continue;
                }
                let name = if dice.chance(30) { format!("Name {n} {at}") } else { format!("Name {n}") };
                let row = (format!("p{n}@example.com"), name, "[\"a\"]", 10, "lead");
                table
                    .execute(
                        "INSERT INTO customers (email, name, tags, credit, stage) VALUES (?,?,?,?,?)",
                        row,
                    )
                    .unwrap();
            }
        }
    }

    /// Links, lets people edit both sides once, and brings that into agreement, with points everywhere.
    pub fn play(&self, points: Arc<Points>) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let (engine, _) = self.engine(&points);
            sync_until_quiet(&engine).await;
            for system in SYSTEMS {
                self.edit(system);
            }
            points.pass("after the edits");
            sync_until_quiet(&engine).await;
        });
    }

    /// What people do in one system, in one transaction, once however often the child begins again.
    fn edit(&self, system: &str) {
        let mut dice = Dice::new(self.seed ^ 77 ^ system.len() as u64 ^ u64::from(system == "crm") << 9);
        let mut table = self.table(system);
        let edits = table.transaction().unwrap();
        if edits.execute("CREATE TABLE edited (a)", []).is_err() {
            return;
        }
        for _ in 0..4 {
            let email = format!("p{}@example.com", dice.roll(ROWS));
            let set = match dice.roll(4) {
                0 => format!("name = 'By {system} {}'", dice.roll(100)),
                1 => format!("tags = '[\"a\",\"{system}{}\"]'", dice.roll(5)),
                2 => format!("credit = credit + {}", 1 + dice.roll(9)),
                _ => "stage = 'won'".to_owned(),
            };
            edits.execute(&format!("UPDATE customers SET {set} WHERE email = ?"), [&email]).unwrap();
        }
        let new = (format!("new-{system}@example.com"), "New", "[]", 1, "lead");
        edits
            .execute("INSERT INTO customers (email, name, tags, credit, stage) VALUES (?,?,?,?,?)", new)
            .unwrap();
        if system == "app" {
            edits
                .execute(
                    "DELETE FROM customers WHERE email = ?",
                    [format!("p{}@example.com", dice.roll(ROWS))],
                )
                .unwrap();
        }
        edits.commit().unwrap();
    }

    fn engine(&self, points: &Arc<Points>) -> (Engine, Arc<dyn Store>) {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(self.folder.join("avowal.db")).unwrap());
        let port = |system: &str| {
            let inner: Arc<dyn Connector> = Arc::new(self.connector(system));
            let connector: Arc<dyn Connector> = Arc::new(PointedConnector { inner, points: points.clone() });
            (SystemName::new(system), SystemPort { connector, poll_ms: 50, rate: None, lag_ms: None })
        };
        let settings = Settings {
            batch_records_max: 3,
            settle_ms: 20,
            backoff_min_ms: 20,
            patience_ms: 5_000,
            first_writes: FirstWrites::Agreed { by: "Ada".to_owned() },
            ..Settings::default()
        };
        let engine = Engine::new(EngineParts {
            run: None,
            store: Arc::new(Layered(PointedStore { inner: store.clone(), points: points.clone() })),
            clock: Arc::new(RealClock),
            systems: SYSTEMS.into_iter().map(port).collect(),
            policies: BTreeMap::from([(entity(), Arc::new(policy()))]),
            settings,
        });
        (engine, store)
    }

    fn connector(&self, system: &str) -> SqliteConnector {
        let column =
            |name: &str| Column { name: name.to_owned(), field_type: field_type(name), writable: true };
        let columns = FIELDS.into_iter().map(column).collect();
        let binding =
            Binding { entity: entity(), object: "customers".to_owned(), id: "id".to_owned(), columns };
        SqliteConnector::open(
            SqliteOptions {
                path: self.folder.join(format!("{system}.db")),
                installation: Installation::none(),
            },
            vec![binding],
        )
        .unwrap()
    }

    /// Both tables agree, the history is whole, nothing was done twice, and there is nothing left to do.
    pub fn assert_in_order(&self, when: &str) {
        let (app, crm) = (self.rows("app"), self.rows("crm"));
        assert_eq!(app, crm, "{when}: they differ");
        assert!(app.contains_key("new-app@example.com") && app.contains_key("new-crm@example.com"), "{when}");
        for system in SYSTEMS {
            self.assert_effects(system, when);
        }
        self.assert_keys(when);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let (engine, store) = self.engine(&Points::new(&self.folder, 0));
            assert_history(store.as_ref(), when).await;
            let more = sync_until_quiet(&engine).await;
            assert_eq!((more.written(), more.events), (0, 0), "{when}: there was something left to do");
        });
    }

    fn rows(&self, system: &str) -> BTreeMap<String, (String, BTreeSet<String>, i64, String)> {
        let table = self.table(system);
        let mut statement = table.prepare("SELECT email, name, tags, credit, stage FROM customers").unwrap();
        let rows = statement.query_map([], |row| {
            let tags: String = row.get(2)?;
            let tags: BTreeSet<String> = serde_json::from_str(&tags).unwrap();
            Ok((row.get(0)?, (row.get(1)?, tags, row.get(3)?, row.get(4)?)))
        });
        let rows: Vec<(String, _)> = rows.unwrap().map(Result::unwrap).collect();
        let count = rows.len();
        let rows: BTreeMap<_, _> = rows.into_iter().collect();
        assert_eq!(rows.len(), count, "{system} holds somebody twice");
        rows
    }

    /// Nobody was made or removed more than once.
    fn assert_effects(&self, system: &str, when: &str) {
        let doubled = "SELECT email || ' ' || what FROM effects GROUP BY email, what HAVING count(*) > 1";
        let table = self.table(system);
        let found: Vec<String> = table
            .prepare(doubled)
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(found, Vec::<String>::new(), "{when}: done twice in {system}");
    }

    /// No key of ours stands at two changes of the systems' logs.
    fn assert_keys(&self, when: &str) {
        let mut keys = 0;
        for system in SYSTEMS {
            let table = self.table(system);
            let doubled = "SELECT origin FROM avowal_none_log_1 WHERE origin IS NOT NULL GROUP BY origin HAVING count(*) > 1";
            let mut statement = table.prepare(doubled).unwrap();
            let found: Vec<String> =
                statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
            assert_eq!(found, Vec::<String>::new(), "{when}: keys that had two effects in {system}");
            let counted = "SELECT count(DISTINCT origin) FROM avowal_none_log_1";
            keys += table.query_row(counted, [], |row| row.get::<_, i64>(0)).unwrap();
        }
        assert!(keys > 2, "{when}: only {keys} keys stand in the logs");
    }
}

async fn sync_until_quiet(engine: &Engine) -> SyncReport {
    let report = engine.sync(SyncOptions { full: false }, &Unwatched).await.unwrap();
    assert!(report.is_complete() && report.held.is_empty(), "{report:?}");
    report
}

/// Every chain is whole and folds to the state beside it.
async fn assert_history(store: &dyn Store, when: &str) {
    let records = store.scan_records(None, 1_000).await.unwrap();
    assert!(records.len() >= 2, "{when}");
    for record in records {
        let events = store.events(&record.id, 1, 10_000).await.unwrap();
        let mut chain = ChainVerifier::new(record.id.clone());
        events.iter().for_each(|event| chain.push(event).unwrap_or_else(|error| panic!("{when}: {error}")));
        chain.finish(record.seq, record.head).unwrap_or_else(|error| panic!("{when}: {error}"));
        assert_eq!(fold(record.id.clone(), record.entity.clone(), &events), record, "{when}");
    }
    let aside = store.quarantined(10).await.unwrap();
    assert_eq!(aside, Vec::new(), "{when}");
}

fn entity() -> EntityName {
    EntityName::new("customer")
}

fn field_type(name: &str) -> FieldType {
    match name {
        "tags" => FieldType::Set,
        "credit" => FieldType::Integer,
        _ => FieldType::String,
    }
}

fn policy() -> EntityPolicy {
    avowal_testpolicy::policy(&json!({
        "match_on": ["email"],
        "fields": {
            "email": {"type": "string", "owner": "app", "strategy": "local_wins"},
            "name": {"type": "string", "owner": "shared", "strategy": "latest_valid_change", "precedence": ["app", "crm"]},
            "tags": {"type": "set", "owner": "shared", "strategy": "merge", "merge": "union"},
            "credit": {"type": "integer", "owner": "shared", "strategy": "merge", "merge": "delta", "precedence": ["app", "crm"]},
            "stage": {"type": "string", "owner": "crm", "strategy": "external_wins"}
        },
        "deletes": {"owner": "shared", "edit_against_delete": "delete_wins"},
        "systems": {"app": {"local": true}, "crm": {}}
    }))
}
