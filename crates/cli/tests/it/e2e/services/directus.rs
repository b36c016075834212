//! Directus: 403 for whatever is not there, no ETag, no idempotency key, deletes without a trace.

use super::service::{Refused, Service, ServiceDeletes, called};
use super::{calls, long, refusals};
use avowal_testkit::proxy::Call;
use avowal_testkit::services::caller::{Caller, Method};
use avowal_testkit::services::directus::{self, Directus};
use serde_json::Value;

const COLLECTION: &str = "customers";
const ITEMS: &str = "/items/customers";

impl Service for Directus {
    const NAME: &'static str = "crm";
    const CONFIG: &'static str = include_str!("../../../../../../examples/directus/avowal.toml");
    const TABLES: &'static str = include_str!("../../../../../../examples/directus/app.sql");
    const URL: (&'static str, &'static str) = ("CRM_URL", "");
    const DELETES: ServiceDeletes = ServiceDeletes::Spread;
    const TELLS_DELETES: bool = false;
    const ITEMS: &'static str = "/data";
    const PAGE: usize = 500;

    fn start() -> Self {
        let service = Directus::start().unwrap();
        let schema = include_str!("../../../../../../examples/directus/crm.json");
        service.create_collection(&serde_json::from_str(schema).unwrap()).unwrap();
        service
    }

    fn url(&self) -> String {
        Directus::url(self)
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![("CRM_TOKEN", directus::TOKEN.to_owned())]
    }

    fn all(&self) -> Vec<Value> {
        Directus::all(self, COLLECTION).unwrap()
    }

    fn insert(&self, bodies: &[Value]) {
        Directus::insert(self, COLLECTION, bodies).unwrap();
    }

    fn update(&self, changes: &[(String, Value)]) {
        Directus::update(self, COLLECTION, changes).unwrap();
    }

    fn delete(&self, ids: &[String]) {
        Directus::delete(self, COLLECTION, ids).unwrap();
    }

    fn is_question(call: &Call) -> bool {
        call.method == "GET" && call.path == ITEMS && call.query.contains("touched")
    }

    fn questions_max(_: usize) -> usize {
        2
    }

    fn refused() -> Refused {
        Refused {
            field: "note",
            value: "n".repeat(201),
            reason: "Validation failed for field",
            replaced: None,
        }
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        vec![("Authorization", format!("Bearer {}", directus::TOKEN))]
    }

    fn page(seen: usize, _: Option<&str>) -> String {
        format!("{ITEMS}?page={}&limit={}&sort=id", seen / Self::PAGE + 1, Self::PAGE)
    }

    fn change(caller: &Caller, id: &str, fields: &Value) {
        called(caller, Method::PATCH, &format!("{ITEMS}/{id}"), fields);
    }
}

#[test]
fn directus_stays_in_agreement_through_a_long_run() {
    long::run::<Directus>("directus_stays_in_agreement_through_a_long_run");
}

#[test]
fn directus_gets_few_calls() {
    calls::run::<Directus>("directus_gets_few_calls");
}

#[test]
fn what_directus_refuses_is_said() {
    refusals::run::<Directus>();
}
