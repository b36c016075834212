//! Where the feed was read last, and whether the database still is the one that gave that place.

use super::session::Session;
use avowal_engine::ports::connector::{ConnectorError, ConnectorErrorKind};
use avowal_engine::ports::store::Cursor;

/// A place in the log: after this row of this transaction.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Position {
    /// The transaction that wrote the row.
    pub xid: u64,
    /// The row.
    pub id: i64,
}

impl Position {
    /// Before every row.
    pub const START: Position = Position { xid: 0, id: 0 };
}

/// What a cursor holds: the last row that was read, and what tells whether it still is that row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Mark {
    /// Which database of which cluster.
    pub database: String,
    /// Which making of the feed. Later ones are greater.
    pub epoch: i64,
    /// The row that was read last.
    pub position: Position,
    /// When that row was written, in microseconds: another row with its number was written at another time.
    pub at_us: i64,
}

impl Mark {
    /// Reads a cursor; `None` if it is none of ours.
    pub fn parse(cursor: &Cursor) -> Option<Self> {
        let mut parts = cursor.0.split(':');
        let mark = Self {
            database: parts.next()?.to_owned(),
            epoch: parts.next()?.parse().ok()?,
            position: Position { xid: parts.next()?.parse().ok()?, id: parts.next()?.parse().ok()? },
            at_us: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(mark)
    }

    /// The cursor that holds it.
    pub fn cursor(&self) -> Cursor {
        let Self { database, epoch, position, at_us } = self;
        Cursor(format!("{database}:{epoch}:{}:{}:{at_us}", position.xid, position.id))
    }
}

/// What the log says of itself, of one moment.
#[derive(Debug)]
pub(super) struct Standing {
    /// Which database of which cluster.
    pub database: String,
    /// The newest transaction there can be.
    pub newest: u64,
    /// Which making of the feed; `None` where it is not installed as the mapping needs it.
    pub epoch: Option<i64>,
    /// The last row that was taken out of the log.
    pub pruned: Position,
    /// When the row that the mark names was written, if it is there.
    pub read_at_us: Option<i64>,
    /// The cursor in whose place this database was taken, when a person said so.
    pub adopted: Option<String>,
}

/// Why the feed cannot go on from a mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Break {
    /// The mark comes from another database.
    AnotherDatabase,
    /// The database has gone back to a time before the mark.
    GoneBack,
    /// The change log is not there, or not as the mapping needs it.
    NotInstalled,
    /// The log begins after the mark: it was made again, or cut.
    Expired,
}

impl Standing {
    /// Whether the feed goes on from a mark.
    pub fn follows(&self, mark: &Mark) -> Result<(), Break> {
        if self.adopted.as_ref().is_some_and(|adopted| *adopted == mark.cursor().0) {
            return Err(Break::Expired);
        }
        if mark.database != self.database {
            return Err(Break::AnotherDatabase);
        }
        // The mark's transaction was durable before we saw it, so the same history never goes below it.
        if mark.position.xid > self.newest {
            return Err(Break::GoneBack);
        }
        let epoch = self.epoch.ok_or(Break::NotInstalled)?;
        if mark.epoch != epoch {
            // Epochs and rows are numbered by one sequence: what was made after the mark has a greater number.
            let later = epoch > mark.epoch && epoch > mark.position.id;
            return Err(if later { Break::Expired } else { Break::GoneBack });
        }
        if mark.position == Position::START {
            return if self.pruned == Position::START { Ok(()) } else { Err(Break::Expired) };
        }
        if mark.position <= self.pruned {
            return Err(Break::Expired);
        }
        // The row is kept until a later one is durable on our side.
        if self.read_at_us == Some(mark.at_us) { Ok(()) } else { Err(Break::GoneBack) }
    }
}

impl Break {
    /// The port's error.
    pub fn error(self, session: &Session, table: &str) -> ConnectorError {
        match self {
            Break::AnotherDatabase => session.port_error(
                ConnectorErrorKind::IdentityChanged,
                "this is another database than the one that was read last (another server, or a copy)",
                "Correct the system's url, or say that this database takes its place",
            ),
            Break::GoneBack => session.port_error(
                ConnectorErrorKind::IdentityChanged,
                "the database has gone back in time: what was read last is not in its change log any more, \
                 as after a restore from a backup or a failover that lost changes",
                "Say whether it is the restored database or another one",
            ),
            Break::NotInstalled => session.port_error(
                ConnectorErrorKind::SchemaDrift,
                &format!("the change log of table {table} is missing or incomplete"),
                "`avowal run` and `avowal sync` install it again",
            ),
            Break::Expired => session.port_error(
                ConnectorErrorKind::CursorExpired,
                "the change log no longer reaches back to where it was read last",
                "Everything is listed again",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Break, Mark, Position, Standing};

    fn mark() -> Mark {
        Mark { database: "7.5".to_owned(), epoch: 100, position: Position { xid: 50, id: 120 }, at_us: 9 }
    }

    fn standing() -> Standing {
        Standing {
            database: "7.5".to_owned(),
            newest: 60,
            epoch: Some(100),
            pruned: Position::START,
            read_at_us: Some(9),
            adopted: None,
        }
    }

    #[test]
    fn a_cursor_is_read_back_and_others_are_refused() {
        assert_eq!(Mark::parse(&mark().cursor()), Some(mark()));
        for other in ["", "abc:1:2", "7.5:1:2:3:4:5", "7.5:x:2:3:4"] {
            assert_eq!(Mark::parse(&avowal_engine::ports::store::Cursor(other.to_owned())), None, "{other}");
        }
    }

    #[test]
    fn each_break_is_told_apart() {
        let check = |change: fn(&mut Standing), expected: Result<(), Break>| {
            let mut standing = standing();
            change(&mut standing);
            assert_eq!(standing.follows(&mark()), expected, "{standing:?}");
        };
        check(|_| (), Ok(()));
        check(|s| s.database = "8.5".to_owned(), Err(Break::AnotherDatabase));
        check(
            |s| {
                s.database = "8.5".to_owned();
                s.adopted = Some(mark().cursor().0);
            },
            Err(Break::Expired),
        );
        check(|s| s.newest = 49, Err(Break::GoneBack));
        check(|s| s.epoch = None, Err(Break::NotInstalled));
        check(|s| s.epoch = Some(121), Err(Break::Expired));
        check(|s| s.epoch = Some(110), Err(Break::GoneBack));
        check(|s| s.epoch = Some(90), Err(Break::GoneBack));
        check(|s| s.read_at_us = None, Err(Break::GoneBack));
        check(|s| s.read_at_us = Some(8), Err(Break::GoneBack));
        check(|s| s.pruned = Position { xid: 50, id: 120 }, Err(Break::Expired));
        check(|s| s.pruned = Position { xid: 40, id: 120 }, Ok(()));
    }
}
