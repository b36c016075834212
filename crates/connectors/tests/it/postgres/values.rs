//! Values as the application reads them back, and ids that come from us.

use super::{Database, SCHEMA, confirmed, connect, entity, field, set};
use avowal_core::data::value::Value;
use avowal_core::policy::schema::FieldType;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{Binding, Column, Connector, Fields, Write, WriteOutcome};
use avowal_testkit::connector_suite::binding;
use avowal_testkit::postgres::PrivatePostgres;

fn column(name: &str, field_type: FieldType) -> Column {
    Column { name: name.to_owned(), field_type, writable: true }
}

/// One value that goes out and comes back, by the row and by the log, and how the application spells it.
struct Trip {
    sql_type: &'static str,
    field_type: FieldType,
    sent: Value,
    stored: &'static str,
}

fn trip(sql_type: &'static str, field_type: FieldType, sent: impl Into<Value>, stored: &'static str) -> Trip {
    Trip { sql_type, field_type, sent: sent.into(), stored }
}

fn list<const N: usize>(items: [Value; N]) -> Value {
    Value::List(items.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_type_comes_back_as_it_was_sent() {
    use FieldType::{Decimal, Integer, List, String};
    let trips = [
        trip("inet", String, "10.0.0.1", "10.0.0.1"),
        trip("inet", String, "10.1.0.0/16", "10.1.0.0/16"),
        trip("cidr", String, "10.1.0.0/16", "10.1.0.0/16"),
        trip(
            "int[]",
            List,
            list([list([1.into(), 2.into()]), list([3.into(), Value::Null])]),
            "{{1,2},{3,NULL}}",
        ),
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
        trip("bigint", Integer, Value::Int(i64::MAX), "9223372036854775807"),
        trip("interval", String, "P1DT2H", "1 day 02:00:00"),
        trip("int4range", String, "[1,5)", "[1,5)"),
        trip("bytea", String, "\\x00ff", "\\x00ff"),
        trip("time", String, "10:00:00", "10:00:00"),
    ];
    let server = PrivatePostgres::start().unwrap();
    for (n, trip) in trips.iter().enumerate() {
        let db = Database::new(
            &server,
            &format!("{SCHEMA}; CREATE TABLE t (id int PRIMARY KEY, v {})", trip.sql_type),
        )
        .await;
        let shape = Binding {
            entity: entity(),
            object: "t".to_owned(),
            id: "id".to_owned(),
            columns: vec![column("v", trip.field_type.clone())],
        };
        db.connector.uninstall().await.unwrap();
        let connector = connect(&db.url, shape);
        connector.install().await.unwrap();
        db.sql("INSERT INTO t VALUES (1)").await;
        let from = connector.feed_position(&entity()).await.unwrap();
        let outcomes =
            connector.write(&entity(), &[set(&format!("k{n}"), "1", "v", trip.sent.clone())]).await;
        let [WriteOutcome::Confirmed { after: Some(after), .. }] = &outcomes[..] else {
            panic!("{}: {outcomes:?}", trip.sql_type)
        };
        // As JSON: a large integer is shown as a number with its digits.
        assert_eq!(field(after, "v").to_json(), trip.sent.to_json(), "{}", trip.sql_type);
        let logged = connector.changes(&entity(), &from, 10).await.unwrap().changes;
        assert_eq!(field(&logged[0], "v"), field(after, "v"), "{}", trip.sql_type);
        let row = db.person.query_one("SELECT format('%s', v) FROM t", &[]).await.unwrap();
        let stored: &str = row.get(0);
        assert_eq!(stored, trip.stored, "{}", trip.sql_type);
        assert_eq!(connector.check().await.unwrap(), vec![], "{}", trip.sql_type);
    }
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
