//! The values of a row: from what SQLite stores to raw values, and back.

use super::catalogue::{Affinity, Table, TableColumn};
use super::names::quote;
use super::time_spelling::TimeSpelling;
use super::truth_spelling::{self, TruthSpelling};
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_core::policy::schema::FieldType;
use avowal_core::record::observation::OrderToken;
use avowal_engine::ports::connector::{Change, Fields, RemoteState};
use rusqlite::Row;
use rusqlite::types::{Value as Sql, ValueRef};

/// The most characters of an unreadable row that are kept for the quarantine.
const PAYLOAD_CHARS_MAX: usize = 2_000;

/// The most significant digits that every double carries exactly.
const EXACT_DIGITS_MAX: usize = 15;

/// From where on a double is told as text, because JSON does not carry every integer there.
const DOUBLE_AS_NUMBER_MAX: f64 = 9e15;

/// The id and the mapped columns of row `t`, for a `SELECT`.
pub(super) fn columns_sql(table: &Table) -> String {
    let columns = table.columns.iter().map(|column| format!(", t.{}", quote(&column.name)));
    format!("t.{}{}", quote(&table.id.name), columns.collect::<String>())
}

/// The mapped columns, which begin at `first` in a result.
pub(super) fn state(table: &Table, row: &Row<'_>, first: usize) -> rusqlite::Result<RemoteState> {
    let (mut fields, mut problem) = (Fields::new(), None);
    for (at, column) in table.columns.iter().enumerate() {
        let stored = row.get_ref(first + at)?;
        let value = raw(column, stored).unwrap_or_else(|text| {
            problem = Some(format!(
                "the row cannot be read: column {:?} holds text that is not UTF-8",
                column.name
            ));
            Value::text(text)
        });
        fields.insert(column.remote.clone(), value);
    }
    Ok(match problem {
        None => RemoteState::Present(fields),
        Some(reason) => {
            let payload = Value::Object(fields).to_string().chars().take(PAYLOAD_CHARS_MAX).collect();
            RemoteState::Unreadable { reason, payload }
        }
    })
}

/// A stored value as a raw value; the readable part of a text that is not UTF-8.
fn raw(column: &TableColumn, stored: ValueRef<'_>) -> Result<Value, String> {
    let value = match stored {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(int) => Value::Int(int),
        ValueRef::Real(real) => double(real),
        ValueRef::Text(text) => match str::from_utf8(text) {
            Ok(text) => Value::text(text),
            Err(_) => return Err(String::from_utf8_lossy(text).into_owned()),
        },
        ValueRef::Blob(bytes) => Value::text(hexadecimal(bytes)),
    };
    Ok(match (&column.field_type, stored) {
        (Some(FieldType::Timestamp), _) => TimeSpelling::read_number(stored).unwrap_or(value),
        (Some(FieldType::Boolean), _) => truth_spelling::read(stored).unwrap_or(value),
        _ => value,
    })
}

/// A double. Those beyond 2^53 and the infinities are texts, because JSON has no exact form of them.
fn double(real: f64) -> Value {
    if real.is_infinite() {
        return Value::text(if real > 0.0 { "Infinity" } else { "-Infinity" });
    }
    match Value::from_f64(real) {
        Ok(value) if real.abs() < DOUBLE_AS_NUMBER_MAX => value,
        Ok(_) | Err(_) => Value::text(format!("{real:e}")),
    }
}

/// An id as text; `None` for a row that has none.
pub(super) fn id_text(stored: ValueRef<'_>) -> Option<RemoteId> {
    let text = match stored {
        ValueRef::Null => return None,
        ValueRef::Integer(int) => int.to_string(),
        ValueRef::Real(real) => format!("{real:?}"),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => hexadecimal(bytes),
    };
    Some(RemoteId::from(text))
}

/// The id at `at` of a result as it is stored. A text that is not UTF-8 finds nothing.
pub(super) fn stored_id(row: &Row<'_>, at: usize) -> rusqlite::Result<Sql> {
    Ok(match row.get_ref(at)? {
        ValueRef::Text(text) => Sql::Text(String::from_utf8_lossy(text).into_owned()),
        other => other.try_into()?,
    })
}

/// What may be stored for an id, in the order in which it is looked for: always three values, some of them the same.
pub(super) fn id_values(id: &str) -> [Sql; 3] {
    let text = Sql::Text(id.to_owned());
    let int = id.parse::<i64>().ok().filter(|int| int.to_string() == id).map(Sql::Integer);
    let real = id.parse::<f64>().ok().filter(|real| format!("{real:?}") == id).map(Sql::Real);
    let other = int.or(real).unwrap_or_else(|| text.clone());
    let blob = unhex(id).map_or_else(|| text.clone(), Sql::Blob);
    [other, text, blob]
}

/// A fact about one row.
pub(super) fn change(id: RemoteId, shown: RemoteState, order: Option<u64>) -> Change {
    Change { order: order.map(OrderToken::Sequence), ..Change::bare(id, shown) }
}

/// The fields of a row, empty where it cannot be read: then no expectation of ours holds.
pub(super) fn fields(shown: &RemoteState) -> Fields {
    match shown {
        RemoteState::Present(fields) => fields.clone(),
        RemoteState::Gone
        | RemoteState::Unknown
        | RemoteState::Unreadable { .. }
        | RemoteState::Unread { .. } => Fields::new(),
    }
}

/// A value as it is stored in a column, spelled as in `example`, or why the column cannot hold it.
pub(super) fn stored(column: &TableColumn, value: &Value, example: Option<&Sql>) -> Result<Sql, String> {
    match value {
        Value::Null => Ok(Sql::Null),
        Value::Bool(bool) => Ok(TruthSpelling::of(example).write(*bool)),
        Value::Int(int) => match column.affinity {
            Affinity::Real => exact_number(column, &int.to_string()).map(|()| Sql::Integer(*int)),
            Affinity::Integer | Affinity::Text | Affinity::Blob | Affinity::Numeric => Ok(Sql::Integer(*int)),
        },
        Value::Float(float) => Ok(Sql::Real(float.get())),
        Value::Text(text) => {
            if column.field_type == Some(FieldType::Timestamp)
                && let Some(spelled) =
                    TimeSpelling::of(column, example).and_then(|spelling| spelling.write(text))
            {
                return Ok(spelled);
            }
            stored_text(column, text)
        }
        Value::List(_) | Value::Object(_) => Ok(Sql::Text(value.to_string())),
    }
}

fn stored_text(column: &TableColumn, text: &str) -> Result<Sql, String> {
    let plain = Sql::Text(text.to_owned());
    match (column.affinity, &column.field_type) {
        (Affinity::Text, _) => Ok(plain),
        (Affinity::Blob, _) => Ok(unhex(text).map_or(plain, Sql::Blob)),
        (
            Affinity::Integer | Affinity::Real | Affinity::Numeric,
            Some(FieldType::Integer | FieldType::Decimal),
        ) => exact_number(column, text).map(|()| plain),
        (Affinity::Integer | Affinity::Real | Affinity::Numeric, _) => {
            exact_text(column, text).map(|()| plain)
        }
    }
}

/// Refuses a number that SQLite would silently turn into a double with fewer digits.
fn exact_number(column: &TableColumn, text: &str) -> Result<(), String> {
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

/// Refuses a text that SQLite would silently turn into a number that is told in another way.
fn exact_text(column: &TableColumn, text: &str) -> Result<(), String> {
    // As SQLite reads numbers: spaces around them are allowed; `inf`, `nan` and hexadecimals are texts.
    let trimmed = text.trim_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    let is_plain = trimmed.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let Some(number) = trimmed.parse::<f64>().ok().filter(|_| is_plain) else { return Ok(()) };
    let kept = match text.parse::<i64>() {
        Ok(int) if column.affinity != Affinity::Real => int.to_string(),
        Ok(_) | Err(_) => match double(number) {
            Value::Text(text) => text.to_string(),
            value => value.to_string(),
        },
    };
    if kept == text {
        return Ok(());
    }
    Err(format!(
        "column {:?} of type {} is numeric to SQLite: it would turn {text:?} into {kept}; declare it TEXT",
        column.name,
        if column.declared.is_empty() { "NUMERIC" } else { &column.declared }
    ))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    format!("\\x{}", digits.collect::<String>())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?;
    if digits.len() % 2 != 0 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}
