//! The triggers that fill the change log, as SQL.
//!
//! They run inside the application's own statements, on the application's SQLite, so they must never fail there. They
//! call only what `trusted_schema = OFF` allows and what old versions know, and they name no column that is not mapped or
//! part of a unique key. Values go into the log as they are stored; what they mean is found out when the log is read.

use super::catalogue::Table;
use super::names::{Names, quote};
use super::unique::UniqueKey;

/// Milliseconds since 1970.
pub(super) const NOW_SQL: &str = "CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)";

/// The triggers of one feed, by name. SQLite keeps their text as it is written here, so it can be compared.
pub(super) fn triggers(names: &Names, feed: i64, table: &Table) -> Vec<(String, String)> {
    let scribe = Scribe { names, feed, table };
    let on = quote(&table.name);
    let id = quote(&table.id.name);
    let moved = format!("old.{id} IS NOT new.{id} COLLATE BINARY");
    // Texts that the column's collation takes for equal are still different contents.
    let changed = any_differs(table.columns.iter().map(|column| column.name.as_str()));
    let gone = scribe.gone();
    let mut all = vec![
        ("insert", format!("AFTER INSERT ON {on} BEGIN {} END", scribe.shown("insert"))),
        (
            "update",
            format!(
                "AFTER UPDATE ON {on} WHEN NOT ({moved}) AND ({changed}) BEGIN {} END",
                scribe.shown("update")
            ),
        ),
        ("move", format!("AFTER UPDATE ON {on} WHEN {moved} BEGIN {gone} {} END", scribe.shown("insert"))),
        ("delete", format!("AFTER DELETE ON {on} BEGIN {gone} END")),
    ];
    // `UPDATE OR REPLACE` of the id removes the row that has it. Not looked up here, so that a table which only has its id
    // is named nowhere in a body: an old version that renames it does not rename it there.
    all.push(("taken", format!("BEFORE UPDATE ON {on} WHEN {moved} BEGIN {} END", scribe.taken())));
    if !table.unique_keys.is_empty() {
        let probes = |but: &str| {
            let probe = |key: &UniqueKey| scribe.probe(&key.conflicts, but);
            table.unique_keys.iter().map(probe).collect::<Vec<_>>().join(" ")
        };
        all.push(("probe", format!("BEFORE INSERT ON {on} BEGIN {} END", probes("new"))));
        let columns = table.unique_keys.iter().flat_map(|key| key.columns.iter().map(String::as_str));
        let changed = any_differs(columns);
        all.push(("reprobe", format!("BEFORE UPDATE ON {on} WHEN {changed} BEGIN {} END", probes("old"))));
    }
    all.into_iter()
        .map(|(event, body)| {
            let name = format!("{}{event}", names.triggers(feed));
            let sql = format!("CREATE TRIGGER {name} {body}");
            (name, sql)
        })
        .collect()
}

/// Whether one of the columns is changed by an update.
fn any_differs<'a>(columns: impl Iterator<Item = &'a str>) -> String {
    let mut tests: Vec<_> =
        columns.map(|column| format!("old.{0} IS NOT new.{0} COLLATE BINARY", quote(column))).collect();
    tests.push("0".to_owned());
    tests.join(" OR ")
}

/// What writes the log rows of one feed.
struct Scribe<'a> {
    names: &'a Names,
    feed: i64,
    table: &'a Table,
}

impl Scribe<'_> {
    /// Logs the row as the statement leaves it.
    fn shown(&self, operation: &str) -> String {
        let id = quote(&self.table.id.name);
        let values: Vec<_> =
            self.table.columns.iter().map(|column| format!(", new.{}", quote(&column.name))).collect();
        let columns: Vec<_> = (0..values.len()).map(|n| format!(", c{n}")).collect();
        format!(
            "{}{} WHERE new.{id} IS NOT NULL;",
            self.log_into(&columns.concat(), &format!("new.{id}"), operation),
            values.concat()
        )
    }

    /// Logs that the old row is gone.
    fn gone(&self) -> String {
        let id = quote(&self.table.id.name);
        format!("{} WHERE old.{id} IS NOT NULL;", self.log_into("", &format!("old.{id}"), "delete"))
    }

    /// Logs that a row which has the new id may be about to be removed.
    fn taken(&self) -> String {
        let id = quote(&self.table.id.name);
        format!("{} WHERE new.{id} IS NOT NULL;", self.log_into("", &format!("new.{id}"), "probe"))
    }

    /// Logs which other rows the statement may be about to remove. Whether they are gone is looked up when the log is read.
    fn probe(&self, conflicts: &str, but: &str) -> String {
        let id = quote(&self.table.id.name);
        format!(
            "{} FROM {} AS t WHERE {conflicts} AND t.{id} IS NOT {but}.{id} COLLATE BINARY AND t.{id} IS NOT NULL;",
            self.log_into("", &format!("t.{id}"), "probe"),
            quote(&self.table.name),
        )
    }

    fn log_into(&self, columns: &str, id: &str, operation: &str) -> String {
        format!(
            "INSERT INTO {log} (remote_id, operation, origin, mark, at{columns}) \
             SELECT {id}, '{operation}', (SELECT key FROM {file}), random(), {NOW_SQL}",
            log = self.names.log(self.feed),
            file = self.names.file(),
        )
    }
}
