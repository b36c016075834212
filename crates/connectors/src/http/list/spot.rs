//! Where a listing is: what is asked for next, and what is known of the pages before.

use crate::http::declare::paging::Paging;
use crate::http::declare::prepared::Object;
use crate::http::declare::template::Filling;
use avowal_engine::ports::connector::{ConnectorError, ConnectorErrorKind};
use avowal_engine::ports::store::Cursor;
use serde::{Deserialize, Serialize};

/// A place in a listing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Spot {
    pub(super) at: At,
    /// Fixed at the start, because page numbers mean nothing without it.
    pub(super) size: usize,
    /// The id at the end of the page before, and where that page began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<(String, u64)>,
    #[serde(default)]
    pub(super) steps_back: u32,
    /// Which listing this is, so that its memory is found again.
    #[serde(default)]
    pub(super) run: u64,
    /// How many copies the pages before have shown.
    #[serde(default)]
    pub(super) shown: u64,
    /// The most copies that one of them has shown.
    #[serde(default)]
    pub(super) largest: usize,
    /// How many pages in a row were empty.
    #[serde(default)]
    pub(super) empty: u32,
    /// How many pages in a row showed only copies that had been shown before.
    #[serde(default)]
    pub(super) repeated: u32,
    /// Whether a page before has led to a next one, or said that there are more.
    #[serde(default)]
    pub(super) was_led: bool,
    /// Whether a declared number said that the pages before are all.
    #[serde(default)]
    pub(super) said_end: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum At {
    Page(u64),
    Offset(u64),
    Cursor(Option<String>),
    Link(Option<String>),
    AfterId(Option<String>),
    Whole,
}

/// What comes behind a page.
pub(super) enum Next {
    /// Another page.
    Page(Spot),
    /// Nothing: the service said so in a way that was understood.
    End,
    /// More than the service shows of one listing. The text says how that was recognised.
    Cut(String),
}

impl Spot {
    /// The beginning of a listing whose pages hold at most `limit` copies.
    pub(super) fn first(object: &Object, limit: usize, run: u64) -> Self {
        let at = match &object.spec.paging {
            Paging::Page { first, .. } => At::Page(*first),
            Paging::Offset { .. } => At::Offset(0),
            Paging::Cursor { .. } => At::Cursor(None),
            Paging::Link { .. } => At::Link(None),
            Paging::AfterId { .. } => At::AfterId(None),
            Paging::None {} => At::Whole,
        };
        Self {
            at,
            size: limit.clamp(1, object.page_size),
            before: None,
            steps_back: 0,
            run,
            shown: 0,
            largest: 0,
            empty: 0,
            repeated: 0,
            was_led: false,
            said_end: false,
        }
    }

    /// How many pages lie before this one, where they have numbers.
    pub(super) fn pages_before(&self, object: &Object) -> u64 {
        match (&self.at, &object.spec.paging) {
            (At::Page(page), Paging::Page { first, .. }) => page.saturating_sub(*first),
            _ => 0,
        }
    }

    /// The place of another page of this listing, asked for beside it.
    pub(super) fn beside(&self, at: At, size: usize) -> Self {
        Self { at, size, before: None, ..self.clone() }
    }

    /// Where the page before began, if pages of this kind move under the reader.
    pub(super) fn back(&self) -> Option<(At, &str)> {
        let (end, began) = self.before.as_ref()?;
        match self.at {
            At::Page(_) => Some((At::Page(*began), end)),
            At::Offset(_) => Some((At::Offset(*began), end)),
            At::Cursor(_) | At::Link(_) | At::AfterId(_) | At::Whole => None,
        }
    }

    /// A text that stands for the place, where a place never comes twice.
    pub(super) fn position(&self) -> Option<&str> {
        match &self.at {
            At::Cursor(at) | At::Link(at) | At::AfterId(at) => at.as_deref(),
            At::Page(_) | At::Offset(_) | At::Whole => None,
        }
    }

    /// What is filled into the templates of a call.
    pub(super) fn filling(&self, object: &Object, since: Option<&str>) -> Filling {
        let mut filling = object.filling();
        filling.insert("limit", self.size.to_string());
        filling.extend(since.map(|since| ("since", since.to_owned())));
        match &self.at {
            At::Page(page) => filling.extend([("page", page.to_string())]),
            At::Offset(offset) => filling.extend([("offset", offset.to_string())]),
            At::Cursor(cursor) => filling.extend(cursor.clone().map(|cursor| ("cursor", cursor))),
            At::AfterId(id) => filling.extend(id.clone().map(|id| ("after_id", id))),
            At::Link(_) | At::Whole => {}
        }
        filling
    }
}

/// A position as the text that the engine stores.
pub(super) fn encode(place: &impl Serialize) -> Result<Cursor, ConnectorError> {
    serde_json::to_string(place)
        .map(Cursor)
        .map_err(|error| ConnectorError::new(ConnectorErrorKind::Protocol, error.to_string(), None))
}

/// A position from the text that the engine stored.
pub(super) fn decode<T: for<'de> Deserialize<'de>>(cursor: &Cursor) -> Result<T, ConnectorError> {
    serde_json::from_str(&cursor.0).map_err(|_| {
        ConnectorError::new(
            ConnectorErrorKind::CursorExpired,
            "the stored position is not one of this connector",
            None,
        )
    })
}
