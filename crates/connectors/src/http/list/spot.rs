//! Where a listing is: what is asked for next, and what is known of the pages before.

use crate::http::declare::paging::Paging;
use crate::http::declare::prepared::Object;
use crate::http::declare::template::Filling;
use avowal_engine::ports::connector::{ConnectorError, ConnectorErrorKind};
use avowal_engine::ports::store::Cursor;
use serde::{Deserialize, Serialize};

/// A place in a listing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Spot {
    pub(crate) at: At,
    /// Fixed at the start, because page numbers mean nothing without it.
    pub(crate) size: usize,
    /// The id at the end of the page before, and where that page began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<(String, u64)>,
    #[serde(default)]
    pub(crate) steps_back: u32,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum At {
    Page(u64),
    Offset(u64),
    Cursor(Option<String>),
    Link(Option<String>),
    AfterId(Option<String>),
    Whole,
}

pub(crate) fn first(object: &Object, limit: usize) -> Spot {
    let at = match &object.spec.paging {
        Paging::Page { first, .. } => At::Page(*first),
        Paging::Offset {} => At::Offset(0),
        Paging::Cursor { .. } => At::Cursor(None),
        Paging::Link { .. } => At::Link(None),
        Paging::AfterId {} => At::AfterId(None),
        Paging::None {} => At::Whole,
    };
    Spot { at, size: limit.clamp(1, object.page_size), before: None, steps_back: 0 }
}

pub(crate) fn filling(object: &Object, spot: &Spot, since: Option<&str>) -> Filling {
    let mut filling = object.filling();
    filling.insert("limit", spot.size.to_string());
    filling.extend(since.map(|since| ("since", since.to_owned())));
    match &spot.at {
        At::Page(page) => filling.extend([("page", page.to_string())]),
        At::Offset(offset) => filling.extend([("offset", offset.to_string())]),
        At::Cursor(cursor) => filling.extend(cursor.clone().map(|cursor| ("cursor", cursor))),
        At::AfterId(id) => filling.extend(id.clone().map(|id| ("after_id", id))),
        At::Link(_) | At::Whole => {}
    }
    filling
}

pub(crate) fn page_of(spot: &Spot) -> u64 {
    match spot.at {
        At::Page(page) => page,
        At::Offset(_) | At::Cursor(_) | At::Link(_) | At::AfterId(_) | At::Whole => 0,
    }
}

pub(crate) fn encode(place: &impl Serialize) -> Result<Cursor, ConnectorError> {
    serde_json::to_string(place)
        .map(Cursor)
        .map_err(|error| ConnectorError::new(ConnectorErrorKind::Protocol, error.to_string(), None))
}

pub(crate) fn decode<T: for<'de> Deserialize<'de>>(cursor: &Cursor) -> Result<T, ConnectorError> {
    serde_json::from_str(&cursor.0).map_err(|_| {
        ConnectorError::new(
            ConnectorErrorKind::CursorExpired,
            "the stored position is not one of this connector",
            None,
        )
    })
}
