//! A private Directus (<https://directus.io>, a REST service over one's own database), here over SQLite.
//!
//! What was found out about its ways (11.3), because configurations depend on it:
//!
//! - A read, change or delete of an item that is not there is answered with 403, like one that is not allowed.
//! - One field may have both the specials `date-created` and `date-updated`. Only then a new item has a time of its last
//!   change. It has milliseconds and moves with every write, even one that changes nothing.
//! - `meta=filter_count` adds the number of items in all pages. An item is in `data`. There is no ETag that changes are
//!   compared with, and no key that makes a repeated `POST` harmless.
//! - What a field's `validation` refuses is answered with 400 and `errors[]`. A `PATCH` changes only what is sent.

use super::caller::{Caller, Method};
use super::installed;
use super::server::Server;
use serde_json::{Value, json};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// The static token of the administrator.
pub const TOKEN: &str = "a-test-token";

/// How many items a person's request changes.
const BATCH_RECORDS_MAX: usize = 200;

/// A running Directus.
#[derive(Debug)]
pub struct Directus {
    server: Server,
    caller: Caller,
}

impl Directus {
    /// Starts it with an empty database. Node 20 or later must be on PATH.
    pub fn start() -> io::Result<Self> {
        let program = installed("directus/node_modules/directus/cli.js")?;
        let server = Server::start("directus", "/server/ping", |folder, port| {
            let command = |verb: &str| {
                let mut command = Command::new("node");
                command.arg(&program).arg(verb).envs(settings(folder, port));
                command
            };
            let prepared = command("bootstrap").current_dir(folder).stdin(Stdio::null()).output()?;
            if !prepared.status.success() {
                let words = String::from_utf8_lossy(&prepared.stderr);
                return Err(io::Error::other(format!("directus bootstrap failed: {words}")));
            }
            Ok(command("start"))
        })?;
        let caller = Caller::new(&server.url(), &[("Authorization", format!("Bearer {TOKEN}"))])?;
        Ok(Self { server, caller })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Makes a collection, described as in its own API (`collection`, `schema`, `meta`, `fields`).
    pub fn create_collection(&self, description: &Value) -> io::Result<()> {
        self.caller.request(Method::POST, "/collections", Some(description)).map(|_| ())
    }

    /// All items of a collection, in order of id.
    pub fn all(&self, collection: &str) -> io::Result<Vec<Value>> {
        let answer = self.caller.get(&format!("/items/{collection}?limit=-1&sort=id"))?;
        Ok(answer["data"].as_array().cloned().unwrap_or_default())
    }

    /// Adds items.
    pub fn insert(&self, collection: &str, bodies: &[Value]) -> io::Result<()> {
        self.in_parts(Method::POST, collection, bodies)
    }

    /// Changes some fields of items, one after the other.
    pub fn update(&self, collection: &str, changes: &[(String, Value)]) -> io::Result<()> {
        let with_id = |(id, body): &(String, Value)| {
            let mut body = body.clone();
            body["id"] = json!(id);
            body
        };
        let bodies: Vec<Value> = changes.iter().map(with_id).collect();
        self.in_parts(Method::PATCH, collection, &bodies)
    }

    /// Removes items.
    pub fn delete(&self, collection: &str, ids: &[String]) -> io::Result<()> {
        self.in_parts(Method::DELETE, collection, &ids.iter().map(|id| json!(id)).collect::<Vec<_>>())
    }

    fn in_parts(&self, method: Method, collection: &str, items: &[Value]) -> io::Result<()> {
        items.chunks(BATCH_RECORDS_MAX).try_for_each(|chunk| {
            self.caller
                .request(method.clone(), &format!("/items/{collection}"), Some(&json!(chunk)))
                .map(|_| ())
        })
    }
}

fn settings(folder: &Path, port: u16) -> Vec<(&'static str, String)> {
    let fixed = [
        ("HOST", "127.0.0.1"),
        ("DB_CLIENT", "sqlite3"),
        ("SECRET", "only-for-tests"),
        ("ADMIN_EMAIL", "tests@example.com"),
        ("ADMIN_PASSWORD", "a-test-password"),
        ("ADMIN_TOKEN", TOKEN),
        ("TELEMETRY", "false"),
        ("LOG_LEVEL", "error"),
        ("CACHE_ENABLED", "false"),
        ("PRESSURE_LIMITER_ENABLED", "false"),
        ("WEBSOCKETS_ENABLED", "false"),
    ];
    let mut settings: Vec<_> = fixed.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    settings.push(("PORT", port.to_string()));
    settings.push(("PUBLIC_URL", format!("http://127.0.0.1:{port}")));
    settings.push(("DB_FILENAME", folder.join("data.db").display().to_string()));
    settings.push(("EXTENSIONS_PATH", folder.join("extensions").display().to_string()));
    settings.push(("STORAGE_LOCAL_ROOT", folder.join("uploads").display().to_string()));
    settings
}
