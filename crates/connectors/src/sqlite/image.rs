//! Row images: one expression a column, used by triggers, listings and reads alike, and its inverse.
//!
//! The expression is built from `printf`, `hex` and `json_quote` rather than `json_object`, because it runs
//! inside the application's own statements, on the application's SQLite: it must never raise an error there,
//! and `json_object` does on a BLOB.

use super::catalogue::{Affinity, Table, TableColumn, literal, quote};
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_engine::ports::connector::{Change, Fields, RemoteState};
use rusqlite::types::Value as Sql;

/// The most characters of an unreadable row that are kept for the quarantine.
const PAYLOAD_CHARS_MAX: usize = 2_000;

/// The most significant digits that every double carries exactly.
const EXACT_DIGITS_MAX: usize = 15;

/// The id of a row as text; `row` is an alias, `new` or `old`.
pub(super) fn id_sql(table: &Table, row: &str) -> String {
    let id = format!("{row}.{}", quote(&table.id.name));
    format!("CASE typeof({id}) WHEN 'blob' THEN '\\x' || lower(hex({id})) ELSE CAST({id} AS TEXT) END")
}

/// The mapped columns of a row as the text of a JSON object.
pub(super) fn image_sql(table: &Table, row: &str) -> String {
    let parts: Vec<_> = table
        .columns
        .iter()
        .map(|column| {
            let key = Value::text(&column.remote).to_string();
            let value = format!("{row}.{}", quote(&column.name));
            format!("{} || {}", literal(&format!("{key}:")), value_sql(&value))
        })
        .collect();
    match parts.is_empty() {
        true => "'{}'".to_owned(),
        false => format!("'{{' || {} || '}}'", parts.join(" || ',' || ")),
    }
}

/// One value as JSON text. Integers stay exact; doubles carry 17 digits, and those beyond 2^53 are texts, as are
/// infinities and BLOBs (`\x…`).
fn value_sql(value: &str) -> String {
    format!(
        "CASE typeof({value}) WHEN 'null' THEN 'null' WHEN 'integer' THEN CAST({value} AS TEXT) \
         WHEN 'real' THEN CASE WHEN abs({value}) < 9e15 THEN printf('%!.17g', {value}) \
         WHEN {value} > 1.7976931348623157e308 THEN '\"Infinity\"' \
         WHEN {value} < -1.7976931348623157e308 THEN '\"-Infinity\"' \
         ELSE '\"' || printf('%!.17g', {value}) || '\"' END \
         WHEN 'blob' THEN '\"\\\\x' || lower(hex({value})) || '\"' ELSE json_quote({value}) END"
    )
}

/// Reads an image back.
pub(super) fn shown(image: &[u8]) -> RemoteState {
    let reason = match Value::parse(image) {
        Ok(Value::Object(fields)) => return RemoteState::Present(fields),
        Ok(_) => "the row's image is not an object".to_owned(),
        Err(error) => format!("the row cannot be read: {error}"),
    };
    let payload = String::from_utf8_lossy(image).chars().take(PAYLOAD_CHARS_MAX).collect();
    RemoteState::Unreadable { reason, payload }
}

/// A fact about one row.
pub(super) fn change(id: RemoteId, shown: RemoteState, order: Option<u64>) -> Change {
    use avowal_core::record::observation::OrderToken;
    Change { order: order.map(OrderToken::Sequence), ..Change::bare(id, shown) }
}

/// The fields of a row, empty where it cannot be read: then no expectation of ours holds.
pub(super) fn fields(shown: &RemoteState) -> Fields {
    match shown {
        RemoteState::Present(fields) => fields.clone(),
        RemoteState::Gone | RemoteState::Unknown | RemoteState::Unreadable { .. } => Fields::new(),
    }
}

/// An id as it is compared with the id column.
pub(super) fn id_param(column: &TableColumn, id: &str) -> Sql {
    match column.affinity {
        Affinity::Blob => unhex(id)
            .map(Sql::Blob)
            .or_else(|| id.parse().ok().map(Sql::Integer))
            .unwrap_or_else(|| Sql::Text(id.to_owned())),
        // SQLite applies the column's affinity to the text.
        Affinity::Integer | Affinity::Text | Affinity::Real | Affinity::Numeric => Sql::Text(id.to_owned()),
    }
}

/// A value as it is stored in a column, or why the column cannot hold it exactly.
pub(super) fn value_param(column: &TableColumn, value: &Value) -> Result<Sql, String> {
    match value {
        Value::Null => Ok(Sql::Null),
        Value::Bool(bool) => Ok(Sql::Integer(i64::from(*bool))),
        Value::Int(int) => match column.affinity {
            Affinity::Real => exact_text(column, &int.to_string()).map(|()| Sql::Integer(*int)),
            Affinity::Integer | Affinity::Text | Affinity::Blob | Affinity::Numeric => Ok(Sql::Integer(*int)),
        },
        Value::Float(float) => Ok(Sql::Real(float.get())),
        Value::Text(text) => match column.affinity {
            Affinity::Text => Ok(Sql::Text(text.to_string())),
            Affinity::Blob => Ok(unhex(text).map_or_else(|| Sql::Text(text.to_string()), Sql::Blob)),
            Affinity::Integer | Affinity::Real | Affinity::Numeric => {
                exact_text(column, text).map(|()| Sql::Text(text.to_string()))
            }
        },
        Value::List(_) | Value::Object(_) => Ok(Sql::Text(value.to_string())),
    }
}

/// Refuses a number that SQLite would silently turn into a double with fewer digits.
fn exact_text(column: &TableColumn, text: &str) -> Result<(), String> {
    let is_number = text.parse::<f64>().is_ok();
    let exact_integer = column.affinity != Affinity::Real && text.parse::<i64>().is_ok();
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if !is_number || exact_integer || digits.trim_start_matches('0').len() <= EXACT_DIGITS_MAX {
        return Ok(());
    }
    Err(format!(
        "column {:?} of type {} would lose digits of {text}; declare it TEXT",
        column.name, column.declared
    ))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?;
    if digits.len() % 2 != 0 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}
