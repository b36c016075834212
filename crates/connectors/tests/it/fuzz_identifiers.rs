//! Tables and columns of any name, in a real SQLite file: what is written is read, and no name reaches beyond itself.

use crate::fuzz_cases::fuzz;
use avowal_connectors::sqlite::{SqliteConnector, SqliteOptions};
use avowal_core::data::ids::EntityName;
use avowal_core::data::value::Value;
use avowal_core::policy::schema::FieldType;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{
    Binding, Column, Connector as _, Expected, Fields, Installation, RemoteState, Write, WriteOutcome,
};
use proptest::prelude::*;
use rusqlite::Connection;

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[^\\x00]{1,20}",
        "[\"'`\\[\\];()\\-/*. %?$@:\\\\]{1,12}",
        Just("x\"; DROP TABLE canary;--".to_owned()),
        Just("x\" (id); DROP TABLE canary; CREATE TABLE \"y".to_owned()),
        Just("'||(select 1)||'".to_owned()),
        prop::sample::select(vec!["select", "table", "order", "rowid", "NEW", "old", "group by", "", " "])
            .prop_map(str::to_owned),
    ]
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A connector for a table with these names, beside a table that nobody may touch.
struct Fixture {
    _folder: tempfile::TempDir,
    person: Connection,
    connector: SqliteConnector,
    entity: EntityName,
}

/// `None` where SQLite itself, or the connector, refuses the names.
fn place(table: &str, id: &str, column: &str) -> Option<Fixture> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let person = Connection::open(&path).unwrap();
    person.execute_batch("CREATE TABLE canary (a); INSERT INTO canary VALUES (1)").unwrap();
    let create = format!(
        "CREATE TABLE {} ({} INTEGER PRIMARY KEY, {} TEXT)",
        quoted(table),
        quoted(id),
        quoted(column)
    );
    person.execute_batch(&create).ok()?;
    let entity = EntityName::new("thing");
    let columns = vec![Column { name: column.to_owned(), field_type: FieldType::String, writable: true }];
    let binding = Binding { entity: entity.clone(), object: table.to_owned(), id: id.to_owned(), columns };
    let connector =
        SqliteConnector::open(SqliteOptions { path, installation: Installation::none() }, vec![binding])
            .unwrap();
    Some(Fixture { _folder: folder, person, connector, entity })
}

impl Fixture {
    /// Tables that are neither ours nor the two that were made.
    fn strangers(&self, table: &str) -> i64 {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table'
                   AND name NOT IN ('canary', ?1) AND name NOT LIKE '%avowal%' AND name NOT LIKE 'sqlite%'";
        self.person.query_row(sql, [table], |row| row.get(0)).unwrap()
    }

    fn canary(&self) -> i64 {
        self.person.query_row("SELECT count(*) FROM canary", [], |row| row.get(0)).unwrap()
    }
}

async fn round_trip(place: &Fixture, column: &str, text: &str) -> Result<(), TestCaseError> {
    let from = place.connector.feed_position(&place.entity).await.unwrap();
    let fields = Fields::from([(column.to_owned(), Value::text(text))]);
    let write = Write {
        key: "key-1".to_owned(),
        operation: Operation::Create,
        id: None,
        fields: fields.clone(),
        version: None,
        expected: Expected::anything(),
        lookup: vec![fields.clone()],
    };
    let outcome = place.connector.write(&place.entity, std::slice::from_ref(&write)).await.remove(0);
    let WriteOutcome::Confirmed { id, .. } = outcome else {
        return Err(TestCaseError::fail(format!("the create ended as {outcome:?}")));
    };
    let shown = RemoteState::Present(fields.clone());
    let read = place.connector.read(&place.entity, std::slice::from_ref(&id)).await.unwrap();
    prop_assert_eq!(&read[0].shown, &shown);
    let found = place.connector.find(&place.entity, &fields).await.unwrap();
    prop_assert_eq!(found.len(), 1);
    let listed = place.connector.list(&place.entity, None, 10).await.unwrap();
    prop_assert_eq!(&listed.changes[0].shown, &shown);
    let changes = place.connector.changes(&place.entity, &from, 10).await.unwrap();
    prop_assert_eq!(&changes.changes[0].shown, &shown);
    let gone = Write {
        operation: Operation::Delete,
        id: Some(id),
        key: "key-2".to_owned(),
        lookup: Vec::new(),
        ..write
    };
    let outcome = place.connector.write(&place.entity, &[gone]).await.remove(0);
    prop_assert!(matches!(outcome, WriteOutcome::Confirmed { .. }), "{outcome:?}");
    Ok(())
}

proptest! {
    #![proptest_config(fuzz(48))]

    #[test]
    fn any_name_is_only_a_name(table in any_name(), id in any_name(), column in any_name(), text in "[^\\x00]{0,20}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let Some(place) = place(&table, &id, &column) else { return Ok(()) };
        let played = runtime.block_on(async {
            match place.connector.install().await {
                Ok(_) => round_trip(&place, &column, &text).await,
                // What the connector does not take, it says.
                Err(error) => {
                    prop_assert!(!error.to_string().is_empty());
                    Ok(())
                }
            }
        });
        played?;
        prop_assert_eq!(place.canary(), 1);
        prop_assert_eq!(place.strangers(&table), 0);
    }
}
