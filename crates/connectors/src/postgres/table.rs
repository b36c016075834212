//! A mapped table as the catalogue described it, and how names and texts are quoted.

/// A mapped table as it stood when it was looked up.
#[derive(Debug)]
pub(super) struct Table {
    /// Its identity in this database.
    pub oid: u32,
    /// `schema.table`, for people.
    pub shown: String,
    /// Schema and name, quoted for SQL.
    pub sql: String,
    /// `r` or `p`: an ordinary or a partitioned table; else it cannot be followed.
    pub kind: char,
    /// The id column.
    pub id: TableColumn,
    /// Whether the id column alone identifies a row.
    pub id_unique: bool,
    /// The mapped columns, in the binding's order.
    pub columns: Vec<TableColumn>,
    /// Whether our log is there at all.
    pub logged: bool,
    /// Which cluster this is: transaction ids mean nothing in another.
    pub cluster: String,
}

/// A column as it stands.
#[derive(Clone, Debug)]
pub(super) struct TableColumn {
    /// What the mapping calls it.
    pub remote: String,
    /// Its name in the catalogue.
    pub name: String,
    /// Its type without length or scale, as SQL: an explicit cast to `varchar(3)` would cut silently.
    pub type_sql: String,
    /// What kind of type that is.
    pub kind: Kind,
    /// Whether it is computed, or an identity that only the database gives.
    pub generated: bool,
}

/// The kinds of types that are carried differently.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// `int2`, `int4`, `int8`.
    Integer,
    /// `float4`, `float8`.
    Float,
    /// `numeric`.
    Numeric,
    /// `bool`.
    Boolean,
    /// `date`.
    Date,
    /// `timestamp`, `timestamptz`.
    Timestamp,
    /// `json`, `jsonb`.
    Json,
    /// An array, with its element type as SQL.
    Array(String),
    /// `uuid`.
    Uuid,
    /// Texts, enums and everything else that has a text form.
    Text,
}

/// A name, quoted for SQL.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text, quoted for SQL, whatever `standard_conforming_strings` says.
pub(super) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    match quoted.contains('\\') {
        true => format!(" E'{}'", quoted.replace('\\', "\\\\")),
        false => format!("'{quoted}'"),
    }
}
