//! The conformance suite over the demo CRM, which keeps every promise until it is told to lie.

use super::{Operation, connector, fields, write};
use async_trait::async_trait;
use avowal_connectors::http::{Auth, HttpConnector, HttpObject, HttpOptions, Secret};
use avowal_core::data::ids::{EntityName, RemoteId};
use avowal_core::data::value::Value;
use avowal_engine::ports::connector::{Connector, Fields, OrderKind, RemoteState, Severity, WriteOutcome};
use avowal_testkit::connector_suite::{self, Fixture, REFUSED_NAME};
use avowal_testkit::crm::{Crm, CrmOptions, Fail, Lies};
use serde_json::json;

const DECLARATION: &str = r#"
    path = "/contacts"
    updated = "updated_at"
    counter = "rev"
    etag = { header = "ETag" }
    actor = "updated_by"
    correlation = "operation_id"
    idempotency = "Idempotency-Key"
    paging = { style = "page", total_pages = "/total_pages" }
    changes = {}
    find = {}
"#;

struct Office {
    crm: Crm,
    connector: HttpConnector,
    person: reqwest::Client,
}

impl Office {
    async fn open(declaration: &str) -> Self {
        let crm = Crm::start_with(CrmOptions { token: Some("sesame".to_owned()), ..CrmOptions::default() });
        let crm = crm.await.unwrap();
        crm.set_lies(refusing());
        let mut options = HttpOptions::new(crm.url());
        options.allow_private = true;
        options.timeout_ms = 1000;
        options.auth = Some(Auth::Bearer(Secret::new("sesame")));
        let object: HttpObject = toml::from_str(declaration).unwrap();
        let binding = connector_suite::binding("contacts", "id");
        let connector = HttpConnector::new(options, vec![(binding, object)]).unwrap();
        let person = avowal_testkit::http::client().unwrap();
        Self { crm, connector, person }
    }

    async fn control(
        &self,
        method: reqwest::Method,
        path: &str,
        body: serde_json::Value,
    ) -> serde_json::Value {
        let request = self.person.request(method, format!("{}/_control/{path}", self.crm.url()));
        let reply = request.header("content-type", "application/json").body(body.to_string()).send().await;
        let reply = reply.unwrap().error_for_status().unwrap();
        serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap_or_default()
    }

    async fn all(&self) -> serde_json::Value {
        let url = format!("{}/contacts?per_page=200", self.crm.url());
        let reply = self.person.get(url).bearer_auth("sesame").send().await.unwrap();
        serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap()
    }
}

fn refusing() -> Lies {
    Lies { refuse: [("name".to_owned(), json!(REFUSED_NAME))].into(), ..Lies::default() }
}

#[async_trait]
impl Fixture for Office {
    fn connector(&self) -> &dyn Connector {
        &self.connector
    }

    async fn insert(&self, fields: Fields) -> RemoteId {
        let body = json!({ "actor": "dana", "fields": fields });
        let made = self.control(reqwest::Method::POST, "contacts", body).await;
        RemoteId::new(made["id"].as_str().unwrap())
    }

    async fn update(&self, id: &RemoteId, fields: Fields) {
        let body = json!({ "actor": "dana", "fields": fields });
        self.control(reqwest::Method::PATCH, &format!("contacts/{id}"), body).await;
    }

    async fn delete(&self, id: &RemoteId) {
        self.control(reqwest::Method::DELETE, &format!("contacts/{id}"), json!(null)).await;
    }

    async fn touch_all(&self) -> bool {
        self.control(reqwest::Method::POST, "touch", json!(null)).await;
        true
    }

    async fn stored(&self, id: &RemoteId) -> Option<Fields> {
        let all = self.all().await;
        let found = all["contacts"].as_array()?.iter().find(|contact| contact["id"] == id.as_str())?;
        match Value::parse(found.to_string().as_bytes()).unwrap() {
            Value::Object(fields) => Some(fields),
            other => panic!("{other} is no contact"),
        }
    }

    async fn count(&self) -> usize {
        self.all().await["contacts"].as_array().unwrap().len()
    }

    fn refuses(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn the_suite_passes_with_everything_declared() {
    connector_suite::run(async || Office::open(DECLARATION).await).await;
}

#[tokio::test]
async fn the_suite_passes_with_almost_nothing_declared() {
    connector_suite::run(async || Office::open("path = '/contacts'").await).await;
}

#[tokio::test]
async fn capabilities_are_what_is_declared() {
    let entity = EntityName::new(connector_suite::ENTITY);
    let full = Office::open(DECLARATION).await.connector.capabilities(&entity);
    assert!(full.correlation && full.precondition && full.idempotent && full.searchable && full.feed);
    assert_eq!((full.order, full.deletes_in_feed), (OrderKind::Counter, false));
    let bare = Office::open("path = '/contacts'").await.connector.capabilities(&entity);
    assert!(!bare.correlation && !bare.precondition && !bare.idempotent && !bare.searchable && !bare.feed);
    assert_eq!(bare.order, OrderKind::None);
}

#[tokio::test]
async fn a_failure_after_the_effect_is_unknown_and_the_key_settles_it() {
    let office = Office::open(DECLARATION).await;
    let entity = EntityName::new(connector_suite::ENTITY);
    let fail = |status, retry_after_s| Fail {
        count: 1,
        status,
        after_effect: true,
        writes_only: true,
        retry_after_s,
        delay_ms: 0,
    };
    office.crm.set_lies(Lies { fail: Some(fail(500, None)), ..Lies::default() });
    let create = [write(Operation::Create, None, fields([("name", "Ann"), ("email", "a@b.org")]))];
    let outcomes = office.connector.write(&entity, &create).await;
    assert!(matches!(outcomes[..], [WriteOutcome::Unknown { .. }]), "{outcomes:?}");
    let outcomes = office.connector.write(&entity, &create).await;
    assert!(matches!(outcomes[..], [WriteOutcome::Confirmed { .. }]), "{outcomes:?}");
    assert_eq!(office.count().await, 1);

    office.crm.set_lies(Lies { fail: Some(fail(429, Some(1))), ..Lies::default() });
    let outcomes = office.connector.write(&entity, &create).await;
    assert!(matches!(outcomes[..], [WriteOutcome::Retry { after_ms: Some(1000), .. }]), "{outcomes:?}");
}

#[tokio::test]
async fn check_names_what_is_not_as_declared() {
    let office = Office::open(DECLARATION).await;
    office.insert(fields([("name", "Ann")])).await;
    let note = office.connector.check().await.unwrap();
    assert!(note.iter().all(|finding| finding.severity == Severity::Note), "{note:?}");
    for _ in 0..3 {
        office.insert(fields([("name", "Bea"), ("email", "b@b.org"), ("phone", "+1")])).await;
    }
    let findings = office.connector.check().await.unwrap();
    assert!(findings.iter().all(|finding| finding.problem.contains("has \"")), "{findings:?}");

    let mut options = HttpOptions::new(office.crm.url());
    options.allow_private = true;
    options.auth = Some(Auth::Bearer(Secret::new("wrong")));
    let error = connector(options.clone(), "path = '/contacts'").check().await.unwrap_err();
    assert!(error.to_string().contains("401") && !error.to_string().contains("wrong"), "{error}");

    options.auth = Some(Auth::Bearer(Secret::new("sesame")));
    let findings = connector(options.clone(), "path = '/nowhere'").check().await.unwrap();
    assert!(findings[0].problem.contains("404"), "{findings:?}");
    let findings =
        connector(options, "path = '/contacts'\nupdated = 'changed'\nchanges = {}").check().await.unwrap();
    assert!(findings.iter().any(|finding| finding.problem.contains("changed")), "{findings:?}");
}

#[tokio::test]
async fn a_phone_number_comes_back_as_stored() {
    let crm = Crm::start().await.unwrap();
    let mut options = HttpOptions::new(crm.url());
    options.allow_private = true;
    let mut binding = super::binding();
    binding.columns[1].name = "phone".to_owned();
    let object: HttpObject = toml::from_str(DECLARATION).unwrap();
    let connector = HttpConnector::new(options, vec![(binding, object)]).unwrap();
    let create = write(Operation::Create, None, fields([("phone", "+1 (555) 010-2000")]));
    let WriteOutcome::Confirmed { after: Some(after), .. } = super::carry_out(&connector, create).await
    else {
        panic!("a receipt");
    };
    assert_eq!(after.shown, RemoteState::Present(fields([("phone", "+15550102000")])));
    assert_eq!(after.version.as_deref(), Some("\"1\""));
    assert_eq!(after.correlation.as_deref(), Some("key-1"));
    crm.stop().await;
}
