//! PocketBase: every field in every answer, no ETag, no idempotency key, deletes without a trace.

use super::service::{Refused, Service, ServiceDeletes, called};
use super::{calls, long, refusals};
use avowal_testkit::pocketbase::{self, PocketBase};
use avowal_testkit::proxy::Call;
use avowal_testkit::services::caller::{Caller, Method};
use serde_json::Value;

const COLLECTION: &str = "customers";
const RECORDS: &str = "/api/collections/customers/records";
const LOGIN: &str = "/api/collections/_superusers/auth-with-password";

impl Service for PocketBase {
    const NAME: &'static str = "crm";
    const CONFIG: &'static str = include_str!("../../../../../../examples/pocketbase/pair.toml");
    const TABLES: &'static str = include_str!("../../../../../../examples/pocketbase/pair.sql");
    const URL: (&'static str, &'static str) = ("CRM_URL", "");
    const DELETES: ServiceDeletes = ServiceDeletes::Reverted;
    const TELLS_DELETES: bool = false;
    const ITEMS: &'static str = "/items";
    const PAGE: usize = 500;

    fn start() -> Self {
        let service = PocketBase::start().unwrap();
        let collection = include_str!("../../../../../../examples/pocketbase/pair.json");
        service.create_collection(&serde_json::from_str(collection).unwrap()).unwrap();
        service
    }

    fn url(&self) -> String {
        PocketBase::url(self)
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![("CRM_USER", pocketbase::USER.to_owned()), ("CRM_PASSWORD", pocketbase::PASSWORD.to_owned())]
    }

    fn all(&self) -> Vec<Value> {
        PocketBase::all(self, COLLECTION).unwrap()
    }

    fn insert(&self, bodies: &[Value]) {
        PocketBase::insert(self, COLLECTION, bodies).unwrap();
    }

    fn update(&self, changes: &[(String, Value)]) {
        PocketBase::update(self, COLLECTION, changes).unwrap();
    }

    fn delete(&self, ids: &[String]) {
        PocketBase::delete(self, COLLECTION, ids).unwrap();
    }

    fn is_question(call: &Call) -> bool {
        let login = call.method == "POST" && call.path == LOGIN;
        login || (call.method == "GET" && call.path == RECORDS && call.query.contains("updated"))
    }

    fn questions_max(_: usize) -> usize {
        2
    }

    fn refused() -> Refused {
        Refused {
            field: "note",
            value: "n".repeat(201),
            reason: "no more than 200 character",
            replaced: None,
        }
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let caller = Caller::new(&self.url(), &[]).unwrap();
        let body = serde_json::json!({ "identity": pocketbase::USER, "password": pocketbase::PASSWORD });
        let answer = caller.request(Method::POST, LOGIN, Some(&body)).unwrap();
        vec![("Authorization", answer["token"].as_str().unwrap().to_owned())]
    }

    fn page(seen: usize, _: Option<&str>) -> String {
        format!("{RECORDS}?page={}&perPage={}&sort=id&skipTotal=1", seen / Self::PAGE + 1, Self::PAGE)
    }

    fn change(caller: &Caller, id: &str, fields: &Value) {
        called(caller, Method::PATCH, &format!("{RECORDS}/{id}"), fields);
    }
}

#[test]
fn pocketbase_stays_in_agreement_through_a_long_run() {
    long::run::<PocketBase>("pocketbase_stays_in_agreement_through_a_long_run");
}

#[test]
fn pocketbase_gets_few_calls() {
    calls::run::<PocketBase>("pocketbase_gets_few_calls");
}

#[test]
fn what_pocketbase_refuses_is_said() {
    refusals::run::<PocketBase>();
}
