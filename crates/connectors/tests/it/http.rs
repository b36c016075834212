//! The HTTP connector against real servers on 127.0.0.1.

mod crm;
mod edges;
mod fuzz_webhook;
mod lies;
mod paging;
mod pocketbase;
mod proof;
mod stamps;
mod webhook;
mod writes;

use avowal_connectors::http::{HttpConnector, HttpObject, HttpOptions};
use avowal_core::data::ids::{EntityName, RemoteId};
use avowal_core::data::value::Value;
use avowal_core::policy::schema::FieldType;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{
    Binding, Column, Connector as _, Expected, Fields, Write, WriteOutcome,
};
use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A server that stops with the test.
struct Server {
    url: String,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, task }
    }

    fn options(&self) -> HttpOptions {
        let mut options = HttpOptions::new(&self.url);
        options.allow_private = true;
        options.timeout_ms = 500;
        options
    }

    fn connector(&self, object: &str) -> HttpConnector {
        connector(self.options(), object)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A connector of the entity `thing` with the fields `name` and `note`, declared by `object` in TOML.
fn connector(options: HttpOptions, object: &str) -> HttpConnector {
    let object: HttpObject = toml::from_str(object).unwrap();
    HttpConnector::new(options, vec![(binding(), object)]).unwrap()
}

fn binding() -> Binding {
    let column = |name: &str| Column { name: name.to_owned(), field_type: FieldType::String, writable: true };
    Binding {
        entity: thing(),
        object: "things".to_owned(),
        id: "id".to_owned(),
        columns: vec![column("name"), column("note")],
    }
}

fn thing() -> EntityName {
    EntityName::new("thing")
}

fn fields<const N: usize>(pairs: [(&str, &str); N]) -> Fields {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), Value::text(value))).collect()
}

fn write(operation: Operation, id: Option<&str>, fields: Fields) -> Write {
    Write {
        key: "key-1".to_owned(),
        operation,
        id: id.map(RemoteId::new),
        fields,
        version: None,
        expected: Expected::anything(),
        lookup: Vec::new(),
    }
}

async fn carry_out(connector: &HttpConnector, write: Write) -> WriteOutcome {
    connector.write(&thing(), &[write]).await.remove(0)
}
