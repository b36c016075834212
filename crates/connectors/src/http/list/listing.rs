//! Listing all copies, page by page.

use super::memory::Memory;
use super::pages::fetch;
use super::query::Query;
use super::spot::{Next, Spot, decode, encode};
use crate::http::call::client::Client;
use crate::http::declare::prepared::Object;
use avowal_engine::ports::connector::{ConnectorError, ConnectorErrorKind, Page};
use avowal_engine::ports::store::Cursor;

/// The next page of a listing. Its last page comes only if the listing was understood as whole.
pub(crate) async fn list(
    client: &Client,
    object: &Object,
    memory: &Memory,
    cursor: Option<&Cursor>,
    limit: usize,
) -> Result<Page, ConnectorError> {
    let spot = match cursor {
        None => Spot::first(object, limit, memory.begin()),
        Some(cursor) => decode(cursor)?,
    };
    let query = Query { client, object, route: &object.list, since: None, memory };
    let fetched = fetch(&query, &spot).await?;
    match fetched.next {
        Next::Page(next) => Ok(Page { changes: fetched.changes, next: encode(&next)?, more: true }),
        // Nobody reads where a listing goes on that is at its end.
        Next::End => Ok(Page { changes: fetched.changes, next: Cursor(String::new()), more: false }),
        Next::Cut(how) => Err(ConnectorError::new(
            ConnectorErrorKind::Protocol,
            format!(
                "{}: the listing of {} is incomplete: the service does not show all of it: {how}",
                client.host(),
                object.binding.object
            ),
            Some(
                "Declare a `paging` without such a limit (cursor, link or after_id), or a `list` that asks for less. \
                 Nothing was created or deleted on account of this listing",
            ),
        )),
    }
}
