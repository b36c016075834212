//! A private Kinto (<https://kinto-storage.org>, Mozilla's JSON store): a REST service with tombstones and ETags.
//!
//! What was found out about its ways (26.5), because configurations depend on it:
//!
//! - `last_modified` is a number of milliseconds that is unique within a collection and only grows. Deleted records stay
//!   in a question with `_since` or a bound of `last_modified`, with `deleted: true`. `_since` is exclusive.
//! - A filter's value is read as JSON where it can be: `phone=123` looks for a number, `phone="123"` for a text.
//! - The next page stands in the header `Next-Page`, which is none of RFC 8288; a bound of the id does without it.
//! - A record is in `data`, in requests and answers. `PATCH` changes only what is sent and stores unknown names.
//! - A schema of the collection refuses with 400, and says why in `message` and `details`.

use super::caller::{Caller, Method};
use super::installed;
use super::server::Server;
use base64::Engine as _;
use serde_json::{Value, json};
use std::io;
use std::process::Command;

/// The user.
pub const USER: &str = "tests";
/// The user's password.
pub const PASSWORD: &str = "a-test-password";
/// The bucket that is made at the start.
pub const BUCKET: &str = "crm";

/// How many records a person's request to the batch interface changes.
const BATCH_RECORDS_MAX: usize = 100;

/// A running Kinto that keeps everything in memory.
#[derive(Debug)]
pub struct Kinto {
    server: Server,
    caller: Caller,
}

impl Kinto {
    /// Starts it with an empty bucket.
    pub fn start() -> io::Result<Self> {
        let program = installed("kinto/bin/kinto")?;
        let server = Server::start("kinto", "/v1/__heartbeat__", |folder, port| {
            let ini = folder.join("kinto.ini");
            std::fs::write(&ini, settings(port))?;
            let mut command = Command::new(&program);
            command.arg("start").arg("--ini").arg(ini);
            Ok(command)
        })?;
        let caller = Caller::new(&format!("{}/v1", server.url()), &[("Authorization", authorization())])?;
        caller.request(Method::PUT, &format!("/buckets/{BUCKET}"), None)?;
        Ok(Self { server, caller })
    }

    /// Where it listens, without the version.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Makes a collection whose records a JSON schema describes.
    pub fn create_collection(&self, collection: &str, schema: &Value) -> io::Result<()> {
        let body = json!({ "data": { "schema": schema } });
        let path = format!("/buckets/{BUCKET}/collections/{collection}");
        self.caller.request(Method::PUT, &path, Some(&body)).map(|_| ())
    }

    /// All records of a collection, in order of id.
    pub fn all(&self, collection: &str) -> io::Result<Vec<Value>> {
        let path = format!("{}?_sort=id&_limit=10000", records(collection));
        let answer = self.caller.get(&path)?;
        Ok(answer["data"].as_array().cloned().unwrap_or_default())
    }

    /// Adds records.
    pub fn insert(&self, collection: &str, bodies: &[Value]) -> io::Result<()> {
        let path = format!("/v1{}", records(collection));
        self.batch(
            bodies.iter().map(|body| json!({ "method": "POST", "path": path, "body": { "data": body } })),
        )
    }

    /// Changes some fields of records.
    pub fn update(&self, collection: &str, changes: &[(String, Value)]) -> io::Result<()> {
        let path = |id: &str| format!("/v1{}/{id}", records(collection));
        let call = |(id, body): &(String, Value)| json!({ "method": "PATCH", "path": path(id), "body": { "data": body } });
        self.batch(changes.iter().map(call))
    }

    /// Removes records.
    pub fn delete(&self, collection: &str, ids: &[String]) -> io::Result<()> {
        let path = |id: &str| format!("/v1{}/{id}", records(collection));
        self.batch(ids.iter().map(|id| json!({ "method": "DELETE", "path": path(id) })))
    }

    fn batch(&self, calls: impl Iterator<Item = Value>) -> io::Result<()> {
        let calls: Vec<Value> = calls.collect();
        for chunk in calls.chunks(BATCH_RECORDS_MAX) {
            let body = json!({ "requests": chunk });
            let answer = self.caller.request(Method::POST, "/batch", Some(&body))?;
            let answers = answer["responses"].as_array().cloned().unwrap_or_default();
            if let Some(failed) = answers.iter().find(|answer| answer["status"].as_u64() >= Some(300)) {
                return Err(io::Error::other(format!("a call of a batch failed: {failed}")));
            }
        }
        Ok(())
    }
}

/// The `Authorization` header of the user.
pub fn authorization() -> String {
    let both = format!("{USER}:{PASSWORD}");
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(both))
}

fn records(collection: &str) -> String {
    format!("/buckets/{BUCKET}/collections/{collection}/records")
}

fn settings(port: u16) -> String {
    format!(
        "[server:main]\nuse = egg:waitress#main\nhost = 127.0.0.1\nport = {port}\nthreads = 8\n\
         [app:main]\nuse = egg:kinto\n\
         kinto.storage_backend = kinto.core.storage.memory\n\
         kinto.cache_backend = kinto.core.cache.memory\n\
         kinto.permission_backend = kinto.core.permission.memory\n\
         kinto.userid_hmac_secret = only-for-tests\n\
         multiauth.policies = basicauth\n\
         kinto.bucket_create_principals = system.Authenticated\n\
         kinto.batch_max_requests = {BATCH_RECORDS_MAX}\n\
         kinto.paginate_by = 10000\nkinto.storage_max_fetch_size = 10000\n\
         kinto.experimental_collection_schema_validation = true\n\
         [loggers]\nkeys = root\n[handlers]\nkeys = console\n[formatters]\nkeys = plain\n\
         [logger_root]\nlevel = WARNING\nhandlers = console\n\
         [handler_console]\nclass = StreamHandler\nargs = (sys.stderr,)\nlevel = NOTSET\nformatter = plain\n\
         [formatter_plain]\nformat = %(message)s\n"
    )
}
