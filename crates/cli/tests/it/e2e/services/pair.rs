//! An app's SQLite file, a service behind the recording proxy, and the binary between them.

use super::customer::{Customer, Edit, Side, read_side, remote};
use super::service::Service;
use crate::e2e::world::{Ran, Running};
use avowal_testkit::proxy::Proxy;
use rusqlite::Connection;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a world may take to settle.
const SETTLE_S_MAX: u64 = 300;
/// Between two syncs that found something left to do.
const PAUSE_MS: u64 = 1_000;

/// The two systems with the service's example between them.
pub struct Pair<S> {
    folder: tempfile::TempDir,
    pub service: S,
    pub proxy: Proxy,
}

impl<S: Service> Pair<S> {
    /// Empty systems. The seed decides which calls meet trouble.
    pub fn new(seed: u64) -> Self {
        let folder = tempfile::Builder::new().prefix("avowal-services-").tempdir().unwrap();
        let service = S::start();
        let proxy = Proxy::start(&service.url(), seed).unwrap();
        let pair = Self { folder, service, proxy };
        pair.configure(S::CONFIG);
        pair.app().execute_batch(S::TABLES).unwrap();
        pair
    }

    /// Replaces the configuration.
    pub fn configure(&self, text: &str) {
        std::fs::write(self.path("avowal.toml"), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The app's database, for a person's edits.
    pub fn app(&self) -> Connection {
        let connection = Connection::open(self.path("app.db")).unwrap();
        connection.busy_timeout(Duration::from_secs(20)).unwrap();
        connection
    }

    /// The app's customers.
    #[track_caller]
    pub fn app_side(&self) -> Side {
        let app = self.app();
        let sql = "SELECT json_object('id', id, 'email', email, 'name', name, 'stage', stage, 'phone', phone, \
                   'note', note) FROM customers";
        let mut statement = app.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let objects: Vec<Value> = rows.map(|row| serde_json::from_str(&row.unwrap()).unwrap()).collect();
        read_side("app", &objects, |field| field)
    }

    /// The service's customers.
    #[track_caller]
    pub fn service_side(&self) -> Side {
        read_side(S::NAME, &self.service.all(), S::named)
    }

    /// Adds customers to the app.
    pub fn insert_app(&self, customers: &[(String, Customer)]) {
        let mut app = self.app();
        let transaction = app.transaction().unwrap();
        for (email, fields) in customers {
            transaction.execute("INSERT INTO customers (email) VALUES (?1)", [email]).unwrap();
            set(
                &transaction,
                email,
                &fields.iter().map(|(field, text)| (*field, Some(text.clone()))).collect::<Vec<_>>(),
            );
        }
        transaction.commit().unwrap();
    }

    /// Edits one customer after the other in the app, all in one transaction.
    pub fn edit_app(&self, edits: &[Edit]) {
        let mut app = self.app();
        let transaction = app.transaction().unwrap();
        for (email, fields) in edits {
            set(&transaction, email, fields);
        }
        transaction.commit().unwrap();
    }

    /// Deletes customers in the app.
    pub fn delete_app(&self, emails: &[String]) {
        let mut app = self.app();
        let transaction = app.transaction().unwrap();
        for email in emails {
            let deleted = transaction.execute("DELETE FROM customers WHERE email = ?1", [email]).unwrap();
            assert_eq!(deleted, 1, "{email}");
        }
        transaction.commit().unwrap();
    }

    /// Adds customers to the service.
    pub fn insert_service(&self, customers: &[(String, Customer)]) {
        let body = |(email, fields): &(String, Customer)| {
            let mut body = remote(fields, S::named);
            body.insert("email".to_owned(), json!(email));
            Value::Object(body)
        };
        self.service.insert(&customers.iter().map(body).collect::<Vec<_>>());
    }

    /// Edits customers in the service, by their ids there.
    pub fn edit_service(&self, edits: &[Edit]) {
        let change = |(id, fields): &Edit| {
            let body: Map<String, Value> =
                fields.iter().map(|(field, text)| (S::named(field).to_owned(), json!(text))).collect();
            (id.clone(), Value::Object(body))
        };
        self.service.update(&edits.iter().map(change).collect::<Vec<_>>());
    }

    /// The binary, which reaches the service through the proxy.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_avowal"));
        command.arg("-c").arg(self.path("avowal.toml")).args(arguments);
        command.env(S::URL.0, format!("{}{}", self.proxy.url(), S::URL.1));
        command.envs(self.service.environment()).stdin(Stdio::null());
        command
    }

    /// Runs the binary to its end. It never panics.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let ran = Ran::of(self.command(arguments).output().unwrap());
        assert!(!ran.words().contains("panicked"), "{ran}");
        ran
    }

    /// Starts the binary without waiting for it.
    pub fn spawn(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(arguments), self.path("spawned.log"))
    }

    /// Runs `sync` until nothing is left to do. A write of unknown outcome waits for twice the longest lag that was seen, so
    /// this may take minutes.
    #[track_caller]
    pub fn settle(&self) {
        // Deletes that the service does not tell of are found by a full listing.
        let again: &[&str] = if S::TELLS_DELETES { &["sync"] } else { &["sync", "--full"] };
        let deadline = Instant::now() + Duration::from_secs(SETTLE_S_MAX);
        // The first run writes into a service that may hold records.
        let mut ran = self.run(&["sync", "--yes"]);
        loop {
            assert!([0, 1, 4].contains(&ran.code), "{ran}");
            ran = self.run(again);
            if ran.code == 0 {
                return;
            }
            if Instant::now() > deadline {
                let (status, set_aside) = (self.run(&["status"]), self.run(&["quarantine", "list"]));
                panic!("{SETTLE_S_MAX} s did not settle it: {ran}\n{status}\n{set_aside}");
            }
            std::thread::sleep(Duration::from_millis(PAUSE_MS));
        }
    }

    /// One more `sync` finds nothing to do, and asks the service nothing but what has changed.
    #[track_caller]
    pub fn assert_quiet(&self) {
        self.proxy.take_calls();
        let ran = self.run(&["sync", "--json"]);
        let synced = ran.json(&["sync"]);
        assert_eq!((synced["events"].as_u64(), ran.code), (Some(0), 0), "{synced}");
        let calls = self.proxy.take_calls();
        let more: Vec<_> = calls.iter().filter(|call| !S::is_question(call)).collect();
        assert!(more.is_empty(), "nothing has changed, and it asked more than that: {more:?}");
        let allowed = S::questions_max(self.service_side().len());
        assert!(
            calls.len() <= allowed,
            "nothing has changed: {} calls, not {allowed}: {calls:?}",
            calls.len()
        );
    }

    /// The history is whole, and every state is its fold.
    #[track_caller]
    pub fn assert_history(&self) {
        for arguments in [["history", "verify", "--json"], ["history", "rebuild", "--json"]] {
            let walked = self.run(&arguments).json(&arguments);
            assert_eq!(walked["faults"], 0, "{walked}");
        }
    }
}

fn set(app: &Connection, email: &str, fields: &[(&'static str, Option<String>)]) {
    for (field, text) in fields {
        let sql = format!("UPDATE customers SET {field} = ?1 WHERE email = ?2");
        let changed = app.execute(&sql, rusqlite::params![text, email]).unwrap();
        assert_eq!(changed, 1, "{email}");
    }
}
