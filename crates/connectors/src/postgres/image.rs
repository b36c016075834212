//! Row images: one expression a column, used by triggers, listings and reads alike, and its inverse.

use super::table::{Kind, Table, literal, quote};
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_core::record::observation::OrderToken;
use avowal_engine::ports::connector::{Change, Fields, RemoteState};

/// The most characters of an unreadable row that are kept for the quarantine.
const PAYLOAD_CHARS_MAX: usize = 2_000;

/// A function takes at most 100 arguments.
const PAIRS_MAX: usize = 40;

/// The id of a row as text; `row` is an alias.
pub(super) fn id_sql(table: &Table, row: &str) -> String {
    match table.id.kind {
        Kind::Inet => format!("abbrev({})", table.id_of(row)),
        Kind::Integer
        | Kind::Float
        | Kind::Numeric
        | Kind::Boolean
        | Kind::Date
        | Kind::Timestamp
        | Kind::Json
        | Kind::Array(_)
        | Kind::Uuid
        | Kind::Text => format!("{}::text", table.id_of(row)),
    }
}

/// The mapped columns of a row as the text of a JSON object.
pub(super) fn image_sql(table: &Table, row: &str) -> String {
    let pairs: Vec<_> = table
        .columns
        .iter()
        .map(|column| {
            let value = format!("{row}.{}", quote(&column.name));
            format!("{}::text, {}", literal(&column.remote), value_sql(&column.kind, &value))
        })
        .collect();
    let objects = |function: &str| {
        let object = |pairs: &[String]| format!("{function}({})", pairs.join(", "));
        pairs.chunks(PAIRS_MAX).map(object).collect::<Vec<_>>().join(" || ")
    };
    match pairs.len() {
        0 => "'{}'::text".to_owned(),
        // Written as it goes, which takes the application's statements half the time of building and printing a tree.
        1..=PAIRS_MAX => format!("{}::text", objects("json_build_object")),
        _ => format!("({})::text", objects("jsonb_build_object")),
    }
}

/// Whether two rows differ in a mapped column; texts by their bytes, whatever their collation.
pub(super) fn differs_sql(table: &Table, old: &str, new: &str) -> String {
    let tests: Vec<_> = table
        .columns
        .iter()
        .map(|column| {
            let name = quote(&column.name);
            match column.kind {
                Kind::Integer
                | Kind::Float
                | Kind::Numeric
                | Kind::Boolean
                | Kind::Date
                | Kind::Timestamp
                | Kind::Uuid => format!("{old}.{name} IS DISTINCT FROM {new}.{name}"),
                // `json` and others have no equality of their own.
                Kind::Json | Kind::Array(_) | Kind::Inet | Kind::Text => {
                    let bytes = |row| format!("({row}.{name}::text COLLATE \"C\")");
                    format!("{} IS DISTINCT FROM {}", bytes(old), bytes(new))
                }
            }
        })
        .collect();
    if tests.is_empty() { "false".to_owned() } else { tests.join(" OR ") }
}

/// One value as JSON or text. What JSON numbers cannot carry exactly is text; JSON columns are text inside the image,
/// so that a number in one of them cannot make the whole row unreadable.
fn value_sql(kind: &Kind, value: &str) -> String {
    match kind {
        Kind::Integer | Kind::Boolean | Kind::Date | Kind::Timestamp => format!("to_jsonb({value})"),
        Kind::Float => {
            format!("CASE WHEN abs({value}) < 9e15 THEN to_jsonb({value}) ELSE to_jsonb({value}::text) END")
        }
        Kind::Array(element) if element == "numeric" => {
            format!("to_jsonb(to_jsonb({value}::text[])::text)")
        }
        Kind::Array(_) => format!("to_jsonb(to_jsonb({value})::text)"),
        // The cast to text would add a mask that the application never sees.
        Kind::Inet => format!("abbrev({value})"),
        Kind::Numeric | Kind::Json | Kind::Uuid | Kind::Text => format!("{value}::text"),
    }
}

/// Reads an image back.
pub(super) fn shown(table: &Table, image: &str) -> RemoteState {
    let reason = match Value::parse(image.as_bytes()) {
        Ok(Value::Object(mut fields)) => {
            unfold(table, &mut fields);
            return RemoteState::Present(fields);
        }
        Ok(_) => "the row's image is not an object".to_owned(),
        Err(error) => format!("the row cannot be read: {error}"),
    };
    RemoteState::Unreadable { reason, payload: image.chars().take(PAYLOAD_CHARS_MAX).collect() }
}

/// JSON columns become JSON again; one that cannot be carried exactly stays text, and its field says so.
pub(super) fn unfold(table: &Table, fields: &mut Fields) {
    for column in &table.columns {
        let is_json = matches!(column.kind, Kind::Json | Kind::Array(_));
        if let (true, Some(value)) = (is_json, fields.get_mut(&column.remote))
            && let Some(json) = value.as_text().and_then(|text| Value::parse(text.as_bytes()).ok())
        {
            *value = json;
        }
    }
}

/// A fact about one row.
pub(super) fn change(id: RemoteId, shown: RemoteState, order: Option<i64>) -> Change {
    let order = order.map(|id| OrderToken::Sequence(id.unsigned_abs()));
    Change { order, ..Change::bare(id, shown) }
}

/// The fields of a row, empty where it cannot be read: then no expectation of ours holds.
pub(super) fn into_fields(shown: RemoteState) -> Fields {
    match shown {
        RemoteState::Present(fields) => fields,
        RemoteState::Gone
        | RemoteState::Unknown
        | RemoteState::Unreadable { .. }
        | RemoteState::Unread { .. } => Fields::new(),
    }
}
