//! Listing all copies, page by page.

use super::pages::fetch;
use super::spot::{decode, encode, first};
use crate::http::call::client::Client;
use crate::http::declare::prepared::Object;
use avowal_engine::ports::connector::{ConnectorError, Page};
use avowal_engine::ports::store::Cursor;

/// The next page of a listing.
pub(crate) async fn list(
    client: &Client,
    object: &Object,
    cursor: Option<&Cursor>,
    limit: usize,
) -> Result<Page, ConnectorError> {
    let spot = match cursor {
        None => first(object, limit),
        Some(cursor) => decode(cursor)?,
    };
    let fetched = fetch(client, object, &object.list, &spot, None).await?;
    Ok(match fetched.next {
        Some(next) => Page { changes: fetched.changes, next: encode(&next)?, more: true },
        // Nobody reads where a listing goes on that is at its end.
        None => Page { changes: fetched.changes, next: Cursor(String::new()), more: false },
    })
}
