//! What the configuration says of a JSON service, and what follows from it.

use super::{BATCH_WRITES_MAX, HttpConnector, HttpObject, HttpOptions, Trust};
use crate::kind::{KeyFault, Kind};
use avowal_engine::ports::connector::{
    Binding, Capabilities, Connector, ConnectorError, Finding, Installation, OrderKind,
};
use std::path::Path;
use std::sync::Arc;

/// The connector `http`.
#[derive(Clone, Copy, Debug)]
pub enum Http {}

impl Kind for Http {
    const NAME: &'static str = "http";
    const POLL_MS: u64 = 5_000;
    const WEBHOOKS: bool = true;
    type System = HttpOptions;
    type Object = HttpObject;

    fn faults(system: &HttpOptions) -> Vec<KeyFault> {
        if ["http://", "https://"].iter().any(|scheme| system.url.starts_with(scheme)) {
            return Vec::new();
        }
        vec![KeyFault::new("url", "this is no address of a service", "Write `https://host/path`")]
    }

    fn open(
        system: &HttpOptions,
        _folder: &Path,
        _installation: &Installation,
        objects: Vec<(Binding, HttpObject)>,
    ) -> Result<Arc<dyn Connector>, ConnectorError> {
        Ok(Arc::new(HttpConnector::new(system.clone(), objects)?))
    }

    fn capabilities(object: &HttpObject) -> Capabilities {
        let order = match object {
            HttpObject { counter: Some(_), .. } => OrderKind::Counter,
            HttpObject { updated: Some(_), .. } => OrderKind::Time,
            HttpObject { counter: None, updated: None, .. } => OrderKind::None,
        };
        Capabilities {
            order,
            correlation: object.correlation.is_some(),
            precondition: object.etag.is_some(),
            idempotent: object.idempotency.is_some(),
            searchable: object.find.is_some(),
            receipt: true,
            deletes_in_feed: object.changes.is_some() && object.deleted.is_some(),
            images: false,
            feed: object.changes.is_some(),
            batch_writes_max: BATCH_WRITES_MAX,
        }
    }

    fn believes_deliveries(object: &HttpObject) -> bool {
        match object.trust {
            Trust::Body => true,
            Trust::Signal => false,
        }
    }

    fn check_offline(
        system: &HttpOptions,
        _folder: &Path,
        objects: Vec<(Binding, HttpObject)>,
    ) -> Result<Vec<Finding>, ConnectorError> {
        // Making the connector checks its templates, pointers and methods, and sends nothing.
        HttpConnector::new(system.clone(), objects).map(|_| Vec::new())
    }
}
