//! Values as the application reads them back, and ids that come from us.

use super::{Database, SCHEMA, confirmed, connect, entity, set};
use async_trait::async_trait;
use avowal_connectors::postgres::PostgresConnector;
use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Value;
use avowal_core::policy::schema::FieldType;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{Binding, Column, Connector, Fields, Write};
use avowal_testkit::connector_suite::binding;
use avowal_testkit::connector_suite::trips::{self, Trip, trip};
use avowal_testkit::postgres::PrivatePostgres;

fn column(name: &str, field_type: FieldType) -> Column {
    Column { name: name.to_owned(), field_type, writable: true }
}

/// A table `t` with one mapped column `v`, made anew for each trip.
struct Cell<'a> {
    db: &'a Database,
    connector: PostgresConnector,
}

impl<'a> Cell<'a> {
    async fn new(db: &'a Database, trip: &Trip) -> Self {
        db.sql(&format!(
            "DROP TABLE IF EXISTS t; CREATE TABLE t (id serial PRIMARY KEY, v {})",
            trip.declared
        ))
        .await;
        let connector = connect(&db.url, trips::binding("t", "id", trip));
        connector.install().await.unwrap();
        Self { db, connector }
    }
}

#[async_trait]
impl trips::Cell for Cell<'_> {
    fn connector(&self) -> &dyn Connector {
        &self.connector
    }

    async fn insert(&self, stands: &str) -> RemoteId {
        let sql = format!("INSERT INTO t (v) VALUES ({stands}) RETURNING id::text");
        RemoteId::from(self.db.person.query_one(&sql, &[]).await.unwrap().get::<_, String>(0))
    }

    async fn stored(&self, id: &RemoteId) -> String {
        let sql = format!("SELECT format('%s', v) FROM t WHERE id = {id}");
        self.db.person.query_one(&sql, &[]).await.unwrap().get(0)
    }
}

fn list<const N: usize>(items: [Value; N]) -> Value {
    Value::List(items.into())
}

fn json(text: &str) -> Value {
    Value::parse(text.as_bytes()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_type_comes_back_as_it_was_sent() {
    use FieldType::{Boolean, Date, Decimal, Integer, List, Object, String, Timestamp};
    const DIGITS: &str = r#"{"n": 1.10, "of": [12345678901234567890.125, -0.5], "to": {}}"#;
    let at = "2026-01-05T11:00:00Z";
    let trips = [
        trip("inet", String, "10.0.0.1", "10.0.0.1"),
        trip("inet", String, "10.1.0.0/16", "10.1.0.0/16"),
        trip("inet", String, "2001:db8::1", "2001:db8::1"),
        trip("cidr", String, "10.1.0.0/16", "10.1.0.0/16"),
        trip("macaddr", String, "08:00:2b:01:02:03", "08:00:2b:01:02:03"),
        trip(
            "int[]",
            List,
            list([list([1.into(), 2.into()]), list([3.into(), Value::Null])]),
            "{{1,2},{3,NULL}}",
        ),
        trip("int[]", List, list([]), "{}"),
        trip(
            "text[]",
            List,
            list(["a,b".into(), "\"q\" {\\}".into(), "NULL".into(), "".into()]),
            r#"{"a,b","\"q\" {\\}","NULL",""}"#,
        ),
        trip("text[]", List, list([list(["a".into()]), list(["b".into()])]), "{{a},{b}}"),
        trip("bool[]", List, list([true.into(), false.into()]), "{t,f}"),
        trip("numeric[]", List, list(["1.50".into()]), "{1.50}"),
        trip("numeric", Decimal, "12345678901234567890.10", "12345678901234567890.10"),
        trip("numeric(10, 2)", Decimal, "1.5", "1.50"),
        trip("bigint", Integer, Value::Int(i64::MAX), "9223372036854775807"),
        trip("smallint", Integer, Value::Int(-32_768), "-32768"),
        trip("boolean", Boolean, true, "t"),
        trip("text", Boolean, false, "false"),
        trip("uuid", String, "123e4567-e89b-12d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174000"),
        trip("text", String, "123e4567", "123e4567"),
        trip("text", String, "", "").beside("'x'"),
        trip("varchar(5)", String, "Zo\u{eb} \u{1f980}", "Zo\u{eb} \u{1f980}"),
        trip("mood", String, "bad", "bad").beside("'good'"),
        trip("bit(3)", String, "101", "101"),
        trip("interval", String, "P1DT2H", "1 day 02:00:00"),
        trip("int4range", String, "[1,5)", "[1,5)"),
        trip("bytea", String, "\\x00ff", "\\x00ff"),
        trip("date", Date, "2026-01-05", "2026-01-05"),
        trip("time", String, "10:00:00", "10:00:00"),
        trip("timetz", String, "10:00:00+02", "10:00:00+02"),
        trip("timestamp", Timestamp, at, "2026-01-05 11:00:00"),
        trip("timestamptz", Timestamp, "2026-01-05T12:00:00.123456+01:00", "2026-01-05 11:00:00.123456+00"),
        trip("jsonb", Object, json(DIGITS), DIGITS),
        trip("json", Object, json(DIGITS), DIGITS),
        trip("jsonb", List, json("[1.0, 1e2]"), "[1.0, 100]"),
    ];
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    db.sql("SET timezone = 'UTC'").await;
    trips::run(&trips, async |trip| Cell::new(&db, trip).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_carried_is_refused_by_check() {
    let server = PrivatePostgres::start().unwrap();
    let schema =
        format!("{SCHEMA}; CREATE TABLE t (id int PRIMARY KEY, price money, doc jsonb, prices money[])");
    let db = Database::new(&server, &schema).await;
    let shape = Binding {
        entity: entity(),
        object: "t".to_owned(),
        id: "id".to_owned(),
        columns: vec![
            column("price", FieldType::Decimal),
            column("doc", FieldType::String),
            column("prices", FieldType::List),
        ],
    };
    let findings = connect(&db.url, shape).check().await.unwrap();
    for name in ["price", "doc", "prices"] {
        assert!(
            findings.iter().any(|finding| finding.place.ends_with(&format!("column {name}"))),
            "{findings:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_follows_the_ids_that_we_give() {
    let server = PrivatePostgres::start().unwrap();
    for id in ["bigserial", "bigint GENERATED BY DEFAULT AS IDENTITY"] {
        let db = Database::new(&server, &SCHEMA.replace("bigserial", id)).await;
        let mut shape = binding("people", "id");
        shape.columns.push(column("id", FieldType::Integer));
        let connector = connect(&db.url, shape);
        connector.install().await.unwrap();
        let create = |key: &str, id: i64| Write {
            operation: Operation::Create,
            id: None,
            fields: Fields::from([("id".to_owned(), Value::Int(id)), ("name".to_owned(), "ours".into())]),
            ..set(key, "", "", "")
        };
        assert_eq!(confirmed(&connector.write(&entity(), &[create("k1", 5), create("k2", 1)]).await), 2);
        db.sql("INSERT INTO people (name) VALUES ('theirs')").await;
        let row = db.person.query_one("SELECT id FROM people WHERE name = 'theirs'", &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), 6, "{id}");
        assert_eq!(confirmed(&connector.write(&entity(), &[create("k3", 2)]).await), 1);
        db.sql("INSERT INTO people (name) VALUES ('more')").await;
    }
}
