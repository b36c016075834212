//! Asking for one page, and reading what came.

use super::memory::Memory;
use super::spot::{At, Spot};
use crate::http::answer::copy::is_nameless;
use crate::http::answer::fault::{declared_fault, envelope_fault};
use crate::http::answer::look::look;
use crate::http::answer::reply::Reply;
use crate::http::answer::stamp::{self, Style};
use crate::http::call::client::{Client, get};
use crate::http::call::failure::{of_fault, of_reply, of_trouble, protocol};
use crate::http::declare::prepared::Object;
use crate::http::declare::route::Route;
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::{Digest, Value};
use avowal_engine::ports::connector::{Change, ConnectorError, ConnectorErrorKind};
use reqwest::{StatusCode, Url};

/// What to do about a listing whose end was not understood.
const CURE: &str = "Correct `paging`, and declare by which sign a listing ends: `total`, `more` or `last`. \
                    Nothing was created or deleted on account of this listing";

/// What is listed: everything, or what has changed since a time.
pub(crate) struct Query<'a> {
    pub(crate) client: &'a Client,
    pub(crate) object: &'a Object,
    pub(crate) route: &'a Route,
    /// The bound of a change query, in the service's own spelling.
    pub(crate) since: Option<&'a str>,
    pub(crate) memory: &'a Memory,
}

/// What came for a page.
pub(super) enum Answer {
    /// A page.
    Sheet(Sheet),
    /// A status that says that there is no such page, or that it may not be asked for.
    Refused(Url, Reply),
}

/// One page as it came.
pub(super) struct Sheet {
    pub(super) url: Url,
    pub(super) reply: Reply,
    pub(super) changes: Vec<Change>,
    pub(super) digests: Vec<u64>,
    pub(super) stamps: Vec<Option<(Timestamp, Style)>>,
    pub(super) date: Option<Timestamp>,
}

impl Sheet {
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.changes.iter().map(|change| change.id.as_str())
    }
}

impl Query<'_> {
    /// The page at `spot`, which has been shown before, or must exist.
    pub(super) async fn sheet(&self, spot: &Spot) -> Result<Sheet, ConnectorError> {
        match self.ask(spot).await? {
            Answer::Sheet(sheet) => Ok(sheet),
            Answer::Refused(url, reply) => Err(self.refused(&url, &reply)),
        }
    }

    /// Asks for the page at `spot`.
    pub(super) async fn ask(&self, spot: &Spot) -> Result<Answer, ConnectorError> {
        let client = self.client;
        let url = self.address(spot).map_err(|problem| protocol(client, "list", &problem))?;
        let place = format!("GET {}", url.path());
        let reply = client
            .send_patiently(&get(url.clone()))
            .await
            .map_err(|trouble| of_trouble(client, &place, trouble))?;
        match reply.status {
            status if status.is_success() => self.read(spot, url, reply).map(Answer::Sheet),
            StatusCode::BAD_REQUEST
            | StatusCode::NOT_FOUND
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::RANGE_NOT_SATISFIABLE
            | StatusCode::UNPROCESSABLE_ENTITY => Ok(Answer::Refused(url, reply)),
            _ => Err(self.refused(&url, &reply)),
        }
    }

    /// The error of an answer that is no page.
    pub(super) fn refused(&self, url: &Url, reply: &Reply) -> ConnectorError {
        of_reply(self.client, &format!("GET {}", url.path()), reply, self.since.is_some())
    }

    /// The error of a listing that cannot be understood as whole.
    pub(super) fn incomplete(&self, url: &Url, problem: &str) -> ConnectorError {
        let message = format!("{}: GET {}: {problem}", self.client.host(), url.path());
        ConnectorError::new(ConnectorErrorKind::Protocol, message, Some(CURE))
    }

    fn address(&self, spot: &Spot) -> Result<Url, String> {
        match &spot.at {
            At::Link(Some(link)) => self.client.link(&self.client.url("/")?, link),
            At::Page(_) | At::Offset(_) | At::Cursor(_) | At::Link(None) | At::AfterId(_) | At::Whole => {
                self.route.address(&spot.filling(self.object, self.since), |path| self.client.url(path))
            }
        }
    }

    fn read(&self, spot: &Spot, url: Url, reply: Reply) -> Result<Sheet, ConnectorError> {
        let (client, object) = (self.client, self.object);
        let place = format!("GET {}", url.path());
        let fault = declared_fault(&reply, object.spec.failure.as_deref()).or_else(|| envelope_fault(&reply));
        if let Some(fault) = fault {
            return Err(of_fault(client, &place, &fault));
        }
        let items = reply
            .items(object.spec.items.as_deref())
            .map_err(|problem| protocol(client, &place, &problem))?;
        let parsed: Vec<_> = items.iter().map(|raw| Value::parse(raw.get().as_bytes())).collect();
        let copies = items.iter().zip(&parsed).enumerate();
        let changes: Vec<Change> = copies
            .map(|(n, (raw, item))| object.change_of(raw.get(), item, None, spot.shown as usize + n + 1))
            .collect();
        let digests = items.iter().map(|raw| short_digest(raw.get().as_bytes())).collect();
        if !changes.is_empty() && changes.iter().all(is_nameless) {
            let problem = format!("no item has an id at {:?}; check `id` and `items`", object.binding.id);
            return Err(protocol(client, &place, &problem));
        }
        let updated = object.spec.updated.as_deref();
        let stamps = parsed.iter().map(|item| stamp::read(look(item.as_ref().ok()?, updated?)?)).collect();
        let date = reply.date();
        drop(items);
        Ok(Sheet { url, changes, digests, stamps, date, reply })
    }
}

/// The first bytes of a digest, the same in every process.
pub(super) fn short_digest(bytes: &[u8]) -> u64 {
    let digest = Digest::of(bytes);
    digest.bytes().iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}
