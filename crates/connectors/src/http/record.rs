//! One declared object: its mapping, its compiled calls, and how a copy is read from JSON.

use super::client::wrong;
use super::object::{Etag, HttpObject, Paging, ReadCall, WriteCall};
use super::reply::{harmless, look, scalar_text};
use super::stamp;
use super::template::{Filling, Template};
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_core::record::observation::OrderToken;
use avowal_engine::ports::connector::{Binding, Change, ConnectorError, Fields, RemoteState};
use reqwest::{Method, Url};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The most characters of an unreadable copy that are kept.
const PAYLOAD_CHARS_MAX: usize = 2000;
/// Copies asked for at once, unless declared.
const PAGE_SIZE: usize = 100;

/// A declared object, ready for use.
pub(super) struct Object {
    pub(super) binding: Binding,
    pub(super) spec: HttpObject,
    pub(super) page_size: usize,
    pub(super) list: Route,
    pub(super) changes: Option<Route>,
    pub(super) read: Route,
    pub(super) find: Option<Route>,
    pub(super) create: Route,
    pub(super) update: Route,
    pub(super) delete: Route,
}

/// A call: method, path and query.
pub(super) struct Route {
    pub(super) method: Method,
    path: Template,
    query: Vec<(Template, Template)>,
}

impl Object {
    /// Compiles a declaration, refusing what could not work.
    pub(super) fn new(binding: Binding, spec: HttpObject) -> Result<Self, ConnectorError> {
        let whose = |place: &str| format!("entities.{}…http.{place}", binding.entity);
        let collection = spec.path.clone().unwrap_or_else(|| "/{object}".to_owned());
        let item = spec.item_path.clone().unwrap_or_else(|| format!("{collection}/{{id}}"));
        let read = |place: &str, call: &ReadCall, path: &str, defaults: &[(&str, &str)]| {
            Route::new(&whose(place), "GET", call.path.as_deref().unwrap_or(path), &call.query, defaults)
        };
        let write = |place: &str, call: &WriteCall, path: &str, method: &str| {
            let method = call.method.as_deref().unwrap_or(method);
            Route::new(&whose(place), method, call.path.as_deref().unwrap_or(path), &call.query, &[])
        };
        if spec.changes.is_some() && spec.updated.is_none() {
            return Err(wrong(
                &whose("changes"),
                "needs `updated`, the name of the time of a copy's last change",
            ));
        }
        let pages = page_query(&spec.paging);
        let changes = match &spec.changes {
            None => None,
            Some(call) => {
                let mut defaults = pages.clone();
                defaults.push(("updated_since", "{since}"));
                let call = ReadCall { path: call.path.clone(), query: call.query.clone() };
                Some(read("changes", &call, &collection, &defaults)?)
            }
        };
        let find = match &spec.find {
            None => None,
            Some(call) => Some(read("find", call, &collection, &[("{field}", "{value}")])?),
        };
        Ok(Self {
            page_size: spec.page_size.unwrap_or(PAGE_SIZE).clamp(1, 1000),
            list: read("list", &spec.list, &collection, &pages)?,
            changes,
            read: read("read", &spec.read, &item, &[])?,
            find,
            create: write("create", &spec.create, &collection, "POST")?,
            update: write("update", &spec.update, &item, "PATCH")?,
            delete: write("delete", &spec.delete, &item, "DELETE")?,
            binding,
            spec,
        })
    }

    /// What can be filled in anywhere.
    pub(super) fn filling(&self) -> Filling {
        Filling::from([("object", self.binding.object.clone())])
    }

    /// What can be filled in where one copy is meant.
    pub(super) fn filling_for(&self, id: &RemoteId) -> Filling {
        let mut filling = self.filling();
        filling.insert("id", id.as_str().to_owned());
        filling
    }

    /// Whether the service checks versions.
    pub(super) fn precondition(&self) -> bool {
        self.spec.etag.is_some()
    }

    /// The header that carries the version of the copy in an answer.
    pub(super) fn version_header(&self) -> Option<&str> {
        match self.spec.etag.as_ref()? {
            Etag::Header(name) => Some(name),
            Etag::Field(_) => None,
        }
    }

    /// The JSON pointer of the copy in the answer to a read or write.
    pub(super) fn record_at(&self) -> String {
        match (&self.spec.record, &self.spec.wrap) {
            (Some(pointer), _) => pointer.clone(),
            (None, Some(key)) => format!("/{key}"),
            (None, None) => String::new(),
        }
    }

    /// The id of a copy.
    pub(super) fn id_of(&self, item: &Value) -> Option<RemoteId> {
        let text = scalar_text(look(item, &self.binding.id)?)?;
        (!text.is_empty()).then(|| RemoteId::new(text))
    }

    /// Reads one copy; one that makes no sense is shown as unreadable, under its number if it has no id.
    pub(super) fn change(&self, raw: &str, version_header: Option<&str>, number: usize) -> Change {
        let nameless = || RemoteId::new(format!("(no id: item {number})"));
        let unreadable = |id: RemoteId, reason: String| {
            Change::bare(id, RemoteState::Unreadable { reason, payload: shorten(raw) })
        };
        let item = match Value::parse(raw.as_bytes()) {
            Ok(item) => item,
            Err(error) => {
                // The rest of it may still tell whose copy it is.
                let id = serde_json::from_str::<BTreeMap<String, &RawValue>>(raw).ok().and_then(|members| {
                    let id = Value::parse(members.get(&self.binding.id)?.get().as_bytes()).ok()?;
                    scalar_text(&id).map(RemoteId::new)
                });
                return unreadable(id.unwrap_or_else(nameless), harmless(&error.to_string()));
            }
        };
        let Some(id) = self.id_of(&item) else {
            return unreadable(nameless(), format!("no id is at {:?}", self.binding.id));
        };
        match self.shown(&item) {
            Ok(shown) => self.with_evidence(id, shown, &item, version_header),
            Err(reason) => unreadable(id, reason),
        }
    }

    /// A copy with the service's word on order, version, key, actor and time.
    pub(super) fn with_evidence(
        &self,
        id: RemoteId,
        shown: RemoteState,
        item: &Value,
        version_header: Option<&str>,
    ) -> Change {
        let text = |place: &Option<String>| scalar_text(look(item, place.as_deref()?)?);
        let time =
            self.spec.updated.as_deref().and_then(|place| stamp::read(look(item, place)?)).map(|(at, _)| at);
        let count = text(&self.spec.counter).and_then(|text| text.parse().ok());
        let version = match &self.spec.etag {
            Some(Etag::Header(_)) => version_header.map(str::to_owned),
            Some(Etag::Field(place)) => look(item, place).and_then(scalar_text),
            None => None,
        };
        Change {
            id,
            shown,
            order: count.map(OrderToken::Sequence).or(time.map(OrderToken::Time)),
            version,
            correlation: text(&self.spec.correlation),
            actor: text(&self.spec.actor),
            occurred_at: time,
        }
    }

    /// The mapped fields of a copy; what is not there is absent.
    pub(super) fn shown(&self, item: &Value) -> Result<RemoteState, String> {
        if !matches!(item, Value::Object(_)) {
            return Err("it is no JSON object".to_owned());
        }
        let flag = self.spec.deleted.as_deref().and_then(|place| look(item, place));
        let is_set =
            |flag: &Value| *flag != Value::Int(0) && !matches!(flag, Value::Null | Value::Bool(false));
        if flag.is_some_and(is_set) {
            return Ok(RemoteState::Gone);
        }
        let at = self.spec.fields_at.as_deref().unwrap_or("");
        let Some(Value::Object(held)) = look(item, at) else {
            return Err(format!("no object is at `fields_at = {at:?}`"));
        };
        let mapped =
            self.binding.columns.iter().filter_map(|column| {
                held.get(&column.name).map(|value| (column.name.clone(), value.clone()))
            });
        Ok(RemoteState::Present(mapped.collect()))
    }

    /// The body of a create or update.
    pub(super) fn body(&self, fields: &Fields) -> Result<Vec<u8>, String> {
        let mut value = Value::Object(fields.clone());
        let at = self.spec.fields_at.as_deref().unwrap_or("");
        for step in at.split('/').skip(1).collect::<Vec<_>>().into_iter().rev() {
            value = Value::Object([(step.to_owned(), value)].into());
        }
        if let Some(key) = &self.spec.wrap {
            value = Value::Object([(key.clone(), value)].into());
        }
        Ok(value.to_json().into_bytes())
    }
}

impl Route {
    fn new(
        whose: &str,
        method: &str,
        path: &str,
        query: &BTreeMap<String, String>,
        defaults: &[(&str, &str)],
    ) -> Result<Self, ConnectorError> {
        let compile = |text: &str| Template::parse(text).map_err(|problem| wrong(whose, &problem));
        let method = match method.to_ascii_uppercase().as_str() {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            other => return Err(wrong(whose, &format!("{other:?} is not POST, PUT, PATCH or DELETE"))),
        };
        if !path.starts_with('/') {
            return Err(wrong(whose, &format!("the path {path:?} does not begin with `/`")));
        }
        let mut pairs = Vec::new();
        for (name, value) in query {
            pairs.push((compile(name)?, compile(value)?));
        }
        for (name, value) in defaults {
            let value = compile(value)?;
            let covered = super::template::NAMES
                .iter()
                .any(|place| value.mentions(place) && pairs.iter().any(|(_, had)| had.mentions(place)));
            if !covered {
                pairs.push((compile(name)?, value));
            }
        }
        Ok(Self { method, path: compile(path)?, query: pairs })
    }

    /// The path and the query's pairs. A pair whose value is missing is left out; a path's must be there.
    pub(super) fn address(
        &self,
        filling: &Filling,
        resolve: impl Fn(&str) -> Result<Url, String>,
    ) -> Result<Url, String> {
        let path = self.path.path(filling).ok_or("an id does not fit into the path")?;
        let mut url = resolve(&path)?;
        let pairs: Vec<_> = self
            .query
            .iter()
            .filter_map(|(name, value)| Some((name.plain(filling)?, value.plain(filling)?)))
            .collect();
        if !pairs.is_empty() {
            url.query_pairs_mut().extend_pairs(pairs);
        }
        Ok(url)
    }
}

fn page_query(paging: &Paging) -> Vec<(&'static str, &'static str)> {
    match paging {
        Paging::Page { .. } => vec![("page", "{page}"), ("per_page", "{limit}")],
        Paging::Offset {} => vec![("offset", "{offset}"), ("limit", "{limit}")],
        Paging::Cursor { .. } => vec![("cursor", "{cursor}"), ("limit", "{limit}")],
        Paging::Link { .. } => vec![("per_page", "{limit}")],
        Paging::AfterId {} => vec![("after", "{after_id}"), ("limit", "{limit}")],
        Paging::None {} => Vec::new(),
    }
}

fn shorten(raw: &str) -> String {
    match raw.char_indices().nth(PAYLOAD_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &raw[..at]),
        None => raw.to_owned(),
    }
}
