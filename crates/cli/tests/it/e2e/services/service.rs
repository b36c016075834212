//! What the long runs need to know of a service.

use avowal_testkit::proxy::Call;
use avowal_testkit::services::caller::{Caller, Method};
use serde_json::Value;

/// What becomes of a customer that was deleted in the service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServiceDeletes {
    /// It is deleted in the app as well.
    Spread,
    /// It is made again.
    Reverted,
}

/// What a service refuses, and why.
pub struct Refused {
    /// The field.
    pub field: &'static str,
    /// The value in the app.
    pub value: String,
    /// A part of the reason that the service gives.
    pub reason: &'static str,
    /// What has to be replaced in the example so that it is refused.
    pub replaced: Option<(&'static str, &'static str)>,
}

impl Refused {
    /// The configuration with which it is refused.
    pub fn configuration(&self, example: &str) -> String {
        let Some((from, to)) = self.replaced else { return example.to_owned() };
        assert!(example.contains(from), "the example has no {from:?}");
        example.replace(from, to)
    }
}

/// A service, and the example that keeps it in agreement with an app. What people do there does not go through the proxy.
pub trait Service: Sized {
    /// The system's name in the example.
    const NAME: &'static str;
    /// The example's configuration.
    const CONFIG: &'static str;
    /// The example's tables of the app.
    const TABLES: &'static str;
    /// The variable of the service's address, and what is added to the address.
    const URL: (&'static str, &'static str);
    /// The policy's word on deletes in the service.
    const DELETES: ServiceDeletes;
    /// Whether the service's feed tells of deletes. Without it they are found by `sync --full`.
    const TELLS_DELETES: bool;

    /// A server without customers.
    fn start() -> Self;
    /// Where it listens.
    fn url(&self) -> String;
    /// The other variables that the example names.
    fn environment(&self) -> Vec<(&'static str, String)>;
    /// The service's name of a field.
    fn named(field: &'static str) -> &'static str {
        field
    }
    /// All customers.
    fn all(&self) -> Vec<Value>;
    /// Adds customers.
    fn insert(&self, bodies: &[Value]);
    /// Changes some fields of customers.
    fn update(&self, changes: &[(String, Value)]);
    /// Deletes customers.
    fn delete(&self, ids: &[String]);
    /// Whether this call is what a `sync` must ask to learn of changes, the login included.
    fn is_question(call: &Call) -> bool;
    /// The most such calls of a `sync` that finds nothing, with so many customers in the service.
    fn questions_max(customers: usize) -> usize;
    /// What the service refuses.
    fn refused() -> Refused;

    /// The headers of a stranger's script, which mirrors everything.
    fn headers(&self) -> Vec<(&'static str, String)>;
    /// The path of the mirror's page behind so many customers, of which this is the last.
    fn page(seen: usize, last: Option<&str>) -> String;
    /// Where a page has its customers.
    const ITEMS: &'static str;
    /// How the mirror changes a customer.
    fn change(caller: &Caller, id: &str, fields: &Value);
    /// The most customers in a page of the mirror; as many as in a page of the example.
    const PAGE: usize;
}

/// One call of the mirror, which must succeed.
#[track_caller]
pub fn called(caller: &Caller, method: Method, path: &str, body: &Value) {
    caller.request(method, path, Some(body)).unwrap();
}
