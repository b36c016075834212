//! One value for each way in which a column may be declared, as the application reads it back.

use super::File;
use async_trait::async_trait;
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_core::policy::schema::FieldType;
use avowal_engine::ports::connector::Connector;
use avowal_testkit::connector_suite::trips::{self, trip};

struct Cell(File);

#[async_trait]
impl trips::Cell for Cell {
    fn connector(&self) -> &dyn Connector {
        &self.0.connector
    }

    async fn insert(&self, stands: &str) -> RemoteId {
        self.0.sql(&format!("INSERT INTO people (v) VALUES ({stands})"));
        RemoteId::from(self.0.person.lock().unwrap().last_insert_rowid().to_string())
    }

    async fn stored(&self, id: &RemoteId) -> String {
        let person = self.0.person.lock().unwrap();
        let sql = format!("SELECT typeof(v) || ' ' || v FROM people WHERE id = {id}");
        person.query_row(&sql, [], |row| row.get(0)).unwrap()
    }
}

fn json(text: &str) -> Value {
    Value::parse(text.as_bytes()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_type_comes_back_as_it_was_sent() {
    use FieldType::{Boolean, Date, Decimal, Integer, List, Object, String, Timestamp};
    const DIGITS: &str = r#"{"n":1.10,"of":[12345678901234567890.125,-0.5],"to":{}}"#;
    const DIGITS_TEXT: &str = r#"text {"n":1.10,"of":[12345678901234567890.125,-0.5],"to":{}}"#;
    let at = "2026-01-05T11:00:00Z";
    let trips = [
        trip("INTEGER", Integer, Value::Int(i64::MIN), "integer -9223372036854775808"),
        trip("BIGINT", Integer, Value::Int(9_007_199_254_740_993), "integer 9007199254740993"),
        trip("TEXT", Integer, Value::Int(7), "text 7"),
        trip("TEXT", Decimal, "12345678901234567.89", "text 12345678901234567.89"),
        trip("DECIMAL(10, 2)", Decimal, "12.5", "real 12.5"),
        trip("REAL", Decimal, "0.1", "real 0.1"),
        trip("BOOLEAN", Boolean, true, "integer 1"),
        trip("BOOLEAN", Boolean, false, "text false").beside("'true'"),
        trip("TEXT", Boolean, true, "text Y").beside("'N'"),
        trip("TEXT", Boolean, true, "text TRUE").beside("'FALSE'"),
        trip("TEXT", String, "", "text ").beside("'x'"),
        trip("VARCHAR(5)", String, "Zo\u{eb} \u{1f980}", "text Zo\u{eb} \u{1f980}"),
        trip("TEXT", String, "123e4567", "text 123e4567"),
        trip("", String, "007", "text 007"),
        trip("TEXT", Date, "2026-01-05", "text 2026-01-05"),
        trip("DATE", Date, "2026-01-05", "text 2026-01-05"),
        trip("DATETIME", Timestamp, at, "text 2026-01-05 11:00:00").beside("'2026-01-05 10:00:00'"),
        trip("TEXT", Timestamp, at, "text 2026-01-05T12:00:00+01:00").beside("'2026-01-05T10:00:00+01:00'"),
        trip("INTEGER", Timestamp, at, "integer 1767610800").beside("1767607200"),
        trip("JSON", List, json("[1.0,[2,[]],\"a\"]"), "text [1.0,[2,[]],\"a\"]"),
        trip("TEXT", Object, json(DIGITS), DIGITS_TEXT),
    ];
    trips::run(&trips, async |trip| {
        let schema =
            format!("CREATE TABLE people (id INTEGER PRIMARY KEY AUTOINCREMENT, v {})", trip.declared);
        Cell(File::with(&schema, trips::binding("people", "id", trip)).await)
    })
    .await;
}
