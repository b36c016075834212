//! Positions: where each feed and each first listing stands.

use avowal_core::data::ids::{EntityName, SystemName};
use serde::{Deserialize, Serialize};

/// Which position is meant.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CursorName {
    /// Of which system.
    pub system: SystemName,
    /// Of which entity.
    pub entity: EntityName,
    /// Whether of its feed or of its first listing.
    pub kind: CursorKind,
}

/// What keeps a position.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CursorKind {
    /// The change feed. It is at [`Position::After`], or at [`Position::Again`] after our log was removed from the system.
    Feed,
    /// The first complete listing. It ends at [`Position::Complete`].
    Listing,
}

impl CursorKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Feed, Self::Listing];

    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            CursorKind::Feed => "feed",
            CursorKind::Listing => "listing",
        }
    }

    /// The kind of a name in tables.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A system's own word for a place in its feed or listing, opaque to everyone but the connector that made it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// How far a feed or a first listing has been read. Every variant persists.
///
/// Stored as two columns of `cursors`: `state` with the name of the variant ([`Position::state`]), and `position` with
/// the connector's cursor, which only `after` has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Position {
    /// The listing begins again, because the feed has lost our place. Set when a connector's cursor has expired. Of a
    /// feed: there is no place, and the next one is asked for.
    Again,
    /// Everything up to this cursor has been read. Set with each page.
    After(Cursor),
    /// The last page of the listing has been read, and the copies that the system lacks are being planned.
    Planning,
    /// The listing has been read, and what the system lacks is planned. A first listing stays here.
    Complete,
}

impl Position {
    /// The variant's name in tables.
    pub fn state(&self) -> &'static str {
        match self {
            Position::Again => "again",
            Position::After(_) => "after",
            Position::Planning => "planning",
            Position::Complete => "complete",
        }
    }

    /// The connector's cursor, which a listing or feed goes on from.
    pub fn cursor(&self) -> Option<&Cursor> {
        match self {
            Position::After(cursor) => Some(cursor),
            Position::Again | Position::Planning | Position::Complete => None,
        }
    }

    /// The connector's cursor, where there is one.
    pub fn into_cursor(self) -> Option<Cursor> {
        match self {
            Position::After(cursor) => Some(cursor),
            Position::Again | Position::Planning | Position::Complete => None,
        }
    }

    /// The position of these two columns; `None` where no store can have written them like this.
    pub fn from_columns(state: &str, cursor: Option<String>) -> Option<Self> {
        match (state, cursor) {
            ("again", None) => Some(Position::Again),
            ("after", Some(cursor)) => Some(Position::After(Cursor(cursor))),
            ("planning", None) => Some(Position::Planning),
            ("complete", None) => Some(Position::Complete),
            _ => None,
        }
    }

    /// Whether the listing has been read and what the system lacks is planned.
    pub fn is_complete(&self) -> bool {
        match self {
            Position::Complete => true,
            Position::Again | Position::After(_) | Position::Planning => false,
        }
    }

    /// Whether the last page of the listing has been read.
    pub fn is_read_to_the_end(&self) -> bool {
        match self {
            Position::Planning | Position::Complete => true,
            Position::Again | Position::After(_) => false,
        }
    }
}

/// A position that moves by compare-and-set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CursorMove {
    /// Which.
    pub name: CursorName,
    /// Where it must stand.
    pub from: Option<Position>,
    /// Where it goes.
    pub to: Position,
}
