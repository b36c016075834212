//! How one kind of record is listed, read and written: the table `http` of an entity's mapping.

use serde::Deserialize;
use std::collections::BTreeMap;

/// The remote side of an entity in a JSON service. A conventional REST collection needs no key of it;
/// `updated` and `changes` are worth declaring, because without them every sync lists everything.
///
/// Paths and queries are templates. `{object}` and `{id}` stand for the mapping's object and the copy's id,
/// `{limit}`, `{page}`, `{offset}`, `{cursor}`, `{after_id}` for the place in a listing, `{since}` for the time in
/// a change query, `{field}` and `{value}` for a search. Each is encoded for its place; `{value:json}` writes
/// it as a quoted JSON string, for filter languages. A query parameter without a value is left out.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpObject {
    /// The collection's path; `/{object}` by default.
    pub path: Option<String>,
    /// One copy's path; the collection's path and `/{id}` by default.
    pub item_path: Option<String>,
    /// The JSON pointer of the array in a listing. By default the body itself, or its only array.
    pub items: Option<String>,
    /// The JSON pointer of the copy in the answer to a read or write. By default the body itself, or `wrap`.
    pub record: Option<String>,
    /// The JSON pointer of the mapped fields within a copy, as `/properties`. By default the copy itself.
    pub fields_at: Option<String>,
    /// The key that bodies of creates and updates are wrapped in.
    pub wrap: Option<String>,
    /// How many copies to ask for at once; 100 by default.
    pub page_size: Option<usize>,
    /// How listings are cut into pages.
    pub paging: Paging,
    /// The name or pointer of the time of a copy's last change.
    pub updated: Option<String>,
    /// The name or pointer of a number that grows with every change of a copy: proof of order.
    pub counter: Option<String>,
    /// Where a copy's opaque version is found. Updates and deletes are then sent with `If-Match`.
    pub etag: Option<Etag>,
    /// The name or pointer of a flag or time that marks a copy as deleted.
    pub deleted: Option<String>,
    /// The name or pointer of who changed a copy last.
    pub actor: Option<String>,
    /// The name or pointer under which the service shows the idempotency key of the last write.
    pub correlation: Option<String>,
    /// The header in which the service takes an idempotency key.
    pub idempotency: Option<String>,
    /// The pointer of a fault that the service may put into a successful answer.
    pub failure: Option<String>,
    /// How all copies are listed.
    pub list: ReadCall,
    /// How the copies changed since a time are listed. Needs `updated`.
    pub changes: Option<ChangesCall>,
    /// How one copy is read.
    pub read: ReadCall,
    /// How a copy is searched by a field's value.
    pub find: Option<ReadCall>,
    /// How a copy is made; `POST` by default.
    pub create: WriteCall,
    /// How fields of a copy are changed; `PATCH` by default.
    pub update: WriteCall,
    /// How a copy is removed; `DELETE` by default.
    pub delete: WriteCall,
    /// Whether a webhook's body is believed, or the copy is read.
    pub trust: Trust,
    /// How deliveries are understood.
    pub webhook: Webhook,
}

/// A request that reads.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadCall {
    /// The path, if it is not the collection's or the copy's.
    pub path: Option<String>,
    /// The query's parameters.
    pub query: BTreeMap<String, String>,
}

/// A request that lists what has changed since a time.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChangesCall {
    /// The path, if it is not the collection's.
    pub path: Option<String>,
    /// The query's parameters; `updated_since = "{since}"` by default. The bound is inclusive.
    pub query: BTreeMap<String, String>,
    /// How late a change may become visible after the time it is stamped with. Rounded stamps count as late.
    pub overlap_ms: i64,
}

impl Default for ChangesCall {
    fn default() -> Self {
        Self { path: None, query: BTreeMap::new(), overlap_ms: 2000 }
    }
}

/// A request that writes.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WriteCall {
    /// The path, if it is not the collection's or the copy's.
    pub path: Option<String>,
    /// The method: `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: Option<String>,
    /// The query's parameters.
    pub query: BTreeMap<String, String>,
}

/// How listings are cut into pages.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(tag = "style", rename_all = "snake_case", deny_unknown_fields)]
pub enum Paging {
    /// By number: `page={page}&per_page={limit}`.
    Page {
        /// The number of the first page.
        #[serde(default = "one")]
        first: u64,
        /// The JSON pointer of the number of pages; without it an empty page ends the listing.
        #[serde(default)]
        total_pages: Option<String>,
    },
    /// By offset: `offset={offset}&limit={limit}`.
    Offset {},
    /// By a cursor that each page gives: `cursor={cursor}&limit={limit}`.
    Cursor {
        /// The JSON pointer of the next cursor; nothing there ends the listing.
        next: String,
    },
    /// By a link to the next page, from the `Link` header or the body.
    Link {
        /// The JSON pointer of the link, if it is in the body.
        #[serde(default)]
        next: Option<String>,
    },
    /// By the last id of the page before: `after={after_id}&limit={limit}`. The listing must be in order of id.
    AfterId {},
    /// Everything at once.
    None {},
}

impl Default for Paging {
    fn default() -> Self {
        Paging::Page { first: one(), total_pages: None }
    }
}

/// Where a copy's opaque version is found.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Etag {
    /// `etag = { header = "ETag" }`: in a header of the answer.
    Header(String),
    /// `etag = { field = "version" }`: in the copy, by name or pointer.
    Field(String),
}

/// Whether a webhook's body is believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// A delivery says that something changed; the copy is read.
    #[default]
    Signal,
    /// The body is believed. Right only where it carries a `counter`.
    Body,
}

/// How deliveries are understood. The defaults are those of Standard Webhooks: `type`, `timestamp`, `data`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhook {
    /// The JSON pointer of an array of events, if one delivery carries several.
    pub batch: Option<String>,
    /// The pointer of the event's type.
    pub event: String,
    /// The types that concern this object; `*` at either end stands for anything. All by default.
    pub events: Vec<String>,
    /// The types that say that the copy is gone.
    pub deleted: Vec<String>,
    /// The pointer of the copy.
    pub record: String,
    /// The pointer of the copy's id; the mapping's id within the copy by default.
    pub id: Option<String>,
    /// The pointer of the order; `counter` within the copy by default.
    pub order: Option<String>,
    /// The pointer of when it happened.
    pub occurred_at: String,
    /// The pointer of who did it; `actor` within the copy by default.
    pub actor: Option<String>,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            batch: None,
            event: "/type".to_owned(),
            events: Vec::new(),
            deleted: vec!["*.deleted".to_owned()],
            record: "/data".to_owned(),
            id: None,
            order: None,
            occurred_at: "/timestamp".to_owned(),
            actor: None,
        }
    }
}

fn one() -> u64 {
    1
}
