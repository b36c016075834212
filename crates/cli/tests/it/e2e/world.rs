//! Three real systems in temporary places, and the binary between them.

use super::row::{Peer, Row, Rows, assert_equal};
use avowal_testkit::pocketbase::{self, PocketBase};
use avowal_testkit::postgres::PrivatePostgres;
use rusqlite::Connection;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const CONFIG: &str = include_str!("../../../../../examples/pocketbase/avowal.toml");
const APP_TABLES: &str = include_str!("../../../../../examples/pocketbase/app.sql");
const BILLING_TABLES: &str = include_str!("../../../../../examples/pocketbase/billing.sql");
const CRM_COLLECTION: &str = include_str!("../../../../../examples/pocketbase/crm.json");

const TABLE: &str = "customers";
/// One statement to psql is an argument, and those are limited.
const SQL_BYTES_MAX: usize = 100_000;

/// The three systems with the configuration of `examples/pocketbase`.
pub struct World {
    folder: tempfile::TempDir,
    pub postgres: PrivatePostgres,
    pub pocketbase: PocketBase,
}

impl World {
    /// Empty systems.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("avowal-e2e-").tempdir().unwrap();
        let postgres = PrivatePostgres::start().unwrap();
        let pocketbase = PocketBase::start().unwrap();
        let world = Self { folder, postgres, pocketbase };
        world.configure(CONFIG);
        world.app().execute_batch(APP_TABLES).unwrap();
        world.billing(BILLING_TABLES);
        world.pocketbase.create_collection(&serde_json::from_str(CRM_COLLECTION).unwrap()).unwrap();
        world
    }

    /// The first `count` customers, known to all three systems and linked.
    pub fn synced(count: usize) -> (Self, Rows) {
        let rows: Rows = (0..count).map(|n| (format!("c{n:05}"), Row::nth(n))).collect();
        let world = Self::new();
        for place in Peer::ALL {
            world.fill(place, &rows);
        }
        let synced = world.sync();
        assert_eq!(synced.written(), 0, "{}", synced.0);
        (world, rows)
    }

    /// Replaces the configuration.
    pub fn configure(&self, text: &str) {
        std::fs::write(self.path("avowal.toml"), text).unwrap();
    }

    /// Replaces a part of the example's configuration, which must be there.
    #[track_caller]
    pub fn reconfigure(&self, from: &str, to: &str) {
        assert!(CONFIG.contains(from), "the example has no {from:?}");
        self.configure(&CONFIG.replace(from, to));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The app's database, for a person's edits.
    pub fn app(&self) -> Connection {
        let connection = Connection::open(self.path("app.db")).unwrap();
        connection.busy_timeout(Duration::from_secs(20)).unwrap();
        connection
    }

    /// Our own store, to look into.
    pub fn store(&self) -> Connection {
        Connection::open(self.path("avowal.db")).unwrap()
    }

    /// Runs SQL in the billing database, as a person, in one transaction.
    #[track_caller]
    pub fn billing(&self, sql: &str) -> String {
        self.postgres.psql("postgres", sql).unwrap()
    }

    /// Runs many statements in the billing database.
    pub fn billing_many(&self, statements: &[String]) {
        let mut sql = String::new();
        for statement in statements {
            if sql.len() + statement.len() > SQL_BYTES_MAX {
                self.billing(&sql);
                sql.clear();
            }
            sql.push_str(statement);
            sql.push(';');
        }
        self.billing(&sql);
    }

    /// Adds customers, as the system's own users would.
    pub fn fill(&self, place: Peer, rows: &Rows) {
        let columns: Vec<_> = rows.iter().map(|(code, row)| row.columns(place, code)).collect();
        match place {
            Peer::App => {
                let mut app = self.app();
                let transaction = app.transaction().unwrap();
                for row in &columns {
                    transaction.execute(&insert(row), []).unwrap();
                }
                transaction.commit().unwrap();
            }
            Peer::Billing => {
                let rows: Vec<_> = columns.iter().map(|row| insert(&for_postgres(row))).collect();
                self.billing_many(&rows);
            }
            Peer::Crm => {
                let records: Vec<Value> = columns
                    .into_iter()
                    .map(|row| {
                        Value::Object(row.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
                    })
                    .collect();
                self.pocketbase.insert(TABLE, &records).unwrap();
            }
        }
    }

    /// Edits customers, as the system's own users would: the columns of some rows, by code.
    pub fn edit(&self, place: Peer, changes: &BTreeMap<String, Vec<(&'static str, Value)>>) {
        let update = |code: &str, columns: &[(&'static str, Value)]| {
            let sets: Vec<_> =
                columns.iter().map(|(name, value)| format!("{name} = {}", literal(value))).collect();
            format!("UPDATE {TABLE} SET {} WHERE code = {}", sets.join(", "), literal(&Value::from(code)))
        };
        match place {
            Peer::App => {
                let mut app = self.app();
                let transaction = app.transaction().unwrap();
                for (code, columns) in changes {
                    assert_eq!(transaction.execute(&update(code, columns), []).unwrap(), 1, "{code}");
                }
                transaction.commit().unwrap();
            }
            Peer::Billing => {
                let updates: Vec<_> =
                    changes.iter().map(|(code, columns)| update(code, &for_postgres(columns))).collect();
                self.billing_many(&updates);
            }
            Peer::Crm => {
                let ids = self.crm_ids();
                let updates: Vec<_> = changes
                    .iter()
                    .map(|(code, columns)| {
                        let fields = columns.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
                        (ids[code].clone(), Value::Object(fields.collect()))
                    })
                    .collect();
                self.pocketbase.update(TABLE, &updates).unwrap();
            }
        }
    }

    /// Edits one field of one customer.
    pub fn edit_one(&self, place: Peer, code: &str, column: &'static str, value: impl Into<Value>) {
        self.edit(place, &BTreeMap::from([(code.to_owned(), vec![(column, value.into())])]));
    }

    /// The CRM's ids by code.
    pub fn crm_ids(&self) -> BTreeMap<String, String> {
        let text = |record: &Value, key: &str| record[key].as_str().unwrap().to_owned();
        let records = self.pocketbase.all(TABLE).unwrap();
        records.iter().map(|record| (text(record, "code"), text(record, "id"))).collect()
    }

    /// All customers of a system. Two with one code fail the test.
    #[track_caller]
    pub fn rows(&self, place: Peer) -> Rows {
        let objects = match place {
            Peer::App => self.app_objects(),
            Peer::Billing => {
                let json = self.billing("SELECT coalesce(json_agg(row_to_json(c)), '[]') FROM customers c");
                serde_json::from_str(&json).unwrap()
            }
            Peer::Crm => self.pocketbase.all(TABLE).unwrap(),
        };
        let mut rows = Rows::new();
        for object in &objects {
            let (code, row) = Row::read(place, object);
            assert!(rows.insert(code.clone(), row).is_none(), "{code} is doubled in {}", place.name());
        }
        rows
    }

    fn app_objects(&self) -> Vec<Value> {
        let app = self.app();
        let sql = "SELECT json_object('code', code, 'email', email, 'full_name', full_name, 'phone_number', \
                   phone_number, 'stage', stage, 'billing_status', billing_status, 'tags', tags, 'credit', credit, \
                   'note', note) FROM customers";
        let mut statement = app.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        rows.map(|row| serde_json::from_str(&row.unwrap()).unwrap()).collect()
    }

    /// Compares all three systems with what is expected.
    #[track_caller]
    pub fn assert_all(&self, expected: &Rows) {
        for place in Peer::ALL {
            assert_equal(place.name(), &self.rows(place), expected);
        }
    }

    /// The binary with this world's configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_avowal"));
        command.arg("-c").arg(self.path("avowal.toml")).args(arguments);
        command.env("BILLING_URL", self.postgres.url("postgres")).env("CRM_URL", self.pocketbase.url());
        command.env("CRM_USER", pocketbase::USER).env("CRM_PASSWORD", pocketbase::PASSWORD);
        command.stdin(Stdio::null());
        command
    }

    /// Runs the binary to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// Runs the binary, which must succeed, and returns its JSON.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).json(arguments)
    }

    /// Runs one `sync`, which must succeed.
    #[track_caller]
    pub fn sync(&self) -> Synced {
        let began = Instant::now();
        let synced = Synced(self.json(&["sync", "--yes"]));
        println!("sync: {} written, {} events, {:.1?}", synced.written(), synced.events(), began.elapsed());
        synced
    }

    /// One more `sync` must find nothing to do.
    #[track_caller]
    pub fn assert_quiet(&self) {
        let synced = self.sync();
        assert_eq!((synced.written(), synced.events()), (0, 0), "{}", synced.0);
        assert_eq!(synced.0["quarantined"], 0, "{}", synced.0);
    }

    /// The history is whole, and every state is its fold.
    #[track_caller]
    pub fn assert_history(&self) {
        for arguments in [["history", "verify"], ["history", "rebuild"]] {
            let walked = self.json(&arguments);
            assert_eq!(walked["faults"], 0, "{walked}");
        }
    }

    /// Starts the binary without waiting for it; what it says goes to a file.
    pub fn spawn(&self, arguments: &[&str]) -> Running {
        let log = self.path("spawned.log");
        // What an earlier one has said is not this one's.
        let _ = std::fs::remove_file(&log);
        Running::start(self.command(arguments), log)
    }
}

/// A process of ours; dropping it kills it.
pub struct Running {
    pub child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts it; what it says is added to the file.
    pub fn start(mut command: Command, log: PathBuf) -> Self {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Self { child, log }
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGKILL, and the end of it.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What `sync --json` answered.
pub struct Synced(pub Value);

impl Synced {
    pub fn written(&self) -> u64 {
        self.0["systems"]
            .as_object()
            .unwrap()
            .values()
            .map(|system| system["written"].as_u64().unwrap())
            .sum()
    }

    pub fn events(&self) -> u64 {
        self.0["events"].as_u64().unwrap()
    }

    pub fn reviews(&self) -> u64 {
        self.0["reviews_open"].as_u64().unwrap()
    }
}

/// How a run of the binary ended.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// The JSON that it answered; it must have succeeded. 4 says that something waits, and the JSON says what.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let answer: Option<Value> = serde_json::from_str(&self.stdout).ok();
        let figures = ["reviews_open", "quarantine_open", "intents_open"];
        let waits = |answer: &Value| figures.iter().any(|figure| answer[figure].as_u64() > Some(0));
        let code = if answer.as_ref().is_some_and(waits) { 4 } else { 0 };
        assert_eq!(self.code, code, "avowal {}: {self}", arguments.join(" "));
        answer.unwrap()
    }

    /// Everything it said.
    pub fn words(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    /// It ended with this code and said all of this; it never panicked.
    #[track_caller]
    pub fn assert(&self, code: i32, says: &[&str]) {
        assert_eq!(self.code, code, "{self}");
        let words = self.words();
        assert!(!words.contains("panicked"), "{self}");
        for wanted in says {
            assert!(words.contains(wanted), "it does not say {wanted:?}: {self}");
        }
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}\n{}\n{}", self.code, self.stdout, self.stderr)
    }
}

/// Waits until `test` holds; fails after `limit`.
#[track_caller]
pub fn eventually(what: &str, limit: Duration, mut test: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !test() {
        assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
    began.elapsed()
}

fn insert(columns: &[(&'static str, Value)]) -> String {
    let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    let values: Vec<_> = columns.iter().map(|(_, value)| literal(value)).collect();
    format!("INSERT INTO {TABLE} ({}) VALUES ({})", names.join(", "), values.join(", "))
}

/// Lists become array literals.
fn for_postgres(columns: &[(&'static str, Value)]) -> Vec<(&'static str, Value)> {
    let array = |value: &Value| match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(ToString::to_string).collect();
            Value::String(format!("{{{}}}", items.join(",")))
        }
        other => other.clone(),
    };
    columns.iter().map(|(name, value)| (*name, array(value))).collect()
}

fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Array(_) | Value::Object(_) => format!("'{}'", value.to_string().replace('\'', "''")),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}
