//! How one kind of record is listed, read and written: the table `http` of an entity's mapping.

use super::paging::Paging;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// How an entity is listed, read and written in a JSON service. A conventional REST collection needs none of these keys.
/// Declare `updated` and `changes` where the service has them: without them every sync lists everything.
///
/// Paths and queries are templates. `{object}` and `{id}` stand for the mapping's object and the copy's id,
/// `{limit}`, `{page}`, `{offset}`, `{cursor}`, `{after_id}` for the place in a listing, `{since}` for the time in
/// a change query, `{field}` and `{value}` for a search. Each is encoded for its place. `{value:json}` is the value as
/// a quoted JSON string, for filter languages. A query parameter without a value is left out.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpObject {
    /// The collection's path; `/{object}` by default.
    #[schemars(extend("default" = "/{object}"), example = &"/api/collections/{object}/records")]
    pub path: Option<String>,
    /// One copy's path; by default the collection's path and `/{id}`.
    #[schemars(example = &"/api/collections/{object}/records/{id}")]
    pub item_path: Option<String>,
    /// The JSON pointer of the array in a listing. By default the body itself, or its only array.
    #[schemars(example = &"/data")]
    pub items: Option<String>,
    /// The JSON pointer of the copy in the answer to a read or write. By default the body itself, or `wrap`.
    #[schemars(example = &"/data")]
    pub record: Option<String>,
    /// The JSON pointer of the mapped fields within a copy, as `/properties`. By default the copy itself.
    #[schemars(example = &"/properties")]
    pub fields_at: Option<String>,
    /// The key that bodies of creates and updates are wrapped in.
    #[schemars(example = &"contact")]
    pub wrap: Option<String>,
    /// How many copies a page holds, from 1 to 1000.
    #[schemars(extend("default" = 100), example = 500)]
    pub page_size: Option<usize>,
    /// The most copies that a listing may show. A listing that goes on beyond is taken for endless: it ends with an error,
    /// and nothing is concluded from it.
    #[schemars(extend("default" = 1_000_000), example = 5_000_000)]
    pub rows_max: Option<u64>,
    /// How listings are cut into pages.
    #[schemars(extend("default" = { "style": "page", "first": 1 }), extend("examples" = [{ "style": "cursor", "next": "/next_cursor" }]))]
    pub paging: Paging,
    /// The name or pointer of the time of a copy's last change.
    #[schemars(example = &"updated_at")]
    pub updated: Option<String>,
    /// The name or pointer of a number that grows with every change of a copy. It proves which of two states is newer.
    #[schemars(example = &"revision")]
    pub counter: Option<String>,
    /// Where a copy's opaque version is found. Updates and deletes are then sent with `If-Match`.
    #[schemars(extend("examples" = [{ "header": "ETag" }]))]
    pub etag: Option<Etag>,
    /// The name or pointer of a flag or time that marks a copy as deleted.
    /// Absent, null, false, 0, an empty text, list or object, the words `false`, `no`, `off`, `0` and the time 0 say that
    /// the copy is there. `{ at = "status", equals = ["archived"] }` names the values that say that it is gone.
    #[schemars(example = &"archived")]
    pub deleted: Option<Deleted>,
    /// The name or pointer of who changed a copy last.
    #[schemars(example = &"updated_by")]
    pub actor: Option<String>,
    /// The name or pointer under which the service shows the idempotency key of the last write.
    #[schemars(example = &"operation_id")]
    pub correlation: Option<String>,
    /// The header in which the service takes an idempotency key.
    #[schemars(example = &"Idempotency-Key")]
    pub idempotency: Option<String>,
    /// The JSON pointer of an error that the service may put into an answer with a successful status. Such an answer to a
    /// listing, search or read shows nothing: it is no empty listing.
    #[schemars(example = &"/error/message")]
    pub failure: Option<String>,
    /// The statuses by which the service says that a copy is not there, beside 404 and 410. Some answer 403 to whatever does
    /// not exist. That cannot be told from a lack of rights, so declare it only where the credentials may read all copies.
    #[schemars(extend("examples" = [[403]]))]
    pub gone: Vec<u16>,
    /// How all copies are listed.
    #[schemars(extend("examples" = [{ "query": { "page": "{page}", "per_page": "{limit}", "sort": "id" } }]))]
    pub list: ReadCall,
    /// How the copies changed since a time are listed. Needs `updated`.
    #[schemars(extend("examples" = [{ "query": { "updated_since": "{since}" } }]))]
    pub changes: Option<ChangesCall>,
    /// How one copy is read.
    #[schemars(extend("examples" = [{ "query": { "expand": "labels" } }]))]
    pub read: ReadCall,
    /// How a copy is searched by a field's value.
    #[schemars(extend("examples" = [{ "query": { "{field}": "{value}" } }]))]
    pub find: Option<ReadCall>,
    /// How a copy is created; `POST` by default.
    #[schemars(extend("examples" = [{ "path": "/{object}/new" }]))]
    pub create: WriteCall,
    /// How fields of a copy are changed; `PATCH` by default.
    #[schemars(extend("examples" = [{ "method": "PUT", "replaces": "whole" }]))]
    pub update: UpdateCall,
    /// How a copy is deleted; `DELETE` by default.
    #[schemars(extend("examples" = [{ "path": "/{object}/{id}/archive", "method": "POST" }]))]
    pub delete: WriteCall,
    /// Whether the body of a webhook is believed, or the copy is read.
    #[schemars(extend("default" = "signal"), example = &"body")]
    pub trust: Trust,
    /// Where a delivery carries its event, its copy and its order.
    #[schemars(extend("examples" = [{ "events": ["contact.*"], "deleted": ["contact.deleted"] }]))]
    pub webhook: Webhook,
}

/// How late a change may become visible, unless declared or learned.
const OVERLAP_MS: i64 = 30_000;

/// A request that reads.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReadCall {
    /// The path, if it is not the collection's or the copy's.
    #[schemars(example = &"/{object}/search")]
    pub path: Option<String>,
    /// The query's parameters.
    #[schemars(extend("examples" = [{ "{field}": "{value}", "limit": "{limit}" }]))]
    pub query: BTreeMap<String, String>,
}

/// A request that lists what has changed since a time.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChangesCall {
    /// The path, if it is not the collection's.
    #[schemars(example = &"/{object}/changes")]
    pub path: Option<String>,
    /// The query's parameters; `updated_since = "{since}"` by default. The bound is inclusive.
    #[schemars(extend("default" = { "updated_since": "{since}" }), extend("examples" = [{ "filter": "updated >= '{since}'" }]))]
    pub query: BTreeMap<String, String>,
    /// How long after its time stamp a change may become visible, in milliseconds, at least. The next query begins this much
    /// earlier. Longer delays are learned, and so are the rounding of the stamps and a clock that lags behind the service's.
    #[schemars(example = 120_000)]
    pub overlap_ms: i64,
}

impl Default for ChangesCall {
    fn default() -> Self {
        Self { path: None, query: BTreeMap::new(), overlap_ms: OVERLAP_MS }
    }
}

/// A request that writes.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WriteCall {
    /// The path, if it is not the collection's or the copy's.
    #[schemars(example = &"/{object}/{id}/archive")]
    pub path: Option<String>,
    /// The method: `POST`, `PUT`, `PATCH` or `DELETE`.
    #[schemars(extend("enum" = ["POST", "PUT", "PATCH", "DELETE"]), example = &"PUT")]
    pub method: Option<String>,
    /// The query's parameters.
    #[schemars(extend("examples" = [{ "notify": "false" }]))]
    pub query: BTreeMap<String, String>,
}

/// A request that changes fields of a copy.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UpdateCall {
    /// The path, if it is not the copy's.
    #[schemars(example = &"/{object}/{id}/fields")]
    pub path: Option<String>,
    /// The method: `PATCH`, `PUT` or `POST`.
    #[schemars(extend("enum" = ["POST", "PUT", "PATCH", "DELETE"]), example = &"PUT")]
    pub method: Option<String>,
    /// The query's parameters.
    #[schemars(extend("examples" = [{ "notify": "false" }]))]
    pub query: BTreeMap<String, String>,
    /// What an update replaces. With `PUT` it must be declared.
    #[schemars(example = &"whole")]
    pub replaces: Option<Replaces>,
    /// The names in a copy that are not sent back with `replaces = "whole"`, because the service refuses them.
    #[schemars(extend("examples" = [["id", "created_at", "updated_at"]]))]
    pub read_only: Vec<String>,
}

/// What an update replaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Replaces {
    /// The fields that are sent; the others stay. Only these are sent.
    Fields,
    /// The whole copy: what is not sent is cleared. The copy is read first and sent back whole with the changed fields in
    /// it, under `If-Match` where `etag` is declared.
    Whole,
}

/// What marks a copy as deleted.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Deleted {
    /// The name or pointer of a flag or time.
    Flag(String),
    /// The name or pointer of a field, and the values that say that the copy is gone.
    Values(DeletedValues),
}

/// The values of a field that say that the copy is gone.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeletedValues {
    /// The name or pointer of the field.
    #[schemars(example = &"status")]
    pub at: String,
    /// The values, as texts.
    #[schemars(extend("examples" = [["archived", "trashed"]]))]
    pub equals: Vec<String>,
}

/// Where a copy's opaque version is found.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Etag {
    /// In a header of the answer.
    #[schemars(extend("examples" = [{ "header": "ETag" }]))]
    Header(String),
    /// In the copy, by name or pointer.
    #[schemars(extend("examples" = [{ "field": "version" }]))]
    Field(String),
}

/// Whether a webhook's body is believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// A delivery only says that something changed, and the copy is read.
    #[default]
    Signal,
    /// The body is believed. This is safe only where it carries a `counter`.
    Body,
}

/// Where a delivery carries its event, its copy and its order. The defaults are those of Standard Webhooks.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Webhook {
    /// The JSON pointer of an array of events, if one delivery carries several.
    #[schemars(example = &"/events")]
    pub batch: Option<String>,
    /// The JSON pointer of the event's type.
    #[schemars(example = &"/event/name")]
    pub event: String,
    /// The types that concern this object; `*` at either end stands for anything. All by default.
    #[schemars(extend("examples" = [["contact.*"]]))]
    pub events: Vec<String>,
    /// The types that say that the copy is gone.
    #[schemars(extend("examples" = [["contact.deleted"]]))]
    pub deleted: Vec<String>,
    /// The JSON pointer of the copy.
    #[schemars(example = &"/contact")]
    pub record: String,
    /// The JSON pointer of the copy's id; the mapping's id within the copy by default.
    #[schemars(example = &"/contact_id")]
    pub id: Option<String>,
    /// The JSON pointer of the number that orders the states of a copy; `counter` within the copy by default.
    #[schemars(example = &"/revision")]
    pub order: Option<String>,
    /// The JSON pointer of the time of the change.
    #[schemars(example = &"/sent_at")]
    pub occurred_at: String,
    /// The JSON pointer of who made the change; `actor` within the copy by default.
    #[schemars(example = &"/user/email")]
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
