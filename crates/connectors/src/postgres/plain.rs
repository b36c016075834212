//! Rows read straight from their columns. The server builds an image about eight times slower than it sends the
//! columns, so images are for the log alone. Both ways show the same values.

use super::image::unfold;
use super::table::{Kind, Table, quote};
use avowal_core::data::value::{Value, ValueError};
use avowal_engine::ports::connector::{Fields, RemoteState};
use std::collections::BTreeMap;
use tokio_postgres::Row;

/// The mapped columns of a row as texts, each after a comma; `row` is an alias.
pub(super) fn columns_sql(table: &Table, row: &str) -> String {
    let column = |name: &str, kind: &Kind| format!(", {}", text_sql(kind, &format!("{row}.{}", quote(name))));
    table.columns.iter().map(|mapped| column(&mapped.name, &mapped.kind)).collect()
}

/// The row of a statement whose last columns are those of [`columns_sql`].
pub(super) fn shown(table: &Table, row: &Row) -> RemoteState {
    let first = row.len() - table.columns.len();
    let mut fields = Fields::new();
    for (place, column) in table.columns.iter().enumerate() {
        let value = match row.try_get::<_, Option<&str>>(first + place) {
            Ok(None) => Ok(Value::Null),
            Ok(Some(text)) => value(&column.kind, text).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match value {
            Ok(value) => fields.insert(column.remote.clone(), value),
            Err(error) => {
                let reason = format!("the row cannot be read: column {:?}: {error}", column.name);
                let payload = Value::Object(fields).to_string();
                return RemoteState::Unreadable { reason, payload };
            }
        };
    }
    unfold(table, &mut fields);
    RemoteState::Present(fields)
}

/// The JSON columns of such a row as the database spells them.
pub(super) fn json_texts(table: &Table, row: &Row) -> BTreeMap<String, String> {
    let first = row.len() - table.columns.len();
    let json = table.columns.iter().enumerate().filter(|(_, column)| column.kind == Kind::Json);
    let texts = json.filter_map(|(place, column)| {
        let text: Option<&str> = row.try_get(first + place).ok()?;
        Some((column.remote.clone(), text?.to_owned()))
    });
    texts.collect()
}

/// One value as text: what its image holds, without the quotation marks.
fn text_sql(kind: &Kind, value: &str) -> String {
    match kind {
        // As in the image, which spells times by ISO 8601.
        Kind::Date | Kind::Timestamp => format!("to_jsonb({value}) #>> '{{}}'"),
        Kind::Float => format!(
            "(CASE WHEN abs({value}) < 9e15 THEN to_jsonb({value}) ELSE to_jsonb({value}::text) END)::text"
        ),
        Kind::Inet => format!("abbrev({value})"),
        Kind::Array(element) if element == "numeric" => format!("to_jsonb({value}::text[])::text"),
        Kind::Array(_) => format!("to_jsonb({value})::text"),
        Kind::Integer | Kind::Boolean | Kind::Numeric | Kind::Json | Kind::Uuid | Kind::Text => {
            format!("{value}::text")
        }
    }
}

fn value(kind: &Kind, text: &str) -> Result<Value, ValueError> {
    match kind {
        Kind::Integer | Kind::Boolean | Kind::Float => Value::parse(text.as_bytes()),
        Kind::Date
        | Kind::Timestamp
        | Kind::Array(_)
        | Kind::Numeric
        | Kind::Json
        | Kind::Uuid
        | Kind::Inet
        | Kind::Text => Ok(Value::text(text)),
    }
}
