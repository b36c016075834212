//! A private localstripe (<https://github.com/adrienverge/localstripe>): Stripe's API in memory, for tests.
//!
//! What was found out about its ways (1.15), because configurations depend on it:
//!
//! - A listing has no order but that of making, 10 customers in a page unless `limit` says otherwise, and `has_more`.
//!   The next page begins behind `starting_after`. There is no filter, no time of a change, no ETag and no key that makes
//!   a repeated `POST` harmless. Whoever is deleted is gone from the listing and answered with 404.
//! - An unknown parameter of a listing or a create is refused with 400. So is an update of a name that the customer lacks.
//! - `POST` changes only what is sent; a `null` unsets. JSON bodies are taken like form bodies.

use super::caller::{Caller, Method};
use super::installed;
use super::server::Server;
use serde_json::Value;
use std::io;
use std::process::Command;

/// The secret key.
pub const KEY: &str = "sk_test_12345";

/// The most customers in a page of a person's listing.
const PAGE_RECORDS_MAX: usize = 1000;

/// After each call it writes all that it has to one fixed file, which two servers would share. And it keeps an event of each
/// change among all objects, through which every customer of a page looks for its subscriptions: after 10 000 edits a page
/// takes two seconds. Here it keeps everything in memory, and no events. Nothing else is changed.
const PROGRAM: &str = "from localstripe import resources, server\n\
                       resources.Store.dump_to_disk = lambda self: None\n\
                       resources.Event = lambda *what, **more: None\n\
                       resources.schedule_webhook = lambda event: None\nserver.start()\n";

/// A running localstripe.
#[derive(Debug)]
pub struct Localstripe {
    server: Server,
    caller: Caller,
}

impl Localstripe {
    /// Starts it without customers.
    pub fn start() -> io::Result<Self> {
        let python = installed("localstripe/bin/python3")?;
        let server = Server::start("localstripe", "/js.stripe.com/v3/", |_, port| {
            let mut command = Command::new(&python);
            command.args(["-c", PROGRAM, "--from-scratch", "--port"]).arg(port.to_string());
            Ok(command)
        })?;
        let caller = Caller::new(&server.url(), &[("Authorization", format!("Bearer {KEY}"))])?;
        Ok(Self { server, caller })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// All customers, in the order of their making.
    pub fn all(&self) -> io::Result<Vec<Value>> {
        let mut customers: Vec<Value> = Vec::new();
        loop {
            let after = customers.last().and_then(|last| last["id"].as_str());
            let after = after.map_or_else(String::new, |id| format!("&starting_after={id}"));
            let answer = self.caller.get(&format!("/v1/customers?limit={PAGE_RECORDS_MAX}{after}"))?;
            customers.extend(answer["data"].as_array().cloned().unwrap_or_default());
            if answer["has_more"] != true {
                return Ok(customers);
            }
        }
    }

    /// Adds customers.
    pub fn insert(&self, bodies: &[Value]) -> io::Result<()> {
        bodies
            .iter()
            .try_for_each(|body| self.caller.request(Method::POST, "/v1/customers", Some(body)).map(|_| ()))
    }

    /// Changes some fields of customers.
    pub fn update(&self, changes: &[(String, Value)]) -> io::Result<()> {
        changes.iter().try_for_each(|(id, body)| {
            self.caller.request(Method::POST, &format!("/v1/customers/{id}"), Some(body)).map(|_| ())
        })
    }

    /// Removes customers.
    pub fn delete(&self, ids: &[String]) -> io::Result<()> {
        ids.iter().try_for_each(|id| {
            self.caller.request(Method::DELETE, &format!("/v1/customers/{id}"), None).map(|_| ())
        })
    }
}
