//! Values and ids as they go to the server: one JSON document carries many rows.

use super::digits::spelled;
use super::table::{Kind, Table, TableColumn, literal};
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_engine::ports::connector::Fields;

/// The fields as a document for their columns.
pub(super) fn document(table: &Table, fields: &Fields) -> Value {
    Value::Object(
        fields
            .iter()
            .filter_map(|(name, value)| {
                let column = searchable(table, name)?;
                Some((name.clone(), into_document(column, value)))
            })
            .collect(),
    )
}

/// JSON as it is sent: integers exact, unlike the canonical form.
pub(super) fn json(value: &Value) -> String {
    value.to_json()
}

/// The column of this name, the id included.
pub(super) fn searchable<'a>(table: &'a Table, name: &str) -> Option<&'a TableColumn> {
    table.columns.iter().chain([&table.id]).find(|column| column.remote == name)
}

/// The test that a row `t` has one of the ids of `$1`, an array of texts.
pub(super) fn ids_sql(table: &Table) -> String {
    table.id.equal(&table.id_of("t"), &format!("ANY ($1::text[]::{}[])", table.id.type_sql))
}

/// Takes the column's value out of `doc`, a jsonb expression made by [`document`].
pub(super) fn from_document_sql(column: &TableColumn, doc: &str) -> String {
    let key = literal(&column.remote);
    let target = &column.type_sql;
    match &column.kind {
        Kind::Json => format!("nullif(({doc} ->> {key})::jsonb, 'null'::jsonb)::{target}"),
        Kind::Integer
        | Kind::Float
        | Kind::Numeric
        | Kind::Boolean
        | Kind::Date
        | Kind::Timestamp
        | Kind::Array(_)
        | Kind::Uuid
        | Kind::Inet
        | Kind::Text => format!("({doc} ->> {key})::{target}"),
    }
}

/// A value as it goes into a document for its column.
pub(super) fn into_document(column: &TableColumn, value: &Value) -> Value {
    match (&column.kind, value) {
        (Kind::Integer, Value::Bool(bool)) => Value::Int(i64::from(*bool)),
        // Canonical text, so that equal values are equal bytes.
        (Kind::Text, Value::List(_) | Value::Object(_)) => Value::text(value.to_string()),
        // As text, which the database reads itself, so that every digit arrives.
        (Kind::Json, value) if !value.is_null() => Value::text(spelled(value, None)),
        (Kind::Array(_), Value::List(items)) => Value::text(array_literal(items)),
        (
            Kind::Integer
            | Kind::Float
            | Kind::Numeric
            | Kind::Boolean
            | Kind::Date
            | Kind::Timestamp
            | Kind::Json
            | Kind::Array(_)
            | Kind::Uuid
            | Kind::Inet
            | Kind::Text,
            _,
        ) => value.clone(),
    }
}

/// Whether a text can be an id of the table at all: another would fail the whole statement.
pub(super) fn can_be_id(table: &Table, id: &RemoteId) -> bool {
    let text = id.as_str();
    match table.id.kind {
        Kind::Integer => text.parse::<i64>().is_ok_and(|int| int.to_string() == text && fits(table, int)),
        Kind::Uuid => {
            text.len() == 36
                && text.bytes().enumerate().all(|(at, byte)| match at {
                    8 | 13 | 18 | 23 => byte == b'-',
                    _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
                })
        }
        Kind::Text => !text.contains('\0'),
        Kind::Inet => text.parse::<std::net::IpAddr>().is_ok(),
        Kind::Float
        | Kind::Numeric
        | Kind::Boolean
        | Kind::Date
        | Kind::Timestamp
        | Kind::Json
        | Kind::Array(_) => {
            // Rare as ids; the characters that such values can have.
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || b"-+:. TZe".contains(&byte))
        }
    }
}

fn fits(table: &Table, int: i64) -> bool {
    match table.id.type_sql.as_str() {
        "smallint" => i16::try_from(int).is_ok(),
        "integer" => i32::try_from(int).is_ok(),
        _ => true,
    }
}

/// A list as the server spells an array, however deep it nests.
fn array_literal(items: &[Value]) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let spelled: Vec<_> = items
        .iter()
        .map(|item| match item {
            Value::Null => "NULL".to_owned(),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => json(item),
            Value::Text(text) => quoted(text),
            Value::List(items) => array_literal(items),
            Value::Object(_) => quoted(&item.to_string()),
        })
        .collect();
    format!("{{{}}}", spelled.join(","))
}

/// Whether a text within a value holds the one character that no text of Postgres can hold.
pub(super) fn holds_nul(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => false,
        Value::Text(text) => text.contains('\0'),
        Value::List(items) => items.iter().any(holds_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
    }
}
