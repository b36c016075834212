//! localstripe: no times, no search, ten customers in a page unless asked otherwise, deletes without a trace.

use super::service::{Refused, Service, ServiceDeletes, called};
use super::{calls, long, refusals};
use avowal_testkit::proxy::Call;
use avowal_testkit::services::caller::{Caller, Method};
use avowal_testkit::services::localstripe::{self, Localstripe};
use serde_json::Value;

const CUSTOMERS: &str = "/v1/customers";

impl Service for Localstripe {
    const NAME: &'static str = "billing";
    const CONFIG: &'static str = include_str!("../../../../../../examples/localstripe/avowal.toml");
    const TABLES: &'static str = include_str!("../../../../../../examples/localstripe/app.sql");
    const URL: (&'static str, &'static str) = ("BILLING_URL", "/v1");
    const DELETES: ServiceDeletes = ServiceDeletes::Reverted;
    const TELLS_DELETES: bool = false;
    const ITEMS: &'static str = "/data";
    const PAGE: usize = 100;

    fn start() -> Self {
        Localstripe::start().unwrap()
    }

    fn url(&self) -> String {
        Localstripe::url(self)
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![("BILLING_KEY", localstripe::KEY.to_owned())]
    }

    fn named(field: &'static str) -> &'static str {
        match field {
            "stage" => "business_vat_id",
            "note" => "description",
            other => other,
        }
    }

    fn all(&self) -> Vec<Value> {
        Localstripe::all(self).unwrap()
    }

    fn insert(&self, bodies: &[Value]) {
        Localstripe::insert(self, bodies).unwrap();
    }

    fn update(&self, changes: &[(String, Value)]) {
        Localstripe::update(self, changes).unwrap();
    }

    fn delete(&self, ids: &[String]) {
        Localstripe::delete(self, ids).unwrap();
    }

    fn is_question(call: &Call) -> bool {
        call.method == "GET" && call.path == CUSTOMERS
    }

    fn questions_max(customers: usize) -> usize {
        // It has no change query: the listing stands for it.
        customers / Self::PAGE + 1
    }

    fn refused() -> Refused {
        // It takes every text, but no name that it does not know.
        let replaced = Some(("note = \"description\"", "note = \"memo\""));
        Refused { field: "note", value: "a note".to_owned(), reason: "Unexpected memo", replaced }
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        vec![("Authorization", format!("Bearer {}", localstripe::KEY))]
    }

    fn page(_: usize, last: Option<&str>) -> String {
        let behind = last.map_or_else(String::new, |id| format!("&starting_after={id}"));
        format!("{CUSTOMERS}?limit={}{behind}", Self::PAGE)
    }

    fn change(caller: &Caller, id: &str, fields: &Value) {
        called(caller, Method::POST, &format!("{CUSTOMERS}/{id}"), fields);
    }
}

#[test]
fn localstripe_stays_in_agreement_through_a_long_run() {
    long::run::<Localstripe>("localstripe_stays_in_agreement_through_a_long_run");
}

#[test]
fn localstripe_gets_few_calls() {
    calls::run::<Localstripe>("localstripe_gets_few_calls");
}

#[test]
fn what_localstripe_refuses_is_said() {
    refusals::run::<Localstripe>();
}
