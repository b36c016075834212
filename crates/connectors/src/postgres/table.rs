//! A mapped table as the catalogue described it, and how names and texts are quoted.

/// A mapped table as it stood when it was looked up.
#[derive(Debug)]
pub(super) struct Table {
    /// Its identity in this database.
    pub oid: u32,
    /// Its schema.
    pub schema: String,
    /// Its name within the schema.
    pub name: String,
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
    /// Itself, its partitions and its inheritance children, at every depth, in the order of their oids.
    pub members: Vec<Member>,
    /// Sequences that give values to its columns.
    pub sequences: Vec<ColumnSequence>,
    /// Whether our role owns it and all its members, so that it may say when triggers fire.
    pub owned: bool,
    /// Whether our log is there at all.
    pub logged: bool,
    /// Whether some publication publishes every table there is, ours too.
    pub all_published: bool,
    /// Which database of which cluster this is.
    pub database: String,
    /// The schema that holds what is ours.
    pub ours: String,
}

/// A table that holds rows of the mapped table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Member {
    /// Its identity in this database.
    pub oid: u32,
    /// Schema and name, quoted for SQL.
    pub sql: String,
    /// `r`, `p`, or `f` for one in another server, which takes no triggers of ours.
    pub kind: char,
}

impl Member {
    /// Whether our triggers can sit on it.
    pub fn takes_triggers(&self) -> bool {
        matches!(self.kind, 'r' | 'p')
    }
}

/// A sequence behind a serial or identity column.
#[derive(Clone, Debug)]
pub(super) struct ColumnSequence {
    /// The column's name in the catalogue.
    pub column: String,
    /// Schema and name, quoted for SQL.
    pub sql: String,
}

impl Table {
    /// The test that two expressions are the same id. The operator is named with its schema, for ours may not be on the
    /// search path; where equal values can be spelled differently, the spelling counts too.
    pub fn same_id(&self, left: &str, right: &str) -> String {
        let equal = self.id.equal(left, right);
        match self.id.kind {
            Kind::Integer | Kind::Uuid => equal,
            Kind::Float
            | Kind::Numeric
            | Kind::Boolean
            | Kind::Date
            | Kind::Timestamp
            | Kind::Json
            | Kind::Array(_)
            | Kind::Inet
            | Kind::Text => {
                format!("({equal} AND ({left}::text COLLATE \"C\") = ({right}::text COLLATE \"C\"))")
            }
        }
    }

    /// The id column of the row that an alias stands for.
    pub fn id_of(&self, row: &str) -> String {
        format!("{row}.{}", quote(&self.id.name))
    }

    /// The oids of the members.
    pub fn member_oids(&self) -> Vec<u32> {
        self.members.iter().map(|member| member.oid).collect()
    }
}

/// A column as it stands.
#[derive(Clone, Debug)]
pub(super) struct TableColumn {
    /// What the mapping calls it.
    pub remote: String,
    /// Its name in the catalogue.
    pub name: String,
    /// Its number in the table: another column of the same name has another.
    pub number: i16,
    /// The oid of its type.
    pub type_oid: u32,
    /// The schema of its type's operators.
    pub operators: String,
    /// Its type without length or scale, as SQL: an explicit cast to `varchar(3)` would cut silently.
    pub type_sql: String,
    /// What kind of type that is.
    pub kind: Kind,
    /// Whether it is computed, or an identity that only the database gives.
    pub generated: bool,
    /// Whether a new row that does not name it gets something else than null there.
    pub fills: bool,
}

impl TableColumn {
    /// The test that two expressions of the column's type are equal.
    pub fn equal(&self, left: &str, right: &str) -> String {
        format!("{left} {} {right}", self.operator("="))
    }

    /// An operator of the column's type, which may stand in a schema that is not on the search path.
    pub fn operator(&self, name: &str) -> String {
        format!("OPERATOR({}.{name})", quote(&self.operators))
    }
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
    /// `inet`, whose cast to text adds a mask that its output does not have.
    Inet,
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
