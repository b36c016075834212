//! What the file says of its tables. A name reaches SQL only after it was found here, and then quoted.

use super::names::is_ours;
use super::session::Failure;
use super::unique::{UniqueKey, column_key, unique_keys};
use avowal_core::policy::schema::FieldType;
use avowal_engine::ports::connector::{Binding, Column, ConnectorError, ConnectorErrorKind};
use rusqlite::{Connection, OptionalExtension};

/// A mapped table as it stands.
#[derive(Debug)]
pub(super) struct Table {
    /// Its name, as the catalogue spells it.
    pub name: String,
    /// What it is made of: `table`, `view` or `virtual`.
    pub kind: TableKind,
    /// The id column.
    pub id: TableColumn,
    /// Whether the id column alone identifies a row.
    pub id_unique: bool,
    /// The mapped columns, in the binding's order.
    pub columns: Vec<TableColumn>,
    /// The unique keys beside the id.
    pub unique_keys: Vec<UniqueKey>,
    /// The unique indexes that are not understood.
    pub unknown_keys: Vec<String>,
}

/// What kind of table a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TableKind {
    /// An ordinary table.
    Table,
    /// A view, which cannot be written or followed.
    View,
    /// A virtual table, which carries no triggers.
    Virtual,
}

/// A column as it stands.
#[derive(Clone, Debug)]
pub(super) struct TableColumn {
    /// What the mapping calls it.
    pub remote: String,
    /// Its name, as the catalogue spells it.
    pub name: String,
    /// Its declared type, upper case.
    pub declared: String,
    /// How SQLite converts what is stored in it.
    pub affinity: Affinity,
    /// Whether it is computed from others.
    pub generated: bool,
    /// Whether it refuses null.
    pub not_null: bool,
    /// What it holds where nothing is given, as SQL.
    pub default: Option<String>,
    /// The type of the field that it carries; `None` for a column that is only the id.
    pub field_type: Option<FieldType>,
    /// Whether it belongs to the primary key.
    pub primary: bool,
}

#[cfg(test)]
impl TableColumn {
    /// A column of this affinity that carries nothing yet.
    pub fn plain(name: &str, affinity: Affinity) -> Self {
        Self {
            remote: name.to_owned(),
            name: name.to_owned(),
            declared: String::new(),
            affinity,
            generated: false,
            not_null: false,
            default: None,
            field_type: None,
            primary: false,
        }
    }
}

/// SQLite's column affinities.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Affinity {
    /// Whole numbers where a text looks like one.
    Integer,
    /// Everything as text.
    Text,
    /// Nothing is converted.
    Blob,
    /// Numbers as doubles.
    Real,
    /// Numbers where a text looks like one.
    Numeric,
}

/// Looks up the binding's table with its columns.
pub(super) fn table(connection: &Connection, binding: &Binding) -> Result<Table, Failure> {
    let (name, kind) = table_name(connection, &binding.object)?;
    let present = columns(connection, &name)?;
    let find = |remote: &str| column(&present, remote).ok_or_else(|| no_column(&name, remote, &present));
    let id = find(&binding.id)?;
    let mapped = |column: &Column| {
        let field_type = Some(column.field_type.clone());
        find(&column.name).map(|found| TableColumn { field_type, ..found })
    };
    let columns = binding.columns.iter().map(mapped).collect::<Result<_, _>>()?;
    let names: Vec<_> = present.iter().map(|column| column.name.clone()).collect();
    let mut keys = unique_keys(connection, &name, &id.name, &names)?;
    let mut primary = present.iter().filter(|column| column.primary);
    if let (Some(only), None) = (primary.next(), primary.next()) {
        match only.name == id.name {
            true => keys.is_id_unique = true,
            // The row's number in the file, for which there is no index.
            false if only.declared == "INTEGER" => keys.others.push(column_key(&only.name)),
            false => {}
        }
    }
    let (id_unique, unique_keys, unknown_keys) = (keys.is_id_unique, keys.others, keys.unknown);
    Ok(Table { name, kind, id, id_unique, columns, unique_keys, unknown_keys })
}

fn table_name(connection: &Connection, object: &str) -> Result<(String, TableKind), Failure> {
    let found = connection
        .prepare_cached(
            "SELECT name, type, coalesce(sql, '') FROM sqlite_master \
             WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE",
        )?
        .query_row([object], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        })
        .optional()?;
    let reserved = |name: &str| is_ours(name) || name.to_ascii_lowercase().starts_with("sqlite_");
    match found {
        Some((name, _, _)) if reserved(&name) => Err(drift(
            format!("table {name:?} is not one that can be mapped"),
            "Map one of the application's own tables".to_owned(),
        )),
        Some((name, kind, sql)) => {
            let is_virtual = sql.get(..14).is_some_and(|head| head.eq_ignore_ascii_case("CREATE VIRTUAL"));
            let kind = match (kind.as_str(), is_virtual) {
                ("view", _) => TableKind::View,
                (_, true) => TableKind::Virtual,
                (_, false) => TableKind::Table,
            };
            Ok((name, kind))
        }
        None => {
            let names = connection
                .prepare_cached("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")?
                .query_map([], |row| row.get::<_, String>(0))?
                .filter(|name| !name.as_ref().is_ok_and(|name| reserved(name)))
                .collect::<Result<Vec<_>, _>>()?;
            let cure = nearest(object, names.iter().map(String::as_str), "table");
            Err(drift(format!("there is no table {object:?}"), cure))
        }
    }
}

fn columns(connection: &Connection, table: &str) -> Result<Vec<TableColumn>, Failure> {
    let columns = connection
        .prepare_cached(
            "SELECT name, upper(type), pk, hidden, \"notnull\", dflt_value FROM pragma_table_xinfo(?1)",
        )?
        .query_map([table], |row| {
            let (name, declared): (String, String) = (row.get(0)?, row.get(1)?);
            let (primary, hidden): (i64, i64) = (row.get(2)?, row.get(3)?);
            Ok(TableColumn {
                remote: name.clone(),
                affinity: affinity(&declared),
                name,
                declared,
                primary: primary > 0,
                generated: hidden == 2 || hidden == 3,
                not_null: row.get(4)?,
                default: row.get(5)?,
                field_type: None,
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(columns)
}

fn column(present: &[TableColumn], remote: &str) -> Option<TableColumn> {
    let found = present.iter().find(|column| column.name.eq_ignore_ascii_case(remote))?;
    Some(TableColumn { remote: remote.to_owned(), ..found.clone() })
}

fn no_column(table: &str, remote: &str, present: &[TableColumn]) -> Failure {
    let cure = nearest(remote, present.iter().map(|column| column.name.as_str()), "column");
    drift(format!("table {table:?} has no column {remote:?}"), cure)
}

fn drift(message: String, cure: String) -> Failure {
    ConnectorError::new(ConnectorErrorKind::SchemaDrift, message, Some(&cure)).into()
}

fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>, what: &str) -> String {
    let near = names
        .map(|name| (strsim::jaro_winkler(&wanted.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((_, name)) => format!("Did you mean {name:?}? Correct the mapping, or create the {what}"),
        None => format!("Correct the mapping, or create the {what}"),
    }
}

/// The rules of section 3.1 of SQLite's "Datatypes" page.
fn affinity(declared: &str) -> Affinity {
    let has = |parts: &[&str]| parts.iter().any(|part| declared.contains(part));
    if has(&["INT"]) {
        Affinity::Integer
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        Affinity::Text
    } else if declared.is_empty() || has(&["BLOB"]) {
        Affinity::Blob
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        Affinity::Real
    } else {
        Affinity::Numeric
    }
}
