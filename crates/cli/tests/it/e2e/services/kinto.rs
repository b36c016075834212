//! Kinto: tombstones in the feed, ETags, JSON filters.

use super::service::{Refused, Service, ServiceDeletes, called};
use super::{calls, long, refusals};
use avowal_testkit::proxy::Call;
use avowal_testkit::services::caller::{Caller, Method};
use avowal_testkit::services::kinto::{self, Kinto};
use serde_json::{Value, json};

const COLLECTION: &str = "customers";
const RECORDS: &str = "/v1/buckets/crm/collections/customers/records";

impl Service for Kinto {
    const NAME: &'static str = "crm";
    const CONFIG: &'static str = include_str!("../../../../../../examples/kinto/avowal.toml");
    const TABLES: &'static str = include_str!("../../../../../../examples/kinto/app.sql");
    const URL: (&'static str, &'static str) = ("CRM_URL", "/v1");
    const DELETES: ServiceDeletes = ServiceDeletes::Spread;
    const TELLS_DELETES: bool = true;
    const ITEMS: &'static str = "/data";
    const PAGE: usize = 500;

    fn start() -> Self {
        let service = Kinto::start().unwrap();
        let schema = include_str!("../../../../../../examples/kinto/crm.json");
        service.create_collection(COLLECTION, &serde_json::from_str(schema).unwrap()).unwrap();
        service
    }

    fn url(&self) -> String {
        Kinto::url(self)
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![("CRM_USER", kinto::USER.to_owned()), ("CRM_PASSWORD", kinto::PASSWORD.to_owned())]
    }

    fn all(&self) -> Vec<Value> {
        Kinto::all(self, COLLECTION).unwrap()
    }

    fn insert(&self, bodies: &[Value]) {
        Kinto::insert(self, COLLECTION, bodies).unwrap();
    }

    fn update(&self, changes: &[(String, Value)]) {
        Kinto::update(self, COLLECTION, changes).unwrap();
    }

    fn delete(&self, ids: &[String]) {
        Kinto::delete(self, COLLECTION, ids).unwrap();
    }

    fn is_question(call: &Call) -> bool {
        call.method == "GET" && call.path == RECORDS && call.query.contains("_since=")
    }

    fn questions_max(_: usize) -> usize {
        2
    }

    fn refused() -> Refused {
        Refused { field: "note", value: "n".repeat(201), reason: "is too long", replaced: None }
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        vec![("Authorization", kinto::authorization())]
    }

    fn page(_: usize, last: Option<&str>) -> String {
        let behind = last.map_or_else(String::new, |id| format!("&gt_id=%22{id}%22"));
        format!("{RECORDS}?_sort=id&_limit={}{behind}", Self::PAGE)
    }

    fn change(caller: &Caller, id: &str, fields: &Value) {
        called(caller, Method::PATCH, &format!("{RECORDS}/{id}"), &json!({ "data": fields }));
    }
}

#[test]
fn kinto_stays_in_agreement_through_a_long_run() {
    long::run::<Kinto>("kinto_stays_in_agreement_through_a_long_run");
}

#[test]
fn kinto_gets_few_calls() {
    calls::run::<Kinto>("kinto_gets_few_calls");
}

#[test]
fn what_kinto_refuses_is_said() {
    refusals::run::<Kinto>();
}
