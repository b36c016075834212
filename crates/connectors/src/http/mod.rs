//! The connector `http`: JSON services, each described by its declaration in the configuration.
//!
//! In here: requests, answers, pages and deliveries as declared. Never in here: anything about a particular service, and
//! no proof that was not declared (an order, a precondition, an echoed key).
//! Begin with `declare/object.rs` (what can be declared). Rooms, each knows only those before it: `declare`, `answer`,
//! `auth`, `call`, `list`, `read`, `write`.

mod answer;
mod auth;
mod call;
mod declare;
mod discreet;
mod kind;
mod list;
mod read;
mod survey;
mod webhook;
mod write;

pub use declare::object::{ChangesCall, Etag, HttpObject, ReadCall, Trust, Webhook, WriteCall};
pub use declare::options::{Auth, HttpOptions, Login, Rate, Secret};
pub use declare::paging::Paging;
pub use kind::Http;

use crate::kind::Kind as _;
use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RemoteId};
use avowal_engine::ports::connector::{
    Binding, Capabilities, Change, Connector, ConnectorError, ConnectorErrorKind, Delivery, Fields, Finding,
    Page, RemoteState, Write, WriteOutcome,
};
use avowal_engine::ports::store::Cursor;
use call::client::Client;
use call::failure;
use declare::prepared::Object;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use list::memory::Memory;
use list::{feed, listing};
use read::find::find;
use read::one::{ReadTrouble, read};
use std::collections::BTreeMap;

/// How many writes go out together; each is its own request.
const BATCH_WRITES_MAX: usize = 50;

/// A JSON service.
pub struct HttpConnector {
    client: Client,
    objects: BTreeMap<EntityName, Object>,
    concurrency: usize,
    /// What the listings under way have shown.
    memory: Memory,
}

impl HttpConnector {
    /// Checks the declarations; nothing is sent yet.
    pub fn new(options: HttpOptions, objects: Vec<(Binding, HttpObject)>) -> Result<Self, ConnectorError> {
        let concurrency = options.concurrency.clamp(1, 64);
        let client = Client::new(options)?;
        let objects = objects
            .into_iter()
            .map(|(binding, spec)| Ok((binding.entity.clone(), Object::new(binding, spec)?)))
            .collect::<Result<_, ConnectorError>>()?;
        Ok(Self { client, objects, concurrency, memory: Memory::default() })
    }

    fn object(&self, entity: &EntityName) -> Result<&Object, ConnectorError> {
        self.objects.get(entity).ok_or_else(|| {
            let message = format!("{} has no mapping for {entity}", self.client.host());
            ConnectorError::new(ConnectorErrorKind::SchemaDrift, message, None)
        })
    }

    /// Reads one copy. An answer that concerns this copy alone is no error of the service.
    async fn read_one(&self, object: &Object, id: &RemoteId) -> Result<Change, ConnectorError> {
        match read(&self.client, object, id).await {
            Ok(change) => Ok(change),
            Err(ReadTrouble::Unfriendly(place, reply)) if failure::is_of_one_copy(&reply) => {
                let reason = format!("{place}: {}", reply.words());
                Ok(Change::bare(id.clone(), RemoteState::Unread { reason }))
            }
            Err(trouble) => Err(self.read_error(trouble)),
        }
    }

    fn discreet_page(&self, page: Result<Page, ConnectorError>) -> Result<Page, ConnectorError> {
        let Page { changes, next, more } = page.map_err(|error| self.client.discreet_error(error))?;
        let changes = self.discreet_changes(Ok(changes))?;
        Ok(Page { changes, next, more })
    }

    fn discreet_changes(
        &self,
        changes: Result<Vec<Change>, ConnectorError>,
    ) -> Result<Vec<Change>, ConnectorError> {
        let changes = changes.map_err(|error| self.client.discreet_error(error))?;
        Ok(changes.into_iter().map(|change| self.client.discreet_change(change)).collect())
    }

    fn read_error(&self, trouble: ReadTrouble) -> ConnectorError {
        match trouble {
            ReadTrouble::None(place, trouble) => failure::of_trouble(&self.client, &place, trouble),
            ReadTrouble::Fault(place, fault) => failure::of_fault(&self.client, &place, &fault),
            ReadTrouble::Unfriendly(place, reply) => failure::of_reply(&self.client, &place, &reply, false),
        }
    }
}

#[async_trait]
impl Connector for HttpConnector {
    fn capabilities(&self, entity: &EntityName) -> Capabilities {
        match self.objects.get(entity) {
            Some(object) => Http::capabilities(&object.spec),
            // The engine asks only for entities that it gave; of any other one nothing is proven.
            None => Capabilities { receipt: false, ..Http::capabilities(&HttpObject::default()) },
        }
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        let mut findings = Vec::new();
        for (entity, object) in &self.objects {
            let found = survey::survey(&self.client, entity, object, &self.memory).await;
            let found = found.map_err(|error| self.client.discreet_error(error))?;
            findings.extend(found.into_iter().map(|finding| self.client.discreet_finding(finding)));
        }
        Ok(findings)
    }

    async fn install(&self) -> Result<Vec<String>, ConnectorError> {
        Ok(Vec::new())
    }

    async fn uninstall(&self) -> Result<Vec<String>, ConnectorError> {
        Ok(Vec::new())
    }

    async fn feed_position(&self, entity: &EntityName) -> Result<Cursor, ConnectorError> {
        let position = feed::position(&self.client, self.object(entity)?, &self.memory).await;
        position.map_err(|error| self.client.discreet_error(error))
    }

    async fn list(
        &self,
        entity: &EntityName,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, ConnectorError> {
        self.discreet_page(
            listing::list(&self.client, self.object(entity)?, &self.memory, cursor, limit).await,
        )
    }

    async fn changes(
        &self,
        entity: &EntityName,
        cursor: &Cursor,
        limit: usize,
    ) -> Result<Page, ConnectorError> {
        self.discreet_page(
            feed::changes(&self.client, self.object(entity)?, &self.memory, cursor, limit).await,
        )
    }

    async fn read(&self, entity: &EntityName, ids: &[RemoteId]) -> Result<Vec<Change>, ConnectorError> {
        let object = self.object(entity)?;
        let reads: Vec<_> = ids.iter().map(|id| self.read_one(object, id)).collect();
        let found = stream::iter(reads).buffered(self.concurrency).try_collect().await;
        self.discreet_changes(found)
    }

    async fn find(&self, entity: &EntityName, fields: &Fields) -> Result<Vec<Change>, ConnectorError> {
        let object = self.object(entity)?;
        let found = find(&self.client, object, fields).await.map_err(|trouble| self.read_error(trouble));
        self.discreet_changes(found)
    }

    async fn write(&self, entity: &EntityName, writes: &[Write]) -> Vec<WriteOutcome> {
        let object = match self.object(entity) {
            Ok(object) => object,
            Err(error) => {
                let reason = error.to_string();
                return writes.iter().map(|_| WriteOutcome::Rejected { reason: reason.clone() }).collect();
            }
        };
        let calls: Vec<_> =
            writes.iter().map(|write| write::calls::write(&self.client, object, write)).collect();
        let outcomes = stream::iter(calls).buffered(self.concurrency);
        outcomes.map(|outcome| self.client.discreet_outcome(outcome)).collect().await
    }

    fn decode(&self, delivery: &Delivery) -> Result<Vec<(EntityName, Change)>, ConnectorError> {
        webhook::decode(self.objects.iter(), delivery)
    }
}
