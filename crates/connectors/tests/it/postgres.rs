//! The Postgres connector against a private server: the conformance suite, and what only Postgres can do.

mod constraints;
mod coverage;
mod identity;
mod locks;
mod scale;
mod schema_changes;
mod several;
mod trouble;
mod values;

use async_trait::async_trait;
use avowal_connectors::postgres::{PostgresConnector, PostgresOptions};
use avowal_core::data::ids::{EntityName, RemoteId};
use avowal_core::data::value::Value;
use avowal_core::policy::schema::FieldType;
use avowal_core::record::intent::Operation;
use avowal_engine::ports::connector::{
    Binding, Change, Column, Connector, ConnectorErrorKind, Expected, Fields, Installation, RemoteState,
    Severity, Write, WriteOutcome,
};
use avowal_engine::ports::store::Cursor;
use avowal_testkit::connector_suite::{self, ENTITY, Fixture, SchemaChange, binding};
use avowal_testkit::postgres::PrivatePostgres;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls};

const SCHEMA: &str = "CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE TABLE people (id bigserial PRIMARY KEY, name varchar(200) CHECK (name <> 'refused by rule'),
    email text, note text, points bigint, amount numeric, active boolean, tags jsonb, updated_at timestamptz)";

/// A database of its own on a shared server. The other person has a connection of their own.
struct Database {
    url: String,
    connector: PostgresConnector,
    person: Client,
}

static DATABASES: AtomicUsize = AtomicUsize::new(0);

impl Database {
    async fn new(server: &PrivatePostgres, schema: &str) -> Self {
        let name = format!("db{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let url = server.create_database(&name).unwrap();
        let person = person(&url).await;
        person.batch_execute(schema).await.unwrap();
        let connector = connect(&url, binding("people", "id"));
        connector.install().await.unwrap();
        Self { url, connector, person }
    }

    async fn sql(&self, sql: &str) {
        self.person.batch_execute(sql).await.unwrap();
    }

    async fn position(&self) -> Cursor {
        self.connector.feed_position(&entity()).await.unwrap()
    }

    async fn changes(&self, from: &Cursor) -> Vec<Change> {
        self.connector.changes(&entity(), from, 1000).await.unwrap().changes
    }

    async fn write(&self, writes: &[Write]) -> Vec<WriteOutcome> {
        self.connector.write(&entity(), writes).await
    }
}

#[async_trait]
impl Fixture for Database {
    fn connector(&self) -> &dyn Connector {
        &self.connector
    }

    async fn insert(&self, fields: Fields) -> RemoteId {
        let (names, values): (Vec<_>, Vec<_>) =
            fields.iter().map(|(name, value)| (name.as_str(), sql_value(value))).unzip();
        let sql = format!(
            "INSERT INTO people ({}) VALUES ({}) RETURNING id::text",
            names.join(", "),
            values.join(", ")
        );
        RemoteId::from(self.person.query_one(&sql, &[]).await.unwrap().get::<_, String>(0))
    }

    async fn update(&self, id: &RemoteId, fields: Fields) {
        let sets: Vec<_> =
            fields.iter().map(|(name, value)| format!("{name} = {}", sql_value(value))).collect();
        self.sql(&format!("UPDATE people SET {} WHERE id = {id}", sets.join(", "))).await;
    }

    async fn delete(&self, id: &RemoteId) {
        self.sql(&format!("DELETE FROM people WHERE id = {id}")).await;
    }

    async fn touch_all(&self) -> bool {
        self.sql("UPDATE people SET updated_at = now(), name = name").await;
        true
    }

    async fn stored(&self, id: &RemoteId) -> Option<Fields> {
        let image = "(to_jsonb(p) || jsonb_build_object('amount', amount::text))::text";
        let sql = format!("SELECT {image} FROM people p WHERE id = {id}");
        let json: String = self.person.query_opt(&sql, &[]).await.unwrap()?.get(0);
        let Value::Object(fields) = Value::parse(json.as_bytes()).unwrap() else { panic!("{json}") };
        Some(fields)
    }

    async fn count(&self) -> usize {
        let row = self.person.query_one("SELECT count(*) FROM people", &[]).await.unwrap();
        usize::try_from(row.get::<_, i64>(0)).unwrap()
    }

    fn refuses(&self) -> bool {
        true
    }

    async fn update_and_delete(&self, id: &RemoteId, fields: Fields) {
        self.sql("BEGIN").await;
        self.update(id, fields).await;
        self.delete(id).await;
        self.sql("COMMIT").await;
    }

    async fn replace(&self, id: &RemoteId, mut fields: Fields) -> bool {
        fields.insert("id".to_owned(), Value::Int(id.as_str().parse().unwrap()));
        self.sql("BEGIN").await;
        self.delete(id).await;
        self.insert(fields).await;
        self.sql("COMMIT").await;
        true
    }

    async fn alter(&self, change: SchemaChange) -> bool {
        let what = match change {
            SchemaChange::Add => "ADD COLUMN extra text NOT NULL DEFAULT 'x'",
            SchemaChange::Rename => "RENAME COLUMN note TO remark",
            SchemaChange::Retype => "ALTER COLUMN note TYPE varchar(400)",
            SchemaChange::Drop => "DROP COLUMN note",
        };
        // As a migration does it: on a connection of its own, beside the application's.
        person(&self.url).await.batch_execute(&format!("ALTER TABLE people {what}")).await.unwrap();
        true
    }

    async fn alter_back(&self, change: SchemaChange) {
        let what = match change {
            SchemaChange::Add => "DROP COLUMN extra",
            SchemaChange::Rename => "RENAME COLUMN remark TO note",
            SchemaChange::Retype => "ALTER COLUMN note TYPE text",
            SchemaChange::Drop => "ADD COLUMN note text",
        };
        self.sql(&format!("ALTER TABLE people {what}")).await;
    }

    fn reopen(&self) -> Option<Box<dyn Connector>> {
        Some(Box::new(connect(&self.url, binding("people", "id"))))
    }
}

fn sql_value(value: &Value) -> String {
    let quoted = |text: &str| format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(bool) => bool.to_string(),
        Value::Int(int) => int.to_string(),
        Value::Float(float) => float.get().to_string(),
        Value::Text(text) => quoted(text),
        Value::List(_) | Value::Object(_) => quoted(&value.to_string()),
    }
}

async fn person(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn connect(url: &str, binding: Binding) -> PostgresConnector {
    connect_all(url, vec![binding])
}

fn connect_all(url: &str, bindings: Vec<Binding>) -> PostgresConnector {
    let options = PostgresOptions { url: url.to_owned(), installation: Installation::none() };
    PostgresConnector::connect(options, bindings).unwrap()
}

fn entity() -> EntityName {
    EntityName::new(ENTITY)
}

fn set(key: &str, id: &str, name: &str, value: impl Into<Value>) -> Write {
    Write {
        key: key.to_owned(),
        operation: Operation::Update,
        id: Some(RemoteId::new(id)),
        fields: Fields::from([(name.to_owned(), value.into())]),
        version: None,
        expected: Expected::anything(),
        lookup: Vec::new(),
    }
}

fn names(changes: &[Change]) -> Vec<&str> {
    changes.iter().map(|change| field(change, "name").as_text().unwrap_or("null")).collect()
}

fn field<'a>(change: &'a Change, column: &str) -> &'a Value {
    match &change.shown {
        RemoteState::Present(fields) => &fields[column],
        other => panic!("{other:?}"),
    }
}

fn confirmed(outcomes: &[WriteOutcome]) -> usize {
    outcomes.iter().filter(|outcome| matches!(outcome, WriteOutcome::Confirmed { .. })).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let server = PrivatePostgres::start().unwrap();
    connector_suite::run(async || Database::new(&server, SCHEMA).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_commits_are_never_skipped() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    let mut cursor = db.position().await;
    let late = person(&db.url).await;
    late.batch_execute("BEGIN; INSERT INTO people (name) VALUES ('first, late')").await.unwrap();
    db.sql("INSERT INTO people (name) VALUES ('second, early')").await;

    let page = db.connector.changes(&entity(), &cursor, 10).await.unwrap();
    assert_eq!((names(&page.changes), page.more), (vec![], false), "beyond the horizon");
    cursor = page.next;
    let begun = Instant::now();
    db.connector.wait().await;
    assert!(begun.elapsed() < Duration::from_secs(2), "it looks again soon while rows wait");

    late.batch_execute("COMMIT").await.unwrap();
    let page = db.connector.changes(&entity(), &cursor, 10).await.unwrap();
    assert_eq!(names(&page.changes), ["first, late", "second, early"]);
    assert_eq!(db.connector.changes(&entity(), &page.next, 10).await.unwrap().changes, vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_taken_beside_a_running_transaction_includes_it() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    let late = person(&db.url).await;
    late.batch_execute("BEGIN; INSERT INTO people (name) VALUES ('late')").await.unwrap();
    let cursor = db.position().await;
    late.batch_execute("COMMIT").await.unwrap();
    assert_eq!(names(&db.changes(&cursor).await), ["late"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_rows_changes_come_in_their_true_order() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    db.sql("INSERT INTO people (name) VALUES ('old')").await;
    let cursor = db.position().await;
    let early = person(&db.url).await;
    // The older transaction writes the row last.
    early.batch_execute("BEGIN; SELECT pg_current_xact_id()").await.unwrap();
    db.sql("UPDATE people SET name = 'first'").await;
    early.batch_execute("UPDATE people SET name = 'second'; COMMIT").await.unwrap();
    let changes = db.changes(&cursor).await;
    assert_eq!(names(&changes), ["first", "second"]);
    let listed = db.connector.list(&entity(), None, 10).await.unwrap().changes;
    assert_eq!(listed[0].order, changes[1].order, "the listing shows the state of the last change");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_is_logged_as_it_ends() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    db.sql("INSERT INTO people (name) SELECT 'p' || n FROM generate_series(1, 300) n").await;
    let mut cursor = db.position().await;
    // Ids that move, by a statement of one row and of many.
    db.sql("UPDATE people SET id = 1001 WHERE id = 1").await;
    let changes = db.changes(&cursor).await;
    assert_eq!((changes[0].id.as_str(), &changes[0].shown), ("1", &RemoteState::Gone));
    assert_eq!((changes[1].id.as_str(), names(&changes[1..])), ("1001", vec!["p1"]));
    cursor = db.position().await;
    db.sql("UPDATE people SET id = id + 10000, name = name || '!' WHERE id <= 100").await;
    assert_eq!(db.changes(&cursor).await.len(), 99 * 2);
    cursor = db.position().await;
    db.sql("UPDATE people SET note = 'x' WHERE id <= 200; UPDATE people SET updated_at = now()").await;
    assert_eq!(db.changes(&cursor).await.len(), 100, "only what changed");
    cursor = db.position().await;
    db.sql("INSERT INTO people (id, name) VALUES (1001, 'again') ON CONFLICT (id) DO UPDATE SET name = excluded.name")
        .await;
    assert_eq!(names(&db.changes(&cursor).await), ["again"]);
    cursor = db.position().await;
    db.sql("TRUNCATE people").await;
    let changes = db.changes(&cursor).await;
    assert_eq!(changes.len(), 300);
    assert!(changes.iter().all(|change| change.shown == RemoteState::Gone));
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_of_the_application_do_not_confuse() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    db.sql(
        "CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            UPDATE people SET name = trim(name) WHERE id = new.id AND name <> trim(name);
            UPDATE people SET note = 'cascaded' WHERE id = 2 AND new.id = 1; RETURN NULL; END $$;
         CREATE TRIGGER tidy AFTER UPDATE OF name ON people FOR EACH ROW WHEN (pg_trigger_depth() = 0)
            EXECUTE FUNCTION tidy();
         INSERT INTO people (name) VALUES ('Ann'), ('Bob')",
    )
    .await;
    let cursor = db.position().await;
    let outcomes = db.write(&[set("k1", "1", "name", " Anne ")]).await;
    let [WriteOutcome::Confirmed { after: Some(after), .. }] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(field(after, "name"), &"Anne".into());
    let changes = db.changes(&cursor).await;
    let ann = changes.iter().rfind(|change| change.id.as_str() == "1").unwrap();
    assert_eq!((field(ann, "name"), &ann.order), (&"Anne".into(), &after.order));
    assert_eq!(ann.correlation.as_deref(), Some("k1"));
    let bob = changes.iter().find(|change| change.id.as_str() == "2").unwrap();
    assert_eq!(bob.correlation, None, "a cascade to another row is not our write");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_without_rights_on_the_log_still_writes() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    db.sql(
        "CREATE ROLE app LOGIN PASSWORD 'app'; GRANT SELECT, INSERT, UPDATE, DELETE ON people TO app;
         GRANT USAGE ON SEQUENCE people_id_seq TO app",
    )
    .await;
    let url = db.url.replace("avowal:a-test-password", "app:app");
    let app = person(&url).await;
    let cursor = db.position().await;
    app.batch_execute("SET search_path = ''; INSERT INTO public.people (name) VALUES ('Ann')").await.unwrap();
    assert_eq!(names(&db.changes(&cursor).await), ["Ann"]);

    // The same role as ours: what it may not do is said, with the cure.
    let weak = connect(&url, binding("people", "id"));
    assert_eq!(weak.install().await.unwrap_err().kind, ConnectorErrorKind::Unauthorised);
    let findings = weak.check().await.unwrap_err();
    assert_eq!(findings.kind, ConnectorErrorKind::Unauthorised, "{findings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_survives() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(
        &server,
        "CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE DOMAIN code AS text CHECK (value <> 'no');
         CREATE TABLE people (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name varchar(5), email code, note mood,
            points int, amount numeric(30, 4), active bool, tags text[]);
         CREATE TABLE \"Odd \"\"Name\" (\"Key\" text PRIMARY KEY, d date, ts timestamptz, tl timestamp, j json, jb jsonb,
            f float8, b bytea, c char(5), n numeric[])",
    )
    .await;
    let fields = Fields::from([
        ("name".to_owned(), "Zoë".into()),
        ("email".to_owned(), "a@b".into()),
        ("note".to_owned(), "good".into()),
        ("points".to_owned(), Value::Int(-7)),
        ("amount".to_owned(), "12345678901234567890.5".into()),
        ("active".to_owned(), Value::Bool(true)),
        ("tags".to_owned(), Value::List(vec!["a,b".into(), "\"q\" {}".into()])),
    ]);
    let create = |key: &str, fields: Fields| Write {
        operation: Operation::Create,
        id: None,
        fields,
        ..set(key, "", "", "")
    };
    let outcomes = db.write(&[create("k1", fields.clone())]).await;
    let [WriteOutcome::Confirmed { id, after: Some(after) }] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(field(after, "tags"), &fields["tags"]);
    assert_eq!(field(after, "amount"), &"12345678901234567890.5000".into());

    // What does not fit is refused, not cut; and alone.
    let id = id.as_str();
    let outcomes = db.write(&[set("k2", id, "name", "too long"), set("k3", id, "email", "ok")]).await;
    assert!(
        matches!(&outcomes[0], WriteOutcome::Rejected { .. } | WriteOutcome::Retry { .. }),
        "{outcomes:?}"
    );
    for (n, (column, value)) in [
        ("name", Value::text("too long")),
        ("email", "no".into()),
        ("note", "sad".into()),
        ("points", "x".into()),
    ]
    .into_iter()
    .enumerate()
    {
        let outcomes = db.write(&[set(&format!("r{n}"), id, column, value)]).await;
        assert!(matches!(&outcomes[0], WriteOutcome::Rejected { .. }), "{column}: {outcomes:?}");
    }

    let column = |name: &str, field_type| Column { name: name.to_owned(), field_type, writable: true };
    let odd = connect(
        &db.url,
        Binding {
            entity: EntityName::new("it's \"odd\""),
            object: "Odd \"Name".to_owned(),
            id: "Key".to_owned(),
            columns: vec![
                column("Key", FieldType::String),
                column("d", FieldType::Date),
                column("ts", FieldType::Timestamp),
                column("tl", FieldType::Timestamp),
                column("j", FieldType::Object),
                column("jb", FieldType::List),
                column("f", FieldType::String),
                column("b", FieldType::String),
                column("c", FieldType::String),
                column("n", FieldType::List),
            ],
        },
    );
    odd.install().await.unwrap();
    let odd_entity = EntityName::new("it's \"odd\"");
    let from = odd.feed_position(&odd_entity).await.unwrap();
    db.sql(
        "SET timezone = 'Asia/Tokyo'; SET datestyle = 'German';
         INSERT INTO \"Odd \"\"Name\" VALUES ('k''1', '2026-11-22', '2026-11-22 19:00+09', '2026-11-22 10:00:00.5',
            '{\"a\": 1e400}', '[1, 9007199254740993]', 'NaN', '\\x00ff', 'ab', '{1.50,2}')",
    )
    .await;
    let logged = odd.changes(&odd_entity, &from, 10).await.unwrap().changes;
    let listed = odd.list(&odd_entity, None, 10).await.unwrap().changes;
    assert_eq!(logged[0].shown, listed[0].shown, "one image everywhere, whatever the session");
    let text = |name: &str| field(&logged[0], name).as_text().unwrap_or_default().to_owned();
    assert_eq!(text("d"), "2026-11-22");
    assert_eq!(text("ts"), "2026-11-22T10:00:00+00:00");
    assert_eq!(text("tl"), "2026-11-22T10:00:00.5");
    assert_eq!(field(&logged[0], "j").to_json(), "{\"a\":1e400}", "no number is too large for us");
    assert_eq!(field(&logged[0], "jb").to_json(), "[1,9007199254740993]");
    assert_eq!((text("f"), text("b"), text("c")), ("NaN".into(), "\\x00ff".into(), "ab".into()));
    assert_eq!(field(&logged[0], "n"), &Value::List(vec!["1.50".into(), "2".into()]));

    let rewrite = Fields::from([
        ("d".to_owned(), "2027-01-02".into()),
        ("ts".to_owned(), "2027-01-02T03:04:05Z".into()),
        ("j".to_owned(), Value::Object([("x".to_owned(), Value::Null)].into())),
        ("jb".to_owned(), Value::Null),
        ("b".to_owned(), "\\xabcd".into()),
        ("c".to_owned(), "abcde".into()),
        ("n".to_owned(), Value::List(vec![])),
    ]);
    let write = Write { fields: rewrite.clone(), ..set("o1", "k'1", "", "") };
    let outcomes = odd.write(&odd_entity, &[write]).await;
    let [WriteOutcome::Confirmed { after: Some(after), .. }] = &outcomes[..] else { panic!("{outcomes:?}") };
    for name in ["d", "j", "jb", "b", "c", "n"] {
        assert_eq!(field(after, name), &rewrite[name], "{name}");
    }
    assert!(!odd.uninstall().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_constraint_refuses_only_its_row() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(
        &server,
        &SCHEMA.replace("email text", "email text UNIQUE DEFERRABLE INITIALLY DEFERRED"),
    )
    .await;
    db.sql("INSERT INTO people (name, email) VALUES ('Ann', 'a'), ('Bob', 'b'), ('Carl', 'c')").await;
    let outcomes = db
        .write(&[set("k1", "1", "note", "x"), set("k2", "2", "email", "a"), set("k3", "3", "note", "y")])
        .await;
    assert!(
        matches!(&outcomes[1], WriteOutcome::Blocked { reason } if reason.contains("unique")),
        "{outcomes:?}"
    );
    assert_eq!(confirmed(&outcomes), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_row_is_tried_again_and_a_lost_connection_made_again() {
    let mut server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    db.sql("INSERT INTO people (name) VALUES ('Ann')").await;
    let holder = person(&db.url).await;
    holder.batch_execute("BEGIN; UPDATE people SET note = 'held'").await.unwrap();
    let outcomes = db.write(&[set("k1", "1", "note", "ours")]).await;
    assert!(
        matches!(&outcomes[0], WriteOutcome::Retry { reason, .. } if reason.contains("lock")),
        "{outcomes:?}"
    );
    holder.batch_execute("ROLLBACK").await.unwrap();

    server.stop().unwrap();
    let error = db.connector.list(&entity(), None, 10).await.unwrap_err();
    assert_eq!(error.kind, ConnectorErrorKind::Unreachable);
    assert!(
        error.to_string().contains("127.0.0.1") && !error.to_string().contains("a-test-password"),
        "{error}"
    );
    let outcomes = db.write(&[set("k1", "1", "note", "ours")]).await;
    assert!(matches!(&outcomes[0], WriteOutcome::Retry { .. }), "{outcomes:?}");
    server.restart().unwrap();
    assert_eq!(confirmed(&db.write(&[set("k1", "1", "note", "ours")]).await), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_call_leaves_the_connector_usable() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    db.sql("INSERT INTO people (name) VALUES ('Ann')").await;
    for n in 0..20 {
        let writes = [set(&format!("d{n}"), "1", "points", Value::Int(n))];
        let write = db.write(&writes);
        let _ = tokio::time::timeout(Duration::from_micros(200 * n.unsigned_abs()), write).await;
    }
    assert_eq!(confirmed(&db.write(&[set("last", "1", "points", Value::Int(99))]).await), 1);
    assert_eq!(db.stored(&RemoteId::new("1")).await.unwrap()["points"], Value::Int(99));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_name_the_place_and_the_cure() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    assert_eq!(db.connector.check().await.unwrap(), vec![]);
    assert_eq!(db.connector.install().await.unwrap(), Vec::<String>::new(), "nothing to do twice");

    let wrong = connect(&db.url.replace("a-test-password", "wrong-secret"), binding("people", "id"));
    let error = wrong.list(&entity(), None, 10).await.unwrap_err();
    assert_eq!(error.kind, ConnectorErrorKind::Unauthorised);
    assert!(!error.to_string().contains("wrong-secret"), "{error}");
    let nowhere = connect(&server.url("nowhere"), binding("people", "id"));
    assert_eq!(nowhere.check().await.unwrap_err().kind, ConnectorErrorKind::SchemaDrift);
    let unreadable = PostgresOptions {
        url: "postgres://u:secret@[::bad/x".to_owned(),
        installation: Installation::none(),
    };
    let error = PostgresConnector::connect(unreadable, vec![]).unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");

    let misspelt = connect(&db.url, binding("poeple", "id"));
    let error = misspelt.list(&entity(), None, 10).await.unwrap_err();
    assert!(error.to_string().contains("Did you mean \"people\"?"), "{error}");
    assert!(misspelt.check().await.unwrap()[0].cure.contains("people"));
    let mut shape = binding("public.people", "id");
    shape.columns[4].field_type = FieldType::Boolean;
    let findings = connect(&db.url, shape).check().await.unwrap();
    assert!(findings[0].place.contains("amount"), "{findings:?}");
    let findings = connect(&db.url, binding("people", "email")).check().await.unwrap();
    assert!(findings[0].problem.contains("does not identify"), "{findings:?}");
    let hostile = connect(&db.url, binding("people\"; DROP TABLE people; --", "id"));
    assert_eq!(hostile.list(&entity(), None, 10).await.unwrap_err().kind, ConnectorErrorKind::SchemaDrift);
    let outcomes = db.write(&[set("k1", "1", "name\" = 'x'; --", "x")]).await;
    assert!(matches!(outcomes[0], WriteOutcome::Rejected { .. }), "{outcomes:?}");

    // The table disappears under a running connector, and comes back without its triggers.
    let cursor = db.position().await;
    db.sql("DROP TABLE people").await;
    let error = db.connector.list(&entity(), None, 10).await.unwrap_err();
    assert_eq!(error.kind, ConnectorErrorKind::SchemaDrift);
    let outcomes = db.write(&[set("k2", "1", "name", "x")]).await;
    assert!(matches!(&outcomes[0], WriteOutcome::Retry { .. }), "{outcomes:?}");
    db.sql(SCHEMA.split_once(';').unwrap().1).await;
    let error = db.connector.changes(&entity(), &cursor, 10).await.unwrap_err();
    assert!(error.to_string().contains("avowal sync"), "{error}");
    db.connector.install().await.unwrap();
    let error = db.connector.changes(&entity(), &cursor, 10).await.unwrap_err();
    assert_eq!(error.kind, ConnectorErrorKind::CursorExpired);

    assert!(!db.connector.uninstall().await.unwrap().is_empty());
    assert_eq!(db.connector.uninstall().await.unwrap(), Vec::<String>::new());
    let findings = db.connector.check().await.unwrap();
    assert!(
        findings[0].cure.contains("avowal sync") && findings[0].severity == Severity::Note,
        "{findings:?}"
    );
    db.sql("INSERT INTO people (name) VALUES ('Ann')").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_wakes_on_a_notification() {
    let server = PrivatePostgres::start().unwrap();
    let db = Database::new(&server, SCHEMA).await;
    db.connector.wait().await;
    let idle = tokio::time::timeout(Duration::from_millis(300), db.connector.wait()).await;
    assert!(idle.is_err(), "nothing happened");
    let begun = Instant::now();
    tokio::join!(db.connector.wait(), db.sql("INSERT INTO people (name) VALUES ('Ann')"));
    assert!(begun.elapsed() < Duration::from_secs(5));
}
