//! What we write is spelled as the application spells it, by the declared type of the column, or it is refused.

use super::{File, entity, set};
use avowal_core::data::ids::EntityName;
use avowal_core::data::value::Value;
use avowal_core::policy::schema::FieldType;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{
    Binding, Column, Connector as _, RemoteState, Severity, Write, WriteOutcome,
};
use rusqlite::types::Value as Sql;

/// A table `people` whose column `v` is declared like this and mapped as this type.
async fn table(declared: &str, field_type: FieldType) -> File {
    let schema = format!("CREATE TABLE people (id INTEGER PRIMARY KEY, v {declared})");
    let columns = vec![Column { name: "v".to_owned(), field_type, writable: true }];
    let binding = Binding {
        entity: EntityName::new(super::ENTITY),
        object: "people".to_owned(),
        id: "id".to_owned(),
        columns,
    };
    File::with(&schema, binding).await
}

fn stored(file: &File, id: i64) -> Sql {
    let person = file.person.lock().unwrap();
    person.query_row("SELECT v FROM people WHERE id = ?1", [id], |row| row.get(0)).unwrap()
}

async fn shown(file: &File, id: &str) -> Value {
    let read = file.connector.read(&entity(), &[id.into()]).await.unwrap().remove(0);
    match read.shown {
        RemoteState::Present(fields) => fields["v"].clone(),
        other => panic!("{other:?}"),
    }
}

fn create(key: &str, value: Value) -> Write {
    Write { operation: Operation::Create, id: None, ..set(key, "", "v", value) }
}

fn text(text: &str) -> Sql {
    Sql::Text(text.to_owned())
}

/// The column holds `stands` in row 1. Then `value` is written to that row and to a new one, and both hold `wanted`; what is
/// shown of it means what was written.
async fn check(declared: &str, field_type: FieldType, stands: Sql, value: Value, wanted: Sql) {
    let file = table(declared, field_type.clone()).await;
    file.person.lock().unwrap().execute("INSERT INTO people (id, v) VALUES (1, ?1)", [stands]).unwrap();
    for write in [set("k1", "1", "v", value.clone()), create("k2", value.clone())] {
        let outcome = file.write(write).await;
        let WriteOutcome::Confirmed { id, .. } = outcome else { panic!("{declared}: {outcome:?}") };
        assert_eq!(stored(&file, id.as_str().parse().unwrap()), wanted, "{declared}");
        let meant = field_type.accept(&shown(&file, id.as_str()).await, true);
        assert_eq!(meant, field_type.accept(&value, true), "{declared}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_spelled_as_the_column_spells_them() {
    let at = || Value::text("2026-01-05T11:00:00Z");
    for (declared, stands, wanted) in [
        ("TIMESTAMP", text("2026-01-05 10:00:00"), text("2026-01-05 11:00:00")),
        ("TEXT", text("2026-01-05 10:00:00.000"), text("2026-01-05 11:00:00.000")),
        ("DATETIME", text("2026-01-05T10:00:00+01:00"), text("2026-01-05T12:00:00+01:00")),
        ("TEXT", text("2026-01-05T10:00:00Z"), text("2026-01-05T11:00:00Z")),
        ("INTEGER", Sql::Integer(1_767_607_200), Sql::Integer(1_767_610_800)),
        ("INTEGER", Sql::Integer(1_767_607_200_000), Sql::Integer(1_767_610_800_000)),
        ("TEXT", text("1767607200"), text("1767610800")),
        ("REAL", Sql::Real(1_767_607_200.0), Sql::Real(1_767_610_800.0)),
        ("REAL", Sql::Real(2_461_045.5), Sql::Real(2_461_045.958_333_333_5)),
        ("", text("2026-01-05 10:00"), text("2026-01-05 11:00")),
    ] {
        check(declared, FieldType::Timestamp, stands, at(), wanted).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_column_is_spelled_by_its_default_or_type() {
    for (declared, wanted) in [
        ("TIMESTAMP DEFAULT CURRENT_TIMESTAMP", text("2026-01-05 11:00:00")),
        ("INTEGER DEFAULT (strftime('%s', 'now'))", Sql::Integer(1_767_610_800)),
        ("INTEGER", Sql::Integer(1_767_610_800)),
        ("TEXT", text("2026-01-05T11:00:00Z")),
        ("TIMESTAMP", text("2026-01-05T11:00:00Z")),
    ] {
        let file = table(declared, FieldType::Timestamp).await;
        file.write(create("k1", "2026-01-05T11:00:00Z".into())).await;
        assert_eq!(stored(&file, 1), wanted, "{declared}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn truths_are_spelled_as_the_column_spells_them() {
    for (declared, stands, wanted) in [
        ("TEXT", text("TRUE"), text("FALSE")),
        ("TEXT", text("t"), text("f")),
        ("CHAR(1)", text("Y"), text("N")),
        ("BOOLEAN", text("true"), text("false")),
        ("BOOLEAN", Sql::Integer(1), Sql::Integer(0)),
        ("INTEGER", Sql::Integer(1), Sql::Integer(0)),
        ("REAL", Sql::Real(1.0), Sql::Real(0.0)),
        ("TEXT", text("1"), text("0")),
    ] {
        check(declared, FieldType::Boolean, stands, Value::Bool(false), wanted).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_arrives_unchanged_or_not_at_all() {
    let texts = ["123e4567", "0049123", "+49", " 7 ", "1.50", "1e3", "-0", "00", ".5", "9007199254740993.0"];
    let harmless = ["12", "-7", "0x10", "inf", "1-2", "4 5", "", "Zoë", "a\0b", "null", "2026-01-05"];
    for declared in
        ["UUID", "INTEGER", "NUMERIC", "PHONE", "REAL", "STRING", "TEXT", "VARCHAR(20)", "BLOB", ""]
    {
        let file = table(declared, FieldType::String).await;
        let is_numeric = ["UUID", "INTEGER", "NUMERIC", "PHONE", "REAL", "STRING"].contains(&declared);
        let findings = file.connector.check().await.unwrap();
        let warns = findings.iter().any(|found| {
            found.severity == Severity::Problem
                && found.problem.contains("numeric")
                && found.place.contains("column v")
        });
        assert_eq!(warns, is_numeric, "{declared}: {findings:?}");
        for (n, value) in texts.into_iter().chain(harmless).enumerate() {
            match file.write(create(&format!("k{n}"), value.into())).await {
                WriteOutcome::Confirmed { id, .. } => {
                    let meant = FieldType::String.accept(&shown(&file, id.as_str()).await, true);
                    assert_eq!(meant, Ok(value.into()), "{declared}");
                }
                WriteOutcome::Rejected { reason } => {
                    assert!(is_numeric && texts.contains(&value), "{declared} {value:?}: {reason}");
                    assert!(reason.contains("TEXT") && reason.contains("\"v\""), "{reason}");
                }
                other => panic!("{declared} {value:?}: {other:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_stands_in_where_null_is_refused() {
    let file = table("TEXT NOT NULL DEFAULT 'x'", FieldType::String).await;
    let outcome = file.write(create("k1", Value::Null)).await;
    assert!(matches!(outcome, WriteOutcome::Confirmed { .. }), "{outcome:?}");
    assert_eq!(stored(&file, 1), text("x"));
    let file = table("TEXT DEFAULT 'x'", FieldType::String).await;
    file.write(create("k1", Value::Null)).await;
    assert_eq!(stored(&file, 1), Sql::Null, "a null that we were told to write stays null");
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_of_a_column_without_a_type_are_found_as_they_are() {
    let schema = "CREATE TABLE people (id PRIMARY KEY, v TEXT)";
    let columns = vec![Column { name: "v".to_owned(), field_type: FieldType::String, writable: true }];
    let binding = Binding {
        entity: EntityName::new(super::ENTITY),
        object: "people".to_owned(),
        id: "id".to_owned(),
        columns,
    };
    let file = File::with(schema, binding).await;
    file.sql("INSERT INTO people VALUES (1, 'a'), ('2', 'b'), ('007', 'c'), (x'00ff', 'd'), (1.5, 'e')");
    let (mut ids, mut cursor) = (Vec::new(), None);
    loop {
        let page = file.connector.list(&entity(), cursor.as_ref(), 1).await.unwrap();
        ids.extend(page.changes.iter().map(|change| change.id.clone()));
        if !page.more {
            break;
        }
        cursor = Some(page.next);
    }
    assert_eq!(ids.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["1", "1.5", "007", "2", "\\x00ff"]);
    for id in &ids {
        let outcome = file.write(set(&format!("k{id}"), id.as_str(), "v", id.as_str().into())).await;
        assert!(matches!(outcome, WriteOutcome::Confirmed { .. }), "{id}: {outcome:?}");
        assert_eq!(shown(&file, id.as_str()).await, id.as_str().into());
    }
    assert_eq!(file.connector.check().await.unwrap(), vec![]);
    file.sql("INSERT INTO people VALUES ('1', 'again')");
    assert!(file.connector.check().await.unwrap()[0].problem.contains("twice"));
}
