//! One declared object, made ready: its mapping, and its calls as compiled templates.

use super::fault::wrong;
use super::object::{Etag, HttpObject, ReadCall, Replaces, WriteCall};
use super::route::{Route, page_query};
use super::template::Filling;
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_engine::ports::connector::{Binding, ConnectorError, Fields};
use reqwest::StatusCode;

/// Copies asked for at once, unless declared.
const PAGE_SIZE: usize = 100;
/// The most copies of a listing, unless declared.
const ROWS_MAX: u64 = 1_000_000;

/// Whether a status may be declared to say that a copy is gone: a refusal that has no other meaning already.
fn may_say_gone(status: u16) -> bool {
    (400..500).contains(&status) && !matches!(status, 401 | 408 | 409 | 412 | 423 | 425 | 428 | 429)
}

/// A declared object, ready for use.
pub(crate) struct Object {
    pub(crate) binding: Binding,
    pub(crate) spec: HttpObject,
    pub(crate) page_size: usize,
    pub(crate) list: Route,
    pub(crate) changes: Option<Route>,
    pub(crate) read: Route,
    pub(crate) find: Option<Route>,
    pub(crate) create: Route,
    pub(crate) update: Route,
    pub(crate) delete: Route,
}

impl Object {
    /// Compiles a declaration, refusing what could not work.
    pub(crate) fn new(binding: Binding, spec: HttpObject) -> Result<Self, ConnectorError> {
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
        let update = WriteCall {
            path: spec.update.path.clone(),
            method: spec.update.method.clone(),
            query: spec.update.query.clone(),
        };
        let puts = update.method.as_deref().is_some_and(|method| method.eq_ignore_ascii_case("PUT"));
        if puts && spec.update.replaces.is_none() {
            return Err(wrong(
                &whose("update"),
                "most services clear what a PUT does not name. Declare `replaces = \"whole\"`, and the copy is read and \
                 sent back whole; or `replaces = \"fields\"` if this service keeps the other fields",
            ));
        }
        if let Some(status) = spec.gone.iter().find(|status| !may_say_gone(**status)) {
            let problem = format!("{status} cannot say that a copy is gone; name a status such as 403");
            return Err(wrong(&whose("gone"), &problem));
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
            update: write("update", &update, &item, "PATCH")?,
            delete: write("delete", &spec.delete, &item, "DELETE")?,
            binding,
            spec,
        })
    }

    /// The most copies that a listing may show.
    pub(crate) fn rows_max(&self) -> u64 {
        self.spec.rows_max.unwrap_or(ROWS_MAX)
    }

    /// What can be filled in anywhere.
    pub(crate) fn filling(&self) -> Filling {
        Filling::from([("object", self.binding.object.clone())])
    }

    /// What can be filled in where one copy is meant.
    pub(crate) fn filling_for(&self, id: &RemoteId) -> Filling {
        let mut filling = self.filling();
        filling.insert("id", id.as_str().to_owned());
        filling
    }

    /// Whether the service checks versions.
    pub(crate) fn precondition(&self) -> bool {
        self.spec.etag.is_some()
    }

    /// Whether an update must name everything that the copy holds.
    pub(crate) fn replaces_whole(&self) -> bool {
        self.spec.update.replaces == Some(Replaces::Whole)
    }

    /// Whether the status of an answer that concerns one copy says that the copy is not there.
    pub(crate) fn says_gone(&self, status: StatusCode) -> bool {
        matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
            || self.spec.gone.contains(&status.as_u16())
    }

    /// The header that carries the version of the copy in an answer.
    pub(crate) fn version_header(&self) -> Option<&str> {
        match self.spec.etag.as_ref()? {
            Etag::Header(name) => Some(name),
            Etag::Field(_) => None,
        }
    }

    /// The JSON pointer of the copy in the answer to a read or write.
    pub(crate) fn record_at(&self) -> String {
        match (&self.spec.record, &self.spec.wrap) {
            (Some(pointer), _) => pointer.clone(),
            (None, Some(key)) => format!("/{key}"),
            (None, None) => String::new(),
        }
    }

    /// The body of a create or update.
    pub(crate) fn body(&self, fields: &Fields) -> Result<Vec<u8>, String> {
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
