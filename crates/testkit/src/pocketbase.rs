//! A private PocketBase server for one test run: a real REST service that nobody here has written.
//!
//! It lives in a temporary folder, listens on a free port of 127.0.0.1 and is stopped when it is dropped. What was
//! found out about its ways (0.40), because configurations depend on it:
//!
//! - Every field is in every answer. An unset text, select or date is `""`, an unset number `0`, an unset flag
//!   `false`, an unset JSON field `null`; writing `null` unsets.
//! - `PATCH` takes only the changed fields and answers with the whole record; unknown names are ignored, a number
//!   that is none is silently not taken, a select outside its values is refused with 400.
//! - `updated` (an autodate field) has milliseconds, `2026-01-01 10:00:00.123Z`, and moves with every write through
//!   the API, even one that changes nothing. There is no etag, and no idempotency key.
//! - Filters take both spellings of times: `updated >= '2026-01-01 10:00:00.123Z'`. A page has at most 1000 records.
//! - Without a valid token answers are 403, 404 or empty lists, depending on the collection's rules.
//! - An id may be chosen by the creator: 15 of `a-z0-9`.

use crate::services::caller::Caller;
pub use reqwest::Method;
use serde_json::{Value, json};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The superuser.
pub const USER: &str = "tests@example.com";

/// The superuser's password.
pub const PASSWORD: &str = "a-test-password";

const START_MS_MAX: u64 = 30_000;
/// How many records go out in one request.
const BATCH_RECORDS_MAX: usize = 500;
/// The most records that a page has.
const PAGE_RECORDS_MAX: usize = 1000;

/// A running server; dropping it stops it. Its methods block, so they must not be called inside a tokio runtime.
#[derive(Debug)]
pub struct PocketBase {
    program: PathBuf,
    folder: TempDir,
    port: u16,
    server: Option<Child>,
    caller: Caller,
}

impl PocketBase {
    /// Makes a server with a superuser and the batch interface. Fails, saying why, where PocketBase is not there.
    pub fn start() -> io::Result<Self> {
        let program = find_program()?;
        let folder = tempfile::Builder::new().prefix("avowal-pb-").tempdir()?;
        // Where it listens is known when it does.
        let caller = Caller::new("", &[])?;
        let mut this = Self { program, folder, port: 0, server: None, caller };
        this.make_superuser()?;
        this.launch()?;
        this.log_in()?;
        let settings =
            json!({ "batch": { "enabled": true, "maxRequests": BATCH_RECORDS_MAX, "timeout": 60 } });
        this.request(Method::PATCH, "/api/settings", Some(&settings))?;
        Ok(this)
    }

    /// Where it listens, as in `http://127.0.0.1:8090`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The SQLite file in which it keeps its collections; one table each, with the collection's name.
    pub fn data_file(&self) -> PathBuf {
        self.data().join("data.db")
    }

    /// Makes a collection, described as in PocketBase's own API (`name`, `type`, `fields`, `indexes`).
    pub fn create_collection(&self, description: &Value) -> io::Result<()> {
        self.request(Method::POST, "/api/collections", Some(description)).map(|_| ())
    }

    /// Adds records, many in one transaction, and returns them as they are stored, in order.
    pub fn insert(&self, collection: &str, records: &[Value]) -> io::Result<Vec<Value>> {
        let path = format!("/api/collections/{collection}/records");
        self.batch(records.iter().map(|body| json!({ "method": "POST", "url": path, "body": body })))
    }

    /// Changes some fields of records, many in one transaction, and returns them as they are stored, in order.
    pub fn update(&self, collection: &str, changes: &[(String, Value)]) -> io::Result<Vec<Value>> {
        let path = |id: &str| format!("/api/collections/{collection}/records/{id}");
        let calls =
            changes.iter().map(|(id, body)| json!({ "method": "PATCH", "url": path(id), "body": body }));
        self.batch(calls)
    }

    /// Removes records.
    pub fn delete(&self, collection: &str, ids: &[String]) -> io::Result<()> {
        let path = |id: &str| format!("/api/collections/{collection}/records/{id}");
        self.batch(ids.iter().map(|id| json!({ "method": "DELETE", "url": path(id) }))).map(|_| ())
    }

    /// All records of a collection, in order of id.
    pub fn all(&self, collection: &str) -> io::Result<Vec<Value>> {
        let mut records = Vec::new();
        for page in 1.. {
            let path = format!(
                "/api/collections/{collection}/records?page={page}&perPage={PAGE_RECORDS_MAX}&sort=id&skipTotal=1"
            );
            let answer = self.request(Method::GET, &path, None)?;
            let items = answer.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
            let last = items.len() < PAGE_RECORDS_MAX;
            records.extend(items);
            if last {
                break;
            }
        }
        Ok(records)
    }

    /// Sends one request as the superuser and returns the JSON of a successful answer.
    pub fn request(&self, method: Method, path: &str, body: Option<&Value>) -> io::Result<Value> {
        self.caller.request(method, path, body)
    }

    /// Stops the server at once, as a crash would.
    pub fn stop(&mut self) -> io::Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        server.kill()?;
        server.wait().map(|_| ())
    }

    /// Starts it again on the same port.
    pub fn restart(&mut self) -> io::Result<()> {
        self.stop()?;
        self.launch_on(self.port)
    }

    fn batch(&self, calls: impl Iterator<Item = Value>) -> io::Result<Vec<Value>> {
        let calls: Vec<Value> = calls.collect();
        let mut stored = Vec::new();
        for chunk in calls.chunks(BATCH_RECORDS_MAX) {
            let answer = self.request(Method::POST, "/api/batch", Some(&json!({ "requests": chunk })))?;
            let results = answer.as_array().ok_or_else(|| io::Error::other("the batch has no results"))?;
            stored.extend(results.iter().map(|result| result.get("body").cloned().unwrap_or_default()));
        }
        Ok(stored)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn make_superuser(&self) -> io::Result<()> {
        let output = self.command().args(["superuser", "upsert", USER, PASSWORD]).output()?;
        if output.status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("pocketbase superuser failed: {words}")))
    }

    fn log_in(&mut self) -> io::Result<()> {
        let path = "/api/collections/_superusers/auth-with-password";
        let answer =
            self.request(Method::POST, path, Some(&json!({ "identity": USER, "password": PASSWORD })))?;
        let token = answer.get("token").and_then(Value::as_str);
        let token = token.ok_or_else(|| io::Error::other("the login gave no token"))?;
        self.caller.send("Authorization", token.to_owned());
        Ok(())
    }

    /// Another process may take the free port before the server does, so a few are tried.
    fn launch(&mut self) -> io::Result<()> {
        let mut failure = io::Error::other("no free port");
        for _ in 0..3 {
            let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
            match self.launch_on(port) {
                Ok(()) => return Ok(()),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn launch_on(&mut self, port: u16) -> io::Result<()> {
        let log = std::fs::File::create(self.folder.path().join("server.log"))?;
        let mut serve = self.command();
        serve.arg("serve").arg(format!("--http=127.0.0.1:{port}"));
        serve.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.port = port;
        self.caller.call(self.url());
        self.server = Some(serve.spawn()?);
        self.await_ready()
    }

    fn await_ready(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_millis(START_MS_MAX);
        loop {
            let ended = self.server.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_none() && self.request(Method::GET, "/api/health", None).is_ok() {
                return Ok(());
            }
            if ended.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(self.folder.path().join("server.log"))?;
                let _ = self.stop();
                return Err(io::Error::other(format!("PocketBase did not start: {log}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(format!("--dir={}", self.data().display())).current_dir(self.folder.path());
        command
    }
}

impl Drop for PocketBase {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// The program: on PATH, or where `scripts/tools.sh` puts it.
fn find_program() -> io::Result<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin");
    std::env::split_paths(&on_path)
        .chain([tools])
        .map(|folder| folder.join("pocketbase"))
        .find(|program| program.is_file())
        .ok_or_else(|| {
            let words = "PocketBase is neither on PATH nor in target/tools/bin; run scripts/tools.sh";
            io::Error::new(io::ErrorKind::NotFound, words)
        })
}
