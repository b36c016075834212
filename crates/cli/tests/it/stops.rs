//! Stops and exit codes as people and scripts meet them, with two SQLite files.

use rusqlite::Connection;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const CONFIG: &str = r#"
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
[entities.customer]
match_on = ["email"]
[entities.customer.fields]
email = { type = "string", owner = "shared", strategy = "latest_valid_change", precedence = ["app", "crm"] }
name = { type = "string", owner = "shared", strategy = "latest_valid_change", precedence = ["app", "crm"] }
[entities.customer.systems.app]
object = "customers"
id = "id"
fields = { email = "email", name = "name" }
[entities.customer.systems.crm]
object = "contacts"
id = "id"
fields = { email = "email", name = "name" }
"#;

/// A folder with a configuration and two synced files.
struct Two {
    folder: tempfile::TempDir,
}

impl Two {
    fn synced() -> Self {
        let two = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::write(two.path("avowal.toml"), CONFIG).unwrap();
        two.sql(
            "app",
            "CREATE TABLE customers (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT, name TEXT)",
        );
        two.sql("crm", "CREATE TABLE contacts (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT, name TEXT)");
        two.sql("app", "INSERT INTO customers (email, name) VALUES ('a@x.example', 'Ann')");
        two.run(0, &["sync"]);
        two
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sql(&self, system: &str, sql: &str) {
        let connection = Connection::open(self.path(&format!("{system}.db"))).unwrap();
        connection.busy_timeout(Duration::from_secs(10)).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    fn name_in_crm(&self) -> String {
        let connection = Connection::open(self.path("crm.db")).unwrap();
        connection.query_row("SELECT name FROM contacts", [], |row| row.get(0)).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_avowal"));
        command.current_dir(self.folder.path()).args(arguments);
        command
    }

    /// Runs a command, which must end with this code, and answers what it said.
    fn run(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said.join(""));
        said.join("")
    }
}

/// A daemon, stopped at the end.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_paused_system_is_not_written_to_until_it_is_resumed() {
    let two = Two::synced();
    let said = two.run(0, &["pause", "crm", "--direction", "out", "--by", "Ada", "--note", "cleaning up"]);
    assert!(said.contains("nothing is written to crm") && said.contains("Ada: cleaning up"), "{said}");
    two.sql("app", "UPDATE customers SET name = 'Bea'");
    let said = two.run(3, &["sync"]);
    assert!(said.contains("Held by a stop: nothing is written to crm"), "{said}");
    assert_eq!(two.name_in_crm(), "Ann");
    let said = two.run(0, &["status"]);
    assert!(said.contains("nothing is written to crm") && said.contains("avowal resume crm"), "{said}");
    let said = two.run(0, &["resume", "crm"]);
    assert!(said.contains("crm goes on in both directions"), "{said}");
    two.run(0, &["sync"]);
    assert_eq!(two.name_in_crm(), "Bea");
    two.run(2, &["pause", "cmr"]);
    two.run(2, &["resume", "crm", "--restored"]);
}

#[test]
fn a_running_daemon_obeys_a_stop_at_once() {
    let two = Two::synced();
    let daemon = two.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let _daemon = Daemon(daemon.unwrap());
    two.sql("app", "UPDATE customers SET name = 'Bea'");
    wait_until("the daemon writes", || two.name_in_crm() == "Bea");
    two.run(0, &["pause", "crm"]);
    two.sql("app", "UPDATE customers SET name = 'Cy'");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(two.name_in_crm(), "Bea");
    two.run(0, &["resume", "crm"]);
    wait_until("the daemon goes on", || two.name_in_crm() == "Cy");
}

#[test]
fn what_is_ours_leaves_a_system_and_comes_back() {
    let two = Two::synced();
    let said = two.run(0, &["uninstall", "crm"]);
    assert!(said.contains("Removed from crm: "), "{said}");
    let connection = Connection::open(two.path("crm.db")).unwrap();
    let ours = "SELECT count(*) FROM sqlite_master WHERE name LIKE '%avowal%' OR sql LIKE '%avowal%'";
    assert_eq!(connection.query_row(ours, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    assert!(two.run(0, &["uninstall", "crm"]).contains("nothing of ours"));
    two.sql("crm", "UPDATE contacts SET name = 'Dee'");
    two.run(0, &["sync"]);
    two.sql("crm", "UPDATE contacts SET name = 'Eve'");
    two.run(0, &["sync"]);
    two.run(0, &["sync"]);
    let connection = Connection::open(two.path("app.db")).unwrap();
    let name: String = connection.query_row("SELECT name FROM customers", [], |row| row.get(0)).unwrap();
    assert_eq!(name, "Eve");
}

#[test]
fn a_system_that_refuses_our_credentials_ends_with_five() {
    let two = Two::synced();
    let config = CONFIG.replace(
        "connector = \"sqlite\"\nurl = \"sqlite:crm.db\"",
        "connector = \"http\"\nurl = \"http://127.0.0.1:PORT\"\nallow_private = true",
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            refuse(stream);
        }
    });
    let object = "[entities.customer.systems.crm.http]\nitems = \"/contacts\"\n";
    std::fs::write(two.path("avowal.toml"), config.replace("PORT", &port.to_string()) + object).unwrap();
    two.run(5, &["check"]);
    let said = two.run(5, &["sync"]);
    assert!(said.contains("crm: not in agreement"), "{said}");
}

/// Answers every request with 401.
fn refuse(mut stream: std::net::TcpStream) {
    use std::io::{Read as _, Write as _};
    let mut request = [0; 4096];
    let _ = stream.read(&mut request);
    let _ = stream.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}: not within 30 seconds");
        std::thread::sleep(Duration::from_millis(100));
    }
}
