//! A folder with a configuration, and the command run in it.

use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The beginning of a configuration: a store, and two files. What comes first behind it belongs to the second, `crm`.
pub const TWO_FILES: &str = r#"
[store]
url = "sqlite:avowal.db"
[settings]
patience_ms = 2000
[systems.app]
connector = "sqlite"
url = "sqlite:app.db"
local = true
[systems.crm]
connector = "sqlite"
url = "sqlite:crm.db"
"#;

/// Where the two files keep customers.
const CUSTOMERS_MAPPED: &str = r#"
[entities.customer.systems.app]
object = "customers"
id = "id"
fields = { email = "email", name = "name" }
[entities.customer.systems.crm]
object = "contacts"
id = "id"
fields = { email = "email", name = "name" }
"#;

/// A configuration of two files that keep customers under these rules.
pub fn two_files_of_customers(rules: &str) -> String {
    [TWO_FILES, rules, CUSTOMERS_MAPPED].concat()
}

/// A folder of its own for one test.
pub struct Bench {
    folder: TempDir,
}

/// How a command ended.
pub struct Ended {
    /// The exit code.
    pub code: i32,
    /// What it said on stdout.
    pub out: String,
    /// What it said on stderr.
    pub err: String,
}

impl Bench {
    /// An empty folder.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A folder with this configuration, and the two empty tables that [`two_files_of_customers`] maps.
    pub fn of_customers(configuration: &str) -> Self {
        let bench = Self::with(configuration);
        let columns = "(id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT, name TEXT)";
        bench.sql("app", &format!("CREATE TABLE customers {columns}"));
        bench.sql("crm", &format!("CREATE TABLE contacts {columns}"));
        bench
    }

    /// Two files of customers under these rules: an app with Ann and Bob, and a CRM with nobody.
    pub fn of_ann_and_bob(rules: &str) -> Self {
        let bench = Self::of_customers(&two_files_of_customers(rules));
        bench.sql(
            "app",
            "INSERT INTO customers (email, name) VALUES ('a@x.example', 'Ann'), ('b@x.example', 'Bob')",
        );
        bench
    }

    /// A folder with this configuration.
    pub fn with(configuration: &str) -> Self {
        let bench = Self::new();
        bench.write("avowal.toml", configuration);
        bench
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: impl AsRef<Path>, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// The database in the file of this name, which may be in use by others for a while.
    pub fn open(&self, database: &str) -> Connection {
        let connection = Connection::open(self.path(&format!("{database}.db"))).unwrap();
        connection.busy_timeout(Duration::from_secs(10)).unwrap();
        connection
    }

    /// Runs statements in the database of this name.
    pub fn sql(&self, database: &str, sql: &str) {
        self.open(database).execute_batch(sql).unwrap();
    }

    /// Starts `avowal run` in the folder.
    pub fn daemon(&self) -> Daemon {
        let daemon = self.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Daemon(daemon.unwrap())
    }

    /// Starts `avowal run` in the folder, with what it says in a file.
    pub fn daemon_that_logs(&self, log: &str) -> Daemon {
        let log = std::fs::File::create(self.path(log)).unwrap();
        Daemon(self.command(&["run"]).stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    /// Runs `avowal` in the folder.
    pub fn avowal(&self, arguments: &[&str]) -> Ended {
        self.avowal_with(arguments, &[])
    }

    /// Runs `avowal` in the folder, with more environment variables.
    pub fn avowal_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
        ended(&self.command(arguments).envs(variables.iter().copied()).output().unwrap())
    }

    /// The command `avowal` in the folder, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_avowal"));
        command.args(arguments).current_dir(self.folder.path());
        command.env_remove("AVOWAL_LOG").env_remove("BILLING_URL").env("USER", "ada");
        command
    }

    /// Runs `avowal`, which must end with this code, and answers everything that it said.
    #[track_caller]
    pub fn ends_with(&self, code: i32, arguments: &[&str]) -> String {
        let ended = self.avowal(arguments);
        assert_eq!(ended.code, code, "{arguments:?}: {}{}", ended.out, ended.err);
        ended.out + &ended.err
    }

    /// Runs `avowal` and answers its stdout as JSON, whatever the exit code.
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let ended = self.avowal(&[arguments, &["--json"]].concat());
        serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {}{}", ended.out, ended.err))
    }
}

fn ended(output: &Output) -> Ended {
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout.clone()).unwrap(),
        err: String::from_utf8(output.stderr.clone()).unwrap(),
    }
}

/// A daemon, killed at the end.
pub struct Daemon(Child);

impl Daemon {
    /// Ends it with SIGTERM and answers its exit code.
    pub fn terminate(mut self) -> i32 {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.0.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for something that is to happen within 30 seconds.
#[track_caller]
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}: not within 30 seconds");
        std::thread::sleep(Duration::from_millis(100));
    }
}
